//! From words to an entry, whatever the words are.

use super::{Entry, Malformed, OPERAND_BITS, OPERAND_MASK, Prefix, Record, high, kind, low};
use crate::{Asked, Backing, Bytes, Event, Protocol, Transfer, Unseen, Wait};

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
        | kind::EXIT_BEGINS
        | kind::THREAD_CREATE
        | kind::THREAD_CREATED
        | kind::COLLECTION_ASKED
        | kind::UNMAP_FAILED
        | kind::REQUEST_BEGUN
        | kind::UPGRADED
        | kind::MESSAGES
        | kind::CLOSE
        | kind::MARK_END
        | kind::THREAD_END
        | kind::TASK => (0, false),
        kind::ALLOCATION
        | kind::REALLOCATION_END
        | kind::FRAME
        | kind::ENTER
        | kind::ANSWER
        | kind::UNSEEN
        | kind::COLLECTED
        | kind::UNMAPPED
        | kind::DISCARDED
        | kind::THREAD_RELEASED => (1, false),
        kind::THREAD_STACK => (3, false),
        kind::ALLOCATION_LARGE
        | kind::REALLOCATION_END_LARGE
        | kind::TRANSFERRED
        | kind::MAPPED
        | kind::PYTHON_FRAME
        | kind::PAIR => (2, false),
        kind::ACCEPT | kind::MARK_BEGIN | kind::MARK | kind::FREE_LISTS => (0, true),
        kind::REQUEST | kind::HEADER | kind::PYTHON_CODE | kind::PYTHON_LINES => (1, true),
        kind::MODULE_LOADED => (2, true),
        _ => return None,
    })
}

/// The event of these parts; `None` where a field holds no value of its type.
fn event<'a>(kind: u8, operand: u64, fixed: &[u64], bytes: Bytes<'a>) -> Option<Event<'a>> {
    let word = |index: usize| fixed.get(index).copied().unwrap_or(0);
    let code = |word: u64| u8::try_from(word).ok();
    let number = || u32::try_from(operand).ok();
    let flag = |word: u64| (word <= 1).then_some(word == 1);
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
        kind::EXIT_BEGINS => Event::ExitBegins,
        kind::THREAD_CREATE => Event::ThreadCreate { thread: operand },
        kind::THREAD_CREATED => Event::ThreadCreated { thread: operand },
        kind::THREAD_STACK => Event::ThreadStack {
            thread: operand,
            handle: word(0),
            size: word(1),
            detached: flag(high(word(2)).into())?,
            site: low(word(2)),
        },
        kind::THREAD_RELEASED => Event::ThreadReleased {
            handle: operand,
            joined: flag(word(0))?,
        },
        kind::COLLECTED => Event::Collected {
            young: number()?,
            middle: low(word(0)),
            full: high(word(0)),
        },
        kind::COLLECTION_ASKED => Event::CollectionAsked,
        kind::MAPPED => Event::Mapped {
            address: operand,
            size: word(0),
            backing: Backing::from_code(code(u64::from(high(word(1))))?)?,
            site: low(word(1)),
        },
        kind::UNMAPPED => Event::Unmapped {
            address: operand,
            size: word(0),
        },
        kind::UNMAP_FAILED => Event::UnmapFailed,
        kind::DISCARDED => Event::Discarded {
            address: operand,
            size: word(0),
        },
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
        kind::HEADER => Event::Header {
            connection: number()?,
            length: u32::try_from(word(0)).ok()?,
            text: bytes,
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
        kind::MESSAGES => Event::Messages {
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
        kind::FREE_LISTS => Event::FreeLists { changes: bytes },
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
