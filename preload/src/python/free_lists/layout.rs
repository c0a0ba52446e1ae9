//! Where each version of CPython keeps its free lists: `offsetof` over the headers of 3.10 to 3.14. Before them they
//! were variables of single files, which nothing names in a stripped program.

use leak_wire::free_list::List;

/// Sizes of tuples that have a list.
const TUPLES: u16 = 20;

/// Where things lie in an interpreter, and in the runtime.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Runtime → its main interpreter.
    pub interpreter: u16,
    /// Thread state → the thread's number, as `pthread_self` gives it.
    pub thread: u16,
    /// The lock of the interpreter: in the runtime, or in the interpreter itself (3.12).
    pub lock: Lock,
    /// Interpreter → its lists.
    pub lists: &'static [Place],
}

impl Layout {
    /// All lists: each's place, and which of those that lie side by side it is.
    pub fn each(&self) -> impl Iterator<Item = (&'static Place, u16)> + use<> {
        let places = self.lists.iter();
        places.flat_map(|place| (0..place.count).map(move |number| (place, number)))
    }
}

/// Where the mutex lies that guards who holds the GIL.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    /// In the runtime.
    Runtime(u16),
    /// In the interpreter.
    Interpreter(u16),
}

/// Mutex → the thread state that held the GIL last, and whether it is held (u32): before it, in all versions.
pub const LAST_HOLDER: u64 = 72;
/// See [`LAST_HOLDER`].
pub const LOCKED: u64 = 64;

/// One list, or several of a kind that lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of what.
    pub list: List,
    /// How many.
    pub count: u16,
    /// Where the first one's entries lie, or the pointer to the newest, and how far the next list is.
    pub entries: (u32, u16),
    /// The same of what tells its length.
    pub length: (u32, u16),
    /// How that tells it.
    pub counted: Counted,
    /// How entries are found.
    pub shape: Shape,
    /// How long it can get.
    pub most: u16,
}

/// What tells how long a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A number of four bytes.
    Int,
    /// A number of eight bytes.
    Long,
    /// The pointer to its only entry, which may be null.
    Pointer,
}

/// How a list holds its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// They stand in an array, the newest last.
    Array,
    /// The newest is pointed to, and each has the older one's address in this place.
    Linked(u16),
}

const LONGEST: u16 = 2000;
const OF_CONTEXTS: Shape = Shape::Linked(32);
/// A float has its link where its type was.
pub const OF_FLOATS: Shape = Shape::Linked(8);
const OF_TUPLES: Shape = Shape::Linked(24);

/// A list of objects in an array.
const fn array(list: List, entries: u32, length: u32) -> Place {
    Place {
        list,
        count: 1,
        entries: (entries, 0),
        length: (length, 0),
        counted: Counted::Int,
        shape: Shape::Array,
        most: 80,
    }
}

const fn linked(list: List, entries: u32, length: u32, shape: Shape, most: u16) -> Place {
    Place {
        shape,
        most,
        ..array(list, entries, length)
    }
}

/// One slice waits, or none.
const fn slice(entry: u32) -> Place {
    Place {
        counted: Counted::Pointer,
        ..linked(List::Slice, entry, entry, Shape::Linked(0), 1)
    }
}

const fn tuples(count: u16, entries: u32, length: u32) -> Place {
    Place {
        count,
        entries: (entries, 8),
        length: (length, 4),
        ..linked(List::Tuple, entries, length, OF_TUPLES, LONGEST)
    }
}

const V3_10: [Place; 10] = [
    linked(List::Frame, 11_984, 11_992, Shape::Linked(24), 200),
    linked(List::Float, 9784, 9776, OF_FLOATS, 100),
    slice(9792),
    // The first is no list: it holds the empty tuple.
    tuples(TUPLES - 1, 9808, 9964),
    array(List::List, 10_040, 10_680),
    array(List::Dict, 10_688, 11_328),
    array(List::Keys, 11_336, 11_976),
    array(List::AsyncValue, 12_000, 12_640),
    array(List::AsyncSend, 12_648, 13_288),
    linked(List::Context, 13_296, 13_304, OF_CONTEXTS, 255),
];

const V3_11: [Place; 9] = [
    linked(List::Float, 3616, 3608, OF_FLOATS, 100),
    slice(3624),
    tuples(TUPLES, 3632, 3792),
    array(List::List, 3872, 4512),
    array(List::Dict, 4520, 5160),
    array(List::Keys, 5168, 5808),
    array(List::AsyncValue, 5816, 6456),
    array(List::AsyncSend, 6464, 7104),
    linked(List::Context, 7112, 7120, OF_CONTEXTS, 255),
];

