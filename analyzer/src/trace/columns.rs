//! The events of one thread as columns, each of one sort of number, so that neighbours are alike and
//! differences small. A compressor does the rest.
//!
//! Every chunk stands for itself: all differences start from 0 at its start.

mod filling;
mod reader;
mod writer;

use leak_wire::order::{SHARDS, shard};
pub(super) use reader::{ColumnReader, Found, Taken};
pub(super) use writer::Columns;

/// How many columns there are; see FORMAT.md for what each holds.
pub(super) const COLUMNS: usize = 9;
const KINDS: usize = 0;
const STAMPS: usize = 1;
const ADDRESSES: usize = 2;
const SIZES: usize = 3;
const SITES: usize = 4;
const FRAMES: usize = 5;
const NUMBERS: usize = 6;
const TEXT: usize = 7;
const TURNS: usize = 8;
/// Columns of version 1, which has no turns.
const COLUMNS_1: usize = 8;

/// The kinds of events in the file.
mod kind {
    pub(super) const ALLOCATION: u8 = 1;
    pub(super) const FREE: u8 = 2;
    pub(super) const REALLOCATION_BEGIN: u8 = 3;
    pub(super) const REALLOCATION_END: u8 = 4;
    pub(super) const REALLOCATION_FAILED: u8 = 5;
    pub(super) const REALLOCATION_FREED: u8 = 6;
    pub(super) const FRAME: u8 = 7;
    pub(super) const TREE_RESET: u8 = 8;
    pub(super) const MODULE_LOADED: u8 = 9;
    pub(super) const MODULE_UNLOADED: u8 = 10;
    pub(super) const EXEC: u8 = 11;
    pub(super) const EXEC_FAILED: u8 = 12;
    pub(super) const EXIT: u8 = 13;
    pub(super) const ACCEPT: u8 = 14;
    pub(super) const ENTER: u8 = 15;
    pub(super) const TRANSFERRED: u8 = 16;
    pub(super) const REQUEST_BEGUN: u8 = 17;
    pub(super) const REQUEST: u8 = 18;
    pub(super) const ANSWER: u8 = 19;
    pub(super) const UPGRADED: u8 = 20;
    pub(super) const UNSEEN: u8 = 21;
    pub(super) const CLOSE: u8 = 22;
    pub(super) const MARK_BEGIN: u8 = 23;
    pub(super) const MARK_END: u8 = 24;
    pub(super) const MARK: u8 = 25;
    pub(super) const THREAD_END: u8 = 26;
    pub(super) const PYTHON_FRAME: u8 = 27;
    pub(super) const PAIR: u8 = 28;
    pub(super) const PYTHON_CODE: u8 = 29;
    pub(super) const PYTHON_LINES: u8 = 30;
    /// Of old files: a task, by its place in the lane.
    pub(super) const TASK_IN_LANE: u8 = 31;
    pub(super) const EPOCH: u8 = 32;
    pub(super) const SKIP: u8 = 33;
    pub(super) const PASSED: u8 = 34;
    pub(super) const PEAK: u8 = 35;
    /// An allocation, and the end of its block right after it.
    pub(super) const BRIEF: u8 = 36;
    pub(super) const EXIT_BEGINS: u8 = 37;
    pub(super) const THREAD_CREATE: u8 = 38;
    pub(super) const THREAD_CREATED: u8 = 39;
    pub(super) const COLLECTED: u8 = 40;
    pub(super) const COLLECTION_ASKED: u8 = 41;
    /// Of old files: memory that a module had mapped, without a call site.
    pub(super) const MAPPED_BY_MODULE: u8 = 42;
    pub(super) const UNMAPPED: u8 = 43;
    pub(super) const FREE_LISTS: u8 = 44;
    pub(super) const MAPPED: u8 = 50;
    pub(super) const UNMAP_FAILED: u8 = 51;
    pub(super) const DISCARDED: u8 = 52;
    pub(super) const THREAD_STACK: u8 = 53;
    pub(super) const THREAD_RELEASED: u8 = 54;
    pub(super) const HEADER: u8 = 55;
    pub(super) const TASK: u8 = 56;
    pub(super) const MESSAGES: u8 = 57;
    /// Added to the kind of a memory event that has a turn, or a stamp.
    pub(super) const WITH_TURN: u8 = 0x40;
    pub(super) const WITH_STAMP: u8 = 0x80;
    pub(super) const FLAGS: u8 = WITH_TURN | WITH_STAMP;

    /// Whether an event of this kind is one of memory, with an address.
    pub(super) fn is_block(kind: u8) -> bool {
        (ALLOCATION..=REALLOCATION_END).contains(&kind)
    }

    /// Whether an entry of this kind begins with a stamp.
    pub(super) fn has_stamp(kind: u8) -> bool {
        match kind & !FLAGS {
            ALLOCATION..=TREE_RESET => kind & WITH_STAMP != 0,
            PYTHON_FRAME | PAIR | TASK_IN_LANE | SKIP | PASSED | PEAK | BRIEF => false,
            _ => true,
        }
    }
}

/// How an event has its place among those of other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// By its stamp: a fact, or a memory event that has one.
    Stamp(u64),
    /// By the epoch told last, and its turn in the shard of its address.
    Turn(u64),
    /// By the epoch told last.
    Epoch,
}

impl At {
    /// What sets a memory event apart from others on its address, `epoch` being the one told last: the later one
    /// has more. What has no turn comes before all that has one, as regions are shared for good.
    #[inline]
    pub(crate) fn order(self, epoch: u64) -> u64 {
        match self {
            At::Stamp(stamp) => stamp,
            At::Turn(turn) => turn | 1 << 63,
            At::Epoch => epoch,
        }
    }
}

/// What the differences are taken from; the same on both sides.
#[derive(Clone, Copy, Debug)]
struct Previous {
    stamp: u64,
    address: u64,
    frame: u64,
    id: u32,
    turns: [u64; SHARDS],
}

impl Default for Previous {
    fn default() -> Previous {
        Previous {
            stamp: 0,
            address: 0,
            frame: 0,
            id: 0,
            turns: [0; SHARDS],
        }
    }
}

impl Previous {
    fn turn(&mut self, address: u64) -> &mut u64 {
        &mut self.turns[usize::from(shard(address))]
    }
}
