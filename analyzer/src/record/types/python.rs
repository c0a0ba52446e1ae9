//! Types of Python objects, read from CPython's memory by the offsets of its versions.
//!
//! - A block holds an object at +0, +16 or +32: behind its collector's head and its pre-header.
//! - What the type pointer there leads to must be a type: ready, of a metatype that descends from
//!   `type`, with just this much before its objects, and not larger than the block. The reference
//!   count tells objects from dead ones on a free list.
//! - Type objects are read anew each time: they can go, and others come to lie there.

mod caches;
mod dead;
mod parts;
mod slots;

pub(super) use caches::{DEQUE, DEQUE_ITEMS, LINK, WRAPPER};
pub(super) use parts::data;

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use super::memory::{Memory, Unreadable};

/// Words of a type object that are read: up to `tp_dict`.
const TYPE_WORDS: usize = 34;
/// Words of a block that are looked at.
pub(super) const HEAD_WORDS: usize = 6;
/// `tp_flags`.
const HEAP_TYPE: u64 = 1 << 9;
const READY: u64 = 1 << 12;
const HAS_GC: u64 = 1 << 14;
const IS_LIST: u64 = 1 << 25;
const IS_STR: u64 = 1 << 28;
const IS_DICT: u64 = 1 << 29;
const IS_TYPE: u64 = 1 << 31;
/// Larger than any real type's objects without their items.
const MAX_BASIC_SIZE: u64 = 1 << 24;
/// Longer than any real chain of bases.
const MAX_BASES: usize = 64;
/// Names are cut there, characters.
const MAX_NAME: usize = 512;
/// Entries of the cache of attributes.
const CACHED: usize = 4096;
/// Names in a type's dict, at most.
const MAX_ENTRIES: u64 = 1 << 14;

/// An interpreter of a process.
#[derive(Debug)]
pub(super) struct Python {
    /// Address of `PyType_Type`.
    type_type: u64,
    layout: Layout,
    types: FxHashMap<u64, Type>,
    names: FxHashMap<u64, ([u64; 7], String)>,
    /// `_PyRuntime`.
    runtime: u64,
    /// Where the module lies that the interpreter is in; everything, where that is not known.
    interpreter: Range<u64>,
    /// The address of the string `__module__`, which is the key in all types' dicts.
    module_key: u64,
}

/// A block that was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) address: u64,
    /// Its first words.
    pub(super) head: [u64; HEAD_WORDS],
    /// The type of the object in it, if there is one.
    pub(super) object: Option<u64>,
}

/// What differs between versions.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bits of `tp_flags` that put a pre-header before the collector's head.
    preheader: u64,
    /// `ht_qualname` of a heap type.
    qualname: u64,
    /// Bytes of a string before its characters: ASCII, and others.
    ascii: u64,
    compact: u64,
    /// Dicts have keys of several kinds (3.11).
    kinds: bool,
    /// The low half of the reference count counts (3.12).
    short_counts: bool,
    /// Instances have their attributes in a block of their own: which word of the head leads there, and by
    /// how much it is off (3.11, 3.12).
    attributes: Option<(usize, u64)>,
    /// Where an interpreter has its cache of attributes of types, where that is known.
    cache: Option<u64>,
    /// Where `_PyRuntime` has its first interpreter; `None`: it tells (3.13).
    interpreter: Option<u64>,
    /// Free lists go through the first words of the objects on them (3.14).
    links: bool,
    /// Where a tuple has its items.
    tuple_items: u64,
    /// Instances may have their attributes behind their other data (3.13).
    inline_values: bool,
}

/// What is read of a type object.
#[derive(Clone, Copy, Debug, Default)]
struct Type {
    metatype: u64,
    name: u64,
    basic_size: u64,
    item_size: u64,
    /// The function that takes its objects apart.
    dealloc: u64,
    flags: u64,
    base: u64,
    dict: u64,
    /// Whether it is one, once that is known.
    is_type: Option<bool>,
}

/// The bits of `tp_flags` that say what lies before an object, in the version `PY_VERSION_HEX`; `None`: a version that is
/// not known.
fn preheader(version: u32) -> Option<u64> {
    match version >> 16 {
        0x0308..=0x030a => Some(0),
        0x030b => Some(1 << 4),
        0x030c..=0x030e => Some(1 << 3 | 1 << 4),
        _ => None,
    }
}

/// Whether objects of the version `PY_VERSION_HEX` are read.
pub(super) fn is_known(version: u32) -> bool {
    preheader(version).is_some()
}

