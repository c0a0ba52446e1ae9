//! What `functools.lru_cache` keeps where it has a size, and a `collections.deque` with a `maxlen`: bounded, however
//! little of that is in use yet.
//!
//! - A cache's dict leads from keys to links, and each link to a key and a result. The link is made when the
//!   result is there; in a full cache the oldest one is used again.
//! - An object is the cache's alone where all that refer to it are: as many were met as its count says. (A key is
//!   referred to twice: the dict has it, too.)
//! - What an entry's objects hold is followed through tuples, lists, dicts and instances' attributes, those in
//!   `__slots__` among them. What came to them after the entry was made is not bounded by the cache: whoever replays the
//!   trace knows when a block was allocated.

use rustc_hash::{FxHashMap, FxHashSet};

use super::slots::Slots;
use super::{HAS_GC, IS_DICT, IS_LIST, Layout, Python};
use crate::record::types::memory::{Memory, Unreadable};
use crate::trace::{Cache, MAKERS};

/// The type of a function behind such a cache, which is also the first of its ring of links.
pub(in crate::record::types) const WRAPPER: &str = "functools._lru_cache_wrapper";
/// The type of the other links.
pub(in crate::record::types) const LINK: &str = "functools._lru_list_elem";
/// The type of a deque.
pub(in crate::record::types) const DEQUE: &str = "collections.deque";
/// What the blocks are called that a deque has its items in.
pub(in crate::record::types) const DEQUE_ITEMS: &str = "collections.deque (items)";

/// Entries of a cache whose bound is one: in larger ones they are like any other block.
const MOST: u64 = 1 << 16;
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
/// The words of a deque: how many items it has, its first block, where they begin there, and its bound.
const DEQUE_WORDS: usize = 9;
const LENGTH: usize = 2;
const LEFT_BLOCK: usize = 3;
const RIGHT_BLOCK: usize = 4;
const LEFT_INDEX: usize = 5;
const MAXLEN: usize = 8;
/// Items of a block, which lie between the addresses of its neighbours.
const ITEMS: usize = 64;
/// Where in a block the address of the next one lies.
const RIGHT_LINK: u64 = (ITEMS as u64 + 1) * 8;

/// An object that an entry refers to.
#[derive(Clone, Copy)]
struct Found {
    /// The place of its entry in its cache, and of that among all.
    entry: (usize, usize),
    address: u64,
    /// How often.
    references: u64,
    /// The entry is made with it, and this is its place there; 0: it came with another one.
    place: usize,
}

