//! What makes the free and the allocation of one address sortable across threads, without a clock or
//! a shared counter for most of them: see `region`. Facts take a stamp each.

mod region;
#[cfg(test)]
mod tests;

use core::arch::x86_64::_rdtsc;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use leak_wire::layout::{Line, SessionHeader};
use leak_wire::order::{self, SHARDS};

use crate::{kernel, thread};
use region::{MAX_OWNER, Space};

pub use region::{NOBODY, Place, REGIONS, place, slot_of};

/// The next stamp of the session.
pub fn stamp(header: &SessionHeader) -> u64 {
    // SAFETY: rdtsc has no preconditions.
    let now = unsafe { _rdtsc() };
    // Relaxed: written before the session. A core whose clock is behind gets no time from it.
    let first = header.first_tick.load(Ordering::Relaxed);
    order::next_stamp(&header.epoch.0, now.saturating_sub(first))
}

/// What this process keeps of its regions. Lies in pages that the kernel wipes in a forked child: it
/// has its own address space, and nothing of its parent's regions is true there.
#[repr(C)]
pub struct Regions {
    owners: [AtomicU32; REGIONS],
    turns: [Line<AtomicU64>; SHARDS],
    /// The last number given to a thread; never given again.
    threads: AtomicU32,
}

static ALL: AtomicPtr<Regions> = AtomicPtr::new(null_mut());

/// Maps the regions of a session, before anything is recorded. Without them every event takes a stamp, which
/// is as right, and slower. Those of a session before give their memory back; a thread that is still in a call that
/// began then may use them.
pub fn prepare() {
    if let Some(before) = regions() {
        let start = core::ptr::from_ref(before).cast();
        // SAFETY: our own pages of atomics, whose session is over: nobody cares what they hold.
        let _ = unsafe { kernel::advise(start, size_of::<Regions>(), libc::MADV_DONTNEED) };
    }
    let Some(memory) = kernel::map(size_of::<Regions>()) else {
        return;
    };
    // SAFETY: our fresh mapping; being wiped in a child is what its users expect.
    if unsafe { kernel::advise(memory, size_of::<Regions>(), libc::MADV_WIPEONFORK) }.is_ok() {
        // Release: pairs with the Acquire in `regions`.
        ALL.store(memory.cast(), Ordering::Release);
    }
}

/// The regions, if they could be had.
pub fn regions() -> Option<&'static Regions> {
    // Acquire: pairs with the Release in `prepare`.
    // SAFETY: null or what `prepare` mapped for ever; any bytes are valid atomics.
    unsafe { ALL.load(Ordering::Acquire).as_ref() }
}

impl Regions {
    /// A number for a thread, [`NOBODY`] when there are none left.
    pub fn new_owner(&self) -> u32 {
        // Relaxed, both: a counter.
        let add = |last: u32| (last < MAX_OWNER).then_some(last + 1);
        let last = self
            .threads
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        last.map_or(NOBODY, |last| last + 1)
    }

    /// Whether the slot of a region is `me`'s.
    #[inline(always)]
    pub fn is_own(&self, slot: usize, me: u32) -> bool {
        self.owner(slot) == me
    }

    #[inline(always)]
    fn owner(&self, slot: usize) -> u32 {
        // Acquire: pairs with the AcqRel exchanges: who sees a region shared sees the epoch after it.
        let owner = self.owners.get(slot);
        owner.map_or(region::SHARED, |owner| owner.load(Ordering::Acquire))
    }

    /// Takes the next turn of a shard.
    pub fn take_turn(&self, shard: u8) -> u64 {
        // AcqRel: turns of a shard follow each other, with all that came before each.
        self.turns
            .get(usize::from(shard))
            .map_or(0, |turns| turns.0.fetch_add(1, Ordering::AcqRel))
    }
}

/// The regions with the session's epoch.
pub struct Shared<'a> {
    /// The regions of this process.
    pub regions: &'a Regions,
    /// The session.
    pub header: &'a SessionHeader,
}

impl Space for Shared<'_> {
    fn epoch(&self) -> u64 {
        // Acquire: pairs with the AcqRel of the stamps: whoever sees an epoch sees what came before.
        self.header.epoch.0.load(Ordering::Acquire)
    }

    fn bump(&self) {
        stamp(self.header);
    }

    fn owner(&self, slot: usize) -> u32 {
        self.regions.owner(slot)
    }

    fn replace(&self, slot: usize, from: u32, to: u32) -> bool {
        // AcqRel: pairs with the Acquire in `Regions::owner`.
        self.regions.owners.get(slot).is_some_and(|owner| {
            owner
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        })
    }

    fn is_gone(&self, owner: u32) -> bool {
        thread::is_gone(owner)
    }
}