impl Python {
    /// The interpreter of `version` (`PY_VERSION_HEX`) whose `PyType_Type` lies at `type_type`, and
    /// `_PyRuntime` at `runtime`.
    pub(super) fn new(type_type: u64, version: u32, runtime: u64) -> Option<Python> {
        let preheader = preheader(version)?;
        let old_strings = version >> 16 <= 0x030b;
        let layout = Layout {
            preheader,
            qualname: match version >> 16 {
                0x0308 | 0x030a | 0x030b => 864,
                0x0309 => 856,
                _ => 872,
            },
            ascii: if old_strings { 48 } else { 40 },
            compact: if old_strings { 72 } else { 56 },
            kinds: version >> 16 >= 0x030b,
            short_counts: version >> 16 >= 0x030c,
            attributes: match version >> 16 {
                0x030b => Some((0, 0)),
                0x030c => Some((1, 1)),
                _ => None,
            },
            cache: match version >> 16 {
                0x030a => Some(15_216),
                0x030b => Some(9056),
                0x030c => Some(275_392),
                0x030d => Some(84_656),
                0x030e => Some(81_928),
                _ => None,
            },
            interpreter: match version >> 16 {
                ..=0x030a => Some(32),
                0x030b | 0x030c => Some(40),
                _ => None,
            },
            links: version >> 16 >= 0x030e,
            tuple_items: if version >> 16 >= 0x030e { 32 } else { 24 },
            inline_values: version >> 16 >= 0x030d,
        };
        Some(Python {
            type_type,
            layout,
            runtime,
            interpreter: 0..u64::MAX,
            types: FxHashMap::default(),
            names: FxHashMap::default(),
            module_key: 0,
        })
    }

    /// The interpreter is in one of these modules.
    pub(super) fn lies_in(&mut self, modules: &[(u64, u64)]) {
        let mut modules = modules.iter().map(|(start, end)| *start..*end);
        let own = modules.find(|module| module.contains(&self.type_type));
        self.interpreter = own.unwrap_or(0..u64::MAX);
    }

    /// The types of the objects in blocks, given each block's size and first words.
    pub(super) fn types_of(
        &mut self,
        memory: &Memory,
        blocks: &[(u64, [u64; HEAD_WORDS])],
    ) -> Result<Vec<Option<u64>>, Unreadable> {
        self.types.clear();
        let layout = self.layout;
        let candidates = move |&(size, head): &(u64, [u64; HEAD_WORDS])| {
            let pairs = [
                (0, head[0], head[1]),
                (16, head[2], head[3]),
                (32, head[4], head[5]),
            ];
            let sane = pairs.into_iter().filter(move |(before, count, points)| {
                size >= before + 16
                    && layout.lives(*count)
                    && points.is_multiple_of(8)
                    && memory.is_mapped(*points)
            });
            sane.map(|(before, _, points)| (before, points))
        };
        let mut wanted: Vec<u64> = blocks
            .iter()
            .flat_map(candidates)
            .map(|(_, points)| points)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.read_types(memory, &wanted)?;
        for address in wanted {
            self.is_type(memory, address)?;
        }
        let fits = |block: &(u64, [u64; HEAD_WORDS])| {
            let found = candidates(block).find(|(before, points)| {
                let known = self.types.get(points).filter(|of| of.is_type == Some(true));
                known.is_some_and(|of| {
                    layout.before(of.flags) == *before && block.0 >= before + layout.basic_size(of)
                })
            });
            found.map(|(_, points)| points)
        };
        Ok(blocks.iter().map(fits).collect())
    }

    /// The attribute names that nothing but the interpreter's cache of them refers to: strings made for
    /// a look-up, of which it keeps some thousands.
    pub(super) fn cached_names(&self, memory: &Memory) -> Result<FxHashSet<u64>, Unreadable> {
        let Some(cache) = self.layout.cache else {
            return Ok(FxHashSet::default());
        };
        let head = match self.layout.interpreter {
            Some(head) => head,
            None => memory.word::<1>(self.runtime.wrapping_add(40))?[0],
        };
        let [interpreter] = memory.word(self.runtime.wrapping_add(head))?;
        let bytes = memory.bytes(interpreter.wrapping_add(cache), CACHED * 24)?;
        Ok(names_of(&bytes))
    }

    /// Whether the object at the start of a block is a string with one reference.
    pub(super) fn may_be_cached(&self, of_type: u64, head: &[u64; HEAD_WORDS]) -> bool {
        let of = self.types.get(&of_type);
        of.is_some_and(|of| of.flags & IS_STR != 0) && head[0] == 1
    }

