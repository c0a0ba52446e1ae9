//! Attributes in `__slots__`: each is a word of its object, which the class says where it lies.
//!
//! A class that was made while the program runs has the descriptions of its members behind itself, as many as its size
//! says. Those of objects are references that the instance holds.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::super::memory::{Memory, Unreadable};
use super::{HAS_GC, HEAP_TYPE, MAX_BASES, Python};

/// The offsets of objects in the instances of each class that was looked at.
pub(super) type Slots = FxHashMap<u64, Vec<u64>>;

/// Members of one class that are looked at, at most.
const MOST: u64 = 256;
/// Words of a `PyMemberDef`: its name, its kind, its offset, flags, and a text.
const MEMBER_WORDS: usize = 5;
/// Kinds of members that are objects: `T_OBJECT` and `T_OBJECT_EX`.
const OBJECTS: [u32; 2] = [6, 16];

impl Python {
    /// The objects in the slots of the instance at `at`.
    pub(super) fn in_slots(
        &mut self,
        memory: &Memory,
        (at, of_type, flags): (u64, u64, u64),
        known: &mut Slots,
    ) -> Result<Vec<u64>, Unreadable> {
        // A class with slots has instances that the collector looks into.
        if flags & (HEAP_TYPE | HAS_GC) != HEAP_TYPE | HAS_GC {
            return Ok(Vec::new());
        }
        let offsets = match known.entry(of_type) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.slots_of(memory, of_type)?),
        };
        let places: Vec<u64> = offsets.iter().map(|offset| at + offset).collect();
        let words = memory.words::<1>(&places)?;
        Ok(words
            .into_iter()
            .map(|[word]| word)
            .filter(|word| *word != 0)
            .collect())
    }

    /// Where the instances of a class have objects by its own members and by those of its bases.
    fn slots_of(&mut self, memory: &Memory, of_type: u64) -> Result<Vec<u64>, Unreadable> {
        let (mut class, mut offsets) = (of_type, Vec::new());
        for _ in 0..MAX_BASES {
            if class == 0 || !self.is_type(memory, class)? {
                break;
            }
            let of = self.get(memory, class)?;
            if of.flags & HEAP_TYPE != 0 {
                let members = class + self.get(memory, of.metatype)?.basic_size;
                let [count] = memory.word::<1>(class + 16)?;
                for member in 0..count.min(MOST) {
                    let at = members + member * MEMBER_WORDS as u64 * 8;
                    let [_, kind, offset, ..] = memory.word::<MEMBER_WORDS>(at)?;
                    let fits = (16..of.basic_size).contains(&offset) && offset.is_multiple_of(8);
                    if fits && OBJECTS.contains(&(kind as u32)) {
                        offsets.push(offset);
                    }
                }
            }
            class = of.base;
        }
        offsets.sort_unstable();
        offsets.dedup();
        Ok(offsets)
    }
}
