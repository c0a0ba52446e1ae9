//! The blocks of an image that live and whose types were not read yet.
//!
//! - Young blocks wait in a small cache: those that are freed soon never reach the table.
//! - Lanes are drained one after the other, so that a free may be seen before its allocation: what
//!   stands here is *probably* live. It only says where a look is worth while; whether a block lived
//!   all the time that it was looked at, the analyzer decides by the order of events.
//! - A block is due once its thread has come to a wait or a mark after it: by then it is initialised.

use leak_wire::{Event, Wait};
use rustc_hash::FxHashMap;

/// Young blocks, at most; a power of two.
const YOUNG: usize = 2048;
/// Blocks in the table, at most: some 160 MiB.
const MOST: usize = 1 << 22;
/// The count of a thread that is gone.
const GONE: u32 = u32::MAX;

/// A block as it was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Bytes, at most `u32::MAX`.
    pub(crate) size: u32,
    thread: u32,
    /// How many boundaries the thread had passed.
    passed: u32,
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
}

/// The blocks of one image.
#[derive(Debug)]
pub(crate) struct LiveBlocks {
    /// Address 0: empty.
    young: Box<[(u64, Block)]>,
    table: FxHashMap<u64, Block>,
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
            young: vec![(0, Block::default()); YOUNG].into_boxed_slice(),
            table: FxHashMap::default(),
            passed: FxHashMap::default(),
            news: false,
            refused: 0,
        }
    }

    /// Takes in what `follower`'s thread did.
    #[inline]
    pub(crate) fn see(&mut self, event: &Event<'_>, follower: &mut Follower) {
        match *event {
            Event::Allocation { address, size, .. } => self.insert(address, follower.block(size)),
            Event::Free { address } => {
                self.remove(address);
            }
            Event::ReallocationBegin { address } => {
                follower.moving = self.remove(address).map(|block| (address, block));
            }
            Event::ReallocationEnd { address, size, .. } => {
                follower.moving = None;
                self.insert(address, follower.block(size));
            }
            Event::ReallocationFailed => {
                if let Some((address, block)) = follower.moving.take() {
                    self.insert(address, block);
                }
            }
            Event::Enter { wait, .. } if wait != Wait::Write => self.passes(follower),
            Event::MarkEnd | Event::Mark { .. } => self.passes(follower),
            _ => {}
        }
    }

    fn passes(&mut self, follower: &mut Follower) {
        follower.passed = follower.passed.saturating_add(1).min(GONE - 1);
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
        if let Some(place) = self.young.get_mut(place(address)) {
            let (older, evicted) = std::mem::replace(place, (address, block));
            if older != 0 && older != address {
                self.settle(older, evicted);
            }
        }
    }

    fn settle(&mut self, address: u64, block: Block) {
        if self.table.len() < MOST || self.table.contains_key(&address) {
            self.table.insert(address, block);
        } else {
            self.refused += 1;
        }
    }

    #[inline]
    fn remove(&mut self, address: u64) -> Option<Block> {
        match self.young.get_mut(place(address)) {
            Some(place) if place.0 == address => {
                place.0 = 0;
                Some(place.1)
            }
            _ => self.table.remove(&address),
        }
    }

    /// Whether asking for blocks that are due may give any.
    pub(crate) fn has_news(&self) -> bool {
        self.news
    }

    /// The addresses of the blocks that are due; `all`: of every block. Each is still to be taken.
    pub(crate) fn due(&mut self, all: bool) -> Vec<u64> {
        self.news = false;
        for at in 0..self.young.len() {
            let young = self.young.get_mut(at).map(std::mem::take);
            if let Some((address, block)) = young.filter(|(address, _)| *address != 0) {
                self.settle(address, block);
            }
        }
        let passed = &self.passed;
        let is_due = |block: &Block| {
            let now = passed.get(&block.thread).copied().unwrap_or(0);
            all || now > block.passed
        };
        let due = self.table.iter().filter(|(_, block)| is_due(block));
        let due = due.map(|(address, _)| *address).collect();
        // All blocks of threads that are gone are among them.
        self.passed.retain(|_, passed| *passed != GONE);
        due
    }

    /// Takes the block at `address` out, if it still lives.
    pub(crate) fn take(&mut self, address: u64) -> Option<Block> {
        self.remove(address)
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        let young = self.young.iter().filter(|(address, _)| *address != 0);
        self.table.len() + young.count()
    }
}

impl Follower {
    #[inline]
    fn block(&self, size: u64) -> Block {
        Block {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            thread: self.thread,
            passed: self.passed,
        }
    }
}

/// Where a young block at `address` stands: blocks lie 16 bytes apart at least.
#[inline]
fn place(address: u64) -> usize {
    ((address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize % YOUNG
}

#[cfg(test)]
mod tests {
    use super::*;

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
        live.see(&allocation(16), &mut one);
        live.see(&allocation(32), &mut other);
        live.see(&WAITS, &mut one);
        live.see(&allocation(48), &mut one);
        assert!(live.has_news());
        assert_eq!(live.due(false), [16]);
        assert!(!live.has_news());
        assert!(live.take(16).is_some() && live.take(16).is_none());
        live.thread_ends(&other);
        assert_eq!(live.due(false), [32]);
        live.see(&Event::Free { address: 32 }, &mut one);
        assert!(live.take(32).is_none());
        assert_eq!(live.due(true), [48]);
    }

    #[test]
    fn every_block_is_kept_until_it_is_freed() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(0);
        for number in 1..=100_000 {
            live.see(&allocation(number * 16), &mut thread);
        }
        for number in (1..=100_000).filter(|number| number % 2 == 0) {
            let address = number * 16;
            live.see(&Event::Free { address }, &mut thread);
        }
        assert_eq!(live.len(), 50_000);
        let mut due = live.due(true);
        due.sort_unstable();
        let odd = (0..50_000_u64).map(|number| (2 * number + 1) * 16);
        assert!(due.into_iter().eq(odd));
    }

    #[test]
    fn a_realloc_moves_a_block_and_a_failed_one_leaves_it() {
        let mut live = LiveBlocks::new();
        let mut thread = Follower::new(0);
        live.see(&allocation(16), &mut thread);
        live.see(&Event::ReallocationBegin { address: 16 }, &mut thread);
        assert_eq!(live.len(), 0);
        live.see(&Event::ReallocationFailed, &mut thread);
        assert_eq!(live.due(true), [16]);
        live.see(&Event::ReallocationBegin { address: 16 }, &mut thread);
        let moved = Event::ReallocationEnd {
            address: 64,
            size: 5 << 32,
            site: 0,
        };
        live.see(&moved, &mut thread);
        assert_eq!(live.due(true), [64]);
        assert_eq!(live.take(64).unwrap().size, u32::MAX);
    }
}
