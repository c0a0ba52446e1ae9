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

use crate::{Asked, Bytes, Event, Order, Protocol, Transfer, Unseen, Wait};

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
    pub(super) const EPOCH: u8 = 40;
    pub(super) const TURN: u8 = 41;
    pub(super) const STAMP: u8 = 42;
    pub(super) const SKIP: u8 = 43;
    pub(super) const NOTHING: u8 = 44;
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
            Event::Unseen { connection, reason } => {
                connected(kind::UNSEEN, connection).with(&[reason as u64])
            }
            Event::Close { connection } => connected(kind::CLOSE, connection),
            Event::MarkBegin { label } => Parts::bare(kind::MARK_BEGIN, 0).bytes(label),
            Event::MarkEnd => Parts::bare(kind::MARK_END, 0),
            Event::Mark { label } => Parts::bare(kind::MARK, 0).bytes(label),
            Event::ThreadEnd => Parts::bare(kind::THREAD_END, 0),
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
    pub fn encode(&self, mut put: impl FnMut(u64)) {
        let parts = self.event.parts();
        put(first(parts.kind, parts.operand));
        if self.event.order() == Order::Fact {
            put(self.stamp);
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

impl<'a> Entry<'a> {
    /// Reads the entry at the start of `words`; also says how many words it took.
    ///
    /// # Errors
    /// [`Malformed`], for any words: nothing that is read is trusted.
    #[inline]
    pub fn decode(words: &'a [u64]) -> Result<(Entry<'a>, usize), Malformed> {
        let short = |needed| Malformed::Short { needed };
        let first = *words.first().ok_or(short(1))?;
        let kind = (first >> OPERAND_BITS) as u8;
        let operand = first & OPERAND_MASK;
        if let Some(prefix) = Prefix::of(kind, operand) {
            return Ok((Entry::Prefix(prefix), 1));
        }
        let (fixed_words, has_bytes) = shape(kind).ok_or(Malformed::Kind(kind))?;
        let stamped = usize::from(is_fact(kind));
        let fixed_at = 1 + stamped;
        let mut used = fixed_at + fixed_words;
        let fixed = words.get(fixed_at..used).ok_or(short(used))?;
        let stamp = match stamped {
            0 => 0,
            _ => *words.get(1).ok_or(short(2))?,
        };
        let mut bytes = Bytes::Slice(&[]);
        if has_bytes {
            let len = *words.get(used).ok_or(short(used + 1))?;
            if len > Bytes::MAX as u64 {
                return Err(Malformed::Field(kind));
            }
            let len = len as usize;
            let start = used + 1;
            used = start + len.div_ceil(8);
            bytes = Bytes::Words {
                words: words.get(start..used).ok_or(short(used))?,
                len,
            };
        }
        let event = event(kind, operand, fixed, bytes).ok_or(Malformed::Field(kind))?;
        Ok((Entry::Record(Record { stamp, event }), used))
    }
}

/// The two records that nearly all are: read without the detour by an [`Entry`], whose size costs more than
/// the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// [`Event::Allocation`]; in a lane, one of less than 4 GiB.
    Allocation {
        /// Where it starts.
        address: u64,
        /// Bytes, as the program asked.
        size: u64,
        /// As the event's.
        site: u32,
    },
    /// [`Event::Free`].
    Free {
        /// Where it starts.
        address: u64,
    },
}

impl Common {
    /// Reads the record at the start of `words`; also says how many words it took. `None`: it is another one,
    /// or none, and [`Entry::decode`] says which.
    #[inline(always)]
    pub fn decode(words: &[u64]) -> Option<(Common, usize)> {
        let first = *words.first()?;
        let address = first & OPERAND_MASK;
        match (first >> OPERAND_BITS) as u8 {
            kind::FREE => Some((Common::Free { address }, 1)),
            kind::ALLOCATION => {
                let second = *words.get(1)?;
                let (size, site) = (u64::from(low(second)), high(second));
                let allocation = Common::Allocation {
                    address,
                    size,
                    site,
                };
                Some((allocation, 2))
            }
            _ => None,
        }
    }

    /// The event that it is.
    pub fn event(self) -> Event<'static> {
        match self {
            Common::Allocation {
                address,
                size,
                site,
            } => Event::Allocation {
                address,
                size,
                site,
            },
            Common::Free { address } => Event::Free { address },
        }
    }
}

