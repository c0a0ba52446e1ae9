//! Writing records into a lane.
//!
//! A lane has one producer, its thread, but that thread may be interrupted by its own signal handlers
//! at any instruction. So room is reserved by one instruction (`cmpxchg`, without the lock that only
//! other cores need), an inner record comes to lie after the outer one, and the outermost publishes.

use core::arch::asm;
use core::cell::Cell;
use core::ptr::null;
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
use core::time::Duration;

use leak_wire::order::shard;
use leak_wire::{Event, Order, Prefix, Record, ring};

use crate::kernel;
use crate::mapping::Lane;
use crate::order::{self, Place, Regions, Shared};

/// What a full lane does to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Allocation,
    Free,
    Fact,
}

fn kind(event: &Event<'_>) -> Kind {
    match event {
        Event::Allocation { .. } | Event::ReallocationEnd { .. } => Kind::Allocation,
        Event::Free { .. } | Event::ReallocationBegin { .. } | Event::ReallocationFreed => {
            Kind::Free
        }
        _ => Kind::Fact,
    }
}

/// Room for a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// There is.
    Here,
    /// There is now: what was found out before is old.
    New,
    /// There is none, and the record was counted as dropped.
    None,
}

/// How long a full lane waits for a recorder that makes no progress.
const PATIENCE_NS: u64 = 30_000_000_000;
/// How long between two looks of a waiting thread.
const LOOK: Duration = Duration::from_millis(100);
/// A recorder without progress for so long is asked for.
const SUSPICION_NS: u64 = 1_000_000_000;

/// The producer's side of a lane. All zeros: no lane.
#[repr(C)]
pub struct Writer {
    words: Cell<*const AtomicU64>,
    /// `words` while nothing is to be written, see `pause`.
    paused: Cell<*const AtomicU64>,
    mask: Cell<u64>,
    /// Words given out to records, whole or still being written.
    reserved: AtomicU64,
    /// Up to here room is known without a look at the recorder's side.
    limit: Cell<u64>,
    /// `LaneHeader::head`.
    head: Cell<Option<&'static AtomicU64>>,
    /// `SessionHeader::epoch`.
    epoch: Cell<Option<&'static AtomicU64>>,
    /// The epoch that a reader of the lane knows, or an earlier one: then it is told again.
    told: Cell<u64>,
    /// With the regions, the first line of this is all that most events need.
    regions: Cell<Option<&'static Regions>>,
    /// The thread as an owner of regions, 0: it can't own any.
    owner: Cell<u32>,
    lane: Cell<Option<Lane>>,
    /// `SessionHeader::progress` plus 1 when patience ran out: until it moves, a full lane drops.
    stalled: Cell<u64>,
}

/// The words of a memory event.
struct Block {
    words: [u64; 3],
    count: usize,
    kind: Kind,
    address: u64,
}

impl Block {
    #[inline(always)]
    fn new(event: Event<'_>, address: u64) -> Block {
        let (mut words, mut count) = ([0; 3], 0);
        Record { stamp: 0, event }.encode(|word| {
            if let Some(place) = words.get_mut(count) {
                *place = word;
                count += 1;
            }
        });
        Block {
            words,
            count,
            kind: kind(&event),
            address,
        }
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self.words.get(..self.count).unwrap_or(&[])
    }
}

