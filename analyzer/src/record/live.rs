//! The blocks of an image that live and whose types are still to be read.
//!
//! - Lanes are drained one after the other, so that a free may be seen after the next allocation at its
//!   address, or before the one that it is of. Both carry what the trace orders them by: a free ends only
//!   what came before it, and one that nothing was there for is remembered for a while.
//! - What stands here is *probably* live. It only says where a look is worth while; whether a block lived
//!   all the time that it was looked at, the analyzer decides.
//! - A block is due once its thread has come to a wait or a mark after it: by then it is initialised, or
//!   nearly always: one that shows no type is due once more, and again when all are.

use leak_wire::{Common, Event, Wait};
use rustc_hash::FxHashMap;

use crate::addresses::ByAddress;
use crate::trace::Commons;

/// Blocks in each of the tables, at most: 256 MiB.
const MOST: usize = 1 << 22;
/// Words between a record that is seen and the one that is expected: what that needs takes some 100 ns to come.
const AHEAD: usize = 16;
/// Frees that are remembered, at most.
const FREES: usize = 1 << 16;
/// The count of a thread that is gone.
const GONE: u32 = u32::MAX;
/// The same, of one whose blocks are queued.
const QUEUED: u32 = u32::MAX - 1;

/// A block as it was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Bytes, at most `u32::MAX`.
    pub(crate) size: u32,
    thread: u32,
    /// How many boundaries the thread had passed.
    passed: u32,
    /// It was read, and showed no type.
    looked: bool,
    /// Of two events on one address the later one has more.
    order: u64,
}

/// What is kept of a thread while its events are seen.
#[derive(Debug)]
pub(crate) struct Follower {
    thread: u32,
    passed: u32,
    /// The block whose realloc has begun.
    moving: Option<(u64, Block)>,
}

impl Follower {
    /// Of the thread with this number in the trace.
    pub(crate) fn new(thread: u32) -> Follower {
        Follower {
            thread,
            passed: 0,
            moving: None,
        }
    }

    #[inline]
    fn block(&self, size: u64, order: u64) -> Block {
        Block {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            thread: self.thread,
            passed: self.passed,
            looked: false,
            order,
        }
    }
}

/// The blocks of one image.
#[derive(Debug)]
pub(crate) struct LiveBlocks {
    table: ByAddress<Block>,
    /// Those that were read twice in vain, or showed what may change: due again when all are.
    late: ByAddress<Block>,
    /// Frees of addresses where nothing was, by what they are ordered by: of this pass and the last one.
    early: [FxHashMap<u64, u64>; 2],
    /// Boundaries that each thread has passed, where any.
    passed: FxHashMap<u32, u32>,
    /// Some thread passed one since blocks were taken.
    news: bool,
    /// Blocks that found no room.
    pub(crate) refused: u64,
}

impl LiveBlocks {
    /// No blocks yet.
    pub(crate) fn new() -> LiveBlocks {
        LiveBlocks {
            table: ByAddress::default(),
            late: ByAddress::default(),
            early: Default::default(),
            passed: FxHashMap::default(),
            news: false,
            refused: 0,
        }
    }

    /// Takes in what `follower`'s thread did. `order` is what the trace orders it by.
    #[inline]
    pub(crate) fn see(&mut self, event: &Event<'_>, order: u64, follower: &mut Follower) {
        match *event {
            Event::Allocation { address, size, .. } => {
                self.insert(address, follower.block(size, order));
            }
            Event::Free { address } => {
                self.end(address, order);
            }
            Event::ReallocationBegin { address } => {
                let moving = self.end(address, order);
                follower.moving = moving.map(|block| (address, block));
            }
            Event::ReallocationEnd { address, size, .. } => {
                follower.moving = None;
                self.insert(address, follower.block(size, order));
            }
            Event::ReallocationFailed => {
                if let Some((address, block)) = follower.moving.take() {
                    self.insert(address, Block { order, ..block });
                }
            }
            Event::Enter { wait, .. } if wait != Wait::Write => self.passes(follower),
            Event::MarkEnd | Event::Mark { .. } => self.passes(follower),
            _ => {}
        }
    }

