//! WebSocket messages of a client (RFC 6455): each is a request, from the first byte of its first frame on. Frames that
//! control the connection (ping, pong, close) are none, nor are those that go on with a message. What the server writes
//! is not framed: the first bytes written after messages answer all of them.

use crate::batch::Out;
use crate::chunked::skip;
use crate::label::Label;
use crate::{Broken, Protocol};

/// Bytes of the key with which a client masks a frame's data, before the data.
const KEY: u64 = 4;
/// In a frame's second byte: its data are masked.
const MASKED: u8 = 0x80;
/// No frame is longer.
const LONGEST: u64 = i64::MAX as u64;

/// What a frame is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A message begins: text or bytes.
    Message,
    /// It goes on.
    More,
    /// The connection is controlled.
    Control,
}

impl Kind {
    fn of(first: u8) -> Option<Kind> {
        Some(match first & 0xf {
            0 => Kind::More,
            1 | 2 => Kind::Message,
            8..=10 => Kind::Control,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy)]
enum Part {
    /// Before a frame.
    Start,
    /// Before the byte that has a frame's length, or says how many bytes have.
    Length,
    /// In a length of several bytes, of which so many are still to come.
    Long(u8, u64),
    /// In the key and the data.
    Data(u64),
}

pub(crate) struct Websocket {
    part: Part,
    /// Messages that wait for an answer.
    waiting: u32,
}

/// Whether these are the first two bytes of a client's first frame: it goes on with nothing, and is masked.
pub(crate) fn begins(first: u8, second: u8) -> bool {
    let kind = Kind::of(first);
    second & MASKED != 0 && kind.is_some_and(|kind| kind != Kind::More)
}

impl Websocket {
    pub(crate) const fn new() -> Self {
        Websocket {
            part: Part::Start,
            waiting: 0,
        }
    }

    pub(crate) fn wrote(&mut self, out: &mut Out<'_>) {
        out.answers(core::mem::take(&mut self.waiting), 0);
    }

    pub(crate) fn read(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Part::Data(left) = self.part {
                self.data_taken(skip(&mut bytes, left), left);
            } else {
                bytes = rest;
                self.part = self.step(*byte, out)?;
            }
        }
        Ok(())
    }

    /// How many of the next bytes are a frame's data.
    pub(crate) fn needless_to_read(&self) -> u64 {
        match self.part {
            Part::Data(left) => left,
            _ => 0,
        }
    }

    pub(crate) fn read_opaque(&mut self, count: u64) -> Result<(), Broken> {
        match self.part {
            Part::Data(left) if count <= left => {
                self.data_taken(count, left);
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    fn data_taken(&mut self, taken: u64, left: u64) {
        self.part = match left - taken {
            0 => Part::Start,
            left => Part::Data(left),
        };
    }

    fn step(&mut self, byte: u8, out: &mut Out<'_>) -> Result<Part, Broken> {
        Ok(match self.part {
            Part::Start => {
                if Kind::of(byte).ok_or(Broken)? == Kind::Message {
                    out.request(Protocol::Websocket, &Label::EMPTY);
                    self.waiting = self.waiting.saturating_add(1);
                }
                Part::Length
            }
            Part::Length if byte & MASKED == 0 => return Err(Broken),
            Part::Length => match byte & !MASKED {
                126 => Part::Long(2, 0),
                127 => Part::Long(8, 0),
                length => Part::Data(u64::from(length) + KEY),
            },
            Part::Long(left, so_far) => {
                let length = so_far << 8 | u64::from(byte);
                match left {
                    1 if length > LONGEST => return Err(Broken),
                    1 => Part::Data(length + KEY),
                    _ => Part::Long(left - 1, length),
                }
            }
            Part::Data(left) => Part::Data(left),
        })
    }
}
