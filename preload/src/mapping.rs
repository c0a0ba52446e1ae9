//! The mapping that a session shares, its one cast, and the claiming of lanes in it.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use leak_wire::build::BUILD;
use leak_wire::layout::{self, Geometry, LaneHeader, ProcessSlot, SessionHeader, Stop, claim};

use crate::kernel;

/// The shared memory, mapped once and never unmapped.
#[derive(Clone, Copy)]
pub struct Mapping {
    base: *const u8,
    geometry: Geometry,
}

/// Why memory can't be used as a session's mapping.
pub enum Unfit {
    /// It is of a recorder that was built from other sources.
    OtherBuild,
    /// It is none.
    Broken,
}

// SAFETY: what lies behind `base` is made of atomics and lives as long as the process.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Takes `bytes` at `base` for a session's mapping if they look like one.
    ///
    /// # Safety
    /// They must be mapped, page aligned, shared, for reading and writing, for ever.
    pub unsafe fn new(base: *const u8, bytes: usize) -> Result<Mapping, Unfit> {
        if bytes < size_of::<SessionHeader>() {
            return Err(Unfit::Broken);
        }
        // SAFETY: the caller's promise, and the header is made of atomics: any bytes are valid.
        let header = unsafe { &*base.cast::<SessionHeader>() };
        // Acquire: pairs with the recorder's Release of the magic, its last store.
        if header.magic.load(Ordering::Acquire) != layout::MAGIC {
            return Err(Unfit::Broken);
        }
        // Relaxed, here and below: written before the magic.
        if header.build.load(Ordering::Relaxed) != BUILD {
            return Err(Unfit::OtherBuild);
        }
        let lanes = header
            .class_lanes
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let words = header
            .class_words
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        Geometry::checked(lanes, words)
            .filter(|geometry| geometry.total_bytes() <= bytes)
            .map(|geometry| Mapping { base, geometry })
            .ok_or(Unfit::Broken)
    }

    /// Gives the memory back, of a session that has ended in this process: what comes in its place is private, and says
    /// so to whoever is in a call that began before. Where the memory can't be replaced it stays, and says the same.
    pub fn leave(&self) {
        let (before, bytes) = (self.header(), self.bytes());
        let Some(fresh) = kernel::map_empty(bytes) else {
            return;
        };
        // SAFETY: fresh memory of the kernel's, longer than a header, which is made of atomics; nobody else knows it.
        let header = unsafe { &*fresh.cast::<SessionHeader>() };
        // Relaxed, all: the replacement is a system call. An epoch that no thread was told: see `Writer::knows`.
        header
            .stopped
            .store(Stop::RecorderGone as u32, Ordering::Relaxed);
        let epoch = before.epoch.0.load(Ordering::Relaxed);
        header.epoch.0.store(epoch + 1, Ordering::Relaxed);
        let first = before.first_tick.load(Ordering::Relaxed);
        header.first_tick.store(first, Ordering::Relaxed);
        // SAFETY: both are ours, of that size, and made of atomics, of which zeros are a session without lanes; what was
        // there before is the recorder's and other processes' alone.
        if !unsafe { kernel::replace(fresh, self.base, bytes) } {
            // SAFETY: nobody knows it.
            unsafe { kernel::unmap_pages(fresh, bytes) };
        }
    }

    /// Where it lies.
    pub fn start(&self) -> usize {
        self.base.expose_provenance()
    }

    /// The session's header.
    pub fn header(&self) -> &'static SessionHeader {
        // SAFETY: `new`'s caller promised the bytes; they are atomics.
        unsafe { &*self.base.cast() }
    }

    /// How much is mapped.
    pub fn bytes(&self) -> usize {
        self.geometry.total_bytes().next_multiple_of(layout::PAGE)
    }

    /// The process slot `index`, if there is one.
    pub fn process(&self, index: usize) -> Option<&'static ProcessSlot> {
        if index >= layout::PROCESS_SLOTS {
            return None;
        }
        // SAFETY: `new` checked the length against the geometry, and the index is in range; atomics.
        Some(unsafe {
            &*self
                .base
                .add(layout::PROCESSES_AT)
                .cast::<ProcessSlot>()
                .add(index)
        })
    }

    /// How many lanes there are.
    pub fn lane_count(&self) -> usize {
        self.geometry.lane_count()
    }

    /// The header of lane `index`, if there is one.
    pub fn lane(&self, index: usize) -> Option<&'static LaneHeader> {
        if index >= self.lane_count() {
            return None;
        }
        // SAFETY: as in `process`.
        Some(unsafe {
            &*self
                .base
                .add(layout::LANES_AT)
                .cast::<LaneHeader>()
                .add(index)
        })
    }

    /// The headers of all lanes with memory.
    pub fn ready_lanes(self) -> impl Iterator<Item = &'static LaneHeader> {
        let classes = self.geometry.classes().into_iter();
        classes.flat_map(move |(first, count)| {
            let lanes = (first..first + count).map_while(move |index| self.lane(index));
            // Relaxed: a hint. None behind one without memory has any.
            lanes.take_while(|lane| {
                claim::state(lane.claim.load(Ordering::Relaxed)) != claim::ABSENT
            })
        })
    }

    fn words(&self, index: usize) -> Option<&'static [AtomicU64]> {
        let (words, offset) = self.geometry.lane(index)?;
        // SAFETY: as in `process`; the offset is page aligned.
        Some(unsafe { core::slice::from_raw_parts(self.base.add(offset).cast(), words) })
    }

    /// Wakes the recorder if it sleeps.
    pub fn ring_doorbell(&self) {
        let header = self.header();
        // SeqCst: pairs with the recorder's store of `recorder_sleeps` before it looks at the lanes for
        // the last time: either it sees our words, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if header.recorder_sleeps.load(Ordering::Relaxed) == 1 {
            // Release: pairs with the recorder's Acquire after the futex wait.
            header.doorbell.fetch_add(1, Ordering::Release);
            kernel::futex_wake(&header.doorbell);
        }
    }

    /// Claims a free lane, largest first, for this thread of the process in `slot`.
    pub fn claim_lane(&self, slot: u32, image: u32, thread: u32) -> Option<Lane> {
        let hints = &self.header().first_free;
        for ((first, count), hint) in self.geometry.classes().into_iter().zip(hints) {
            // Relaxed, both: a hint. The recorder tells with each look where the first free one lies; those before
            // it are looked at again then.
            let start = (hint.load(Ordering::Relaxed) as usize).min(count);
            for number in start..count {
                let header = self.lane(first + number)?;
                // Relaxed: the exchange in `claim` is what counts.
                let seen = header.claim.load(Ordering::Relaxed);
                match claim::state(seen) {
                    claim::FREE => {}
                    // None behind it has memory.
                    claim::ABSENT => break,
                    _ => continue,
                }
                if let Some(lane) = self.claim(first + number, seen, (slot, image, thread)) {
                    hint.store(number as u32 + 1, Ordering::Relaxed);
                    return Some(lane);
                }
            }
        }
        None
    }

    /// Claims lane `index`, whose claim was `seen`, if that is still so.
    fn claim(
        &self,
        index: usize,
        seen: u64,
        (slot, image, thread): (u32, u32, u32),
    ) -> Option<Lane> {
        let (pid, header, words) = (kernel::getpid(), self.lane(index)?, self.words(index)?);
        // Acquire: pairs with the recorder's Release that made it free: positions are reset.
        let taken = header.claim.compare_exchange(
            seen,
            claim::pack(claim::CLAIMED, pid),
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        taken.ok()?;
        // Relaxed, all: the Release below publishes them.
        header.process.store(slot, Ordering::Relaxed);
        header.thread.store(thread, Ordering::Relaxed);
        header.image.store(image, Ordering::Relaxed);
        let stamp = crate::order::stamp(self.header());
        header.start.store(stamp, Ordering::Relaxed);
        header.generation.fetch_add(1, Ordering::Relaxed);
        header.head.store(0, Ordering::Relaxed);
        header.tail.store(0, Ordering::Relaxed);
        header.waiting.store(0, Ordering::Relaxed);
        // Release: pairs with the recorder's Acquire of the claim.
        header
            .claim
            .store(claim::pack(claim::LIVE, pid), Ordering::Release);
        if self
            .words(0)
            .is_some_and(|largest| words.len() < largest.len())
        {
            // None of the largest was left: the recorder may make more for the next threads.
            self.ring_doorbell();
        }
        Some(Lane {
            mapping: *self,
            header,
            words,
        })
    }
}

/// A claimed lane.
#[derive(Clone, Copy)]
pub struct Lane {
    /// Where it lies.
    pub mapping: Mapping,
    /// Its header.
    pub header: &'static LaneHeader,
    /// Its words.
    pub words: &'static [AtomicU64],
}
