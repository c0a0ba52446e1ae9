//! Symbols that a mapped ELF file exports, from its own tables: for the hooks, where the loader, which
//! would take its lock, must not be asked.

use crate::unwind::loader::Object;

/// Tags of the dynamic section.
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
/// Entries of a dynamic section, at most.
const MOST_TAGS: u64 = 256;
/// Symbols with one hash, at most.
const MOST_CHAINED: u64 = 1 << 12;
/// Bytes of an entry of the symbol table.
const SYMBOL: u64 = 24;

/// The tables of a file, by address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbols<'a> {
    object: &'a Object,
    names: u64,
    entries: u64,
    hashes: u64,
}

/// Where a symbol lies, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// Its address.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) size: u64,
}

impl<'a> Symbols<'a> {
    /// Those of `object`, if it has them in the form that is usual since 2006.
    pub(crate) fn of(object: &'a Object) -> Option<Symbols<'a>> {
        let (mut names, mut entries, mut hashes) = (0, 0, 0);
        for at in 0..MOST_TAGS {
            let tag = word(object, object.dynamic + 16 * at)?;
            let value = word(object, object.dynamic + 16 * at + 8)?;
            match tag {
                DT_NULL => break,
                DT_STRTAB => names = value,
                DT_SYMTAB => entries = value,
                DT_GNU_HASH => hashes = value,
                _ => {}
            }
        }
        (names != 0 && entries != 0 && hashes != 0).then_some(Symbols {
            object,
            names,
            entries,
            hashes,
        })
    }

    /// The symbol called `name`, if the file has it.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Symbol> {
        let half = |address| half(self.object, address);
        let at = self.hashes;
        let (buckets, first) = (u64::from(half(at)?), half(at + 4)?);
        let filter = u64::from(half(at + 8)?);
        let bucket_at = at + 16 + 8 * filter;
        let hash = hash(name);
        let start = half(bucket_at + 4 * u64::from(hash).checked_rem(buckets)?)?;
        let chain = u64::from(start.checked_sub(first)?);
        let chain_at = bucket_at + 4 * buckets + 4 * chain;
        for step in 0..MOST_CHAINED {
            let here = half(chain_at + 4 * step)?;
            let entry = self.entries + SYMBOL * (u64::from(start) + step);
            if here | 1 == hash | 1 && self.is_called(entry, name)? {
                return Some(Symbol {
                    address: word(self.object, entry + 8)?.wrapping_add(self.object.bias),
                    size: word(self.object, entry + 16)?,
                });
            }
            if here & 1 != 0 {
                break;
            }
        }
        None
    }

    /// Whether the entry is defined in this file, and by this name.
    fn is_called(&self, entry: u64, name: &[u8]) -> Option<bool> {
        let section = half(self.object, entry + 4)? >> 16;
        let text = self.names + u64::from(half(self.object, entry)?);
        let text = self.object.bytes_from(text)?.get(..=name.len())?;
        Some(section != 0 && text.split_last() == Some((&0, name)))
    }
}

fn word(object: &Object, address: u64) -> Option<u64> {
    let bytes = object.bytes_from(address)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn half(object: &Object, address: u64) -> Option<u32> {
    let bytes = object.bytes_from(address)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The hash of the tables.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::{self, loader};

    #[test]
    fn what_the_loader_finds() {
        unwind::prepare();
        let known = libc::getaddrinfo as *const () as u64;
        let object = loader::object_at(known).unwrap();
        let symbols = Symbols::of(&object).unwrap();
        let found = symbols.find(b"getaddrinfo").unwrap();
        assert!(found.address == known && found.size > 0);
        assert_eq!(symbols.find(b"getaddrinf"), None);
        assert_eq!(symbols.find(b""), None);
        let environ = symbols.find(b"environ").unwrap();
        assert_eq!(environ.size, 8);
    }
}
