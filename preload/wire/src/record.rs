//! A record: the words of one event; and the prefixes that give memory events their order.
//!
//! ```text
//! word 0   bits 56..64 kind, bits 0..56 operand (an address, or 0)
//! then     facts: the stamp
//! then     by kind: `a` in the low 32 bits, `b` in the high ones; large values in words of their own;
//!          bytes: a word with their number, then the bytes, zero padded
//! ```
//! The number of words follows from the kind and, for bytes, from the length word. A prefix is one
//! word.
//!
//! One file on purpose: a table with an entry for each kind of event.

mod common;
mod read;

pub use common::Common;

use crate::{Asked, Bytes, Event, Order};

/// An event and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Of a fact: its position in the order of all facts of the session. 0 for all others.
    pub stamp: u64,
    /// What happened.
    pub event: Event<'a>,
}

/// A word that tells of no event by itself. Numbers have at most 56 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// The epoch that the thread saw for what follows.
    Epoch(u64),
    /// The next event, one of memory, has this turn in its address's shard.
    Turn(u64),
    /// The next event, one of memory, has a stamp, as a fact has.
    Stamp(u64),
    /// Nobody has this turn.
    Skip {
        /// The shard.
        shard: u8,
        /// The turn, at most 48 bits.
        turn: u64,
    },
    /// Nothing at all.
    Nothing,
}

/// What a lane holds, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A prefix.
    Prefix(Prefix),
    /// An event.
    Record(Record<'a>),
}

/// Why words are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The record goes on past the given words; `needed` words are needed at least.
    Short {
        /// Words needed.
        needed: usize,
    },
    /// No such kind.
    Kind(u8),
    /// A field holds a value that it can't hold; the kind is given.
    Field(u8),
}

const OPERAND_BITS: u32 = 56;
const OPERAND_MASK: u64 = (1 << OPERAND_BITS) - 1;
/// Where in a fact's record its stamp stands.
pub const STAMP_AT: usize = 1;
/// The most words that a record can have.
pub const MAX_WORDS: usize = 6 + Bytes::MAX / 8;

/// The kinds, as they stand in the top byte of word 0. 0 is no kind, so that zeroed memory is no record.
mod kind {
    pub(super) const ALLOCATION: u8 = 1;
    pub(super) const ALLOCATION_LARGE: u8 = 2;
    pub(super) const FREE: u8 = 3;
    pub(super) const REALLOCATION_BEGIN: u8 = 4;
    pub(super) const REALLOCATION_END: u8 = 5;
    pub(super) const REALLOCATION_END_LARGE: u8 = 6;
    pub(super) const REALLOCATION_FAILED: u8 = 7;
    pub(super) const REALLOCATION_FREED: u8 = 8;
    pub(super) const FRAME: u8 = 9;
    pub(super) const TREE_RESET: u8 = 10;
    pub(super) const MODULE_LOADED: u8 = 11;
    pub(super) const MODULE_UNLOADED: u8 = 12;
    pub(super) const EXEC: u8 = 13;
    pub(super) const EXEC_FAILED: u8 = 14;
    pub(super) const EXIT: u8 = 15;
    pub(super) const ACCEPT: u8 = 16;
    pub(super) const ENTER: u8 = 17;
    pub(super) const TRANSFERRED: u8 = 18;
    pub(super) const REQUEST_BEGUN: u8 = 19;
    pub(super) const REQUEST: u8 = 20;
    pub(super) const ANSWER: u8 = 21;
    pub(super) const UPGRADED: u8 = 22;
    pub(super) const UNSEEN: u8 = 23;
    pub(super) const CLOSE: u8 = 24;
    pub(super) const MARK_BEGIN: u8 = 25;
    pub(super) const MARK_END: u8 = 26;
    pub(super) const MARK: u8 = 27;
    pub(super) const THREAD_END: u8 = 28;
    pub(super) const PYTHON_FRAME: u8 = 29;
    pub(super) const PAIR: u8 = 30;
    pub(super) const PYTHON_CODE: u8 = 31;
    pub(super) const PYTHON_LINES: u8 = 32;
    pub(super) const TASK: u8 = 33;
    pub(super) const EXIT_BEGINS: u8 = 34;
    pub(super) const THREAD_CREATE: u8 = 35;
    pub(super) const THREAD_CREATED: u8 = 36;
    pub(super) const COLLECTED: u8 = 37;
    pub(super) const COLLECTION_ASKED: u8 = 38;
    pub(super) const MAPPED: u8 = 39;
    pub(super) const UNMAPPED: u8 = 45;
    pub(super) const FREE_LISTS: u8 = 46;
    pub(super) const EPOCH: u8 = 40;
    pub(super) const TURN: u8 = 41;
    pub(super) const STAMP: u8 = 42;
    pub(super) const SKIP: u8 = 43;
    pub(super) const NOTHING: u8 = 44;
    pub(super) const UNMAP_FAILED: u8 = 50;
    pub(super) const DISCARDED: u8 = 51;
    pub(super) const THREAD_STACK: u8 = 52;
    pub(super) const THREAD_RELEASED: u8 = 53;
    pub(super) const HEADER: u8 = 54;
    pub(super) const MESSAGES: u8 = 55;
}

