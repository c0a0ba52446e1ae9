//! What `functools.lru_cache` keeps where it has a size: bounded, however little of that is in use yet.
//!
//! - A cache's dict leads from keys to links, and each link to a key and a result. The link is made when the
//!   result is there; in a full cache the oldest one is used again.
//! - An object is the cache's alone where all that refer to it are: as many were met as its count says. (A key is
//!   referred to twice: the dict has it, too.)
//! - What an entry's objects hold is followed through tuples, lists, dicts and instances' attributes. What came to
//!   them after the entry was made is not bounded by the cache: whoever replays the trace knows when a block was
//!   allocated.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{HAS_GC, IS_DICT, IS_LIST, Layout, Python};
use crate::record::types::memory::{Memory, Unreadable};
use crate::trace::Cache;

/// The type of a function behind such a cache, which is also the first of its ring of links.
pub(in crate::record::types) const WRAPPER: &str = "functools._lru_cache_wrapper";
/// The type of the other links.
pub(in crate::record::types) const LINK: &str = "functools._lru_list_elem";

/// Entries of a cache whose bound is one: in larger ones they are like any other block.
const MOST: u64 = 1 << 16;
/// Blocks that are found in all caches of a process, at most.
const MAX_BLOCKS: usize = 1 << 19;
/// Objects in objects in objects.
const MAX_DEPTH: usize = 16;
/// Items of one object that are looked at, at most.
const MAX_ITEMS: u64 = 1 << 16;
const IS_TUPLE: u64 = 1 << 26;
/// Instances have their attributes behind their other data (3.13).
const INLINE_VALUES: u64 = 1 << 2;

/// The words of a wrapper: its dict and its size.
const WRAPPER_WORDS: usize = 13;
const DICT: usize = 9;
const SIZE: usize = 12;

/// An object that an entry refers to.
#[derive(Clone, Copy)]
struct Found {
    /// The place of its entry in its cache, and of that among all.
    entry: (usize, usize),
    address: u64,
    /// How often.
    references: u64,
}

impl Python {
    /// The entries of those caches behind `wrappers`, and of those that `links` are of, that have a size and are
    /// there yet.
    pub(in crate::record::types) fn caches(
        &mut self,
        memory: &Memory,
        wrappers: &mut FxHashSet<u64>,
        links: &[u64],
    ) -> Result<Vec<Cache>, Unreadable> {
        self.types.clear();
        let (mut caches, mut found) = (Vec::new(), Vec::new());
        for wrapper in wrappers.iter() {
            self.cache(memory, *wrapper, &mut caches, &mut found)?;
        }
        let entries = caches.iter().flat_map(|cache| &cache.entries);
        let mut known: FxHashSet<u64> =
            entries.filter_map(|entry| entry.first()).copied().collect();
        for link in links {
            if known.contains(link) {
                continue;
            }
            if let Some(wrapper) = self.wrapper_of(memory, *link, &mut known)?
                && wrappers.insert(wrapper)
            {
                self.cache(memory, wrapper, &mut caches, &mut found)?;
            }
        }
        let mut met = FxHashMap::default();
        for _ in 0..MAX_DEPTH {
            found.truncate(MAX_BLOCKS.saturating_sub(met.len()));
            if found.is_empty() {
                break;
            }
            found = self.follow(memory, &found, &mut met, &mut caches)?;
        }
        Ok(caches)
    }

    /// The function whose ring the link is in; the links between come to `known`.
    fn wrapper_of(
        &mut self,
        memory: &Memory,
        link: u64,
        known: &mut FxHashSet<u64>,
    ) -> Result<Option<u64>, Unreadable> {
        let mut at = link;
        for _ in 0..=MOST {
            let [count, of_type, _, next] = memory.word(at)?;
            if self.is_type(memory, of_type)? && self.name(memory, of_type)? == WRAPPER {
                return Ok(Some(at));
            }
            // Before 3.10 the links' type has no name.
            if !self.layout.lives(count) || !known.insert(at) {
                break;
            }
            at = next;
        }
        Ok(None)
    }

    /// Takes in the cache behind this function, if it has a size.
    fn cache(
        &mut self,
        memory: &Memory,
        wrapper: u64,
        caches: &mut Vec<Cache>,
        found: &mut Vec<Found>,
    ) -> Result<(), Unreadable> {
        let head = memory.word::<WRAPPER_WORDS>(wrapper)?;
        let (dict, most) = (head[DICT], head[SIZE]);
        let is_one = self.layout.lives(head[0])
            && (1..=MOST).contains(&most)
            && self.is_type(memory, head[1])?
            && self.name(memory, head[1])? == WRAPPER;
        if !is_one {
            return Ok(());
        }
        let links = self.entries(memory, dict, most.max(8) * 2)?;
        let links: Vec<u64> = links.into_iter().map(|(_, link)| link).collect();
        let links: Vec<u64> = links.into_iter().filter(|link| *link != 0).collect();
        let mut entries = vec![vec![memory.word::<5>(dict)?[4]]];
        for (link, words) in links.iter().zip(memory.words::<7>(&links)?) {
            let [.., key, result] = words;
            let entry = (caches.len(), entries.len());
            entries.push(vec![*link]);
            let mut of_entry = |address, references| {
                found.push(Found {
                    entry,
                    address,
                    references,
                });
            };
            of_entry(key, 2);
            of_entry(result, 1);
        }
        caches.push(Cache { most, entries });
        Ok(())
    }

