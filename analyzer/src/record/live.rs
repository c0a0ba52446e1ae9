//! The blocks of an image that live and whose types are still to be read.
//!
//! - Lanes are drained one after the other, so that a free may be seen after the next allocation at its
//!   address, or before the one that it is of. Both carry what the trace orders them by: a free ends only
//!   what came before it, and one that nothing was there for is remembered for a while.
//! - What stands here is *probably* live. It only says where a look is worth while; whether a block lived
//!   all the time that it was looked at, the analyzer decides.
//! - A block is due once its thread has come to a wait, a mark or its end after it: by then it is initialised, or
//!   nearly always: one that shows no type is due once more, and again when all are.
//! - What the image had when its first request came (imports, code) is due when there is time for it: what requests
//!   leave is asked for, and a server may be killed before it rests.

use leak_wire::{Common, Event};
use rustc_hash::FxHashMap;

use crate::addresses::{ByAddress, Walk};
use crate::trace::Commons;

/// Blocks in each of the tables, at most: 256 MiB.
const MOST: usize = 1 << 22;
/// Of those that may show something else now, so many at most are read again whenever the target rests.
const FEW: usize = 1 << 14;
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

/// How much a look is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is due of what requests made.
    Served,
    /// Everything that is due.
    Due,
    /// Every block.
    All,
}

/// A look for blocks that are due, taken in steps: other events may be seen between them.
#[derive(Debug)]
pub(crate) struct Look {
    all: bool,
    late: Walk,
    changing: Walk,
    table: Walk,
    start_up: Walk,
}

impl Look {
    /// Only what was there before the first request is left to be found.
    pub(crate) fn has_found_served(&self) -> bool {
        self.late.is_done() && self.changing.is_done() && self.table.is_done()
    }
}

/// The blocks of one image.
#[derive(Debug)]
pub(crate) struct LiveBlocks {
    table: ByAddress<Block>,
    /// Those that were there when the first request came, and may still be.
    start_up: ByAddress<Block>,
    /// A request came.
    serves: bool,
    /// What is due of them was not looked for since they were put apart.
    start_up_news: bool,
    /// Those that were read twice in vain: due again when all are.
    late: ByAddress<Block>,
    /// Those that showed what may change: due again when all are, and where they are few, when there is time.
    changing: ByAddress<Block>,
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
            start_up: ByAddress::default(),
            serves: false,
            start_up_news: false,
            late: ByAddress::default(),
            changing: ByAddress::default(),
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
            Event::Enter { wait, .. } if wait.may_be_idle() => self.passes(follower),
            // A thread that says that it ends may be there for a while.
            Event::MarkEnd | Event::Mark { .. } | Event::ThreadEnd => self.passes(follower),
            Event::RequestBegun { .. } | Event::Request { .. } | Event::MarkBegin { .. } => {
                self.serving_begins();
            }
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

    /// The first request has come: what is there now is not what requests leave.
    fn serving_begins(&mut self) {
        if !self.serves {
            self.serves = true;
            self.start_up = std::mem::take(&mut self.table);
            self.start_up_news = self.start_up.len() > 0;
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
        if self.table.len() + self.start_up.len() >= MOST && self.table.get(address).is_none() {
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
        if known {
            return removed;
        }
        let earlier = |block: &Block| block.order <= order;
        let removed = self.start_up.remove_if(address, earlier);
        let removed = removed.or_else(|| self.late.remove_if(address, earlier));
        removed.or_else(|| self.changing.remove_if(address, earlier))
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

    /// Whether asking for blocks that are due may give any; `rests`: there is time for those of the start-up, too.
    pub(crate) fn has_news(&self, rests: bool) -> bool {
        self.news || rests && self.start_up_news
    }

    /// Begins a look for blocks. What was found before was read.
    pub(crate) fn look(&mut self, extent: Extent) -> Look {
        self.news = false;
        // What was queued before was read since.
        self.passed.retain(|_, passed| *passed != QUEUED);
        // All blocks of threads that are gone will be found.
        let gone = self.passed.values_mut().filter(|passed| **passed == GONE);
        gone.for_each(|passed| *passed = QUEUED);
        let start_up = match extent {
            Extent::Served => Walk::default(),
            Extent::Due | Extent::All => {
                self.start_up_news = false;
                self.start_up.walk()
            }
        };
        Look {
            all: extent == Extent::All,
            late: match extent {
                Extent::All => self.late.walk(),
                Extent::Served | Extent::Due => Walk::default(),
            },
            changing: match extent {
                Extent::All => self.changing.walk(),
                Extent::Due if self.changing.len() <= FEW => self.changing.walk(),
                Extent::Served | Extent::Due => Walk::default(),
            },
            table: self.table.walk(),
            start_up,
        }
    }

    /// Adds the addresses of some of those blocks to `found`, each still to be taken; whether there may be more.
    pub(crate) fn find(&self, look: &mut Look, found: &mut Vec<u64>) -> bool {
        // First: what shows no type when all are read comes there again.
        if !look.late.is_done() {
            let late = self.late.part(&mut look.late);
            let late = late.map(|(address, _)| address);
            found.extend(late.filter(|address| self.table.get(*address).is_none()));
        } else if !look.changing.is_done() {
            let changing = self.changing.part(&mut look.changing);
            let changing = changing.map(|(address, _)| address);
            found.extend(changing.filter(|address| self.table.get(*address).is_none()));
        } else if !look.table.is_done() {
            let due = self.table.part(&mut look.table);
            let due = due.filter(|(_, block)| look.all || self.is_due(block));
            found.extend(due.map(|(address, _)| address));
        } else if !look.start_up.is_done() {
            let due = self.start_up.part(&mut look.start_up);
            let due = due.filter(|(address, block)| {
                (look.all || self.is_due(block)) && self.table.get(*address).is_none()
            });
            found.extend(due.map(|(address, _)| address));
        }
        !(look.has_found_served() && look.start_up.is_done())
    }

    /// Makes looks as short as what there is to be seen.
    pub(crate) fn shrink(&mut self) {
        self.table.shrink();
        self.start_up.shrink();
    }

    /// Takes the block at `address` out, if one lives there that is due; `all`: any one.
    pub(crate) fn take(&mut self, address: u64, all: bool) -> Option<Block> {
        // What may change was due once.
        let [table, start_up] = [&self.table, &self.start_up].map(|known| known.get(address));
        if table.is_none()
            && start_up.is_none()
            && let Some(block) = self.changing.remove(address)
        {
            return Some(block);
        }
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

    fn at_the_end(&mut self, address: u64, block: Block) {
        if self.late.len() < MOST {
            self.late.insert(address, block);
        }
    }

    /// Takes the block back that `take` gave: it may show something else later.
    pub(crate) fn may_change(&mut self, address: u64, block: Block) {
        if self.changing.len() < MOST {
            self.changing.insert(address, block);
        }
    }

    /// How many blocks there are that were never read.
    pub(crate) fn unread(&self) -> u64 {
        let blocks = self.table.iter().chain(self.start_up.iter());
        let unread = blocks.filter(|(_, block)| !block.looked);
        unread.count() as u64 + self.refused
    }
}

#[cfg(test)]
mod tests;