    fn read_types(&mut self, memory: &Memory, wanted: &[u64]) -> Result<(), Unreadable> {
        let read = memory.words::<TYPE_WORDS>(wanted)?;
        let read = read.into_iter().map(|words| Type {
            metatype: words[1],
            name: words[3],
            basic_size: words[4],
            item_size: words[5],
            dealloc: words[6],
            flags: words[21],
            base: words[32],
            dict: words[33],
            is_type: None,
        });
        self.types.extend(wanted.iter().copied().zip(read));
        Ok(())
    }

    fn get(&mut self, memory: &Memory, address: u64) -> Result<Type, Unreadable> {
        if !self.types.contains_key(&address) {
            self.read_types(memory, &[address])?;
        }
        Ok(self.types.get(&address).copied().unwrap_or_default())
    }

    /// Whether a type lies at `address`: its metatype is `type`, or descends from it.
    fn is_type(&mut self, memory: &Memory, address: u64) -> Result<bool, Unreadable> {
        let found = self.get(memory, address)?;
        if let Some(known) = found.is_type {
            return Ok(known);
        }
        let looks = found.flags & READY != 0
            && (16..MAX_BASIC_SIZE).contains(&found.basic_size)
            && found.item_size < MAX_BASIC_SIZE
            && memory.is_mapped(found.name);
        let is = looks && self.descends(memory, found.metatype)?;
        if let Some(of) = self.types.get_mut(&address) {
            of.is_type = Some(is);
        }
        Ok(is)
    }

    fn descends(&mut self, memory: &Memory, mut metatype: u64) -> Result<bool, Unreadable> {
        for _ in 0..MAX_BASES {
            if metatype == self.type_type {
                return Ok(true);
            }
            if !memory.is_mapped(metatype) {
                break;
            }
            let found = self.get(memory, metatype)?;
            if found.flags & (READY | IS_TYPE) != READY | IS_TYPE {
                break;
            }
            metatype = found.base;
        }
        Ok(false)
    }

    /// Module and qualified name of the type at `address`, one of those found last.
    pub(super) fn name(&mut self, memory: &Memory, address: u64) -> Result<String, Unreadable> {
        let of = self.get(memory, address)?;
        let qualname = match of.flags & HEAP_TYPE {
            0 => 0,
            _ => memory.word::<1>(address + self.layout.qualname)?[0],
        };
        // Another type at the same address has at least one of them elsewhere, or the same name.
        let key = [
            of.metatype,
            of.name,
            of.basic_size,
            of.flags,
            of.base,
            of.dict,
            qualname,
        ];
        if let Some((known, name)) = self.names.get(&address)
            && *known == key
        {
            return Ok(name.clone());
        }
        let name = self.read_name(memory, &of, qualname)?;
        self.names.insert(address, (key, name.clone()));
        Ok(name)
    }

    fn read_name(
        &mut self,
        memory: &Memory,
        of: &Type,
        qualname: u64,
    ) -> Result<String, Unreadable> {
        let plain = memory.string(of.name, MAX_NAME)?.unwrap_or_default();
        let plain = String::from_utf8_lossy(&plain).into_owned();
        if of.flags & HEAP_TYPE == 0 {
            return Ok(plain);
        }
        let Some(qualname) = self.text(memory, qualname)? else {
            return Ok(plain);
        };
        let module = match self.module_of(memory, of.dict)? {
            Some(module) => self.text(memory, module)?,
            None => plain.rsplit_once('.').map(|(module, _)| module.to_owned()),
        };
        Ok(match module.as_deref() {
            None | Some("" | "builtins") => qualname,
            Some(module) => format!("{module}.{qualname}"),
        })
    }