const V3_12: [Place; 9] = [
    linked(List::Float, 267_416, 267_408, OF_FLOATS, 100),
    slice(269_824),
    tuples(TUPLES, 269_832, 269_992),
    array(List::List, 270_072, 270_712),
    array(List::Dict, 270_736, 272_016),
    array(List::Keys, 271_376, 272_020),
    array(List::AsyncValue, 272_088, 272_728),
    array(List::AsyncSend, 272_736, 273_376),
    linked(List::Context, 273_384, 273_392, OF_CONTEXTS, 255),
];

/// Interpreter → all its lists, in 3.13 and 3.14.
const LISTS_3_13: u32 = 10_952;
const LISTS_3_14: u32 = 11_120;

const V3_13: [Place; 9] = [
    linked(List::Float, LISTS_3_13 + 8, LISTS_3_13, OF_FLOATS, 100),
    tuples(TUPLES, LISTS_3_13 + 16, LISTS_3_13 + 176),
    array(List::List, LISTS_3_13 + 256, LISTS_3_13 + 896),
    array(List::Dict, LISTS_3_13 + 904, LISTS_3_13 + 1544),
    array(List::Keys, LISTS_3_13 + 1552, LISTS_3_13 + 2192),
    slice(LISTS_3_13 + 2200),
    array(List::AsyncValue, LISTS_3_13 + 2224, LISTS_3_13 + 2864),
    array(List::AsyncSend, LISTS_3_13 + 2872, LISTS_3_13 + 3512),
    linked(
        List::Context,
        LISTS_3_13 + 2208,
        LISTS_3_13 + 2216,
        OF_CONTEXTS,
        255,
    ),
];

/// All lists of 3.14 are alike: the newest entry, the length, and links in the entries' first words.
const fn uniform(list: List, at: u32, most: u16) -> Place {
    let entries = LISTS_3_14 + at;
    Place {
        counted: Counted::Long,
        ..linked(list, entries, entries + 8, Shape::Linked(0), most)
    }
}

const V3_14: [Place; 17] = [
    uniform(List::Float, 0, 100),
    uniform(List::Int, 16, 100),
    Place {
        count: TUPLES,
        entries: (LISTS_3_14 + 32, 16),
        length: (LISTS_3_14 + 40, 16),
        ..uniform(List::Tuple, 32, LONGEST)
    },
    uniform(List::List, 352, 80),
    uniform(List::ListIterator, 368, 10),
    uniform(List::TupleIterator, 384, 10),
    uniform(List::Dict, 400, 80),
    uniform(List::Keys, 416, 80),
    uniform(List::Slice, 432, 1),
    uniform(List::Range, 448, 6),
    uniform(List::RangeIterator, 464, 6),
    uniform(List::Context, 480, 255),
    uniform(List::AsyncValue, 496, 80),
    uniform(List::AsyncSend, 512, 80),
    uniform(List::Builtin, 576, 16),
    uniform(List::BuiltinMethod, 592, 16),
    uniform(List::Method, 608, 20),
];

/// The layout of version 3.`minor`.
pub fn of_version(minor: u32) -> Option<Layout> {
    Some(match minor {
        10 => Layout {
            interpreter: 40,
            thread: 176,
            lock: Lock::Runtime(432),
            lists: &V3_10,
        },
        11 => Layout {
            interpreter: 48,
            thread: 152,
            lock: Lock::Runtime(440),
            lists: &V3_11,
        },
        12 => Layout {
            interpreter: 48,
            thread: 136,
            lock: Lock::Interpreter(1120),
            lists: &V3_12,
        },
        13 => Layout {
            interpreter: 640,
            thread: 152,
            lock: Lock::Interpreter(7832),
            lists: &V3_13,
        },
        14 => Layout {
            interpreter: 816,
            thread: 152,
            lock: Lock::Interpreter(7864),
            lists: &V3_14,
        },
        _ => return None,
    })
}

/// The type object that stands at 8 in an entry, where entries are objects that keep it there; its symbol.
pub fn type_symbol(place: &Place) -> Option<&'static core::ffi::CStr> {
    // A float's link lies over its type.
    if place.shape == OF_FLOATS {
        return None;
    }
    Some(match place.list {
        List::Tuple => c"PyTuple_Type",
        List::List => c"PyList_Type",
        List::Dict => c"PyDict_Type",
        List::Keys | List::Thread => return None,
        List::Float => c"PyFloat_Type",
        List::Int => c"PyLong_Type",
        List::Context => c"PyContext_Type",
        List::AsyncValue => c"_PyAsyncGenWrappedValue_Type",
        List::AsyncSend => c"_PyAsyncGenASend_Type",
        List::ListIterator => c"PyListIter_Type",
        List::TupleIterator => c"PyTupleIter_Type",
        List::Slice => c"PySlice_Type",
        List::Range => c"PyRange_Type",
        List::RangeIterator => c"PyRangeIter_Type",
        List::Builtin => c"PyCFunction_Type",
        List::BuiltinMethod => c"PyCMethod_Type",
        List::Method => c"PyMethod_Type",
        List::Frame => c"PyFrame_Type",
    })
}
