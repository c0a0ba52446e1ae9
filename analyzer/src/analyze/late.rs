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
const SEEN: u64 = 4;

/// What is known of it for a group's requests, over all processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late {
    /// How long after a request's end its work comes, in ticks.
    delay: u64,
    /// Requests that ended so long before the end of the serving that their work would have come.
    seen: u64,
    all: u64,
}

impl Late {
    /// Of a group whose requests kept this.
    pub(super) fn of<'k>(kept: impl Iterator<Item = (&'k Retained, &'k Record)>) -> Late {
        let delays = kept.map(|(kept, record)| {
            let end = record.end.unwrap_or(kept.born);
            kept.born.saturating_sub(end)
        });
        let mut delays: Vec<u64> = delays.collect();
        delays.sort_unstable();
        let place = (delays.len() as f64 * TYPICAL) as usize;
        let delay = delays.get(place.min(delays.len().saturating_sub(1)));
        Late {
            delay: delay.copied().unwrap_or(0),
            seen: 0,
            all: 0,
        }
    }

    /// Removes from `orders`, the places of the group's requests in a process, those that ended too late to be seen, and
    /// are none of those that kept something, which `keeps` tells.
    pub(super) fn remove_unseen(
        &mut self,
        orders: &mut Vec<u64>,
        keeps: impl Fn(u64) -> bool,
        sequences: &Sequences,
    ) {
        let until = match self.delay {
            0 => u64::MAX,
            delay => sequences.ended_by(sequences.served_until().saturating_sub(delay)),
        };
        self.all += orders.len() as u64;
        self.seen += orders.partition_point(|order| *order < until) as u64;
        if self.delay > 0 {
            orders.retain(|order| *order < until || keeps(*order));
        }
    }

    /// Whether so few are seen that they tell nothing.
    pub(super) fn shows_little(&self) -> bool {
        self.seen * SEEN < self.all
    }
}
