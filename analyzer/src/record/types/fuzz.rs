//! Types read from memory that holds any bytes (see `crate::fuzz`).

use super::classes::Classes;
use super::memory::Memory;
use super::python::{HEAD_WORDS, Python};

/// Words of the memory at most.
const MOST: usize = 4096;

/// Reads the types of blocks in memory that holds `bytes`; small words of it become addresses in it.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut words: Vec<u64> = vec![0; MOST];
    let base = words.as_ptr() as u64;
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        let value = u64::from_le_bytes(*bytes);
        *word = match value < 8 * MOST as u64 {
            true => base + value,
            false => value,
        };
    }
    let Ok(memory) = Memory::of(std::process::id()) else {
        return;
    };
    let first = u32::from(bytes.first().copied().unwrap_or(0)) % 7;
    let version = (0x0308 + first) << 16;
    if let Some(mut python) = Python::new(base, version, base + 8) {
        let blocks: Vec<(u64, [u64; HEAD_WORDS])> = words
            .windows(HEAD_WORDS)
            .filter_map(|window| Some((window.len() as u64 * 16, window.try_into().ok()?)))
            .collect();
        let found = python.types_of(&memory, &blocks).unwrap_or_default();
        for address in found.into_iter().flatten() {
            let name = python.name(&memory, address).unwrap_or_default();
            assert!(name.len() < 1 << 16);
        }
        let _ = python.cached_names(&memory);
    }
    let modules = vec![(base, base + 8 * MOST as u64)];
    let mut classes = Classes::default();
    for place in 0..MOST as u64 {
        let name = classes.name(&memory, &modules, base + 8 * place);
        assert!(name.ok().flatten().is_none_or(|name| name.len() < 1 << 16));
    }
}
