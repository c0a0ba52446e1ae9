//! Numbers of the columns: LEB128, and zigzag for signed differences.

/// Bytes of the longest number.
pub(crate) const LONGEST: usize = 10;

/// The column ends within a number, or a number has more than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad;

/// Appends `value` in 1 to 10 bytes.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number as the bytes that it is coded as, and how many they are, where nearly all are one or two; 0: more than
/// eight.
#[inline(always)]
pub(crate) fn short_coded(value: u64) -> (u64, usize) {
    if value < 0x4000 {
        let more = u64::from(value > 0x7f);
        // Those above the lowest seven move by one: added once more.
        return (value + (value & 0x3f80) + (more << 7), 1 + more as usize);
    }
    coded(value)
}

/// The same where nearly all are one to four, which nobody can guess.
#[inline(always)]
pub(crate) fn coded(value: u64) -> (u64, usize) {
    if value >= 1 << 28 {
        return long_coded(value);
    }
    let value = value as u32;
    let bits = value + 3 * (value & 0x0fff_c000);
    let bits = bits + (bits & 0x3f80_3f80);
    let gap = (bits | 1).ilog2() & 24;
    let more = 0x0080_8080 & ((1 << gap) - 1);
    (u64::from(bits | more), gap as usize / 8 + 1)
}

/// The same where nearly all are more: the inverse of [`long`].
#[cold]
#[inline(never)]
fn long_coded(value: u64) -> (u64, usize) {
    if value >= 1 << 56 {
        return (0, 0);
    }
    let bits = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let bits = bits & 0x0000_3fff_0000_3fff | (bits & 0x0fff_c000_0fff_c000) << 2;
    let bits = bits & 0x007f_007f_007f_007f | (bits & 0x3f80_3f80_3f80_3f80) << 1;
    let len = (bits | 1).ilog2() as usize / 8 + 1;
    let more = 0x0080_8080_8080_8080 & !(u64::MAX << (8 * (len - 1)));
    (bits | more, len)
}

