//! Events of memory in a lane, with what orders them among those of other threads: see `order`.

use core::sync::atomic::Ordering;

use leak_wire::order::shard;
use leak_wire::{Event, Prefix, Record};

use super::room::{Kind, Room};
use super::{Draft, Writer, restartable};
use crate::order::{self, NOBODY, Place, Regions, Shared};

/// The words of a memory event.
pub(super) struct Block {
    words: [u64; 3],
    count: usize,
    kind: Kind,
    address: u64,
}

impl Block {
    /// One without words.
    #[inline(always)]
    pub(super) fn new(kind: Kind, address: u64) -> Block {
        Block {
            words: [0; 3],
            count: 0,
            kind,
            address,
        }
    }

    /// Takes the event's words, where the block stays: copied in pairs right after they were stored one by one, they
    /// would stall.
    #[inline(always)]
    pub(super) fn encode(&mut self, event: Event<'_>) {
        Record { stamp: 0, event }.encode(|word| {
            if let Some(place) = self.words.get_mut(self.count) {
                *place = word;
                self.count += 1;
            }
        });
    }

    #[inline(always)]
    pub(super) fn words(&self) -> &[u64] {
        self.words.get(..self.count).unwrap_or(&[])
    }
}

impl Writer {
    /// The common case of an event of memory, whose record is `words`: the region is the thread's own,
    /// and the lane knows the epoch. `position` was the writer's before anything in `words` was found
    /// out. False: it is another case, or a handler came in between, and nothing was done.
    #[inline(always)]
    pub fn write_alone(&self, position: u64, address: u64, words: &[u64]) -> bool {
        let (Some(epoch), Some(regions)) = (self.epoch.get(), self.regions.get()) else {
            return false;
        };
        // Acquire: pairs with the AcqRel of the stamps. Before the owner is read: see `region`.
        if epoch.load(Ordering::Acquire) != self.told.get()
            || !regions.is_own(order::slot_of(address), self.owner())
            || position + words.len() as u64 > self.limit.get()
        {
            return false;
        }
        match *words {
            [first] if self.has_sequences() => restartable::publish_one(self, position, [first]),
            [first, second] if self.has_sequences() => {
                restartable::publish_two(self, position, [first, second])
            }
            _ => {
                let mut draft = Draft::at(self, position);
                draft.put(words);
                draft.publish()
            }
        }
    }

    #[inline(always)]
    pub(super) fn has_sequences(&self) -> bool {
        !self.sequence.get().is_null()
    }

    /// An event of memory.
    #[inline(never)]
    pub(super) fn write_block(&self, block: &Block) -> bool {
        let Some(regions) = self.regions.get().filter(|_| self.owner() != NOBODY) else {
            return self.write_stamped(block);
        };
        let slot = order::slot_of(block.address);
        while let Some((lane, position)) = self.next() {
            let space = Shared {
                regions,
                header: lane.mapping.header(),
            };
            let Place { epoch, shared } = order::place(&space, self.owner(), slot);
            if shared && self.is_turning() {
                return self.write_stamped(block);
            }
            let told = self.told.get() == epoch;
            let prefixes = u64::from(!told) + u64::from(shared);
            match self.room_for(position + prefixes + block.count as u64, block.kind) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            let mut draft = Draft::at(self, position);
            if !told {
                draft.put(&[Prefix::Epoch(epoch).word()]);
            }
            let published = if shared {
                self.publish_in_turn(draft, block, regions)
            } else {
                draft.put(block.words());
                draft.publish()
            };
            if published {
                self.knows(&lane, epoch);
                return true;
            }
        }
        false
    }

    /// Whether a handler runs that interrupted its own thread between the taking of a turn and its
    /// record: it can't wait for that to go on.
    #[inline(always)]
    fn is_turning(&self) -> bool {
        let here = 0_u8;
        self.turning.is_set()
            && !self
                .turning
                .was_abandoned(&raw const here as u64, self.bounds.get())
    }

    /// Takes the turn of an event in a shared region and publishes it. False if a handler came in
    /// between: the turn was given up.
    #[inline(always)]
    fn publish_in_turn(&self, mut draft: Draft<'_>, block: &Block, regions: &Regions) -> bool {
        let shard = shard(block.address);
        let (mut word, value) = (0, !draft.start);
        // SAFETY: a live variable; volatile because it is read by address.
        unsafe { (&raw mut word).write_volatile(value) };
        self.turning.set(&raw const word as u64, value);
        let turn = regions.take_turn(shard);
        draft.put(&[Prefix::Turn(turn).word()]);
        draft.put(block.words());
        let published = draft.publish();
        if !published {
            self.skip(shard, turn);
        }
        self.turning.clear();
        published
    }

    /// An event of memory with a stamp: right anywhere, but every thread has to look at its epoch.
    #[cold]
    #[inline(never)]
    fn write_stamped(&self, block: &Block) -> bool {
        while let Some((lane, position)) = self.next() {
            match self.room_for(position + 1 + block.count as u64, block.kind) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return false,
            }
            let stamp = order::stamp(lane.mapping.header());
            let mut draft = Draft::at(self, position);
            draft.put(&[Prefix::Stamp(stamp).word()]);
            draft.put(block.words());
            if draft.publish() {
                self.knows(&lane, stamp);
                return true;
            }
        }
        false
    }

    /// Tells that nobody has a turn.
    #[cold]
    #[inline(never)]
    fn skip(&self, shard: u8, turn: u64) {
        while let Some((_, position)) = self.next() {
            match self.room_for(position + 1, Kind::Fact) {
                Room::Here => {}
                Room::New => continue,
                Room::None => return,
            }
            let mut draft = Draft::at(self, position);
            draft.put(&[Prefix::Skip { shard, turn }.word()]);
            if draft.publish() {
                return;
            }
        }
    }
}