impl Prefix {
    /// Its word.
    #[inline(always)]
    pub fn word(self) -> u64 {
        let (kind, operand) = match self {
            Prefix::Epoch(epoch) => (kind::EPOCH, epoch),
            Prefix::Turn(turn) => (kind::TURN, turn),
            Prefix::Stamp(stamp) => (kind::STAMP, stamp),
            Prefix::Skip { shard, turn } => (kind::SKIP, turn << 8 | u64::from(shard)),
            Prefix::Nothing => (kind::NOTHING, 0),
        };
        first(kind, operand)
    }

    fn of(kind: u8, operand: u64) -> Option<Prefix> {
        Some(match kind {
            kind::EPOCH => Prefix::Epoch(operand),
            kind::TURN => Prefix::Turn(operand),
            kind::STAMP => Prefix::Stamp(operand),
            kind::SKIP => Prefix::Skip {
                shard: operand as u8,
                turn: operand >> 8,
            },
            kind::NOTHING => Prefix::Nothing,
            _ => return None,
        })
    }
}

/// A record taken apart: what every kind is made of.
#[derive(Default)]
struct Parts<'a> {
    kind: u8,
    operand: u64,
    fixed: [u64; 3],
    fixed_words: usize,
    bytes: Option<Bytes<'a>>,
}

impl<'a> Parts<'a> {
    #[inline(always)]
    fn bare(kind: u8, operand: u64) -> Self {
        Parts {
            kind,
            operand,
            ..Parts::default()
        }
    }

    #[inline(always)]
    fn with(mut self, fixed: &[u64]) -> Self {
        self.fixed[..fixed.len()].copy_from_slice(fixed);
        self.fixed_words = fixed.len();
        self
    }

