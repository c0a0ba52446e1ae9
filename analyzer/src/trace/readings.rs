//! Readings of types: what the recorder saw at addresses of an image, as chunks of their own.

use super::varint::{self, Bad, Column, unzigzag, zigzag};

/// The longest name, bytes.
const MAX_NAME: usize = 4096;

/// From `begin` to `end`, blocks of an image were of these types, if they lived all that time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The image's number.
    pub(crate) image: u32,
    /// Stamp before the first look.
    pub begin: u64,
    /// Stamp after the last one.
    pub end: u64,
    /// Types.
    pub names: Vec<String>,
    /// Addresses of blocks, each with its type's index.
    pub blocks: Vec<(u64, u32)>,
    /// All caches of the image that are bounded, if they were looked at.
    pub caches: Vec<Cache>,
}

/// Blocks that an entry is made with: they come first in it, and what came before the last of them was there then.
/// Where there are fewer, the first stands for the others.
pub const MAKERS: usize = 3;

/// What a cache of bounded size kept, from a reading's begin to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// How many entries it can have.
    pub most: u64,
    /// The addresses of each entry's blocks, after [`MAKERS`]. Of a younger one than these the cache may be no bound.
    pub entries: Vec<Vec<u64>>,
}

impl Reading {
    /// Takes a name in; gives its index.
    pub(crate) fn number(&mut self, name: String) -> u32 {
        self.names.push(name);
        self.names.len() as u32 - 1
    }

    /// Appends names and blocks as they stand in a chunk.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, self.names.len() as u64);
        for name in &self.names {
            let name = name.as_bytes();
            let name = name.get(..MAX_NAME).unwrap_or(name);
            varint::put(out, name.len() as u64);
            out.extend_from_slice(name);
        }
        let mut last = 0_u64;
        for (address, name) in &self.blocks {
            varint::put(out, zigzag(address.wrapping_sub(last) as i64));
            varint::put(out, u64::from(*name));
            last = *address;
        }
        if self.caches.is_empty() {
            return;
        }
        varint::put(out, self.caches.len() as u64);
        for cache in &self.caches {
            varint::put(out, cache.most);
            varint::put(out, cache.entries.len() as u64);
            for entry in &cache.entries {
                varint::put(out, entry.len() as u64);
                for address in entry {
                    varint::put(out, zigzag(address.wrapping_sub(last) as i64));
                    last = *address;
                }
            }
        }
    }

    /// Takes `count` blocks from a chunk's bytes in.
    pub(super) fn decode(&mut self, raw: &[u8], count: u32) -> Result<(), Bad> {
        let mut column = Column::new(raw, 0, raw.len())?;
        for _ in 0..column.number(raw)? {
            let len = column.small(raw)? as usize;
            let bytes = raw.get(column.run(len)?).ok_or(Bad)?;
            self.names.push(String::from_utf8_lossy(bytes).into_owned());
        }
        let mut last = 0_u64;
        for _ in 0..count {
            let address = last.wrapping_add(unzigzag(column.number(raw)?) as u64);
            let name = column.small(raw)?;
            if name as usize >= self.names.len() {
                return Err(Bad);
            }
            self.blocks.push((address, name));
            last = address;
        }
        if column.is_done() {
            return Ok(());
        }
        for _ in 0..column.number(raw)? {
            let mut cache = Cache {
                most: column.number(raw)?,
                ..Cache::default()
            };
            for _ in 0..column.number(raw)? {
                let mut entry = Vec::new();
                for _ in 0..column.number(raw)? {
                    last = last.wrapping_add(unzigzag(column.number(raw)?) as u64);
                    entry.push(last);
                }
                cache.entries.push(entry);
            }
            self.caches.push(cache);
        }
        column.is_done().then_some(()).ok_or(Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_reads_back_and_damage_is_refused() {
        let reading = Reading {
            names: vec!["dict".into(), "city::Vehicle".into()],
            blocks: vec![(0x7f00_0000_1000, 1), (0x1000, 0), (u64::MAX, 1)],
            caches: vec![
                Cache {
                    most: 128,
                    entries: vec![vec![0x1000, 0x2000], vec![], vec![u64::MAX]],
                },
                Cache::default(),
            ],
            ..Reading::default()
        };
        let bare = Reading {
            caches: Vec::new(),
            ..reading.clone()
        };
        let mut raw = Vec::new();
        bare.encode(&mut raw);
        let without = raw.len();
        raw.clear();
        reading.encode(&mut raw);
        let mut read = Reading::default();
        assert_eq!(read.decode(&raw, 3), Ok(()));
        assert_eq!(read, reading);
        assert!(Reading::default().decode(&raw, 4).is_err());
        assert!(Reading::default().decode(&raw, 2).is_err());
        for at in 0..raw.len() {
            // Whatever it becomes: no panic.
            let mut damaged = raw.clone();
            damaged[at] ^= 0xff;
            let _ = Reading::default().decode(&damaged, 3);
            let mut cut = Reading::default();
            match cut.decode(&raw[..at], 3) {
                // As older traces have it.
                Ok(()) => assert_eq!((at, cut.caches.len()), (without, 0)),
                Err(_) => assert_ne!(at, without),
            }
        }
    }
}