/// Small magnitudes to small numbers.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1) as u64 ^ (value >> 63) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The next bytes of a buffer, if there are so many.
#[inline(always)]
pub(crate) fn word_at(buffer: &[u8], at: usize) -> Option<u64> {
    let word = buffer.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// The number at the begin of a word, and its length; 0: it is longer, or none.
///
/// Numbers of one to four bytes follow each other in an order that nobody can guess: no branch tells them apart. A
/// pair, unlike an `Option` of one, stays in registers.
#[inline(always)]
pub(crate) fn number(word: u64) -> (u64, usize) {
    let low = word as u32;
    let stops = !low & 0x8080_8080;
    if stops == 0 {
        return long(word);
    }
    // As in `long`, byte by byte.
    let bits = low & (stops ^ stops.wrapping_sub(1));
    let first = bits & 0x7f | bits >> 1 & 0x3f80;
    let second = bits >> 2 & 0x001f_c000 | bits >> 3 & 0x0fe0_0000;
    let len = stops.trailing_zeros() as usize / 8 + 1;
    (u64::from(first | second), len)
}

/// The same where nearly all are of one or two bytes.
#[inline(always)]
pub(crate) fn short(word: u64) -> (u64, usize) {
    if word & 0x8080 == 0x8080 {
        return number(word);
    }
    let more = word >> 7 & 1;
    let value = word & 0x7f | word >> 1 & 0x3f80 & more.wrapping_neg();
    (value, 1 + more as usize)
}

/// The same for a number of one to eight bytes.
#[cold]
#[inline(never)]
fn long(word: u64) -> (u64, usize) {
    let stops = !word & 0x8080_8080_8080_8080;
    if stops == 0 {
        return (0, 0);
    }
    // All bits up to the first byte that has no more after it, then the gaps closed pair by pair.
    let bits = word & (stops ^ stops.wrapping_sub(1)) & 0x7f7f_7f7f_7f7f_7f7f;
    let bits = bits & 0x007f_007f_007f_007f | (bits & 0x7f00_7f00_7f00_7f00) >> 1;
    let bits = bits & 0x0000_3fff_0000_3fff | (bits & 0x3fff_0000_3fff_0000) >> 2;
    let bits = bits & 0x0fff_ffff | (bits & 0x0fff_ffff_0000_0000) >> 4;
    (bits, stops.trailing_zeros() as usize / 8 + 1)
}

/// The number at the begin of `bytes`, of any length, byte by byte.
#[cold]
#[inline(never)]
fn longest(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if *byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

/// A range of a buffer that is read from its start on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Column {
    at: usize,
    end: usize,
}

impl Column {
    /// The column that fills `start..start + len` of `buffer`.
    pub(crate) fn new(buffer: &[u8], start: usize, len: usize) -> Result<Column, Bad> {
        let end = start.checked_add(len).ok_or(Bad)?;
        let column = Column { at: start, end };
        (end <= buffer.len()).then_some(column).ok_or(Bad)
    }

    /// Where it ends in the buffer.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// How far it was read; [`Column::go_to`] goes there again.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes to where [`Column::at`] was, or will be.
    #[inline]
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The next byte, left where it is.
    #[inline]
    pub(crate) fn peek(&self, buffer: &[u8]) -> Option<u8> {
        (self.at < self.end).then(|| buffer.get(self.at).copied())?
    }

    /// The next byte.
    #[inline]
    pub(crate) fn byte(&mut self, buffer: &[u8]) -> Result<u8, Bad> {
        if self.at >= self.end {
            return Err(Bad);
        }
        let byte = *buffer.get(self.at).ok_or(Bad)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next number.
    #[inline(always)]
    pub(crate) fn number(&mut self, buffer: &[u8]) -> Result<u64, Bad> {
        let rest = self.rest(buffer);
        let (value, len) = match rest.first_chunk() {
            Some(word) => number(u64::from_le_bytes(*word)),
            None => (0, 0),
        };
        if len == 0 {
            return self.longest(rest);
        }
        self.at += len;
        Ok(value)
    }

    #[cold]
    #[inline(never)]
    fn longest(&mut self, rest: &[u8]) -> Result<u64, Bad> {
        let (value, len) = longest(rest).ok_or(Bad)?;
        self.at += len;
        Ok(value)
    }

    /// What is left of it.
    #[inline(always)]
    pub(crate) fn rest<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(self.at..self.end).unwrap_or_default()
    }

    /// The next number, where it must fit 32 bits.
    #[inline]
    pub(crate) fn small(&mut self, buffer: &[u8]) -> Result<u32, Bad> {
        u32::try_from(self.number(buffer)?).map_err(|_| Bad)
    }

    /// The next `len` bytes, as a range of the buffer.
    pub(crate) fn run(&mut self, len: usize) -> Result<std::ops::Range<usize>, Bad> {
        if len > self.end - self.at {
            return Err(Bad);
        }
        let start = self.at;
        self.at += len;
        Ok(start..self.at)
    }

    /// Whether everything was read.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        let values = [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ];
        let mut bytes = Vec::new();
        values.iter().for_each(|value| put(&mut bytes, *value));
        let mut column = Column::new(&bytes, 0, bytes.len()).unwrap();
        for value in values {
            assert_eq!(column.number(&bytes), Ok(value));
        }
        assert!(column.is_done());
        assert_eq!(column.number(&bytes), Err(Bad));
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn both_ways_to_write_and_to_read_agree() {
        for bits in 0..64 {
            for value in [
                1_u64 << bits,
                (1_u64 << bits) - 1,
                0x5555_5555_5555_5555 >> bits,
            ] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                let len = bytes.len();
                for code in [coded, short_coded] {
                    let (word, coded) = code(value);
                    assert_eq!(coded, if len > 8 { 0 } else { len });
                    assert_eq!(word.to_le_bytes()[..coded], bytes[..coded]);
                }
                // What follows must not matter.
                for after in [0x00, 0x7f, 0x80, 0xff] {
                    bytes.resize(len + 8, after);
                    let expected = if len > 8 { (0, 0) } else { (value, len) };
                    let word = word_at(&bytes, 0).unwrap();
                    for read in [number, short, long] {
                        assert_eq!(read(word), expected);
                    }
                    assert_eq!(longest(&bytes), Some((value, len)));
                    let mut column = Column::new(&bytes, 0, len).unwrap();
                    assert_eq!(column.number(&bytes), Ok(value));
                    assert!(column.is_done());
                    bytes.truncate(len);
                }
                assert_eq!(longest(&bytes), Some((value, len)));
            }
        }
    }

    #[test]
    fn endless_and_overlong_numbers_are_bad() {
        for bytes in [[0xff; 11], [0x80; 11]] {
            let mut column = Column::new(&bytes, 0, 11).unwrap();
            assert_eq!(column.number(&bytes), Err(Bad));
        }
        assert!(Column::new(&[0; 4], 2, 3).is_err());
        assert!(Column::new(&[0; 4], 2, usize::MAX).is_err());
    }
}