/// Whether records of this kind have a stamp; as [`Event::order`] says.
fn is_fact(kind: u8) -> bool {
    !matches!(
        kind,
        kind::ALLOCATION
            | kind::ALLOCATION_LARGE
            | kind::FREE
            | kind::REALLOCATION_BEGIN
            | kind::REALLOCATION_END
            | kind::REALLOCATION_END_LARGE
            | kind::REALLOCATION_FAILED
            | kind::REALLOCATION_FREED
            | kind::FRAME
            | kind::TREE_RESET
            | kind::PYTHON_FRAME
            | kind::PAIR
            | kind::TASK
    )
}

/// The number of fixed words after the stamp, and whether bytes follow.
fn shape(kind: u8) -> Option<(usize, bool)> {
    Some(match kind {
        kind::FREE
        | kind::REALLOCATION_BEGIN
        | kind::REALLOCATION_FAILED
        | kind::REALLOCATION_FREED
        | kind::TREE_RESET
        | kind::MODULE_UNLOADED
        | kind::EXEC
        | kind::EXEC_FAILED
        | kind::EXIT
        | kind::REQUEST_BEGUN
        | kind::UPGRADED
        | kind::CLOSE
        | kind::MARK_END
        | kind::THREAD_END
        | kind::TASK => (0, false),
        kind::ALLOCATION
        | kind::REALLOCATION_END
        | kind::FRAME
        | kind::ENTER
        | kind::ANSWER
        | kind::UNSEEN => (1, false),
        kind::ALLOCATION_LARGE
        | kind::REALLOCATION_END_LARGE
        | kind::TRANSFERRED
        | kind::PYTHON_FRAME
        | kind::PAIR => (2, false),
        kind::ACCEPT | kind::MARK_BEGIN | kind::MARK => (0, true),
        kind::REQUEST | kind::PYTHON_CODE | kind::PYTHON_LINES => (1, true),
        kind::MODULE_LOADED => (2, true),
        _ => return None,
    })
}