    /// [`see`](Self::see) of what nearly all is, `epoch` being the one told last.
    pub(crate) fn see_common(
        &mut self,
        mut commons: Commons<'_>,
        epoch: u64,
        follower: &mut Follower,
    ) {
        let mut ahead = commons.words().iter().skip(AHEAD);
        let mut left = commons.words().len();
        while let Some((at, common)) = commons.next() {
            let order = at.order(epoch);
            match common {
                // Gone at once, as many are: nobody can have asked for it.
                Common::Allocation { address, .. } if commons.is_free_of(address) => {
                    commons.next();
                }
                Common::Allocation { address, size, .. } => {
                    self.insert(address, follower.block(size, order));
                }
                Common::Free { address } => {
                    self.end(address, order);
                }
            }
            let rest = commons.words().len();
            for word in ahead.by_ref().take(left - rest) {
                self.expect(*word);
            }
            left = rest;
        }
    }

    /// What the record that begins with this word is about will be asked for soon. The word may be another one's:
    /// then nothing is fetched, or a wrong place.
    #[inline]
    fn expect(&self, word: u64) {
        if let Some(address) = Common::address_in(word) {
            self.table.expect(address);
        }
    }

    /// All lanes were drained once more: what was recorded before the frees of the last pass was seen.
    pub(crate) fn pass_ends(&mut self) {
        let [this, last] = &mut self.early;
        if !this.is_empty() || !last.is_empty() {
            last.clear();
            std::mem::swap(this, last);
        }
    }

    fn passes(&mut self, follower: &mut Follower) {
        follower.passed = follower.passed.saturating_add(1).min(QUEUED - 1);
        self.passed.insert(follower.thread, follower.passed);
        self.news = true;
    }

    /// The thread is gone: what it left is initialised.
    pub(crate) fn thread_ends(&mut self, follower: &Follower) {
        self.passed.insert(follower.thread, GONE);
        self.news = true;
    }

    #[inline]
    fn insert(&mut self, address: u64, block: Block) {
        if self.was_freed(address, block.order) {
            return;
        }
        self.settle(address, block);
    }

    /// Whether the free of a block that was allocated at `order` was seen already. Equal orders are those of
    /// one thread, whose free came before.
    #[inline]
    fn was_freed(&mut self, address: u64, order: u64) -> bool {
        let mut early = self.early.iter_mut().filter(|early| !early.is_empty());
        early.any(|early| match early.get(&address) {
            Some(freed) if *freed > order => early.remove(&address).is_some(),
            _ => false,
        })
    }

    #[inline]
    fn settle(&mut self, address: u64, block: Block) {
        if self.table.len() >= MOST && self.table.get(address).is_none() {
            self.refused += 1;
            return;
        }
        // The later one stays.
        if let Some(known) = self.table.insert(address, block)
            && known.order > block.order
        {
            self.table.insert(address, known);
        }
    }

    /// Ends what was at `address` before `order`.
    #[inline]
    fn remove(&mut self, address: u64, order: u64) -> Option<Block> {
        let mut known = false;
        let earlier = |block: &Block| {
            known = true;
            block.order <= order
        };
        let removed = self.table.remove_if(address, earlier);
        match known {
            true => removed,
            false => self.late.remove_if(address, |block| block.order <= order),
        }
    }

    /// The same, and where nothing is remembers what was to be ended: it was not seen yet, or came before
    /// everything, or has ended already.
    #[inline]
    fn end(&mut self, address: u64, order: u64) -> Option<Block> {
        let ended = self.remove(address, order);
        let [early, _] = &mut self.early;
        if ended.is_none() && early.len() < FREES {
            early.insert(address, order);
        }
        ended
    }

    /// Whether asking for blocks that are due may give any.
    pub(crate) fn has_news(&self) -> bool {
        self.news
    }

    /// The addresses of the blocks that are due; `all`: of every block. Each is still to be taken.
    pub(crate) fn due(&mut self, all: bool) -> Vec<u64> {
        self.news = false;
        // What was queued before was read since.
        self.passed.retain(|_, passed| *passed != QUEUED);
        let due = self.table.iter();
        let due = due.filter(|(_, block)| all || self.is_due(block));
        let mut due: Vec<u64> = due.map(|(address, _)| address).collect();
        if all {
            let late = self.late.iter().map(|(address, _)| address);
            due.extend(late.filter(|address| self.table.get(*address).is_none()));
        }
        // All blocks of threads that are gone are among them.
        let gone = self.passed.values_mut().filter(|passed| **passed == GONE);
        gone.for_each(|passed| *passed = QUEUED);
        due
    }

