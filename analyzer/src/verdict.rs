//! Survivors over time → what is to be thought of a call site, with the figures behind it.
//!
//! A [`Series`] is a call site's history over 8 slices of the sequence of requests that could have
//! reached it. [`judge`] looks at one series; [`combine`] at those of several processes: their slices
//! are added up and judged, and a process that leaks by itself is a leak even where the sum is not.

mod by_slices;
mod group;
mod growing;
mod history;
mod reasons;
mod series;
pub mod survival;
mod text;
pub mod told;

pub use by_slices::{combine, evidence, is_steady, judge, reaches_new_height};
pub use group::GroupEvidence;
pub use growing::{Buffer, FEW_BLOCKS, Growth};
pub use history::{Series, Unit};
pub use series::{Sequences, of_requests, of_time};

use crate::ledger::SLICES;

/// A leak needs so many requests that retained blocks.
pub const LEAK_REQUESTS: u64 = 3;
/// Of them, so many after the first quarter.
pub const LEAK_LATE_REQUESTS: u64 = 2;
/// A leak retains at least this share (in percent) of the bytes of survivors older than the last slice.
pub const LEAK_SHARE: u64 = 50;
/// Slices of the first quarter.
pub const QUARTER: usize = SLICES / 4;
/// A load slows what a thread does by itself to this share (in percent) at most.
pub const SLOWED: u64 = 10;
/// A growing buffer's live bytes rise by this share (in percent) from the middle to the end.
pub const GROWTH: u64 = 50;
/// Live bytes that end within this share (in percent) above the middle have stopped growing.
pub const STEADY: u64 = 25;
/// A warm-up is told from a leak after so many requests.
pub const WARM_UP_REQUESTS: u64 = 8;
/// All but the newest are freed where at most this share (in percent) of the older ones' bytes is left.
pub const FREED_REST: u64 = 25;

/// What rises in a sample must rise by so many standard errors.
pub const ERRORS: u64 = 3;

/// Whether `part` is at least `percent` of `whole`.
fn at_least(part: u64, percent: u64, whole: u64) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100 / u128::from(whole.max(1))) as u64
}

#[cfg(test)]
mod tests;