    /// The value of `__module__` in a type's dict.
    fn module_of(&mut self, memory: &Memory, dict: u64) -> Result<Option<u64>, Unreadable> {
        let entries = self.entries(memory, dict, MAX_ENTRIES)?;
        if let Some((_, value)) = entries.iter().find(|(key, _)| *key == self.module_key)
            && *value != 0
        {
            return Ok(Some(*value));
        }
        for (key, value) in entries {
            if key != 0 && value != 0 && self.text(memory, key)?.as_deref() == Some("__module__") {
                self.module_key = key;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Keys and values of a dict; none where it has places for more than `most`.
    fn entries(
        &self,
        memory: &Memory,
        dict: u64,
        most: u64,
    ) -> Result<Vec<(u64, u64)>, Unreadable> {
        // A dict's keys lie at 32, and its values beside them (where it shares its keys) at 40.
        let [keys, values] = memory.word(dict.wrapping_add(32))?;
        if values != 0 {
            return Ok(Vec::new());
        }
        let [_, sizes, _, fourth, fifth] = memory.word(keys)?;
        let (entries, indices, first) = match self.layout.kinds {
            true => (fourth, 1_u64.checked_shl(sizes as u32 >> 8 & 0xff), 32),
            // `sizes` is the table's here, and an index as wide as it needs.
            false => {
                let width = match sizes {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    _ => 4,
                };
                (fifth, sizes.checked_mul(width), 40)
            }
        };
        // Keys that are all strings have no hashes beside them.
        let wide = !self.layout.kinds || sizes >> 16 & 0xff == 0;
        let width = if wide { 24 } else { 16 };
        let start = indices.and_then(|indices| keys.checked_add(first)?.checked_add(indices));
        let Some(start) = start.filter(|_| entries <= most) else {
            return Ok(Vec::new());
        };
        let bytes = memory.bytes(start, (entries * width) as usize)?;
        let words = bytes.as_chunks::<8>().0;
        let rows = words.chunks_exact(width as usize / 8);
        Ok(rows
            .filter_map(|row| {
                let (key, value) = row.split_at_checked(row.len() - 2)?.1.split_first()?;
                let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
                Some((number(key), number(value.first()?)))
            })
            .collect())
    }

    /// The string at `address`, cut where it is very long.
    fn text(&self, memory: &Memory, address: u64) -> Result<Option<String>, Unreadable> {
        let [_, of, length, _, state] = memory.word(address)?;
        let is_str = memory.word::<1>(of.wrapping_add(168))?[0] & IS_STR != 0;
        let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
        if !is_str || compact == 0 {
            return Ok(None);
        }
        let start = match ascii {
            1 => self.layout.ascii,
            _ => self.layout.compact,
        };
        let length = length.min(MAX_NAME as u64) as usize;
        let bytes = memory.bytes(address.wrapping_add(start), length * kind as usize)?;
        let points = bytes.chunks_exact((kind as usize).max(1)).map(|bytes| {
            let number = bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        });
        Ok(matches!(kind, 1 | 2 | 4).then(|| points.collect()))
    }
}

/// The names in a cache of (a type's version, name, value). None where it has anything else, as it would
/// in a build whose interpreter is laid out otherwise.
fn names_of(cache: &[u8]) -> FxHashSet<u64> {
    let words = cache.as_chunks::<8>().0;
    let entries = words.as_chunks::<3>().0;
    let entries = entries.iter().map(|entry| entry.map(u64::from_le_bytes));
    let is_entry = |[version, name, _]: [u64; 3]| {
        u32::try_from(version).is_ok() && name.is_multiple_of(8) && (version == 0 || name != 0)
    };
    match entries.clone().all(is_entry) {
        true => entries
            .map(|[_, name, _]| name)
            .filter(|name| *name != 0)
            .collect(),
        false => FxHashSet::default(),
    }
}

impl Layout {
    /// Whether a reference count is that of a living object.
    fn lives(&self, count: u64) -> bool {
        match self.short_counts {
            true => count as u32 != 0 && count >> 32 & 0xffff == 0,
            false => (1..1 << 40).contains(&count),
        }
    }

    /// Whether a reference count is that of an object that was taken apart.
    fn is_dead(&self, count: u64) -> bool {
        match self.short_counts {
            true => count as u32 == 0 && count >> 32 & 0xffff == 0,
            false => count == 0,
        }
    }

    /// Bytes of a block before an object of a type with these flags.
    fn before(&self, flags: u64) -> u64 {
        16 * (u64::from(flags & HAS_GC != 0) + u64::from(flags & self.preheader != 0))
    }

    /// Where the values of an instance's attributes are, if it has them in a block of their own.
    fn attributes(&self, head: &[u64; HEAD_WORDS]) -> Option<u64> {
        let (word, off) = self.attributes?;
        let at = head.get(word)?.wrapping_add(off);
        (at > 256 && at.is_multiple_of(8)).then_some(at)
    }

    /// Bytes of an object of the type, at least.
    fn basic_size(&self, of: &Type) -> u64 {
        match of.flags & IS_STR {
            0 => of.basic_size,
            // The type tells the size of the largest kind of string.
            _ => self.ascii,
        }
    }
}

#[cfg(test)]
mod tests;
