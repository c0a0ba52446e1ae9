//! Room in a lane: the recorder takes words out of it, at its own pace.

use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

use leak_wire::Event;

use super::Writer;
use crate::kernel;
use crate::mapping::Lane;

/// What a full lane does to a record, and as what one is counted that is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new block.
    Allocation,
    /// The end of one.
    Free,
    /// All else.
    Fact,
}

impl Kind {
    /// The event's.
    #[inline(always)]
    pub fn of(event: &Event<'_>) -> Kind {
        match event {
            Event::Allocation { .. } | Event::ReallocationEnd { .. } => Kind::Allocation,
            Event::Free { .. } | Event::ReallocationBegin { .. } | Event::ReallocationFreed => {
                Kind::Free
            }
            _ => Kind::Fact,
        }
    }
}

/// Room for a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Here,
    /// There is now: what was found out before is old.
    New,
    /// There is none, and the record was counted as dropped.
    None,
}

/// How long a full lane waits for a recorder that makes no progress.
const PATIENCE_NS: u64 = 30_000_000_000;
/// Words of the records that are written while signals are held, as a rule.
const AHEAD: u64 = 128;
/// How long between two looks of a waiting thread.
const LOOK: Duration = Duration::from_millis(100);
/// A recorder without progress for so long is asked for.
const SUSPICION_NS: u64 = 1_000_000_000;

impl Writer {
    /// Whether there is room up to `end`. Looking for it takes time in which anything may happen.
    #[inline(always)]
    pub(super) fn room_for(&self, end: u64, kind: Kind) -> Room {
        if end <= self.limit.get() {
            Room::Here
        } else if self.make_room(end, kind) {
            Room::New
        } else {
            Room::None
        }
    }

    /// Looks at the recorder's side for room up to `end`, waits for it or counts a drop.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, end: u64, kind: Kind) -> bool {
        let Some(lane) = self.lane.get() else {
            return false;
        };
        let has_room = !self.has_stopped(&lane) && self.find_room(&lane, end, kind);
        // What waited for room until recording ended came after it.
        if has_room || self.has_stopped(&lane) {
            return has_room;
        }
        lane.mapping.ring_doorbell();
        let counter = match kind {
            Kind::Allocation => &lane.header.dropped_allocations,
            Kind::Free => &lane.header.dropped_frees,
            Kind::Fact => &lane.header.dropped_facts,
        };
        // Relaxed: a counter.
        counter.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Whether recording has ended: then the lane is closed.
    fn has_stopped(&self, lane: &Lane) -> bool {
        // Relaxed: a word by itself.
        let has_stopped = lane.mapping.header().stopped.load(Ordering::Relaxed) != 0;
        if has_stopped {
            self.ends();
        }
        has_stopped
    }

    /// Recording has ended.
    #[cold]
    #[inline(never)]
    pub(super) fn ends(&self) {
        // No epoch: so no event passes that does not see that the lane is closed.
        self.told.set(0);
        self.close();
        crate::session::stop(self.serial());
    }

    /// Sees to it that there is room for some records, or has waited for it: before signals are held, during which
    /// nobody should wait for long.
    #[inline(always)]
    pub fn await_room(&self) {
        if let Some(position) = self.position()
            && position + AHEAD > self.limit.get()
        {
            self.await_room_to(position + AHEAD);
        }
    }

    #[cold]
    #[inline(never)]
    fn await_room_to(&self, end: u64) {
        if self.is_open()
            && let Some(lane) = self.lane.get()
        {
            self.find_room(&lane, end, Kind::Fact);
        }
    }

    /// Whether there is room up to `end`, at once or after a wait.
    #[inline(always)]
    fn find_room(&self, lane: &Lane, end: u64, kind: Kind) -> bool {
        let header = lane.mapping.header();
        let capacity = self.mask.get() + 1;
        // Relaxed: the recorder's setting, made before the session.
        let drops = header.full.load(Ordering::Relaxed) == 1;
        // Of a lane that drops, a quarter is kept for frees.
        let common = if drops { capacity / 4 * 3 } else { capacity };
        let usable = match kind {
            Kind::Allocation => common,
            _ => capacity,
        };
        self.room(lane, end, usable, common) || !drops && self.wait_for_room(lane, end)
    }

    /// Whether there is room up to `end` with `usable` words in use. Where there is, no more looks are
    /// needed for a while, as far as all kinds of records may use `common` words.
    fn room(&self, lane: &Lane, end: u64, usable: u64, common: u64) -> bool {
        let capacity = self.mask.get() + 1;
        // Acquire: pairs with the recorder's Release: it has read what is overwritten next.
        let tail = lane.header.tail.load(Ordering::Acquire);
        if tail > end {
            // Handlers that came in between have published more, and that was read: `end` is old, and to be
            // found out again. Without them the tail can't be there. Relaxed: only this thread stores it.
            return lane.header.head.load(Ordering::Relaxed) >= tail;
        }
        if end - tail > usable {
            return false;
        }
        if end - tail > capacity / 2 {
            lane.mapping.ring_doorbell();
            let next_look = end + capacity / 16;
            self.limit.set(next_look.min(tail + common).max(end));
        } else {
            self.limit.set(tail + capacity / 2);
        }
        true
    }

    #[inline(always)]
    fn wait_for_room(&self, lane: &Lane, end: u64) -> bool {
        let header = lane.mapping.header();
        let capacity = self.mask.get() + 1;
        // Relaxed, here and below: a sign of life, nothing is ordered by it.
        let mut progress = header.progress.load(Ordering::Relaxed);
        if self.stalled.get() == progress.wrapping_add(1) {
            return false;
        }
        let start = kernel::now_ns();
        let mut moved_at = start;
        let roomy = loop {
            // Relaxed: `room` is a futex, compared again by the kernel.
            let seen = lane.header.room.load(Ordering::Relaxed);
            lane.header.waiting.store(1, Ordering::Relaxed);
            // SeqCst: pairs with the recorder's fence between its store of `tail` and its load of
            // `waiting`: either it sees that we wait, or we see its tail.
            fence(Ordering::SeqCst);
            if self.room(lane, end, capacity, capacity) {
                break true;
            }
            lane.mapping.ring_doorbell();
            kernel::futex_wait(&lane.header.room, seen, LOOK);
            let now = kernel::now_ns();
            let current = header.progress.load(Ordering::Relaxed);
            if current != progress {
                (progress, moved_at) = (current, now);
            }
            if header.stopped.load(Ordering::Relaxed) != 0
                || now - moved_at > SUSPICION_NS && crate::session::recorder_gone()
            {
                break false;
            }
            if now - moved_at > PATIENCE_NS {
                self.stalled.set(progress.wrapping_add(1));
                break false;
            }
        };
        lane.header.waiting.store(0, Ordering::Relaxed);
        let waited = kernel::now_ns() - start;
        lane.header.waited_ns.fetch_add(waited, Ordering::Relaxed);
        roomy
    }
}
