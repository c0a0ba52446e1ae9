//! A chunked body, byte by byte: where does it end?

use crate::Broken;

/// Position within a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// In a chunk's size: its value so far and whether there was a digit.
    Size(u64, bool),
    /// After the size, up to the line's end.
    Extension(u64),
    /// In a chunk's bytes.
    Data(u64),
    /// Between a chunk's bytes and the next size: whether the CR was there.
    DataEnd(bool),
    /// At the start of a trailer line: whether its CR was there.
    TrailerStart(bool),
    /// Within a trailer line.
    Trailer,
}

impl Chunked {
    pub(crate) const START: Chunked = Chunked::Size(0, false);

    /// Takes bytes of the body from the front of `bytes`; true: the body ended.
    pub(crate) fn take(&mut self, bytes: &mut &[u8]) -> Result<bool, Broken> {
        loop {
            if let Chunked::Data(left) = self {
                *left -= skip(bytes, *left);
                if *left > 0 {
                    return Ok(false);
                }
                *self = Chunked::DataEnd(false);
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            *bytes = rest;
            match self.step(*byte)? {
                Some(next) => *self = next,
                None => return Ok(true),
            }
        }
    }

    /// What is left of a chunk's data.
    pub(crate) fn data_left(&self) -> u64 {
        match self {
            Chunked::Data(left) => *left,
            _ => 0,
        }
    }

    /// Takes bytes that are not seen: they must lie within one chunk.
    pub(crate) fn take_opaque(&mut self, count: u64) -> Result<(), Broken> {
        match self {
            Chunked::Data(left) if *left >= count => {
                *left -= count;
                if *left == 0 {
                    *self = Chunked::DataEnd(false);
                }
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    /// The state after one byte that is not chunk data; `None`: the body ended.
    fn step(self, byte: u8) -> Result<Option<Chunked>, Broken> {
        Ok(Some(match (self, byte) {
            (Chunked::Size(size, _), _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                let size = size.checked_mul(16).ok_or(Broken)? + u64::from(digit);
                Chunked::Size(size, true)
            }
            (Chunked::Size(size, true) | Chunked::Extension(size), b'\n') => match size {
                0 => Chunked::TrailerStart(false),
                _ => Chunked::Data(size),
            },
            (Chunked::Size(size, true), b'\r' | b';' | b' ' | b'\t') => Chunked::Extension(size),
            (Chunked::Extension(size), _) => Chunked::Extension(size),
            (Chunked::DataEnd(false), b'\r') => Chunked::DataEnd(true),
            (Chunked::DataEnd(_), b'\n') => Chunked::START,
            (Chunked::TrailerStart(false), b'\r') => Chunked::TrailerStart(true),
            (Chunked::TrailerStart(_), b'\n') => return Ok(None),
            (Chunked::Trailer, b'\n') => Chunked::TrailerStart(false),
            (Chunked::TrailerStart(false) | Chunked::Trailer, _) => Chunked::Trailer,
            (Chunked::Size(..) | Chunked::DataEnd(_) | Chunked::TrailerStart(true), _) => {
                return Err(Broken);
            }
            // `take` skips these before it steps.
            (Chunked::Data(_), _) => return Err(Broken),
        }))
    }
}

/// Takes up to `count` bytes off the front of `bytes`; says how many there were.
pub(crate) fn skip(bytes: &mut &[u8], count: u64) -> u64 {
    let taken = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    *bytes = bytes.get(taken..).unwrap_or(&[]);
    taken as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(body: &[u8]) -> Option<usize> {
        let mut chunked = Chunked::START;
        let mut rest = body;
        match chunked.take(&mut rest) {
            Ok(true) => Some(body.len() - rest.len()),
            _ => None,
        }
    }

    #[test]
    fn the_end_is_found_to_the_byte() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "a;name=value\r\n0123456789\r\n00\r\n\r\n",
            "1\nx\n0\n\n",
            "0\r\nTrailer: x\r\nOther: y\r\n\r\n",
            "C \r\n0\r\n\r\n0\r\n\r\nab\r\n0\r\n\r\n",
        ] {
            let mut with_more = std::vec::Vec::from(body.as_bytes());
            with_more.extend_from_slice(b"0\r\n\r\n");
            assert_eq!(end(&with_more), Some(body.len()), "{body:?}");
            for cut in 0..body.len() {
                assert_eq!(end(&body.as_bytes()[..cut]), None, "{body:?} at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for body in ["\r\n", "g\r\n", "-1\r\n", "5\r\nhelloX", "0\r\n\rX"] {
            let mut rest = body.as_bytes();
            let mut chunked = Chunked::START;
            assert_eq!(chunked.take(&mut rest), Err(Broken), "{body:?}");
        }
        let mut rest = b"11111111111111111\r\n".as_slice();
        let mut chunked = Chunked::START;
        assert_eq!(chunked.take(&mut rest), Err(Broken));
    }

    #[test]
    fn unseen_bytes_may_fill_a_chunk_but_not_more() {
        let mut chunked = Chunked::START;
        let mut rest = b"10\r\n".as_slice();
        assert_eq!(chunked.take(&mut rest), Ok(false));
        chunked.take_opaque(7).unwrap();
        chunked.take_opaque(9).unwrap();
        rest = b"\r\n0\r\n\r\n".as_slice();
        assert_eq!(chunked.take(&mut rest), Ok(true));
        assert_eq!(Chunked::Data(3).take_opaque(4), Err(Broken));
    }
}
