//! A head that comes in parts: kept until its end is there.

/// How much of a head's end has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Within a line.
    Within,
    /// At a line's start.
    Start,
    /// At a line's start, after a CR.
    Return,
}

/// The fill of a buffer that holds the beginning of a head.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    len: usize,
    line: Line,
}

/// What came of appending bytes to a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The head goes on past the bytes.
    More,
    /// The head ended within the bytes.
    Complete,
    /// The buffer is too small for the head.
    Full,
}

impl Head {
    pub(crate) const EMPTY: Head = Head {
        len: 0,
        line: Line::Within,
    };

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn bytes<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(..self.len).unwrap_or(&[])
    }

    /// Moves bytes from the front of `bytes` into `buffer`, up to the end of the head: an empty line.
    pub(crate) fn append(&mut self, buffer: &mut [u8], bytes: &mut &[u8]) -> Appended {
        let mut taken = 0;
        let mut complete = false;
        for byte in *bytes {
            taken += 1;
            self.line = match (self.line, byte) {
                (Line::Start | Line::Return, b'\n') => {
                    complete = true;
                    break;
                }
                (_, b'\n') => Line::Start,
                (Line::Start, b'\r') => Line::Return,
                _ => Line::Within,
            };
        }
        self.store(buffer, bytes, taken, complete)
    }

    fn store(
        &mut self,
        buffer: &mut [u8],
        bytes: &mut &[u8],
        taken: usize,
        complete: bool,
    ) -> Appended {
        let (Some(room), Some((head, rest))) = (
            buffer.get_mut(self.len..self.len + taken),
            bytes.split_at_checked(taken),
        ) else {
            return Appended::Full;
        };
        room.copy_from_slice(head);
        self.len += taken;
        *bytes = rest;
        if complete {
            Appended::Complete
        } else {
            Appended::More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_line_ends_a_head_however_it_is_cut() {
        for head in [
            "GET / HTTP/1.1\r\nA: b\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "a\r\rb\r\n\r\n",
        ] {
            for cut in 0..head.len() {
                let mut buffer = [0; 64];
                let mut state = Head::EMPTY;
                let (mut first, second) = head.as_bytes().split_at(cut);
                assert_eq!(state.append(&mut buffer, &mut first), Appended::More);
                let all = [second, b"rest"].concat();
                let mut rest = all.as_slice();
                assert_eq!(state.append(&mut buffer, &mut rest), Appended::Complete);
                assert_eq!(rest, b"rest");
                assert_eq!(state.bytes(&buffer), head.as_bytes());
            }
        }
    }

    #[test]
    fn a_head_longer_than_the_buffer_is_said_to_be() {
        let mut buffer = [0; 8];
        let mut bytes = b"123456789".as_slice();
        let mut state = Head::EMPTY;
        assert_eq!(state.append(&mut buffer, &mut bytes), Appended::Full);
    }
}
