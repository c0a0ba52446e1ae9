//! leak-analyze
fn main() {}
