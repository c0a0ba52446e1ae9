//! What came before judging began.

/// The label of all requests that came before judging began: they are no endpoint's.
pub const WARM_UP: &str = "{warm-up}";
