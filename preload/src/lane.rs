//! Writing records into a lane.
//!
//! A lane has one producer, its thread, but that thread may be interrupted by its own signal handlers
//! at any instruction, which write there too, or jump elsewhere and never come back. So a record is a
//! transaction: its words are written where the next ones belong, which nobody sees yet, and one
//! instruction publishes them, unless anything was published there meanwhile. Then all that the record
//! rests on is found out again. Nothing is ever reserved, or half there. That an interrupted frame does not
//! go on to write over what its handler has published is the kernel's part: see `restartable`.
//!
//! One file on purpose: its parts are compiled into each other on the path of every event.

mod block;
mod node;
mod restartable;
mod room;
#[cfg(test)]
mod tests;

use core::arch::asm;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use leak_wire::record::STAMP_AT;
use leak_wire::{Event, Order, Prefix};

use crate::mapping::Lane;
use crate::mark::Mark;
use crate::order::{self, Regions};
use crate::stack::Bounds;
use block::Block;
pub use room::Kind;

pub use restartable::prepare;

/// Words of a short fact.
const SHORT: usize = 12;

/// The producer's side of a lane. All zeros: no lane. The first line is all that most events need.
#[repr(C)]
pub struct Writer {
    /// The lane's words, null: there is no lane, or it is closed or paused.
    words: Cell<*const AtomicU64>,
    mask: Cell<u64>,
    /// `LaneHeader::head`.
    head: Cell<Option<&'static AtomicU64>>,
    /// Up to here room is known without a look at the recorder's side.
    limit: Cell<u64>,
    /// `SessionHeader::epoch`.
    epoch: Cell<Option<&'static AtomicU64>>,
    /// The epoch that a reader of the lane knows, or an earlier one: then it is told again.
    told: Cell<u64>,
    regions: Cell<Option<&'static Regions>>,
    /// The thread as an owner of regions. Other threads ask for it.
    owner: AtomicU32,
    lane: Cell<Option<Lane>>,
    /// `words` while nothing is to be written, see `pause`.
    paused: Cell<*const AtomicU64>,
    /// `SessionHeader::progress` plus 1 when patience ran out: until it moves, a full lane drops.
    stalled: Cell<u64>,
    /// Set while a turn is taken that is not in the lane yet.
    turning: Mark,
    /// The thread's stack.
    bounds: Cell<Bounds>,
    /// Where the kernel looks for the sequence that is under way.
    sequence: Cell<*mut *const c_void>,
    /// Which of this process's sessions the lane is of. Other threads ask for it.
    serial: AtomicU32,
}

