//! Free lists: what is dead and waits there for its next use, of which no allocator hears: CPython's objects, and what
//! the C library keeps with the stacks of threads that have ended.

use crate::Bytes;

/// What the objects on a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum List {
    /// `tuple`, of one length for each list.
    Tuple = 1,
    /// `list`
    List = 2,
    /// `dict`
    Dict = 3,
    /// The table of keys of a dict.
    Keys = 4,
    /// `float`
    Float = 5,
    /// `int`
    Int = 6,
    /// `_contextvars.Context`
    Context = 7,
    /// What an asynchronous generator gave.
    AsyncValue = 8,
    /// What waits for an asynchronous generator.
    AsyncSend = 9,
    /// `list_iterator`
    ListIterator = 10,
    /// `tuple_iterator`
    TupleIterator = 11,
    /// `slice`
    Slice = 12,
    /// `range`
    Range = 13,
    /// `range_iterator`
    RangeIterator = 14,
    /// `builtin_function_or_method`
    Builtin = 15,
    /// `method`
    Method = 16,
    /// No object: the table of a thread's storage.
    Thread = 17,
    /// `builtin_method`
    BuiltinMethod = 18,
    /// `frame`
    Frame = 19,
}

impl List {
    /// All there are, in the order of their codes from 1.
    pub const ALL: [List; 19] = [
        List::Tuple,
        List::List,
        List::Dict,
        List::Keys,
        List::Float,
        List::Int,
        List::Context,
        List::AsyncValue,
        List::AsyncSend,
        List::ListIterator,
        List::TupleIterator,
        List::Slice,
        List::Range,
        List::RangeIterator,
        List::Builtin,
        List::Method,
        List::Thread,
        List::BuiltinMethod,
        List::Frame,
    ];

    /// The objects' type, as it is called where types of blocks are.
    pub const fn type_name(self) -> &'static str {
        match self {
            List::Tuple => "tuple",
            List::List => "list",
            List::Dict => "dict",
            List::Keys => "dict (keys)",
            List::Float => "float",
            List::Int => "int",
            List::Context => "_contextvars.Context",
            List::AsyncValue => "async_generator_wrapped_value",
            List::AsyncSend => "async_generator_asend",
            List::ListIterator => "list_iterator",
            List::TupleIterator => "tuple_iterator",
            List::Slice => "slice",
            List::Range => "range",
            List::RangeIterator => "range_iterator",
            List::Builtin => "builtin_function_or_method",
            List::Method => "method",
            List::Thread => "thread storage",
            List::BuiltinMethod => "builtin_method",
            List::Frame => "frame",
        }
    }
}

/// One block came to a list, or left it for its next use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where the block starts.
    pub address: u64,
    /// Which list.
    pub list: List,
    /// It waits there now; else somebody has taken it, or it was given back to the allocator (which is told by
    /// itself).
    pub waits: bool,
}

const LIST_AT: u32 = 56;
const WAITS: u64 = 1 << 63;
const ADDRESS: u64 = (1 << LIST_AT) - 1;

impl Change {
    /// As one word.
    pub const fn word(self) -> u64 {
        let waits = if self.waits { WAITS } else { 0 };
        self.address & ADDRESS | (self.list as u64) << LIST_AT | waits
    }

    /// What the word tells, if it is one of a list that is known.
    pub fn of_word(word: u64) -> Option<Change> {
        let code = (word & !WAITS) >> LIST_AT;
        let list = List::ALL.get(usize::try_from(code).ok()?.checked_sub(1)?)?;
        Some(Change {
            address: word & ADDRESS,
            list: *list,
            waits: word & WAITS != 0,
        })
    }

    /// All that `bytes` tell: words, one after the other.
    pub fn all(bytes: Bytes<'_>) -> impl Iterator<Item = Change> + '_ {
        (0..bytes.len() / 8).filter_map(move |index| Change::of_word(bytes.word(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_and_other_words_tell_nothing() {
        for (code, list) in (1..).zip(List::ALL) {
            assert_eq!(list as u8, code);
            for waits in [false, true] {
                let change = Change {
                    address: 0x7fff_1234_5670,
                    list,
                    waits,
                };
                assert_eq!(Change::of_word(change.word()), Some(change));
            }
        }
        assert_eq!(Change::of_word(16), None);
        assert_eq!(Change::of_word(u64::MAX), None);
    }
}
