//! Traces with their chunks unpacked, for fuzzing: whoever changes a byte of a trace is found out by its
//! checksums, so that what is behind them would never be tried.

use super::format::{CHUNK_HEADER, ChunkHeader, FILE_HEADER, Kind, VERSION, file_header, u32_at};

/// The version, then each chunk's kind, numbers and bytes.
pub(crate) fn unpack(trace: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(u32_at(trace, 8).unwrap_or(VERSION) as u8);
    let mut rest = trace.get(FILE_HEADER..).unwrap_or(&[]);
    while let Some(header) = ChunkHeader::decode(rest) {
        let end = CHUNK_HEADER + header.stored as usize;
        let stored = rest.get(CHUNK_HEADER..end).unwrap_or(&[]);
        let raw = zstd::bulk::decompress(stored, header.raw as usize).unwrap_or_default();
        let numbers = [
            header.kind as u32,
            header.thread,
            header.image,
            header.serial,
            header.tree,
            header.count,
            raw.len() as u32,
        ];
        numbers
            .iter()
            .for_each(|number| out.extend(number.to_le_bytes()));
        out.extend(header.first.to_le_bytes());
        out.extend(header.last.to_le_bytes());
        out.extend(raw);
        rest = rest.get(end..).unwrap_or(&[]);
    }
    out
}

/// The trace that was unpacked to `bytes`, or any other.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let (version, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut out = file_header(u32::from(*version)).to_vec();
    while let Some((header, chunk)) = header_of(rest) {
        let (raw, next) = chunk.split_at(chunk.len().min(header.raw as usize));
        let stored = zstd::bulk::compress(raw, 1).unwrap_or_default();
        let header = ChunkHeader {
            raw: raw.len() as u32,
            stored: stored.len() as u32,
            crc: crc32fast::hash(&stored),
            ..header
        };
        out.extend(header.encode());
        out.extend(stored);
        rest = next;
    }
    out
}

fn header_of(bytes: &[u8]) -> Option<(ChunkHeader, &[u8])> {
    let (numbers, rest) = bytes.split_at_checked(7 * 4 + 16)?;
    let number = |at: usize| u32_at(numbers, at * 4);
    let long = |at: usize| super::format::u64_at(numbers, at);
    let header = ChunkHeader {
        kind: match number(0)? {
            2 => Kind::Notes,
            3 => Kind::Trailer,
            4 => Kind::Types,
            _ => Kind::Events,
        },
        thread: number(1)?,
        image: number(2)?,
        serial: number(3)?,
        tree: number(4)?,
        count: number(5)?,
        raw: number(6)?,
        stored: 0,
        first: long(28)?,
        last: long(36)?,
        crc: 0,
    };
    Some((header, rest))
}