    /// Takes in those of `found` that are the caches' alone, by how many references to each were met; gives what they
    /// hold.
    fn follow(
        &mut self,
        memory: &Memory,
        found: &[Found],
        met: &mut FxHashMap<u64, u64>,
        caches: &mut [Cache],
    ) -> Result<Vec<Found>, Unreadable> {
        let addresses: Vec<u64> = found.iter().map(|found| found.address).collect();
        let heads = memory.words::<4>(&addresses)?;
        let mut held = Vec::new();
        for (found, head) in found.iter().zip(heads) {
            let [count, of_type, ..] = head;
            let met = met.entry(found.address).or_default();
            *met += found.references;
            if self.layout.references(count) != Some(*met)
                || !found.address.is_multiple_of(8)
                || !self.is_type(memory, of_type)?
            {
                continue;
            }
            let flags = self.get(memory, of_type)?.flags;
            let entry = caches.get_mut(found.entry.0);
            let entry = entry.and_then(|cache| cache.entries.get_mut(found.entry.1));
            let Some(entry) = entry else {
                continue;
            };
            entry.push(found.address - self.layout.before(flags).min(found.address));
            let objects = self.objects_in(memory, (found.address, head, flags), entry)?;
            held.extend(objects.into_iter().map(|address| Found {
                address,
                references: 1,
                ..*found
            }));
        }
        Ok(held)
    }

    /// The objects that the object at `at` refers to and may have alone; its own blocks come to `entry`.
    fn objects_in(
        &mut self,
        memory: &Memory,
        (at, head, flags): (u64, [u64; 4], u64),
        entry: &mut Vec<u64>,
    ) -> Result<Vec<u64>, Unreadable> {
        let [_, of_type, count, items] = head;
        let count = count.min(MAX_ITEMS) as usize;
        if flags & IS_TUPLE != 0 {
            return pointers(memory, at + self.layout.tuple_items, count);
        }
        if flags & IS_LIST != 0 {
            entry.push(items);
            return pointers(memory, items, count);
        }
        if flags & IS_DICT != 0 {
            let [keys, values] = memory.word::<2>(at + 32)?;
            if values != 0 {
                return self.values(memory, keys, values, entry);
            }
            entry.push(keys);
            let entries = self.entries(memory, at, MAX_ITEMS)?;
            let objects = entries.into_iter().flat_map(|(key, value)| [key, value]);
            return Ok(objects.filter(|object| *object != 0).collect());
        }
        self.attributes_of(memory, (at, of_type, flags), entry)
    }

    /// The values of an instance's attributes, or the dict that has them.
    fn attributes_of(
        &mut self,
        memory: &Memory,
        (at, of_type, flags): (u64, u64, u64),
        entry: &mut Vec<u64>,
    ) -> Result<Vec<u64>, Unreadable> {
        if flags & HAS_GC == 0 {
            return Ok(Vec::new());
        }
        if flags & self.layout.preheader == 0 {
            // `tp_dictoffset`; a negative one is of a type with items.
            let [offset] = memory.word::<1>(of_type + 288)?;
            return match offset {
                16..4096 => pointers(memory, at + offset, 1),
                _ => Ok(Vec::new()),
            };
        }
        if flags & INLINE_VALUES != 0 && self.layout.inline_values {
            let size = self.get(memory, of_type)?.basic_size;
            let [sizes] = memory.word::<1>(at + size)?;
            return pointers(memory, at + size + 8, sizes as usize & 0xff);
        }
        let Some(before) = at.checked_sub(32) else {
            return Ok(Vec::new());
        };
        let [values, dict] = memory.word::<2>(before)?;
        if let Some(values) = self.layout.attributes(&[values, dict, 0, 0, 0, 0]) {
            let [keys] = memory.word::<1>(of_type + self.layout.qualname + 8)?;
            return self.values(memory, keys, values, entry);
        }
        Ok([dict].into_iter().filter(|dict| *dict > 1).collect())
    }
}

impl Python {
    /// The values that lie apart from their keys, which others share; their block comes to `entry`.
    fn values(
        &self,
        memory: &Memory,
        keys: u64,
        values: u64,
        entry: &mut Vec<u64>,
    ) -> Result<Vec<u64>, Unreadable> {
        let [_, _, third, fourth, fifth] = memory.word(keys)?;
        let (start, used) = match (self.layout.kinds, self.layout.inline_values) {
            (false, _) => (values, fifth),
            // The byte before them tells how much of their block lies before them.
            (true, false) => {
                let [prefix] = memory.word::<1>(values.wrapping_sub(8))?;
                entry.push(values - (prefix >> 56).min(values));
                let count = third.saturating_add(fourth).min(MAX_ITEMS);
                return pointers(memory, values, count as usize);
            }
            (true, true) => {
                let [sizes] = memory.word::<1>(values)?;
                (values + 8, sizes & 0xff)
            }
        };
        entry.push(values);
        pointers(memory, start, used.min(MAX_ITEMS) as usize)
    }
}

/// The addresses that lie at `at` on.
fn pointers(memory: &Memory, at: u64, count: usize) -> Result<Vec<u64>, Unreadable> {
    let bytes = memory.bytes(at, count * 8)?;
    let words = bytes.as_chunks::<8>().0.iter();
    let words = words.map(|word| u64::from_le_bytes(*word));
    Ok(words.filter(|word| *word != 0).collect())
}

impl Layout {
    /// How many refer to an object with this count; `None`: nobody counts.
    fn references(&self, count: u64) -> Option<u64> {
        let count = match self.short_counts {
            true if !self.lives(count) => return None,
            true => count & 0xffff_ffff,
            false => count,
        };
        Some(count)
    }
}
