//! The fixed parts of the file: its header, the chunks' headers, the footer. See FORMAT.md.

/// First bytes of every trace.
pub(crate) const MAGIC: [u8; 8] = *b"libleak\n";
/// The version that this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 5;
/// Bytes of the file header.
pub(crate) const FILE_HEADER: usize = 16;
/// Bytes of a chunk's header.
pub(crate) const CHUNK_HEADER: usize = 64;
/// First bytes of every chunk.
pub(crate) const CHUNK_MAGIC: [u8; 4] = *b"LKch";
/// Bytes of the footer.
pub(crate) const FOOTER: usize = 16;
/// Last bytes of a trace that was ended properly.
pub(crate) const FOOTER_MAGIC: [u8; 4] = *b"LKnd";
/// No chunk is larger than this, before or after compression.
pub(crate) const MAX_CHUNK: usize = 16 << 20;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Events of one thread.
    Events = 1,
    /// Notes.
    Notes = 2,
    /// The end, and where all other chunks lie.
    Trailer = 3,
    /// Types of blocks of one image.
    Types = 4,
}

/// A chunk's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    /// What it holds.
    pub(crate) kind: Kind,
    /// Events: the thread's number.
    pub(crate) thread: u32,
    /// Events and types: the number of the image that they belong to.
    pub(crate) image: u32,
    /// How many chunks of this thread (of this kind, for others) there were before.
    pub(crate) serial: u32,
    /// Events: how many times the thread's call-site tree was reset before.
    pub(crate) tree: u32,
    /// Entries (events, and what orders them), notes or blocks in it.
    pub(crate) count: u32,
    /// Bytes before compression.
    pub(crate) raw: u32,
    /// Bytes in the file, after this header.
    pub(crate) stored: u32,
    /// Lowest stamp or epoch.
    pub(crate) first: u64,
    /// Highest stamp or epoch.
    pub(crate) last: u64,
    /// CRC-32 of the stored bytes.
    pub(crate) crc: u32,
}

impl ChunkHeader {
    /// As it stands in the file.
    pub(crate) fn encode(&self) -> [u8; CHUNK_HEADER] {
        let mut bytes = [0; CHUNK_HEADER];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&CHUNK_MAGIC);
        let small = [
            self.kind as u32,
            self.thread,
            self.image,
            self.serial,
            self.tree,
            self.count,
            self.raw,
            self.stored,
            self.crc,
        ];
        small.iter().for_each(|word| put(&word.to_le_bytes()));
        put(&self.first.to_le_bytes());
        put(&self.last.to_le_bytes());
        put(&[0; 4]);
        let crc = crc32fast::hash(&bytes[..CHUNK_HEADER - 4]);
        bytes[CHUNK_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, if it is one and undamaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<ChunkHeader> {
        let bytes = bytes.first_chunk::<CHUNK_HEADER>()?;
        let word = |at: usize| u32_at(bytes, at);
        if !bytes.starts_with(&CHUNK_MAGIC)
            || word(CHUNK_HEADER - 4)? != crc32fast::hash(&bytes[..CHUNK_HEADER - 4])
        {
            return None;
        }
        let kind = [Kind::Events, Kind::Notes, Kind::Trailer, Kind::Types]
            .into_iter()
            .find(|kind| Some(*kind as u32) == word(4))?;
        let header = ChunkHeader {
            kind,
            thread: word(8)?,
            image: word(12)?,
            serial: word(16)?,
            tree: word(20)?,
            count: word(24)?,
            raw: word(28)?,
            stored: word(32)?,
            crc: word(36)?,
            first: u64_at(bytes, 40)?,
            last: u64_at(bytes, 48)?,
        };
        let sane = |bytes: u32| bytes as usize <= MAX_CHUNK;
        (sane(header.raw) && sane(header.stored)).then_some(header)
    }
}

/// The header of a file of `version`.
pub(crate) fn file_header(version: u32) -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The footer of a file whose trailer lies at `offset`.
pub(crate) fn footer(offset: u64) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    bytes[..8].copy_from_slice(&offset.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes[12..].copy_from_slice(&FOOTER_MAGIC);
    bytes
}

/// The little-endian word at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The little-endian double word at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_passes() {
        let header = ChunkHeader {
            kind: Kind::Events,
            thread: 1,
            image: 2,
            serial: 3,
            tree: 4,
            count: 5,
            raw: 6,
            stored: 7,
            first: 8,
            last: 9,
            crc: 10,
        };
        let bytes = header.encode();
        assert_eq!(ChunkHeader::decode(&bytes), Some(header));
        for bit in 0..CHUNK_HEADER * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ChunkHeader::decode(&bytes), None, "bit {bit}");
        }
        assert_eq!(ChunkHeader::decode(&bytes[..CHUNK_HEADER - 1]), None);
    }
}
