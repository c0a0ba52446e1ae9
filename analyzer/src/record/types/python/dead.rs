//! Dead objects: CPython keeps freed ones of some types on free lists of bounded length and uses them again
//! without telling its allocator, for which their blocks live. So do libraries with types of their own, as Cython's
//! classes with a `freelist`.
//!
//! - Up to 3.13 such an object has the reference count 0, and its type is left (but for a float's, whose
//!   place links the list: those are not told). In 3.14 the address of the list's next one, which is of the
//!   same type, or null lies where the count was. A library's have the count 0 in all versions.
//! - The collector has let go of it: the first word of its head is null.
//! - The block is just as large as an object of the type.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::super::memory::{Memory, Unreadable};
use super::{HAS_GC, HEAD_WORDS, Python};
use crate::types::has_free_list;

/// What may be a dead object, in the block with this index.
#[derive(Clone, Copy)]
struct Candidate {
    index: usize,
    /// Bytes of the block before it.
    before: u64,
    /// What lies where its count was: 0, or where the next one on its list lies.
    next: u64,
    of_type: u64,
}

/// Who keeps dead objects of a type for later use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Interpreter,
    Library,
}

impl Python {
    /// The types of the dead objects in blocks, given each block's size and first words, and the types of the
    /// living objects in them.
    pub(in crate::record::types) fn dead(
        &mut self,
        memory: &Memory,
        blocks: &[(u64, [u64; HEAD_WORDS])],
        living: &[Option<u64>],
    ) -> Result<Vec<Option<u64>>, Unreadable> {
        let layout = self.layout;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (index, ((size, head), living)) in blocks.iter().zip(living).enumerate() {
            let [gc, own, next, of_type, ..] = *head;
            let pairs = [(0, gc, own), (16, next, of_type)];
            let fits = |(before, next, of_type): &(u64, u64, u64)| {
                (*before == 0 || gc == 0)
                    && *size >= before + 16
                    && (layout.is_dead(*next)
                        || layout.links && next.is_multiple_of(8) && memory.is_mapped(*next))
                    && of_type.is_multiple_of(8)
                    && memory.is_mapped(*of_type)
            };
            let pairs = pairs.into_iter().filter(|_| living.is_none());
            candidates.extend(pairs.filter(fits).map(|(before, next, of_type)| Candidate {
                index,
                before,
                next,
                of_type,
            }));
        }
        self.retain_kept(memory, &mut candidates)?;
        let nexts: Vec<u64> = candidates.iter().map(|dead| dead.next).collect();
        let nexts = memory.words::<2>(&nexts)?;
        let mut found = vec![None; blocks.len()];
        for (dead, [_, next_type]) in candidates.iter().zip(nexts) {
            let size = blocks.get(dead.index).map_or(0, |block| block.0);
            if self.is_whole(dead, size)
                && (layout.is_dead(dead.next) || next_type == dead.of_type)
                && let Some(found) = found.get_mut(dead.index)
            {
                *found = Some(dead.of_type);
            }
        }
        Ok(found)
    }

    /// Leaves those whose type has a free list, or may have one.
    fn retain_kept(
        &mut self,
        memory: &Memory,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), Unreadable> {
        let mut kept: FxHashMap<u64, Option<Keeper>> = FxHashMap::default();
        for dead in &*candidates {
            if let Entry::Vacant(place) = kept.entry(dead.of_type) {
                place.insert(self.keeper(memory, dead.of_type)?);
            }
        }
        candidates.retain(|dead| match kept.get(&dead.of_type).copied().flatten() {
            Some(Keeper::Interpreter) => dead.next == 0 || self.layout.links,
            Some(Keeper::Library) => self.layout.is_dead(dead.next),
            None => false,
        });
        Ok(())
    }

    fn keeper(&mut self, memory: &Memory, of_type: u64) -> Result<Option<Keeper>, Unreadable> {
        if !self.is_type(memory, of_type)? {
            return Ok(None);
        }
        if has_free_list(&self.name(memory, of_type)?) {
            return Ok(Some(Keeper::Interpreter));
        }
        Ok(self.may_be_kept(of_type).then_some(Keeper::Library))
    }

    /// Whether a library of its own takes apart what dies of the type, one of those that were read last, and so may keep
    /// it.
    pub(in crate::record::types) fn may_be_kept(&self, of_type: u64) -> bool {
        let of = self.types.get(&of_type);
        of.is_some_and(|of| of.dealloc != 0 && !self.interpreter.contains(&of.dealloc))
    }

    /// Whether a block of `size` bytes is just right for it.
    fn is_whole(&self, dead: &Candidate, size: u64) -> bool {
        let Some(of) = self.types.get(&dead.of_type) else {
            return false;
        };
        let rest = size.checked_sub(dead.before + of.basic_size);
        let whole = |rest: u64| match of.item_size {
            0 => rest == 0,
            each => rest.is_multiple_of(each),
        };
        let has_head = of.flags & HAS_GC != 0;
        has_head == (dead.before == 16)
            && self.layout.before(of.flags) == dead.before
            && rest.is_some_and(whole)
    }
}
