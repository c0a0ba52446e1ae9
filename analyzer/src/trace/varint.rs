//! Numbers of the columns: LEB128, and zigzag for signed differences.

/// The column ends within a number, or a number has more than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad;

/// Appends `value` in 1 to 10 bytes.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
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
    #[inline]
    pub(crate) fn number(&mut self, buffer: &[u8]) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(buffer)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Bad);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Bad)
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
    fn endless_and_overlong_numbers_are_bad() {
        for bytes in [[0xff; 11], [0x80; 11]] {
            let mut column = Column::new(&bytes, 0, 11).unwrap();
            assert_eq!(column.number(&bytes), Err(Bad));
        }
        assert!(Column::new(&[0; 4], 2, 3).is_err());
        assert!(Column::new(&[0; 4], 2, usize::MAX).is_err());
    }
}
