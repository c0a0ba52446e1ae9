//! Finds the chunks of a trace and reads them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{self, CHUNK_HEADER, CHUNK_MAGIC, ChunkHeader, FILE_HEADER};

/// A chunk and where its stored bytes begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) header: ChunkHeader,
    pub(crate) at: u64,
}

/// What walking over the chunk headers found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) chunks: Vec<Chunk>,
    /// Bytes in which no chunk was found, with whole chunks after them.
    pub(crate) damaged: u64,
    /// Bytes at the end that are no whole chunk.
    pub(crate) cut: u64,
}

/// How far is read ahead when looking for the next chunk.
const WINDOW: usize = 64 << 10;

/// Walks over all chunk headers of the first `len` bytes of `file`.
pub(crate) fn scan(file: &File, len: u64) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut at = FILE_HEADER as u64;
    while at < len {
        if len - at == format::FOOTER as u64 && ends(file, at)? {
            return Ok(scan);
        }
        let Some(header) = header_at(file, at, len)? else {
            let next = next_chunk(file, at + 1, len)?;
            let Some(next) = next else {
                scan.cut = len - at;
                return Ok(scan);
            };
            scan.damaged += next - at;
            at = next;
            continue;
        };
        let body = at + CHUNK_HEADER as u64;
        scan.chunks.push(Chunk { header, at: body });
        at = body + u64::from(header.stored);
    }
    Ok(scan)
}

/// Whether the footer lies at `at`.
fn ends(file: &File, at: u64) -> io::Result<bool> {
    let mut bytes = [0; format::FOOTER];
    file.read_exact_at(&mut bytes, at)?;
    let offset = format::u64_at(&bytes, 0).unwrap_or(0);
    Ok(bytes == format::footer(offset))
}

/// The header at `at`, if there is one whose chunk lies wholly below `len`.
pub(super) fn header_at(file: &File, at: u64, len: u64) -> io::Result<Option<ChunkHeader>> {
    if len - at < CHUNK_HEADER as u64 {
        return Ok(None);
    }
    let mut bytes = [0; CHUNK_HEADER];
    file.read_exact_at(&mut bytes, at)?;
    let room = len - at - CHUNK_HEADER as u64;
    let header = ChunkHeader::decode(&bytes);
    Ok(header.filter(|header| u64::from(header.stored) <= room))
}

/// The first offset from `from` on where a chunk begins.
pub(super) fn next_chunk(file: &File, from: u64, len: u64) -> io::Result<Option<u64>> {
    let mut window = vec![0; WINDOW + CHUNK_MAGIC.len()];
    let mut at = from;
    while at < len {
        let size = window.len().min((len - at) as usize);
        file.read_exact_at(&mut window[..size], at)?;
        let found = window[..size].windows(CHUNK_MAGIC.len()).enumerate();
        for (offset, _) in found.filter(|(_, bytes)| *bytes == CHUNK_MAGIC) {
            let candidate = at + offset as u64;
            if header_at(file, candidate, len)?.is_some() {
                return Ok(Some(candidate));
            }
        }
        at += WINDOW as u64;
    }
    Ok(None)
}

/// The bytes of `chunk`, checked and decompressed into `raw`; false: damaged.
pub(crate) fn load(file: &File, chunk: &Chunk, raw: &mut Vec<u8>) -> io::Result<bool> {
    let mut stored = vec![0; chunk.header.stored as usize];
    file.read_exact_at(&mut stored, chunk.at)?;
    if crc32fast::hash(&stored) != chunk.header.crc {
        return Ok(false);
    }
    // Written over, all of it, or of no use.
    raw.resize(chunk.header.raw as usize, 0);
    let size = zstd::bulk::decompress_to_buffer(&stored, raw.as_mut_slice());
    Ok(matches!(size, Ok(size) if size == raw.len()))
}

/// Whether the stored bytes of `chunk` are as they were written.
pub(crate) fn is_whole(file: &File, chunk: &Chunk, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    buffer.resize(chunk.header.stored as usize, 0);
    file.read_exact_at(buffer, chunk.at)?;
    Ok(crc32fast::hash(buffer) == chunk.header.crc)
}
