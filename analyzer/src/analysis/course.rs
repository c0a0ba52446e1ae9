//! What happened when, in equal periods of the recorded time: enough to tell, for any run of periods, what was made
//! in it and alive at its end, and what the requests left behind that began in it, without keeping events.

use std::sync::Arc;

use crate::sample::Amount;
use crate::sites::SiteId;

/// Into how many periods the recorded time is cut.
pub const PERIODS: usize = 48;
/// Added to the period in which a process ended: its blocks that were live then died in none.
pub const OUTLIVED: u8 = PERIODS as u8;

/// The stamps with which the periods but the first begin, rising.
pub type Begins = Arc<[u64; PERIODS - 1]>;

/// The period in which `stamp` lies.
pub fn period(begins: &[u64; PERIODS - 1], stamp: u64) -> u8 {
    begins.partition_point(|begin| *begin <= stamp) as u8
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// Blocks, by call site, then birth, then death; those that came and went in one period are not in it.
    pub lived: Vec<Lived>,
    /// What requests left behind, by call site, then endpoint, then status, then period.
    pub kept: Vec<Kept>,
}

/// Blocks of one call site that came in one period and went in another, over all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lived {
    /// Where they were made.
    pub site: SiteId,
    /// The period of their birth.
    pub born: u8,
    /// That of their death; [`OUTLIVED`] and the period of their process's end: they were live when its exit began,
    /// or, without one, at its end.
    pub died: u8,
    /// How much.
    pub amount: Amount,
}

/// What requests with one status of one endpoint, that began in one period, retained at one call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it was made.
    pub site: SiteId,
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// The status.
    pub status: Option<u32>,
    /// The period in which the requests began; where it is not known which requests they are, that of the birth.
    pub period: u8,
    /// How much.
    pub retained: Amount,
    /// Of that, what nothing proves to be theirs.
    pub associated: Amount,
    /// Of that, what has leaked.
    pub leaked: Amount,
}
