//! What an object keeps in blocks of its own, which have no head that tells: its attributes, the items of a
//! list, the keys of a dict.

use super::{HEAD_WORDS, IS_DICT, IS_LIST, Looked, Python};
use crate::record::types::memory::{Memory, Unreadable};

/// A block that is part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record::types) struct Part {
    /// Whose, as an index into the blocks that were asked for.
    pub(in crate::record::types) owner: usize,
    /// The block.
    pub(in crate::record::types) address: u64,
    /// What it is to its owner.
    pub(in crate::record::types) role: &'static str,
}

/// The block that an object of the type of this name keeps its data in, and what such are called. These objects have
/// nothing before their heads: a `bytearray` has its bytes at its fifth word, numpy's array at its third.
pub(in crate::record::types) fn data(
    type_name: &str,
    head: &[u64; HEAD_WORDS],
) -> Option<(u64, &'static str)> {
    let found = match type_name {
        "bytearray" => (head[4], "bytearray data"),
        "numpy.ndarray" => (head[2], "numpy array data"),
        _ => return None,
    };
    (found.0 != 0).then_some(found)
}

impl Python {
    /// Where the object in the block lies, whose type was found last.
    pub(in crate::record::types) fn object_in(&self, block: &Looked) -> Option<u64> {
        let of = self.types.get(&block.object?)?;
        Some(block.address + self.layout.before(of.flags))
    }

    /// The parts of the objects in `blocks`, whose types were found last.
    pub(in crate::record::types) fn parts(
        &self,
        memory: &Memory,
        blocks: &[Looked],
    ) -> Result<Vec<Part>, Unreadable> {
        let (mut parts, mut values, mut containers) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, block) in blocks.iter().enumerate() {
            let known = block.object.and_then(|object| self.types.get(&object));
            let Some(flags) = known.map(|known| known.flags) else {
                continue;
            };
            let before = self.layout.before(flags);
            if let Some(at) = self.layout.attributes(&block.head).filter(|_| before == 32) {
                values.push((owner, at, "attributes"));
            }
            if flags & (IS_LIST | IS_DICT) != 0 {
                containers.push((owner, block.address + before, flags & IS_LIST != 0));
            }
        }
        let at: Vec<u64> = containers.iter().map(|(_, at, _)| *at).collect();
        let read = memory.words::<6>(&at)?;
        for ((owner, _, is_list), words) in containers.into_iter().zip(read) {
            let (address, role) = match is_list {
                true => (words[3], "items"),
                false => (words[4], "keys"),
            };
            parts.push(Part {
                owner,
                address,
                role,
            });
        }
        // The byte before the values tells how much of their block lies before them.
        let at: Vec<u64> = values.iter().map(|(_, at, _)| at - 8).collect();
        let read = memory.words::<1>(&at)?;
        for ((owner, at, role), [word]) in values.into_iter().zip(read) {
            let address = at - (word >> 56);
            parts.push(Part {
                owner,
                address,
                role,
            });
        }
        parts.retain(|part| memory.is_mapped(part.address));
        Ok(parts)
    }
}