impl Writer {
    /// Whether it has a lane.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        !self.words.get().is_null()
    }

    /// Starts writing to a freshly claimed lane.
    pub fn open(&self, lane: Lane) {
        self.mask.set(lane.words.len() as u64 - 1);
        // Relaxed: read by this thread only.
        self.reserved.store(0, Ordering::Relaxed);
        self.limit.set(0);
        self.stalled.set(0);
        self.told.set(0);
        self.regions.set(order::regions());
        self.owner
            .set(order::regions().map_or(0, Regions::new_owner));
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

    /// The lane, if there is one.
    pub fn lane(&self) -> Option<Lane> {
        self.lane.get()
    }

    /// The thread's number as an owner of regions.
    pub fn owner(&self) -> u32 {
        self.owner.get()
    }

    /// Writes an event without publishing it. `outermost`: all that was reserved before is written,
    /// so it may be published while waiting for room. `false`: it was dropped, and counted.
    #[inline(always)]
    pub fn write(&self, event: Event<'_>, outermost: bool) -> bool {
        match event.order() {
            Order::Fact => self.write_fact(event, outermost),
            Order::Block(address) => {
                let block = Block::new(event, address);
                outermost && self.write_alone(&block) || self.write_block(&block, outermost)
            }
            Order::Lane => self.write_plain(event, outermost),
        }
    }

    /// A fact: its stamp is taken in the moment in which its place in the lane is, as far as handlers
    /// of this thread can tell.
    #[inline(never)]
    fn write_fact(&self, event: Event<'_>, outermost: bool) -> bool {
        let Some(lane) = self.lane.get() else {
            return false;
        };
        let words = Record { stamp: 0, event }.words() as u64;
        loop {
            let position = self.reserved.load(Ordering::Relaxed);
            match self.room_for(position + words, kind(&event), outermost) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            let stamp = order::stamp(lane.mapping.header());
            if self.advance(position, position + words) {
                self.told.set(stamp);
                return self.put(position, Record { stamp, event });
            }
        }
    }

    /// An event that needs only its place in the lane, and not to come before the facts that it rests
    /// on (a module, for a frame).
    #[inline(never)]
    fn write_plain(&self, event: Event<'_>, outermost: bool) -> bool {
        let Some(lane) = self.lane.get() else {
            return false;
        };
        let words = Record { stamp: 0, event }.words() as u64;
        loop {
            let position = self.reserved.load(Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            // Acquire: pairs with the AcqRel of the stamps.
            let epoch = lane.mapping.header().epoch.0.load(Ordering::Acquire);
            let told = self.told.get() == epoch;
            let end = position + words + u64::from(!told);
            match self.room_for(end, kind(&event), outermost) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            if self.advance(position, end) {
                let mut at = position;
                if !told {
                    self.told.set(epoch);
                    at = self.put_words(at, &[Prefix::Epoch(epoch).word()]);
                }
                return self.put(at, Record { stamp: 0, event });
            }
        }
    }

    /// The common case of an event of memory: the region is the thread's own, and the lane knows the
    /// epoch. False: it is another one, and nothing was done.
    #[inline(always)]
    fn write_alone(&self, block: &Block) -> bool {
        let (Some(epoch), Some(regions)) = (self.epoch.get(), self.regions.get()) else {
            return false;
        };
        let position = self.reserved.load(Ordering::Relaxed);
        let end = position + block.count as u64;
        compiler_fence(Ordering::SeqCst);
        // Acquire: pairs with the AcqRel of the stamps. Before the owner is read: see `region`.
        if epoch.load(Ordering::Acquire) != self.told.get()
            || !regions.is_own(order::slot_of(block.address), self.owner.get())
            || end > self.limit.get()
            || !self.advance(position, end)
        {
            return false;
        }
        self.put_words(position, block.words());
        true
    }

    /// An event of memory. What it carries is found out, and room for it reserved, without a handler
    /// of this thread between; so the lane's order is that of the epochs and turns in it.
    #[inline(never)]
    fn write_block(&self, block: &Block, outermost: bool) -> bool {
        let (Some(lane), Some(regions)) = (self.lane.get(), self.regions.get()) else {
            return self.write_stamped(block, outermost);
        };
        // A handler that came between the steps of its own thread can't wait for that to go on.
        if !outermost || self.owner.get() == 0 {
            return self.write_stamped(block, outermost);
        }
        let space = Shared {
            regions,
            header: lane.mapping.header(),
        };
        let slot = order::slot_of(block.address);
        let shard = shard(block.address);
        loop {
            let position = self.reserved.load(Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            let Place { epoch, shared } = order::place(&space, self.owner.get(), slot);
            let told = self.told.get() == epoch;
            let prefixes = u64::from(!told) + u64::from(shared);
            let end = position + prefixes + block.count as u64;
            match self.room_for(end, block.kind, outermost) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            if !self.advance(position, end) {
                continue;
            }
            let mut at = position;
            if !told {
                self.told.set(epoch);
                at = self.put_words(at, &[Prefix::Epoch(epoch).word()]);
            }
            if shared {
                let turn = regions.take_turn(shard);
                compiler_fence(Ordering::SeqCst);
                // A handler came in between and wrote: its events lie behind this one, and before its
                // turn.
                if self.reserved.load(Ordering::Relaxed) != end {
                    self.skip(at, end, shard, turn);
                    continue;
                }
                at = self.put_words(at, &[Prefix::Turn(turn).word()]);
            }
            self.put_words(at, block.words());
            return true;
        }
    }

    /// An event of memory with a stamp: right anywhere, but every thread has to look at its epoch.
    #[cold]
    #[inline(never)]
    fn write_stamped(&self, block: &Block, outermost: bool) -> bool {
        let Some(lane) = self.lane.get() else {
            return false;
        };
        loop {
            let position = self.reserved.load(Ordering::Relaxed);
            let end = position + 1 + block.count as u64;
            match self.room_for(end, block.kind, outermost) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            let stamp = order::stamp(lane.mapping.header());
            if self.advance(position, end) {
                self.told.set(stamp);
                let at = self.put_words(position, &[Prefix::Stamp(stamp).word()]);
                self.put_words(at, block.words());
                return true;
            }
        }
    }

    /// Fills reserved words with word that nobody has a turn.
    #[cold]
    #[inline(never)]
    fn skip(&self, position: u64, end: u64, shard: u8, turn: u64) {
        let mut at = self.put_words(position, &[Prefix::Skip { shard, turn }.word()]);
        while at < end {
            at = self.put_words(at, &[Prefix::Nothing.word()]);
        }
    }

    /// Writes words that were reserved at `position`; says where the next ones lie.
    #[inline(always)]
    fn put_words(&self, position: u64, new: &[u64]) -> u64 {
        let (words, mask) = (self.words.get(), self.mask.get());
        // A handler may have closed the lane, or forked: then this is the child.
        if !words.is_null() {
            for (offset, word) in (0..).zip(new) {
                let at = ((position + offset) & mask) as usize;
                // SAFETY: the ring has mask + 1 words. Relaxed: `publish` orders them for the recorder.
                unsafe { (*words.add(at)).store(*word, Ordering::Relaxed) };
            }
        }
        position + new.len() as u64
    }

    fn put(&self, position: u64, record: Record<'_>) -> bool {
        let mut at = position;
        record.encode(|word| at = self.put_words(at, &[word]));
        true
    }

    /// Makes everything reserved so far visible. Only the outermost may, when its record is whole;
    /// says up to where it was.
    #[inline(always)]
    pub fn publish(&self) -> u64 {
        // Relaxed: only this thread stores it.
        let reserved = self.reserved.load(Ordering::Relaxed);
        if let Some(head) = self.head.get() {
            ring::publish(head, reserved);
        }
        reserved
    }

    /// Whether nothing was reserved since `publish` returned `published`.
    #[inline(always)]
    pub fn is_published(&self, published: u64) -> bool {
        self.reserved.load(Ordering::Relaxed) == published
    }

    /// Forgets what was reserved and not published: its writer was abandoned half-way.
    pub fn void(&self) {
        if let Some(lane) = self.lane.get() {
            // Relaxed, both: only this thread stores them.
            let published = lane.header.head.load(Ordering::Relaxed);
            self.reserved.store(published, Ordering::Relaxed);
            // What was told of the epoch may be among it.
            self.told.set(0);
        }
    }

    /// Whether there is room up to `end`. Looking for it takes time in which anything may happen.
    #[inline(always)]
    fn room_for(&self, end: u64, kind: Kind, outermost: bool) -> Room {
        if end <= self.limit.get() {
            Room::Here
        } else if self.make_room(end, kind, outermost) {
            Room::New
        } else {
            Room::None
        }
    }

    /// `reserved` from `position` to `end` in one instruction; not if a signal handler moved it.
    #[inline(always)]
    fn advance(&self, position: u64, end: u64) -> bool {
        let found: u64;
        // SAFETY: the address is a live, aligned u64 that only this thread changes; a single
        // instruction can't be interrupted half-way.
        unsafe {
            asm!(
                "cmpxchg qword ptr [{0}], {1}",
                in(reg) self.reserved.as_ptr(), in(reg) end,
                inlateout("rax") position => found,
                options(nostack),
            );
        }
        found == position
    }

    /// Looks at the recorder's side for room up to `end`, waits for it or counts a drop.
    #[cold]
    #[inline(never)]
    fn make_room(&self, end: u64, kind: Kind, outermost: bool) -> bool {
        let Some(lane) = self.lane.get() else {
            return false;
        };
        let header = lane.mapping.header();
        // Relaxed: a word by itself.
        if header.stopped.load(Ordering::Relaxed) != 0 {
            self.close();
            crate::session::stop();
            return false;
        }
        let capacity = self.mask.get() + 1;
        // Relaxed: the recorder's setting, made before the session.
        let drops = header.full.load(Ordering::Relaxed) == 1;
        let usable = match kind {
            Kind::Allocation if drops => capacity / 4 * 3,
            _ => capacity,
        };
        if self.room(&lane, end, usable) {
            return true;
        }
        if !drops && self.wait_for_room(&lane, end, outermost) {
            return true;
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

    fn room(&self, lane: &Lane, end: u64, usable: u64) -> bool {
        let capacity = self.mask.get() + 1;
        // Acquire: pairs with the recorder's Release: it has read what is overwritten next.
        let tail = lane.header.tail.load(Ordering::Acquire);
        if tail > end || end - tail > usable {
            return false;
        }
        if end - tail > capacity / 2 {
            lane.mapping.ring_doorbell();
            self.limit
                .set((end + capacity / 16).min(tail + capacity / 4 * 3).max(end));
        } else {
            self.limit.set(tail + capacity / 2);
        }
        true
    }

    fn wait_for_room(&self, lane: &Lane, end: u64, outermost: bool) -> bool {
        let header = lane.mapping.header();
        let capacity = self.mask.get() + 1;
        // Relaxed, here and below: a sign of life, nothing is ordered by it.
        let mut progress = header.progress.load(Ordering::Relaxed);
        if self.stalled.get() == progress.wrapping_add(1) {
            return false;
        }
        if outermost {
            self.publish();
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
            if self.room(lane, end, capacity) {
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
