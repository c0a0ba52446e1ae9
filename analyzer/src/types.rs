//! Names of types, interned over all processes of a trace.

use rustc_hash::FxHashMap;

/// Index into [`TypeNames`]; one of its highest bits is set where blocks of the type are bounded, however long they are
/// kept ([`is_bounded`]).
pub type TypeId = u32;
/// In the id of objects that wait on a free list.
const FREE: TypeId = 1 << 31;
/// In the id of what a cache of bounded size keeps.
const CACHED: TypeId = 1 << 30;
/// Nobody looked, or what was seen is no object of a class.
pub const UNKNOWN: TypeId = 0;

/// What the recorder calls a string that only CPython's cache of attribute names refers to: made for one
/// look-up, kept until another takes its place.
pub const CACHED_NAME: &str = "str (attribute cache)";
/// What the recorder appends to the type of freed objects that CPython keeps on a free list.
pub const FREE_LIST: &str = " (free list)";
/// The code of the warning that an interpreter's free lists were not read.
pub const FREE_LISTS_UNREAD: &str = "free_lists_unread";
/// What the recorder appends to the type of an object whose keys lie in a block of their own.
const KEYS: &str = " (keys)";
/// Types of which CPython keeps freed objects for later use, in one version of 3.8 to 3.14 or another, beside tables of
/// keys of eight places, whatever kind of dict they are of.
const REUSED: [&str; 20] = [
    "list",
    "tuple",
    "dict",
    "float",
    "int",
    "complex",
    "frame",
    "method",
    "builtin_function_or_method",
    "builtin_method",
    "slice",
    "range",
    "range_iterator",
    "list_iterator",
    "tuple_iterator",
    "_contextvars.Context",
    "async_generator_asend",
    "async_generator_wrapped_value",
    "_asyncio.FutureIter",
    CACHED_NAME,
];

/// Whether another object may come to lie in a block of the type `name` that is not given back in between. (An int's
/// block holds an int again.)
pub fn may_change(name: &str) -> bool {
    name != "int" && has_free_list(name)
}

/// Whether CPython keeps freed objects of the type `name` on a free list.
pub fn has_free_list(name: &str) -> bool {
    longest_list(name) > 0
}

/// How many freed objects of the type `name` can wait on CPython's free lists, at most.
pub fn longest_list(name: &str) -> u64 {
    match name {
        "tuple" => 2000,
        "method"
        | "builtin_function_or_method"
        | "_contextvars.Context"
        | "_asyncio.FutureIter" => 256,
        "frame" => 200,
        "float" | "int" => 100,
        CACHED_NAME => 4096,
        _ if REUSED.contains(&name) || name.ends_with(KEYS) => 80,
        _ => 0,
    }
}

/// Whether blocks of this type hold freed objects that CPython keeps on a free list.
pub fn is_free(id: TypeId) -> bool {
    id & FREE != 0
}

/// Whether that is so, or they are what a cache of bounded size keeps.
pub fn is_bounded(id: TypeId) -> bool {
    id & (FREE | CACHED) != 0
}

/// The type of what a cache of bounded size keeps.
pub fn cached(id: TypeId) -> TypeId {
    id | CACHED
}

/// Whether such a cache keeps blocks of this type.
pub fn is_cached(id: TypeId) -> bool {
    id & CACHED != 0
}

/// The same type where no such cache keeps it.
pub fn not_cached(id: TypeId) -> TypeId {
    id & !CACHED
}

/// The type of objects of a free list while they are used.
pub fn in_use(id: TypeId) -> TypeId {
    id & !FREE
}

/// All names.
#[derive(Debug)]
pub struct TypeNames {
    names: Vec<String>,
    ids: FxHashMap<String, TypeId>,
}

impl Default for TypeNames {
    fn default() -> Self {
        TypeNames {
            names: vec!["unknown".to_owned()],
            ids: FxHashMap::default(),
        }
    }
}

impl TypeNames {
    /// The id of `name`, new or known.
    pub fn id(&mut self, name: &str) -> TypeId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let free = match name.ends_with(FREE_LIST) {
            true => FREE,
            false => 0,
        };
        let id = self.names.len() as TypeId | free;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// Whether a library keeps freed objects of the type `name` on a list of its own: some were seen there.
    pub fn is_kept_by_library(&self, name: &str) -> bool {
        !has_free_list(name) && self.ids.contains_key(&format!("{name}{FREE_LIST}"))
    }

    /// What `id` stands for.
    pub fn name(&self, id: TypeId) -> &str {
        self.names
            .get((id & !FREE & !CACHED) as usize)
            .map_or("unknown", String::as_str)
    }
}