    fn bytes(mut self, bytes: Bytes<'a>) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

#[inline(always)]
const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The record of a free, in its one word.
#[inline(always)]
pub const fn free(address: u64) -> [u64; 1] {
    [first(kind::FREE, address)]
}

/// The record of an allocation of less than 4 GiB.
#[inline(always)]
pub const fn allocation(address: u64, size: u32, site: u32) -> [u64; 2] {
    [first(kind::ALLOCATION, address), pair(size, site)]
}

/// The record of a Python frame's node.
#[inline(always)]
pub const fn python_frame(id: u32, parent: u32, code: u32, instruction: u32) -> [u64; 3] {
    let frame = first(kind::PYTHON_FRAME, code as u64);
    [frame, pair(id, parent), instruction as u64]
}

/// The record of a pair.
#[inline(always)]
pub const fn python_pair(id: u32, native: u32, python: u32, asked: Asked) -> [u64; 3] {
    let pair_of = first(kind::PAIR, id as u64);
    [pair_of, pair(native, python), asked as u64]
}

#[inline(always)]
const fn first(kind: u8, operand: u64) -> u64 {
    (kind as u64) << OPERAND_BITS | operand & OPERAND_MASK
}

impl<'a> Event<'a> {
    // Always inlined, with its callers below: where the kind is known it folds to a few stores.
    #[inline(always)]
    fn parts(self) -> Parts<'a> {
        let connected = |kind, connection: u32| Parts::bare(kind, u64::from(connection));
        match self {
            Event::Allocation {
                address,
                size,
                site,
            } => match u32::try_from(size) {
                Ok(small) => Parts::bare(kind::ALLOCATION, address).with(&[pair(small, site)]),
                Err(_) => {
                    Parts::bare(kind::ALLOCATION_LARGE, address).with(&[size, u64::from(site)])
                }
            },
            Event::Free { address } => Parts::bare(kind::FREE, address),
            Event::ReallocationBegin { address } => Parts::bare(kind::REALLOCATION_BEGIN, address),
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => match u32::try_from(size) {
                Ok(small) => {
                    Parts::bare(kind::REALLOCATION_END, address).with(&[pair(small, site)])
                }
                Err(_) => Parts::bare(kind::REALLOCATION_END_LARGE, address)
                    .with(&[size, u64::from(site)]),
            },
            Event::ReallocationFailed => Parts::bare(kind::REALLOCATION_FAILED, 0),
            Event::ReallocationFreed => Parts::bare(kind::REALLOCATION_FREED, 0),
            Event::Frame {
                id,
                parent,
                address,
            } => Parts::bare(kind::FRAME, address).with(&[pair(id, parent)]),
            Event::TreeReset => Parts::bare(kind::TREE_RESET, 0),
            Event::Task { task } => Parts::bare(kind::TASK, task),
            Event::ModuleLoaded {
                start,
                end,
                bias,
                path,
            } => Parts::bare(kind::MODULE_LOADED, start)
                .with(&[end, bias])
                .bytes(path),
            Event::ModuleUnloaded { start } => Parts::bare(kind::MODULE_UNLOADED, start),
            Event::Exec => Parts::bare(kind::EXEC, 0),
            Event::ExecFailed => Parts::bare(kind::EXEC_FAILED, 0),
            Event::ExitBegins => Parts::bare(kind::EXIT_BEGINS, 0),
            Event::ThreadCreate { thread } => Parts::bare(kind::THREAD_CREATE, thread),
            Event::ThreadCreated { thread } => Parts::bare(kind::THREAD_CREATED, thread),
            Event::ThreadStack {
                thread,
                handle,
                size,
                detached,
                site,
            } => Parts::bare(kind::THREAD_STACK, thread).with(&[
                handle,
                size,
                pair(site, detached.into()),
            ]),
            Event::ThreadReleased { handle, joined } => {
                Parts::bare(kind::THREAD_RELEASED, handle).with(&[joined.into()])
            }
            Event::Collected {
                young,
                middle,
                full,
            } => Parts::bare(kind::COLLECTED, u64::from(young)).with(&[pair(middle, full)]),
            Event::Mapped {
                address,
                size,
                backing,
                site,
            } => Parts::bare(kind::MAPPED, address).with(&[size, pair(site, backing as u32)]),
            Event::Unmapped { address, size } => Parts::bare(kind::UNMAPPED, address).with(&[size]),
            Event::UnmapFailed => Parts::bare(kind::UNMAP_FAILED, 0),
            Event::Discarded { address, size } => {
                Parts::bare(kind::DISCARDED, address).with(&[size])
            }
            Event::CollectionAsked => Parts::bare(kind::COLLECTION_ASKED, 0),
            Event::Exit { code } => Parts::bare(kind::EXIT, u64::from(code)),
            Event::Accept { connection, local } => connected(kind::ACCEPT, connection).bytes(local),
            Event::Enter { wait, connection } => {
                connected(kind::ENTER, connection).with(&[wait as u64])
            }
            Event::Transferred {
                connection,
                transfer,
                bytes,
            } => connected(kind::TRANSFERRED, connection).with(&[transfer as u64, bytes]),
            Event::RequestBegun { connection } => connected(kind::REQUEST_BEGUN, connection),
            Event::Header {
                connection,
                length,
                text,
            } => connected(kind::HEADER, connection)
                .with(&[length.into()])
                .bytes(text),
            Event::Request {
                connection,
                count,
                protocol,
                label,
            } => connected(kind::REQUEST, connection)
                .with(&[pair(count, protocol as u32)])
                .bytes(label),
            Event::Answer {
                connection,
                count,
                status,
            } => connected(kind::ANSWER, connection).with(&[pair(count, status)]),
            Event::Upgraded { connection } => connected(kind::UPGRADED, connection),
            Event::Messages { connection } => connected(kind::MESSAGES, connection),
            Event::Unseen { connection, reason } => {
                connected(kind::UNSEEN, connection).with(&[reason as u64])
            }
            Event::Close { connection } => connected(kind::CLOSE, connection),
            Event::MarkBegin { label } => Parts::bare(kind::MARK_BEGIN, 0).bytes(label),
            Event::MarkEnd => Parts::bare(kind::MARK_END, 0),
            Event::Mark { label } => Parts::bare(kind::MARK, 0).bytes(label),
            Event::ThreadEnd => Parts::bare(kind::THREAD_END, 0),
            Event::FreeLists { changes } => Parts::bare(kind::FREE_LISTS, 0).bytes(changes),
            Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            } => Parts::bare(kind::PYTHON_FRAME, u64::from(code))
                .with(&[pair(id, parent), u64::from(instruction)]),
            Event::Pair {
                id,
                native,
                python,
                asked,
            } => Parts::bare(kind::PAIR, u64::from(id))
                .with(&[pair(native, python), u64::from(asked as u8)]),
            Event::PythonCode {
                code,
                first_line,
                version,
                text,
            } => Parts::bare(kind::PYTHON_CODE, u64::from(code))
                .with(&[pair(first_line, version)])
                .bytes(text),
            Event::PythonLines {
                code,
                offset,
                bytes,
            } => Parts::bare(kind::PYTHON_LINES, u64::from(code))
                .with(&[u64::from(offset)])
                .bytes(bytes),
        }
    }
}

impl<'a> Record<'a> {
    /// How many words the record takes, at most [`MAX_WORDS`].
    #[inline(always)]
    pub fn words(&self) -> usize {
        let parts = self.event.parts();
        1 + usize::from(self.event.order() == Order::Fact)
            + parts.fixed_words
            + parts.bytes.map_or(0, |bytes| 1 + bytes.word_count())
    }

    /// Gives the record's words to `put`, in order.
    #[inline(always)]
    pub fn encode(&self, put: impl FnMut(u64)) {
        self.event.encode(self.stamp, put);
    }
}

impl Event<'_> {
    /// Gives the words of its record to `put`, in order.
    #[inline(always)]
    pub fn encode(&self, stamp: u64, mut put: impl FnMut(u64)) {
        let parts = self.parts();
        put(first(parts.kind, parts.operand));
        if self.order() == Order::Fact {
            put(stamp);
        }
        parts.fixed[..parts.fixed_words]
            .iter()
            .for_each(|word| put(*word));
        if let Some(bytes) = parts.bytes {
            put(bytes.len() as u64);
            (0..bytes.word_count()).for_each(|index| put(bytes.word(index)));
        }
    }
}

#[cfg(test)]
mod tests;
