//! A run of bytes inside a record: given as a slice by the producer, read back as words.

use core::fmt;

/// The variable part of a record, at most [`Bytes::MAX`] bytes.
#[derive(Clone, Copy)]
pub enum Bytes<'a> {
    /// As the producer holds it.
    Slice(&'a [u8]),
    /// As it lies in a record: `len` bytes, little-endian in `words`.
    Words {
        /// The words that hold the bytes; the last one padded with zeros.
        words: &'a [u64],
        /// How many bytes of them count.
        len: usize,
    },
}

impl<'a> Bytes<'a> {
    /// The longest run that one record may carry, in bytes. Longer input is cut by the producer.
    pub const MAX: usize = 4096;

    /// The number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Bytes::Slice(slice) => slice.len().min(Self::MAX),
            Bytes::Words { words, len } => (*len).min(words.len() * 8),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The byte at `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<u8> {
        if index >= self.len() {
            return None;
        }
        match self {
            Bytes::Slice(slice) => slice.get(index).copied(),
            Bytes::Words { words, .. } => Some((words.get(index / 8)? >> (8 * (index % 8))) as u8),
        }
    }

    /// The bytes in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<'a> {
        let this = *self;
        (0..this.len()).filter_map(move |index| this.get(index))
    }

    /// How many words the bytes take in a record.
    pub(crate) fn word_count(&self) -> usize {
        self.len().div_ceil(8)
    }

    /// The word at `index`, padded with zeros.
    pub fn word(&self, index: usize) -> u64 {
        match self {
            Bytes::Slice(slice) => {
                let rest = slice.get(..self.len()).and_then(|all| all.get(index * 8..));
                let rest = rest.unwrap_or(&[]);
                let bytes = rest.get(..8).unwrap_or(rest).iter().rev();
                bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
            }
            Bytes::Words { .. } => {
                let bytes = (0..8).rev().map(|byte| self.get(index * 8 + byte));
                bytes.fold(0, |word, byte| word << 8 | u64::from(byte.unwrap_or(0)))
            }
        }
    }
}

impl PartialEq for Bytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Bytes<'_> {}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"")?;
        for byte in self.iter() {
            write!(out, "{}", core::ascii::escape_default(byte))?;
        }
        write!(out, "\"")
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Bytes::Slice(slice)
    }
}
