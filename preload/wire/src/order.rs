//! What orders the events of different lanes; FORMAT.md has the whole scheme and why it holds.
//!
//! - *Facts* take a stamp each from the session's one epoch: unique, and rising for ever.
//! - Memory events take none. They carry the epoch that their thread saw, and where two threads use
//!   the same region of addresses also a turn: a number in one count for the region's shard.
//! - Everything else has its place in its lane only.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::Event;

/// Regions are this large, as a power of two.
pub const REGION_BITS: u32 = 16;
/// How many counts of turns there are in a process.
pub const SHARDS: usize = 256;

/// The count that gives `address` its turns.
#[inline(always)]
pub const fn shard(address: u64) -> u8 {
    (address >> REGION_BITS) as u8
}

/// How an event has its place among those of other lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By its stamp.
    Fact,
    /// By the epoch, and the turn if others use the region of this address.
    Block(u64),
    /// Only by its place in the lane.
    Lane,
}

impl Event<'_> {
    /// How the event has its place.
    #[inline(always)]
    pub fn order(&self) -> Order {
        match *self {
            Event::Allocation { address, .. }
            | Event::Free { address }
            | Event::ReallocationBegin { address }
            | Event::ReallocationEnd { address, .. } => Order::Block(address),
            Event::ReallocationFailed
            | Event::ReallocationFreed
            | Event::Frame { .. }
            | Event::PythonFrame { .. }
            | Event::Pair { .. }
            | Event::TreeReset => Order::Lane,
            _ => Order::Fact,
        }
    }
}

/// Tries before a stamp is taken without a look at the clock.
const TRIES: u32 = 64;

/// The next stamp: greater than all before, and `now` (ticks since the session's start) where that
/// is greater still. So stamps are times, too, as far as the clocks of the cores agree; their order
/// never depends on that.
#[inline]
pub fn next_stamp(epoch: &AtomicU64, now: u64) -> u64 {
    // Relaxed: the exchange below is what counts.
    let mut seen = epoch.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        let next = now.max(seen.wrapping_add(1));
        // AcqRel: pairs with the Acquire of whoever loads the epoch, and with the other stamps: what
        // the taker of an earlier stamp did before is seen by the taker of a later one.
        match epoch.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return next,
            Err(other) => seen = other,
        }
    }
    // AcqRel: as above.
    epoch.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn stamps_rise_whatever_the_clock_says() {
        let epoch = AtomicU64::new(0);
        let stamps: Vec<u64> = [5, 5, 3, 9, 0].map(|now| next_stamp(&epoch, now)).into();
        assert_eq!(stamps, [5, 6, 7, 9, 10]);
    }

    #[test]
    fn threads_never_get_the_same_stamp() {
        let each = if cfg!(miri) { 100 } else { 10_000 };
        let epoch = AtomicU64::new(0);
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..each)
                            .map(|now| next_stamp(&epoch, now))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            takers
                .into_iter()
                .flat_map(|taker| {
                    let stamps = taker.join().unwrap();
                    assert!(stamps.is_sorted());
                    stamps
                })
                .collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4 * each as usize);
    }
}
