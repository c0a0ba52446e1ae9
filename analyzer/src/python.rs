//! What has to be known of CPython outside the target.

pub mod lines;