    /// Takes the block at `address` out, if one lives there that is due; `all`: any one.
    pub(crate) fn take(&mut self, address: u64, all: bool) -> Option<Block> {
        // The last event of all.
        let block = self.remove(address, u64::MAX)?;
        if all || self.is_due(&block) {
            return Some(block);
        }
        // Another one than when it was queued.
        self.settle(address, block);
        None
    }

    fn is_due(&self, block: &Block) -> bool {
        let passed = self.passed.get(&block.thread);
        passed.is_some_and(|passed| *passed > block.passed)
    }

    /// Takes the block back that `take` gave: it could not be read.
    pub(crate) fn put_back(&mut self, address: u64, block: Block) {
        self.settle(address, block);
    }

    /// Takes the block back that `take` gave and that showed no type; `to_the_end`: it may get one much
    /// later.
    pub(crate) fn again(&mut self, address: u64, block: Block, to_the_end: bool) {
        // A thread that is gone comes to no other boundary.
        let passed = self.passed.get(&block.thread).copied();
        if let Some(passed) = passed.filter(|passed| *passed < QUEUED && !block.looked) {
            let looked = true;
            let block = Block {
                passed,
                looked,
                ..block
            };
            self.settle(address, block);
        } else if to_the_end {
            self.at_the_end(address, block);
        }
    }

    /// Takes the block back that `take` gave: it is read again when all are.
    pub(crate) fn at_the_end(&mut self, address: u64, block: Block) {
        if self.late.len() < MOST {
            self.late.insert(address, block);
        }
    }

    /// How many blocks there are that were never read.
    pub(crate) fn unread(&self) -> u64 {
        let unread = self.table.iter().filter(|(_, block)| !block.looked);
        unread.count() as u64 + self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::At;

    fn allocation(address: u64) -> Event<'static> {
        Event::Allocation {
            address,
            size: 48,
            site: 0,
        }
    }