/// The event of these parts; `None` where a field holds no value of its type.
fn event<'a>(kind: u8, operand: u64, fixed: &[u64], bytes: Bytes<'a>) -> Option<Event<'a>> {
    let word = |index: usize| fixed.get(index).copied().unwrap_or(0);
    let code = |word: u64| u8::try_from(word).ok();
    let number = || u32::try_from(operand).ok();
    let positive = |count: u32| (count > 0).then_some(count);
    Some(match kind {
        kind::ALLOCATION => Event::Allocation {
            address: operand,
            size: u64::from(low(word(0))),
            site: high(word(0)),
        },
        kind::ALLOCATION_LARGE => Event::Allocation {
            address: operand,
            size: word(0),
            site: u32::try_from(word(1)).ok()?,
        },
        kind::FREE => Event::Free { address: operand },
        kind::REALLOCATION_BEGIN => Event::ReallocationBegin { address: operand },
        kind::REALLOCATION_END => Event::ReallocationEnd {
            address: operand,
            size: u64::from(low(word(0))),
            site: high(word(0)),
        },
        kind::REALLOCATION_END_LARGE => Event::ReallocationEnd {
            address: operand,
            size: word(0),
            site: u32::try_from(word(1)).ok()?,
        },
        kind::REALLOCATION_FAILED => Event::ReallocationFailed,
        kind::REALLOCATION_FREED => Event::ReallocationFreed,
        kind::FRAME => Event::Frame {
            id: low(word(0)),
            parent: high(word(0)),
            address: operand,
        },
        kind::TREE_RESET => Event::TreeReset,
        kind::TASK => Event::Task { task: operand },
        kind::MODULE_LOADED => Event::ModuleLoaded {
            start: operand,
            end: word(0),
            bias: word(1),
            path: bytes,
        },
        kind::MODULE_UNLOADED => Event::ModuleUnloaded { start: operand },
        kind::EXEC => Event::Exec,
        kind::EXEC_FAILED => Event::ExecFailed,
        kind::EXIT => Event::Exit { code: number()? },
        kind::ACCEPT => Event::Accept {
            connection: number()?,
            local: bytes,
        },
        kind::ENTER => Event::Enter {
            wait: Wait::from_code(code(word(0))?)?,
            connection: number()?,
        },
        kind::TRANSFERRED => Event::Transferred {
            connection: number()?,
            transfer: Transfer::from_code(code(word(0))?)?,
            bytes: word(1),
        },
        kind::REQUEST_BEGUN => Event::RequestBegun {
            connection: number()?,
        },
        kind::REQUEST => Event::Request {
            connection: number()?,
            count: positive(low(word(0)))?,
            protocol: Protocol::from_code(code(u64::from(high(word(0))))?)?,
            label: bytes,
        },
        kind::ANSWER => Event::Answer {
            connection: number()?,
            count: positive(low(word(0)))?,
            status: high(word(0)),
        },
        kind::UPGRADED => Event::Upgraded {
            connection: number()?,
        },
        kind::UNSEEN => Event::Unseen {
            connection: number()?,
            reason: Unseen::from_code(code(word(0))?)?,
        },
        kind::CLOSE => Event::Close {
            connection: number()?,
        },
        kind::MARK_BEGIN => Event::MarkBegin { label: bytes },
        kind::MARK_END => Event::MarkEnd,
        kind::MARK => Event::Mark { label: bytes },
        kind::THREAD_END => Event::ThreadEnd,
        kind::PYTHON_FRAME => Event::PythonFrame {
            id: low(word(0)),
            parent: high(word(0)),
            code: number()?,
            instruction: u32::try_from(word(1)).ok()?,
        },
        kind::PAIR => Event::Pair {
            id: number()?,
            native: low(word(0)),
            python: high(word(0)),
            asked: Asked::from_code(code(word(1))?)?,
        },
        kind::PYTHON_CODE => Event::PythonCode {
            code: number()?,
            first_line: low(word(0)),
            version: high(word(0)),
            text: bytes,
        },
        kind::PYTHON_LINES => Event::PythonLines {
            code: number()?,
            offset: u32::try_from(word(0)).ok()?,
            bytes,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn samples() -> Vec<Event<'static>> {
        let text = Bytes::Slice(b"GET /users/{id}");
        std::vec![
            Event::Allocation {
                address: 0x7fff_dead_beef,
                size: 24,
                site: 7
            },
            Event::Allocation {
                address: 16,
                size: 1 << 40,
                site: u32::MAX
            },
            Event::Free { address: 0x10 },
            Event::ReallocationBegin { address: 0x10 },
            Event::ReallocationEnd {
                address: 0x20,
                size: 0,
                site: 1
            },
            Event::ReallocationEnd {
                address: 0x20,
                size: 1 << 33,
                site: 1
            },
            Event::ReallocationFailed,
            Event::ReallocationFreed,
            Event::Frame {
                id: 1,
                parent: 0,
                address: 0x40_1000
            },
            Event::TreeReset,
            Event::Task { task: 0x7fff_1230 },
            Event::ModuleLoaded {
                start: 1,
                end: 2,
                bias: u64::MAX,
                path: Bytes::Slice(b"/bin/x")
            },
            Event::ModuleUnloaded { start: 1 },
            Event::Exec,
            Event::ExecFailed,
            Event::Exit { code: 3 },
            Event::Accept {
                connection: 1,
                local: Bytes::Slice(b"tcp:80")
            },
            Event::Enter {
                wait: Wait::Lock,
                connection: 0
            },
            Event::Transferred {
                connection: 1,
                transfer: Transfer::Write,
                bytes: 1 << 50
            },
            Event::RequestBegun { connection: 9 },
            Event::Request {
                connection: 9,
                count: 16,
                protocol: Protocol::Redis,
                label: text
            },
            Event::Answer {
                connection: 9,
                count: 1,
                status: 404
            },
            Event::Upgraded { connection: 9 },
            Event::Unseen {
                connection: 9,
                reason: Unseen::Http2
            },
            Event::Close { connection: 9 },
            Event::MarkBegin {
                label: Bytes::Slice(b"")
            },
            Event::MarkEnd,
            Event::Mark { label: text },
            Event::ThreadEnd,
            Event::PythonFrame {
                id: 3,
                parent: 2,
                code: u32::MAX,
                instruction: 18
            },
            Event::Pair {
                id: 4,
                native: 1,
                python: 3,
                asked: Asked::Native
            },
            Event::PythonCode {
                code: 1,
                first_line: 7,
                version: 0x30b,
                text: Bytes::Slice(b"a.py\0K.go")
            },
            Event::PythonLines {
                code: 1,
                offset: 4096,
                bytes: Bytes::Slice(&[0x80, 0, 255])
            },
        ]
    }

    fn encoded(record: Record<'_>) -> Vec<u64> {
        let mut words = Vec::new();
        record.encode(|word| words.push(word));
        words
    }

    #[test]
    fn every_event_reads_back() {
        for event in samples() {
            let stamp = match event.order() {
                Order::Fact => 42,
                _ => 0,
            };
            let record = Record { stamp, event };
            let words = encoded(record);
            assert_eq!(words.len(), record.words());
            let read = Entry::decode(&words);
            assert_eq!(read, Ok((Entry::Record(record), words.len())));
            // The short way says the same, or nothing.
            let small = matches!(
                event,
                Event::Allocation { size: 24, .. } | Event::Free { .. }
            );
            let common = small.then_some((event, words.len()));
            let read = Common::decode(&words).map(|(common, used)| (common.event(), used));
            assert_eq!(read, common);
            assert_eq!(Common::decode(&words[..words.len() - 1]), None);
        }
    }

    #[test]
    fn every_prefix_reads_back() {
        let most = (1 << 56) - 1;
        for prefix in [
            Prefix::Epoch(most),
            Prefix::Turn(0),
            Prefix::Stamp(1 << 50),
            Prefix::Skip {
                shard: 255,
                turn: most >> 8,
            },
            Prefix::Nothing,
        ] {
            let words = [prefix.word()];
            assert_eq!(Entry::decode(&words), Ok((Entry::Prefix(prefix), 1)));
        }
    }

    #[test]
    fn a_block_takes_two_words_and_its_free_one() {
        let address = 0x7fff_dead_beef;
        let allocation = Event::Allocation {
            address,
            size: 24,
            site: 7,
        };
        let words = |event| encoded(Record { stamp: 0, event });
        assert_eq!(words(allocation), super::allocation(address, 24, 7));
        assert_eq!(words(Event::Free { address }), free(address));
    }

    #[test]
    fn a_cut_record_says_how_much_is_missing() {
        for event in samples() {
            let words = encoded(Record { stamp: 1, event });
            for cut in 0..words.len() {
                let Err(Malformed::Short { needed }) = Entry::decode(&words[..cut]) else {
                    panic!("{event:?} cut to {cut} words was read");
                };
                assert!(needed > cut && needed <= words.len());
            }
        }
    }

    #[test]
    fn the_longest_record_fits_its_bound() {
        let long = [b'x'; Bytes::MAX + 100];
        let event = Event::ModuleLoaded {
            start: 1,
            end: 2,
            bias: 3,
            path: Bytes::Slice(&long),
        };
        let words = encoded(Record { stamp: 1, event });
        assert!(words.len() <= MAX_WORDS);
        let (entry, _) = Entry::decode(&words).unwrap();
        let Entry::Record(Record {
            event: Event::ModuleLoaded { path, .. },
            ..
        }) = entry
        else {
            panic!("another kind")
        };
        assert_eq!(path.len(), Bytes::MAX);
    }

    #[test]
    fn no_words_panic_the_reader() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..100_000 {
            let kind = next() % 48;
            let words = [
                kind << 56 | next() >> 8,
                next(),
                next() % 64,
                next() % 64,
                next(),
            ];
            let _ = Entry::decode(&words);
        }
    }
}
