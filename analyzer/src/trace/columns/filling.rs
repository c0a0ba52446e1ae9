//! A column that is being written.

use crate::trace::varint::{LONGEST, coded, put, short_coded};

/// The bytes of a column so far. Each number is stored as a whole word and then counted by its length: a branch for
/// each byte would be guessed wrong half of the time.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// Longer than what was written.
    bytes: Vec<u8>,
    len: usize,
}

impl Filling {
    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a number.
    #[inline(always)]
    pub(super) fn number(&mut self, value: u64) {
        self.room(1).short(value);
    }

    /// Appends a byte.
    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) {
        self.room(1).byte(byte);
    }

    /// The byte that was written last, to be changed.
    pub(super) fn last_mut(&mut self) -> Option<&mut u8> {
        self.bytes.get_mut(self.len.checked_sub(1)?)
    }

    /// Takes the byte back that was written last.
    pub(super) fn pop(&mut self) -> Option<u8> {
        let last = *self.last_mut()?;
        self.len -= 1;
        Some(last)
    }

    /// Room for so many numbers or bytes more.
    #[inline(always)]
    pub(super) fn room(&mut self, count: usize) -> Room<'_> {
        let needed = self.len + count * LONGEST + size_of::<u64>();
        if self.bytes.len() < needed {
            self.grow(needed);
        }
        Room {
            at: self.len as u32,
            bytes: &mut self.bytes,
            len: &mut self.len,
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize(needed.next_power_of_two(), 0);
    }

    /// Appends what was written to `out` and starts anew.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

/// Room in a column, whose end a loop has in a register.
pub(super) struct Room<'a> {
    bytes: &'a mut [u8],
    /// Of 32 bits, so that no addition to it overflows and is to be checked for that: a chunk is far smaller.
    at: u32,
    len: &'a mut usize,
}

impl Room<'_> {
    /// Appends a number.
    #[inline(always)]
    pub(super) fn number(&mut self, value: u64) {
        self.word(coded(value), value);
    }

    /// Appends one that is less than 0x4000 as a rule.
    #[inline(always)]
    pub(super) fn short(&mut self, value: u64) {
        self.word(short_coded(value), value);
    }

    /// Appends a byte.
    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(room) = self.bytes.get_mut(self.at as usize) {
            *room = byte;
            self.at += 1;
        }
    }

    #[inline(always)]
    fn word(&mut self, (word, len): (u64, usize), value: u64) {
        if len == 0 {
            return self.longest(value);
        }
        let at = self.at as usize;
        if let Some(room) = self.bytes.get_mut(at..at + size_of::<u64>()) {
            room.copy_from_slice(&word.to_le_bytes());
            self.at += len as u32;
        }
    }

    #[cold]
    #[inline(never)]
    fn longest(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(LONGEST);
        put(&mut bytes, value);
        bytes.into_iter().for_each(|byte| self.byte(byte));
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.len = self.at as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_any_way_is_the_same() {
        let values: Vec<u64> = (0..64).map(|bits| u64::MAX >> bits).collect();
        let mut expected = Vec::new();
        values.iter().for_each(|value| put(&mut expected, *value));
        let mut filling = Filling::default();
        let mut bytes = Vec::new();
        values.iter().for_each(|value| filling.number(*value));
        assert_eq!(filling.len(), expected.len());
        filling.take(&mut bytes);
        assert_eq!((&bytes, filling.len()), (&expected, 0));
        let mut room = filling.room(2 * values.len());
        values.iter().for_each(|value| room.number(*value));
        values.iter().for_each(|value| room.short(*value));
        drop(room);
        bytes.clear();
        filling.take(&mut bytes);
        assert_eq!(bytes, [&expected[..], &expected].concat());
    }

    #[test]
    fn the_last_byte_can_be_changed_and_taken_back() {
        let mut filling = Filling::default();
        assert!(filling.last_mut().is_none() && filling.pop().is_none());
        (1..=2000_u32).for_each(|byte| filling.byte(byte as u8));
        assert_eq!(filling.pop(), Some(2000_u32 as u8));
        *filling.last_mut().unwrap() = 5;
        let mut bytes = Vec::new();
        filling.take(&mut bytes);
        assert_eq!((bytes.len(), bytes.last()), (1999, Some(&5)));
    }
}