    const WAITS: Event<'static> = Event::Enter {
        wait: Wait::Read,
        connection: 0,
    };

    #[test]
    fn a_block_is_due_once_its_own_thread_has_waited() {
        let mut live = LiveBlocks::new();
        let (mut one, mut other) = (Follower::new(1), Follower::new(2));
        live.see(&allocation(16), 1, &mut one);
        live.see(&allocation(32), 2, &mut other);
        live.see(&WAITS, 3, &mut one);
        live.see(&allocation(48), 4, &mut one);
        assert!(live.has_news());
        assert_eq!(live.due(false), [16]);
        assert!(!live.has_news());
        assert!(live.take(16, false).is_some() && live.take(16, false).is_none());
        live.thread_ends(&other);
        assert_eq!(live.due(false), [32]);
        live.see(&Event::Free { address: 32 }, 5, &mut one);
        assert!(live.take(32, true).is_none());
        assert_eq!(live.due(true), [48]);
    }

    #[test]
    fn many_at_once_are_those_one_by_one() {
        let free = |address| Event::Free { address };
        let mut events = Vec::new();
        // More than are looked at ahead; of three in a row one is gone at once, and one with the next.
        for address in (1..=100).map(|number| number * 48) {
            events.extend([
                allocation(address),
                allocation(address + 16),
                free(address + 16),
                allocation(address + 32),
                free(address),
            ]);
        }
        // A block whose free was seen before it.
        events.extend([free(16_384), allocation(16_384), free(16_384)]);
        let mut words = Vec::new();
        let (mut one, mut many) = (LiveBlocks::new(), LiveBlocks::new());
        let mut thread = Follower::new(1);
        for event in events {
            one.see(&event, 5, &mut thread);
            let record = leak_wire::Record { stamp: 0, event };
            record.encode(|word| words.push(word));
        }
        many.see_common(Commons::new(At::Epoch, &words), 5, &mut thread);
        let due = |live: &mut LiveBlocks| {
            let mut due = live.due(true);
            due.sort_unstable();
            due
        };
        let left: Vec<u64> = (1..=100).map(|number| number * 48 + 32).collect();
        assert_eq!((due(&mut one), due(&mut many)), (left.clone(), left));
    }

    #[test]
    fn a_thread_that_uses_an_address_again_ends_the_old_block_alone() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(1);
        live.see(&allocation(16), 1, &mut thread);
        live.see(&WAITS, 2, &mut thread);
        assert_eq!(live.due(false), [16]);
        // Not the block that was queued: one that may still be made.
        live.see(&Event::Free { address: 16 }, 2, &mut thread);
        live.see(&allocation(16), 2, &mut thread);
        assert!(live.take(16, false).is_none());
        assert!(live.take(16, true).is_some());
        // What was read is not known any more when it is freed.
        live.see(&Event::Free { address: 16 }, 2, &mut thread);
        live.see(&allocation(16), 2, &mut thread);
        assert_eq!(live.due(true), [16]);
    }

    #[test]
    fn every_block_is_kept_until_it_is_freed() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(0);
        for number in 1..=100_000 {
            live.see(&allocation(number * 16), number, &mut thread);
        }
        for number in (1..=100_000).filter(|number| number % 2 == 0) {
            let address = number * 16;
            live.see(&Event::Free { address }, 100_000 + number, &mut thread);
        }
        assert_eq!(live.unread(), 50_000);
        let mut due = live.due(true);
        due.sort_unstable();
        let odd = (0..50_000_u64).map(|number| (2 * number + 1) * 16);
        assert!(due.into_iter().eq(odd));
    }

    #[test]
    fn a_realloc_moves_a_block_and_a_failed_one_leaves_it() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(0);
        let begins = Event::ReallocationBegin { address: 16 };
        live.see(&allocation(16), 1, &mut thread);
        live.see(&begins, 2, &mut thread);
        assert_eq!(live.unread(), 0);
        live.see(&Event::ReallocationFailed, 3, &mut thread);
        assert_eq!(live.due(true), [16]);
        live.see(&begins, 4, &mut thread);
        let moved = Event::ReallocationEnd {
            address: 64,
            size: 5 << 32,
            site: 0,
        };
        live.see(&moved, 5, &mut thread);
        assert_eq!(live.due(true), [64]);
        assert_eq!(live.take(64, true).unwrap().size, u32::MAX);
    }

    /// Two allocations at one address and the free between them, by three threads whose lanes are
    /// drained in any order, before or after the first one went to the table.
    #[test]
    fn what_is_live_does_not_depend_on_the_order_of_draining() {
        let events = [
            (allocation(16), 1),
            (Event::Free { address: 16 }, 2),
            (allocation(16), 3),
            (Event::Free { address: 16 }, 4),
        ];
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        for (settles, order) in [false, true]
            .into_iter()
            .flat_map(|settles| orders.map(|order| (settles, order)))
        {
            let mut live = LiveBlocks::new();
            let mut threads = [1, 2, 3].map(Follower::new);
            for at in order {
                let (event, stamp) = &events[at];
                live.see(event, *stamp, &mut threads[at]);
                if settles {
                    live.due(false);
                }
            }
            assert_eq!(live.due(true), [16], "{order:?}");
            let (event, stamp) = &events[3];
            live.see(event, *stamp, &mut threads[0]);
            assert_eq!(live.due(true), [0; 0], "{order:?}");
            // What was freed early is forgotten in time.
            live.pass_ends();
            live.pass_ends();
            live.see(&allocation(16), 0, &mut threads[0]);
            assert_eq!(live.unread(), 1);
        }
    }

    #[test]
    fn what_shows_no_type_is_due_once_more_and_at_the_end() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(1);
        live.see(&allocation(16), 1, &mut thread);
        live.see(&WAITS, 2, &mut thread);
        assert_eq!(live.due(false), [16]);
        let block = live.take(16, false).unwrap();
        live.again(16, block, true);
        assert_eq!((live.unread(), live.due(false)), (0, vec![]));
        live.see(&WAITS, 3, &mut thread);
        assert_eq!(live.due(false), [16]);
        let block = live.take(16, false).unwrap();
        live.again(16, block, true);
        live.see(&WAITS, 4, &mut thread);
        assert_eq!((live.unread(), live.due(false)), (0, vec![]));
        assert_eq!(live.due(true), [16]);
        live.see(&Event::Free { address: 16 }, 5, &mut thread);
        assert_eq!(live.due(true), [0; 0]);
    }
}
