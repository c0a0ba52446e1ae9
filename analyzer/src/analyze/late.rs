//! Requests whose work had not come yet when serving ended.
//!
//! A task or a thread that a request began may do its work after the request's end, and keep things then. Of the last
//! requests before the end nothing is kept yet, though they will keep as much as the others: taken for requests that
//! keep nothing they make a leak look as if it had died down. How late the work comes is known from those that have kept
//! something.

use crate::ledger::Retained;
use crate::requests::record::Record;
use crate::verdict::Sequences;

/// Work is as late as this part of what was kept shows: a few blocks may be another request's.
const TYPICAL: f64 = 0.95;
/// Of a group's requests this part (one in so many) must have ended so long before the end at least.
const SEEN: usize = 4;

/// Removes from `orders`, the places of a group's requests in a process, those that ended too shortly before the end of
/// the serving for their work to have come, and kept nothing. Whether that leaves so few to look at that they tell
/// nothing.
pub(super) fn remove_unseen<'k>(
    orders: &mut Vec<u64>,
    kept: impl Iterator<Item = (&'k Retained, &'k Record, u64)>,
    sequences: &Sequences,
) -> bool {
    let (mut delays, mut keeping): (Vec<u64>, Vec<u64>) = kept
        .map(|(kept, record, order)| {
            let end = record.end.unwrap_or(kept.born);
            (kept.born.saturating_sub(end), order)
        })
        .unzip();
    delays.sort_unstable();
    let place = (delays.len() as f64 * TYPICAL) as usize;
    let delay = delays.get(place.min(delays.len().saturating_sub(1)));
    let Some(delay) = delay.filter(|delay| **delay > 0) else {
        return false;
    };
    let until = sequences.ended_by(sequences.served_until().saturating_sub(*delay));
    let all = orders.len();
    let seen = orders.partition_point(|order| *order < until);
    keeping.sort_unstable();
    orders.retain(|order| *order < until || keeping.binary_search(order).is_ok());
    seen * SEEN < all
}