impl Python {
    /// The entries of those of `objects`, and of the caches that `links` are of, that have a size and are there yet;
    /// others leave `objects`. So many objects in them are looked at, at most.
    pub(in crate::record::types) fn caches(
        &mut self,
        memory: &Memory,
        objects: &mut FxHashSet<u64>,
        links: &[u64],
        most: usize,
    ) -> Result<Vec<Cache>, Unreadable> {
        self.types.clear();
        let mut slots = Slots::default();
        let (mut caches, mut found) = (Vec::new(), Vec::new());
        for object in std::mem::take(objects) {
            if self.cache(memory, object, &mut caches, &mut found)? {
                objects.insert(object);
            }
        }
        let entries = caches.iter().flat_map(|cache| &cache.entries);
        let mut known: FxHashSet<u64> =
            entries.filter_map(|entry| entry.first()).copied().collect();
        for link in links {
            if known.contains(link) {
                continue;
            }
            if let Some(wrapper) = self.wrapper_of(memory, *link, &mut known)?
                && objects.insert(wrapper)
            {
                self.cache(memory, wrapper, &mut caches, &mut found)?;
            }
        }
        let mut met = FxHashMap::default();
        for _ in 0..MAX_DEPTH {
            found.truncate(most.saturating_sub(met.len()));
            if found.is_empty() {
                break;
            }
            found = self.follow(memory, &found, (&mut met, &mut slots), &mut caches)?;
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

    /// Those of these deques that are bounded, and the blocks of items of all of them.
    pub(in crate::record::types) fn deques(
        &self,
        memory: &Memory,
        deques: &[u64],
    ) -> Result<(Vec<u64>, Vec<u64>), Unreadable> {
        let heads = memory.words::<DEQUE_WORDS>(deques)?;
        let all = deques.iter().copied().zip(&heads);
        let bounded = all.filter(|(_, head)| (1..=MOST).contains(&head[MAXLEN]));
        let bounded = bounded.map(|(deque, _)| deque).collect();
        let mut blocks = Vec::new();
        // From each first block to the last one.
        let mut next: Vec<(u64, u64)> = heads
            .iter()
            .map(|head| (head[LEFT_BLOCK], head[RIGHT_BLOCK]))
            .collect();
        for _ in 0..MAX_ITEMS as usize / ITEMS {
            next.retain(|(block, _)| memory.is_mapped(*block) && block.is_multiple_of(8));
            blocks.extend(next.iter().map(|(block, _)| block));
            next.retain(|(block, last)| block != last);
            if next.is_empty() || blocks.len() > MAX_ITEMS as usize {
                break;
            }
            let links: Vec<u64> = next.iter().map(|(block, _)| block + RIGHT_LINK).collect();
            let links = memory.words::<1>(&links)?;
            for ((block, _), [link]) in next.iter_mut().zip(links) {
                *block = link;
            }
        }
        Ok((bounded, blocks))
    }

    /// Takes in what this object keeps, if it is a cache or a deque that has a size; whether it is.
    fn cache(
        &mut self,
        memory: &Memory,
        object: u64,
        caches: &mut Vec<Cache>,
        found: &mut Vec<Found>,
    ) -> Result<bool, Unreadable> {
        let head = memory.word::<WRAPPER_WORDS>(object)?;
        if !self.layout.lives(head[0]) || !self.is_type(memory, head[1])? {
            return Ok(false);
        }
        match self.name(memory, head[1])?.as_str() {
            WRAPPER if (1..=MOST).contains(&head[SIZE]) => {
                self.links(memory, (head[DICT], head[SIZE]), caches, found)?;
            }
            DEQUE if (1..=MOST).contains(&head[MAXLEN]) => {
                items_of_deque(memory, &head, caches, found)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes in the entries of the cache with this dict.
    fn links(
        &self,
        memory: &Memory,
        (dict, most): (u64, u64),
        caches: &mut Vec<Cache>,
        found: &mut Vec<Found>,
    ) -> Result<(), Unreadable> {
        // Its table has places for some more than it ever had entries at once.
        let links = self.entries(memory, dict, most.max(8) * 8)?;
        let links: Vec<u64> = links.into_iter().map(|(_, link)| link).collect();
        let links: Vec<u64> = links.into_iter().filter(|link| *link != 0).collect();
        let mut entries = vec![vec![memory.word::<5>(dict)?[4]]];
        for (link, words) in links.iter().zip(memory.words::<7>(&links)?) {
            let [.., key, result] = words;
            let entry = (caches.len(), entries.len());
            entries.push(vec![*link; MAKERS]);
            for (address, references, place) in [(key, 2, 1), (result, 1, 2)] {
                found.push(Found {
                    entry,
                    address,
                    references,
                    place,
                });
            }
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
        (met, slots): (&mut FxHashMap<u64, u64>, &mut Slots),
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
            let block = found.address - self.layout.before(flags).min(found.address);
            match entry.get_mut(found.place).filter(|_| found.place > 0) {
                Some(place) => *place = block,
                None => entry.push(block),
            }
            let mut objects = self.objects_in(memory, (found.address, head, flags), entry)?;
            objects.extend(self.in_slots(memory, (found.address, of_type, flags), slots)?);
            held.extend(objects.into_iter().map(|address| Found {
                address,
                references: 1,
                place: 0,
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

/// Takes in the items of the deque with this head.
fn items_of_deque(
    memory: &Memory,
    head: &[u64; WRAPPER_WORDS],
    caches: &mut Vec<Cache>,
    found: &mut Vec<Found>,
) -> Result<(), Unreadable> {
    let most = head[MAXLEN];
    let (mut left, mut index) = (head[LENGTH].min(most), head[LEFT_INDEX] as usize);
    let (mut block, mut entries) = (head[LEFT_BLOCK], Vec::new());
    while left > 0 && index < ITEMS {
        let words = memory.word::<{ ITEMS + 2 }>(block)?;
        let count = left.min((ITEMS - index) as u64) as usize;
        let items = words.get(1 + index..1 + index + count).unwrap_or_default();
        for item in items {
            found.push(Found {
                entry: (caches.len(), entries.len()),
                address: *item,
                references: 1,
                place: 1,
            });
            // A block is older than what comes into it.
            entries.push(vec![block; MAKERS]);
        }
        left -= count as u64;
        (block, index) = (words[ITEMS + 1], 0);
    }
    caches.push(Cache { most, entries });
    Ok(())
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
