//! Why a series has its verdict, in words.

use super::{
    FEW_BLOCKS, GROWTH, LEAK_LATE_REQUESTS, LEAK_REQUESTS, LEAK_SHARE, STEADY, Series, Unit,
    percent,
};
use crate::analysis::Verdict;
use crate::figures::{bytes, count, counted};

/// Why, in two lines at most: it is read at night.
pub(super) fn text(series: &Series, verdict: Verdict, needed: Option<u64>) -> String {
    let (older, kept) = (series.older_survivor_bytes, series.older_retained_bytes());
    let [first, .., middle, _, _, _, end] = series.live_bytes;
    match verdict {
        Verdict::Leak => format!(
            "{} (leak: {LEAK_REQUESTS}+), {} after the first quarter ({LEAK_LATE_REQUESTS}+); {} % \
             of {} of older survivors stayed ({LEAK_SHARE} %+)",
            kept_by(series),
            count(series.retaining_late),
            percent(kept, older),
            bytes(older),
        ),
        Verdict::GrowingBuffer => format!(
            "{} grew from {} in the middle to {} at the end (growing: {GROWTH} %+ more, in \
             {FEW_BLOCKS} blocks at most)",
            counted(series.retained_blocks, "block"),
            bytes(middle),
            bytes(end),
        ),
        Verdict::Bounded => format!(
            "live: {} after the first eighth, {} in the middle, {} at the end (bounded: at most \
             {STEADY} % more), and older survivors were freed",
            bytes(first),
            bytes(middle),
            bytes(end),
        ),
        Verdict::WarmUp if series.survivor_blocks == 0 => format!(
            "{} from before the first request",
            counted(series.before_blocks, "block")
        ),
        Verdict::WarmUp => format!("{}, none after the first quarter", kept_by(series)),
        Verdict::FreedLater => format!(
            "{}, all but the newest freed: {} of {} from before the last eighth are left",
            counted(series.survivor_blocks, "survivor"),
            bytes(kept),
            bytes(older),
        ),
        Verdict::TooFewRequests if series.judged == 0 => {
            "no requests have ended, so nothing tells what would grow".to_string()
        }
        Verdict::TooFewRequests => format!(
            "{}; at least {} needed to tell",
            kept_by(series),
            match needed.unwrap_or(1) {
                1 => "1 more request is".to_string(),
                needed => format!("{} more requests are", count(needed)),
            }
        ),
        Verdict::Clean => "no survivors".to_string(),
    }
}

fn kept_by(series: &Series) -> String {
    let retaining = count(series.retaining);
    match series.unit {
        Unit::Requests => {
            let served = counted(series.served, "request");
            format!("{retaining} of {served} kept blocks")
        }
        Unit::Time => {
            let slices = series.judged;
            format!("{retaining} of {slices} eighths of the serving time kept blocks")
        }
    }
}
