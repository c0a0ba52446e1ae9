//! The addresses of the process whose end is recorded: a table without locks, behind a filter of one byte
//! for each group of places. Most frees see from that byte that there is nothing to record.
//!
//! Whoever frees a block got its address from whoever allocated it, by something that orders the two. That
//! orders their accesses to the table, too: all of them are relaxed. The memory is private, so a forked child
//! goes on with its own copy; what another thread was at then is a count that is too high, and costs a look.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::kernel;

/// Addresses that fall together, at most: a cache line of them.
const PLACES: usize = 8;
/// Groups of places for a mean of 512 KiB or more: room for some 60 GiB of live blocks.
const LEAST_GROUPS_LOG2: u32 = 14;
/// The most, for a small mean.
const MOST_GROUPS_LOG2: u32 = 20;
const USUAL_MEAN_LOG2: u32 = 19;

type Group = [AtomicU64; PLACES];

/// See the module's documentation.
struct Table {
    /// 64 minus the binary logarithm of the number of groups.
    shift: AtomicU32,
    /// How many places of each group are taken.
    taken: AtomicPtr<AtomicU8>,
    /// The places: an address, or 0.
    groups: AtomicPtr<Group>,
}

static TABLE: Table = Table {
    shift: AtomicU32::new(0),
    taken: AtomicPtr::new(null_mut()),
    groups: AtomicPtr::new(null_mut()),
};

/// Makes an empty table, for samples so many bytes apart; false if there is no memory for it.
pub fn prepare(mean: u64) -> bool {
    let smaller = USUAL_MEAN_LOG2.saturating_sub(mean.max(1).ilog2());
    let log2 = (LEAST_GROUPS_LOG2 + smaller).min(MOST_GROUPS_LOG2);
    let groups = 1_usize << log2;
    let bytes = groups * (1 + size_of::<Group>());
    // Relaxed, both: see below. The same table for another session, emptied.
    let before = TABLE.groups.load(Ordering::Relaxed);
    if !before.is_null() && TABLE.shift.load(Ordering::Relaxed) == 64 - log2 {
        // SAFETY: our own pages, of that size; zeros are an empty table.
        return unsafe { kernel::advise(before.cast(), bytes, libc::MADV_DONTNEED) }.is_ok();
    }
    let Some(memory) = kernel::map(bytes) else {
        return false;
    };
    // Relaxed, all: no event is recorded before this thread has made the session known.
    TABLE.groups.store(memory.cast(), Ordering::Relaxed);
    // Behind the groups, of which each lies within a cache line.
    let taken = memory.wrapping_add(groups * size_of::<Group>());
    TABLE.taken.store(taken.cast(), Ordering::Relaxed);
    TABLE.shift.store(64 - log2, Ordering::Relaxed);
    true
}

/// The group of an address and its count.
///
/// # Safety
/// `prepare` has made the table.
#[inline(always)]
unsafe fn group(address: u64) -> (&'static Group, &'static AtomicU8) {
    // Fibonacci hashing (Knuth, volume 3, 6.4); the low bits of an address are always 0.
    let shift = TABLE.shift.load(Ordering::Relaxed);
    let index = ((address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
    // SAFETY: `prepare` mapped that many of both for ever, zeros are valid, and it made `shift` so that the
    // index is below their number.
    unsafe {
        (
            &*TABLE.groups.load(Ordering::Relaxed).add(index),
            &*TABLE.taken.load(Ordering::Relaxed).add(index),
        )
    }
}

/// Takes `address` out; whether it was there.
///
/// # Safety
/// `prepare` has made the table.
#[inline(always)]
pub unsafe fn remove(address: u64) -> bool {
    // SAFETY: the caller's promise.
    let (places, taken) = unsafe { group(address) };
    taken.load(Ordering::Relaxed) != 0 && take_out(places, taken, address)
}

#[inline(never)]
fn take_out(places: &Group, taken: &AtomicU8, address: u64) -> bool {
    // Compared and exchanged: of two that free a block twice, one finds it.
    let found = places.iter().any(|place| {
        place.load(Ordering::Relaxed) == address
            && place
                .compare_exchange(address, 0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    });
    if found {
        taken.fetch_sub(1, Ordering::Relaxed);
    }
    found
}

/// Puts `address` in; false: there is no place.
///
/// # Safety
/// `prepare` has made the table.
pub unsafe fn insert(address: u64) -> bool {
    // SAFETY: the caller's promise.
    let (places, taken) = unsafe { group(address) };
    // The end of what lay there before may not have been seen.
    let is_there = |place: &AtomicU64| place.load(Ordering::Relaxed) == address;
    if places.iter().any(is_there) {
        return true;
    }
    // Counted before it is there: a free that finds it never counts below 0.
    taken.fetch_add(1, Ordering::Relaxed);
    let placed = places.iter().any(|place| {
        place
            .compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    });
    if !placed {
        taken.fetch_sub(1, Ordering::Relaxed);
    }
    placed
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// The table is the process's, and other tests use it for other addresses.
    #[test]
    fn a_full_group_takes_no_more_and_says_so() {
        assert!(crate::sample::tests::prepared());
        // SAFETY: it was just prepared; so for those below.
        let group_of = |address| unsafe { core::ptr::from_ref(group(address).0) };
        let first = 0x1234_5670;
        let same = (0..)
            .map(|number| first + number * 16)
            .filter(|address| group_of(*address) == group_of(first));
        let same: Vec<u64> = same.take(PLACES + 1).collect();
        let (fitting, last) = same.split_at(PLACES);
        // SAFETY: as above.
        unsafe {
            assert!(fitting.iter().all(|address| insert(*address)));
            assert!(fitting.iter().all(|address| insert(*address)));
            assert!(!insert(last[0]) && !remove(last[0]));
            assert!(fitting.iter().all(|address| remove(*address)));
            assert!(!fitting.iter().any(|address| remove(*address)));
            assert!(insert(last[0]) && remove(last[0]));
        }
    }
}
