//! Is what requests leave at a call site a buffer that grows: few blocks, each the largest there has been?
//!
//! A *step* is a survivor that is larger than all before it. A buffer grows where a step came since the middle of
//! its requests, and the next is not overdue; one whose steps have stopped is full. A buffer that is as large as
//! the largest request so far makes steps, too, ever fewer and smaller ones: it is told by that. What is replaced by new blocks
//! and not by realloc is a buffer only if its survivors are steps too often for chance: of blocks of any sizes in
//! random order, the i-th is a step with probability 1 / i.

use super::survival::{LEVEL, SUSPICIOUS, WARM_UP_REQUESTS};
use super::{GROWTH, at_least};
use crate::figures::{bytes, count, counted};
use crate::ledger::{FinishedSite, Retained};

/// A growing buffer consists of so many blocks at most (in each process).
pub const FEW_BLOCKS: u64 = 8;
/// It has made so many steps.
const STEPS: usize = 3;
/// So many steps since the middle are no chance: of blocks of any sizes in random order, ln 2 are steps on average
/// (Poisson), and so many in one of a thousand.
const LATE_STEPS: u64 = 5;
/// A step is overdue after so many times what the steps before let expect.
const OVERDUE: f64 = 1.5;

/// What is to be thought of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Growth {
    /// Its next step is overdue, or it was freed at its largest: it is full.
    Stopped,
    /// It may go on.
    Untold,
    /// It grows.
    Grows,
}

/// A buffer, and the figures behind what is thought of it.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// What is to be thought of it.
    pub growth: Growth,
    steps: u64,
    late_steps: u64,
    blocks: u64,
    size: u64,
    /// The size before the middle.
    middle: u64,
    requests: u64,
    /// The next step is overdue after so many more requests.
    overdue: u64,
}

impl Buffer {
    /// What the site is in all its processes together; for each, the places of its labels' requests. What grows in
    /// one up to a size at which it stopped in another only fills.
    pub fn of<'s>(processes: impl Iterator<Item = (&'s FinishedSite, Vec<u64>)>) -> Option<Buffer> {
        let buffers = processes.filter_map(|(site, orders)| Buffer::in_process(site, &orders));
        let buffers: Vec<Buffer> = buffers.collect();
        let stopped = buffers
            .iter()
            .filter(|buffer| buffer.growth == Growth::Stopped);
        let full = stopped.map(|buffer| buffer.size).max().unwrap_or(0);
        let larger = buffers.into_iter().filter(|buffer| buffer.size > full);
        larger.max_by_key(|buffer| (buffer.growth, buffer.size))
    }

    fn in_process(site: &FinishedSite, orders: &[u64]) -> Option<Buffer> {
        let points = site.lives.larger.points();
        if points.len() < STEPS {
            return None;
        }
        let by_chance = match site.reallocations {
            0 => chance(points.len(), site.lives.births),
            _ => 0.0,
        };
        if by_chance >= SUSPICIOUS {
            return None;
        }
        let place = |order: &u64| orders.partition_point(|one| one < order) as u64 + 1;
        let places: Vec<u64> = points.iter().map(|(order, _)| place(order)).collect();
        let gaps: Vec<u64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (last, longest) = (*gaps.last()?, *gaps.iter().max()?);
        // Steps that come ever later double.
        let next = if last == longest { 2 * last } else { longest };
        let overdue = (OVERDUE * next as f64).ceil() as u64;
        let (requests, step) = (orders.len() as u64, *places.last()?);
        let since = requests.saturating_sub(step);
        let early = places.partition_point(|place| 2 * place < requests);
        let size = points.last()?.1;
        let mut buffer = Buffer {
            growth: Growth::Untold,
            steps: points.len() as u64,
            late_steps: (points.len() - early) as u64,
            blocks: 0,
            size,
            middle: early.checked_sub(1).map_or(0, |at| points[at].1),
            requests,
            overdue: (overdue + 1).saturating_sub(since),
        };
        let used: Vec<&Retained> = site.retained.iter().filter(|kept| kept.is_used()).collect();
        buffer.blocks = used
            .iter()
            .map(|kept| kept.blocks - kept.bounded_blocks)
            .sum();
        let holds = used.iter().any(|kept| kept.bytes >= size);
        if since > overdue || !holds {
            buffer.growth = Growth::Stopped;
            return Some(buffer);
        }
        if buffer.goes_on() && by_chance < LEVEL {
            buffer.growth = Growth::Grows;
        }
        (buffer.blocks <= FEW_BLOCKS).then_some(buffer)
    }

    /// Since the middle it has become much larger, or larger more often than the largest of any sizes becomes.
    fn goes_on(&self) -> bool {
        let larger = at_least(self.size, 100 + GROWTH, self.middle);
        self.requests >= WARM_UP_REQUESTS
            && self.late_steps > 0
            && (larger || self.late_steps >= LATE_STEPS)
    }

    /// Why.
    pub fn text(&self) -> String {
        format!(
            "{} (at most {FEW_BLOCKS}), the largest {} after {} steps, {} of them since the middle of {}, where it was \
             {} (growing: {GROWTH} %+ more, or {LATE_STEPS}+ steps; full: no step for {OVERDUE} times as long as expected)",
            counted(self.blocks, "block"),
            bytes(self.size),
            count(self.steps),
            count(self.late_steps),
            counted(self.requests, "request"),
            bytes(self.middle),
        )
    }

    /// How many more requests tell.
    pub fn needed(&self) -> u64 {
        self.overdue
    }
}

/// The probability that of `all` values in random order `records` or more are the largest so far.
fn chance(records: usize, all: u64) -> f64 {
    if (records as f64) < (all as f64).ln() {
        // No more than there are on average.
        return 1.0;
    }
    // By how many there are, up to `records`, which stands for all above.
    let mut parts = vec![0.0; records + 1];
    parts[0] = 1.0;
    for i in 1..=all {
        let p = 1.0 / i as f64;
        parts[records] += parts[records - 1] * p;
        for k in (1..records).rev() {
            parts[k] += parts[k - 1] * p - parts[k] * p;
        }
        parts[0] *= 1.0 - p;
    }
    parts[records]
}

#[cfg(test)]
mod tests {
    use super::chance;

    #[test]
    fn steps_by_chance() {
        assert!((chance(1, 1) - 1.0).abs() < 1e-12);
        // All of three: one order of six.
        assert!((chance(3, 3) - 1.0 / 6.0).abs() < 1e-12);
        // Two or more of three: all orders but those that begin with the largest.
        assert!((chance(2, 3) - 4.0 / 6.0).abs() < 1e-12);
        assert!(chance(7, 7) < 1e-3 && chance(6, 6) > 1e-3);
        assert!(chance(7, 1_000) > 0.5);
        assert!(chance(14, 1_000_000_000) > 0.5);
    }
}