impl Writer {
    /// Whether it has a lane.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        !self.words.get().is_null()
    }

    /// Starts writing to a freshly claimed lane of this process's session `serial`; `bounds` are those of the thread's
    /// stack.
    pub fn open(&self, lane: Lane, bounds: Bounds, serial: u32) {
        // Relaxed: who reuses what a session has left looks for those that are still at it, see `arena`.
        self.serial.store(serial, Ordering::Relaxed);
        self.mask.set(lane.words.len() as u64 - 1);
        self.limit.set(0);
        self.stalled.set(0);
        self.told.set(0);
        self.turning.clear();
        self.bounds.set(bounds);
        self.sequence.set(restartable::place());
        self.regions.set(order::regions());
        let owner = order::regions().map_or(order::NOBODY, Regions::new_owner);
        // Relaxed: others learn the number from a region, which this thread takes (AcqRel) after this.
        self.owner.store(owner, Ordering::Relaxed);
        self.lane.set(Some(lane));
        self.head.set(Some(&lane.header.head));
        self.epoch.set(Some(&lane.mapping.header().epoch.0));
        compiler_fence(Ordering::SeqCst);
        self.words.set(lane.words.as_ptr());
    }

    /// Looks closed until `resume`.
    #[inline(always)]
    pub fn pause(&self) {
        self.paused.set(self.words.get());
        compiler_fence(Ordering::SeqCst);
        self.words.set(null());
    }

    /// Is again as it was before `pause`.
    #[inline(always)]
    pub fn resume(&self) {
        self.words.set(self.paused.get());
    }

    /// Writes nothing any more.
    pub fn close(&self) {
        self.words.set(null());
        compiler_fence(Ordering::SeqCst);
    }

    /// Which of this process's sessions it has had a lane of last; 0: none yet.
    #[inline(always)]
    pub fn serial(&self) -> u32 {
        // Relaxed: see `open`.
        self.serial.load(Ordering::Relaxed)
    }

    /// A reader of the lane knows `epoch` now, which was read before. Where recording has ended meanwhile that is seen
    /// here: who ends it says so before he raises the epoch.
    #[inline(always)]
    fn knows(&self, lane: &Lane, epoch: u64) {
        // Relaxed: ordered by the Acquire of the epoch.
        match lane.mapping.header().stopped.load(Ordering::Relaxed) {
            0 => self.told.set(epoch),
            _ => self.ends(),
        }
    }

    /// The lane, if there is one.
    pub fn lane(&self) -> Option<Lane> {
        self.lane.get()
    }

    /// Counts an allocation that could not be recorded.
    #[cold]
    pub fn count_dropped_allocation(&self) {
        if let Some(lane) = self.lane.get() {
            // Relaxed: a counter.
            lane.header
                .dropped_allocations
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The thread's number as an owner of regions.
    #[inline(always)]
    pub fn owner(&self) -> u32 {
        // Relaxed: as in `open`.
        self.owner.load(Ordering::Relaxed)
    }

    /// Where the next record will lie, `None` without a lane. What is found out from here on, up to
    /// its `publish`, no handler of this thread can have made old.
    #[inline(always)]
    pub fn position(&self) -> Option<u64> {
        // Relaxed: only this thread stores it.
        let position = self.head.get()?.load(Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Some(position)
    }

    /// The same, while there is a lane to write to.
    fn next(&self) -> Option<(Lane, u64)> {
        let lane = self.lane.get().filter(|_| self.is_open())?;
        Some((lane, self.position()?))
    }

    /// Writes an event. `false`: it was dropped, and counted.
    #[inline(always)]
    pub fn write(&self, event: Event<'_>) -> bool {
        match event.order() {
            Order::Block(address) => self.write_event_of_block(address, event),
            _ => self.write_other(&event),
        }
    }

    /// An event of memory: in the common case in a straight line.
    #[inline(always)]
    fn write_event_of_block(&self, address: u64, event: Event<'_>) -> bool {
        let mut block = Block::new(Kind::of(&event), address);
        block.encode(event);
        let alone = |position| self.write_alone(position, address, block.words());
        self.position().is_some_and(alone) || self.write_block(&block)
    }

    /// The same where nobody knows of which kind it is, and with less of the stack.
    #[inline(never)]
    pub fn write_any(&self, event: Event<'_>) -> bool {
        match event.order() {
            Order::Block(address) => self.write_block_event(address, event),
            _ => self.write_other(&event),
        }
    }

    /// The same, in a frame of its own.
    #[inline(never)]
    fn write_block_event(&self, address: u64, event: Event<'_>) -> bool {
        self.write_event_of_block(address, event)
    }

    /// A fact, or what needs only its place in the lane. Room is waited for here: further in, more of the caller's
    /// stack is in use.
    #[inline(never)]
    fn write_other(&self, event: &Event<'_>) -> bool {
        loop {
            let tried = match event.order() {
                Order::Fact => self.try_fact(event),
                _ => self.try_plain(event),
            };
            match tried {
                Tried::Written => return true,
                Tried::Full(end) if self.make_room(end, Kind::Fact) => {}
                Tried::Full(_) | Tried::Closed => return false,
            }
        }
    }

    /// A fact: its stamp is taken in the moment in which its place in the lane is, as far as handlers
    /// of this thread can tell.
    #[inline(never)]
    fn try_fact(&self, event: &Event<'_>) -> Tried {
        // Nearly all are short, and only their stamps change from one try to the next.
        let mut words = [0; SHORT];
        let count = encode(event, &mut words);
        match words.get_mut(..count) {
            Some(words) => self.try_short_fact(words),
            None => self.try_long_fact(event, count),
        }
    }

    /// A fact that is encoded, but for its stamp.
    #[inline(always)]
    fn try_short_fact(&self, words: &mut [u64]) -> Tried {
        while let Some((lane, position)) = self.next() {
            let end = position + words.len() as u64;
            if end > self.limit.get() {
                return Tried::Full(end);
            }
            let stamp = order::stamp(lane.mapping.header());
            if let Some(place) = words.get_mut(STAMP_AT) {
                *place = stamp;
            }
            let mut draft = Draft::at(self, position);
            draft.put(words);
            if draft.publish() {
                self.knows(&lane, stamp);
                return Tried::Written;
            }
        }
        Tried::Closed
    }

    /// A fact of so many words that it is encoded where it belongs.
    #[cold]
    #[inline(never)]
    fn try_long_fact(&self, event: &Event<'_>, count: usize) -> Tried {
        while let Some((lane, position)) = self.next() {
            let end = position + count as u64;
            if end > self.limit.get() {
                return Tried::Full(end);
            }
            let stamp = order::stamp(lane.mapping.header());
            let mut draft = Draft::at(self, position);
            draft.put_event(stamp, event);
            if draft.publish() {
                self.knows(&lane, stamp);
                return Tried::Written;
            }
        }
        Tried::Closed
    }

    /// An event that needs only its place in the lane, and not to come before the facts that it rests
    /// on (a module, for a frame).
    #[inline(never)]
    fn try_plain(&self, event: &Event<'_>) -> Tried {
        // In front of them a place for the epoch.
        let mut words = [0; 1 + SHORT];
        let count = encode(event, words.get_mut(1..).unwrap_or(&mut []));
        match words.get_mut(..1 + count) {
            Some(words) => self.try_short_plain(words),
            None => self.try_long_plain(event, count),
        }
    }

    /// Such an event that is encoded, behind a place for the epoch, which is told if need be.
    #[inline(always)]
    fn try_short_plain(&self, words: &mut [u64]) -> Tried {
        while let Some((lane, position)) = self.next() {
            let (epoch, told) = self.epoch_of(&lane);
            if let Some(place) = words.first_mut() {
                *place = Prefix::Epoch(epoch).word();
            }
            let words = words.get(usize::from(told)..).unwrap_or(&[]);
            let end = position + words.len() as u64;
            if end > self.limit.get() {
                return Tried::Full(end);
            }
            let mut draft = Draft::at(self, position);
            draft.put(words);
            if draft.publish() {
                self.knows(&lane, epoch);
                return Tried::Written;
            }
        }
        Tried::Closed
    }

    /// Such an event of so many words that it is encoded where it belongs.
    #[cold]
    #[inline(never)]
    fn try_long_plain(&self, event: &Event<'_>, count: usize) -> Tried {
        while let Some((lane, position)) = self.next() {
            let (epoch, told) = self.epoch_of(&lane);
            let end = position + count as u64 + u64::from(!told);
            if end > self.limit.get() {
                return Tried::Full(end);
            }
            let mut draft = Draft::at(self, position);
            if !told {
                draft.put(&[Prefix::Epoch(epoch).word()]);
            }
            draft.put_event(0, event);
            if draft.publish() {
                self.knows(&lane, epoch);
                return Tried::Written;
            }
        }
        Tried::Closed
    }

    /// The epoch, and whether the reader of the lane knows it.
    #[inline(always)]
    fn epoch_of(&self, lane: &Lane) -> (u64, bool) {
        // Acquire: pairs with the AcqRel of the stamps.
        let epoch = lane.mapping.header().epoch.0.load(Ordering::Acquire);
        (epoch, self.told.get() == epoch)
    }
}

/// What came of a try to write a record.
enum Tried {
    /// It is there.
    Written,
    /// There has to be room up to here; looking for it takes time in which anything may happen.
    Full(u64),
    /// There is no lane.
    Closed,
}

/// The words of a record without a stamp, as far as there is room for them, and how many they are.
#[inline(never)]
fn encode(event: &Event<'_>, words: &mut [u64]) -> usize {
    let mut count = 0;
    event.encode(0, |word| {
        if let Some(place) = words.get_mut(count) {
            *place = word;
        }
        count += 1;
    });
    count
}

/// A record that is being written, for which there is room.
struct Draft<'a> {
    writer: &'a Writer,
    start: u64,
    end: u64,
    /// Whether the lane was there for all of it.
    whole: bool,
}

impl<'a> Draft<'a> {
    /// Begins one at `position`, which was the writer's before all that the record tells was found out.
    #[inline(always)]
    fn at(writer: &'a Writer, position: u64) -> Draft<'a> {
        Draft {
            writer,
            start: position,
            end: position,
            whole: true,
        }
    }

    /// Writes its next words, as long as nothing else was published since its position was found.
    #[inline(always)]
    fn put(&mut self, new: &[u64]) {
        let mut written = restartable::Written::Interrupted;
        let mut tries = 0;
        while written == restartable::Written::Interrupted {
            tries += 1;
            written = restartable::write(self.writer, self.start, self.end, new, tries);
        }
        self.whole &= written == restartable::Written::All;
        self.end += new.len() as u64;
    }

    /// The same for all words of an event's record.
    #[inline(never)]
    fn put_event(&mut self, stamp: u64, event: &Event<'_>) {
        event.encode(stamp, |word| self.put(&[word]));
    }

    /// Makes it visible, whole. False if anything else was published since its position was found:
    /// then nothing was done.
    #[inline(always)]
    fn publish(self) -> bool {
        let Some(head) = self.writer.head.get().filter(|_| self.whole) else {
            return false;
        };
        let found: u64;
        // Without the lock that only other cores need: nobody else stores the head. A single
        // instruction can't be interrupted half-way. Its store is a Release, as all on this processor;
        // pairs with the recorder's Acquire in `ring::published`.
        // SAFETY: the address is a live, aligned u64.
        unsafe {
            asm!(
                "cmpxchg qword ptr [{0}], {1}",
                in(reg) head.as_ptr(), in(reg) self.end,
                inlateout("rax") self.start => found,
                options(nostack),
            );
        }
        found == self.start
    }
}
