//! One side of a comparison, and how it is told.

use crate::analysis::Verdict;
use crate::figures::{bytes, count, counted};
use crate::report::outline::Part;

/// What a recording may have missed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    pub(super) events: u64,
    pub(super) sample_bytes: u64,
}

/// One side.
#[derive(Clone, Debug, Default)]
pub(super) struct Of {
    /// `None`: there were no such requests.
    pub(super) part: Option<Part>,
    pub(super) lost: Lost,
    /// The standard error of what leaked, where it is an estimate.
    pub(super) error: u64,
}

/// A status, for people.
pub(super) fn status_words(status: Option<u32>) -> String {
    status.map_or_else(|| "missing".into(), |status| status.to_string())
}

/// `12`, or `3-12`.
pub(in crate::report) fn range([low, high]: [u64; 2]) -> String {
    match low == high {
        true => count(low),
        false => format!("{}-{}", count(low), count(high)),
    }
}

/// What each leaking request leaves: `1.5 KiB`, `300 B-1.2 KiB`; `?` where there is none that is known.
pub(in crate::report) fn each(part: &Part) -> String {
    match part.each_range() {
        None => "?".into(),
        Some([low, high]) if low == high => bytes(low),
        Some([low, high]) => format!("{}-{}", bytes(low), bytes(high)),
    }
}

/// `20 of 400 requests leak, 1.5 KiB each`.
pub(super) fn leaks(part: &Part) -> String {
    if part.verdict == Verdict::GrowingBuffer {
        return format!("a buffer grew to {}", bytes(part.leaked.bytes));
    }
    if !part.verdict.leaks() && part.hidden.is_some() {
        let requests = counted(part.requests, "request");
        return format!("nothing of {requests} in the sample leaks");
    }
    if !part.verdict.leaks() {
        return format!("none of {} leaks", counted(part.requests, "request"));
    }
    format!(
        "{} of {} leak, {} each",
        range(part.leaking_range()),
        counted(part.requests, "request"),
        each(part)
    )
}
