//! Redis commands: arrays of bulk strings, and inline ones. Only the verb is looked at. Replies are not
//! framed: the first bytes written after commands answer all of them.

use crate::batch::Out;
use crate::chunked::skip;
use crate::label::Label;
use crate::{Broken, Protocol};

/// Redis' own limits.
const MOST_ELEMENTS: u64 = 1 << 20;
const LONGEST_ELEMENT: u64 = 512 << 20;
/// Digits of a number that are read at once.
const MOST_DIGITS: usize = 9;
/// A verb longer than this has no label.
const VERB: usize = 33;

#[derive(Clone, Copy)]
enum Part {
    /// Before a command.
    Start,
    /// In the number of an array's elements.
    Count(u64),
    /// In the line of an array without elements.
    Empty,
    /// Before an element: `$`.
    Element,
    /// In the length of an element.
    Length(u64, bool),
    /// In an element, its CR LF included.
    Bytes(u64),
    /// In the verb of an inline command.
    InlineVerb,
    /// After it.
    InlineRest,
}

pub(crate) struct Redis {
    part: Part,
    /// Elements of the array that are still to come.
    elements: u64,
    verb: [u8; VERB],
    verb_len: usize,
    /// The element at hand is the verb.
    at_verb: bool,
    /// Commands that wait for their replies.
    waiting: u32,
}

impl Redis {
    pub(crate) const fn new() -> Self {
        Redis {
            part: Part::Start,
            elements: 0,
            verb: [0; VERB],
            verb_len: 0,
            at_verb: false,
            waiting: 0,
        }
    }

    pub(crate) fn wrote(&mut self, out: &mut Out<'_>) {
        out.answers(core::mem::take(&mut self.waiting), 0);
    }

    pub(crate) fn read(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Part::Bytes(left) = self.part {
                self.take_element(&mut bytes, left, out);
            } else if let Some(rest) = self.whole_line(bytes) {
                bytes = rest;
            } else {
                bytes = rest;
                self.part = self.step(*byte, out)?;
            }
        }
        Ok(())
    }

    /// Takes a line that is there whole, as nearly all are: the number of an array's elements, or an
    /// element's length. What is left, or `None` where it has to be looked at byte by byte.
    #[inline]
    fn whole_line<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        match self.part {
            Part::Start => {
                let (count, rest) = number_line(b'*', bytes)?;
                if !(1..=MOST_ELEMENTS).contains(&count) {
                    return None;
                }
                self.elements = count;
                self.at_verb = true;
                self.part = Part::Element;
                Some(rest)
            }
            Part::Element => {
                let (length, rest) = number_line(b'$', bytes)?;
                if length > LONGEST_ELEMENT {
                    return None;
                }
                self.part = Part::Bytes(length + 2);
                Some(rest)
            }
            _ => None,
        }
    }

    fn take_element(&mut self, bytes: &mut &[u8], left: u64, out: &mut Out<'_>) {
        let seen = *bytes;
        let taken = skip(bytes, left);
        if self.at_verb {
            // The last two of `left` are CR LF.
            let of_verb = taken.min(left.saturating_sub(2)) as usize;
            self.keep(seen.get(..of_verb).unwrap_or(&[]));
        }
        self.element_taken(taken, left, out);
    }

    /// How many of the next bytes are an argument's.
    pub(crate) fn needless_to_read(&self) -> u64 {
        match self.part {
            Part::Bytes(left) if !self.at_verb => left,
            _ => 0,
        }
    }

    pub(crate) fn read_opaque(&mut self, count: u64, out: &mut Out<'_>) -> Result<(), Broken> {
        match self.part {
            Part::Bytes(left) if !self.at_verb && count <= left => {
                self.element_taken(count, left, out);
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    /// `taken` of the `left` bytes of an element were read.
    fn element_taken(&mut self, taken: u64, left: u64, out: &mut Out<'_>) {
        if taken < left {
            self.part = Part::Bytes(left - taken);
            return;
        }
        self.at_verb = false;
        self.elements -= 1;
        self.part = if self.elements > 0 {
            Part::Element
        } else {
            self.command(out)
        };
    }

    fn step(&mut self, byte: u8, out: &mut Out<'_>) -> Result<Part, Broken> {
        Ok(match (self.part, byte) {
            (Part::Start, b'*') => Part::Count(0),
            (Part::Start, b'\r' | b'\n' | b' ') => Part::Start,
            (Part::Start, _) if byte.is_ascii_graphic() => {
                self.keep(&[byte]);
                Part::InlineVerb
            }
            (Part::Count(count), b'0'..=b'9') => {
                let count = count * 10 + u64::from(byte - b'0');
                if count > MOST_ELEMENTS {
                    return Err(Broken);
                }
                Part::Count(count)
            }
            // `*-1` is no command, like `*0`.
            (Part::Count(0), b'-') => Part::Empty,
            (Part::Empty, b'\n') => Part::Start,
            (Part::Empty, _) => Part::Empty,
            (Part::Count(count), b'\r') => Part::Count(count),
            (Part::Count(0), b'\n') => Part::Start,
            (Part::Count(count), b'\n') => {
                self.elements = count;
                self.at_verb = true;
                Part::Element
            }
            (Part::Element, b'$') => Part::Length(0, false),
            (Part::Length(length, _), b'0'..=b'9') => {
                let length = length * 10 + u64::from(byte - b'0');
                if length > LONGEST_ELEMENT {
                    return Err(Broken);
                }
                Part::Length(length, true)
            }
            (Part::Length(length, true), b'\r') => Part::Length(length, true),
            (Part::Length(length, true), b'\n') => Part::Bytes(length + 2),
            (Part::InlineVerb | Part::InlineRest, b'\n') => self.command(out),
            (Part::InlineVerb, b' ' | b'\t' | b'\r') => Part::InlineRest,
            (Part::InlineVerb, _) => {
                self.keep(&[byte]);
                Part::InlineVerb
            }
            (Part::InlineRest, _) => Part::InlineRest,
            _ => return Err(Broken),
        })
    }

    /// Remembers the next bytes of the verb, as far as there is room.
    fn keep(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(slot) = self.verb.get_mut(self.verb_len) {
                *slot = *byte;
                self.verb_len += 1;
            } else {
                return;
            }
        }
    }

    fn command(&mut self, out: &mut Out<'_>) -> Part {
        let verb = self.verb.get(..self.verb_len).unwrap_or(&[]);
        out.request(Protocol::Redis, &Label::verb(verb, true));
        self.verb_len = 0;
        self.waiting = self.waiting.saturating_add(1);
        Part::Start
    }
}

/// The number of a whole line of `sign`, some digits and CR LF; and what comes after it.
#[inline]
fn number_line(sign: u8, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    if *first != sign {
        return None;
    }
    let mut number = 0;
    for digits in 0..=MOST_DIGITS {
        let (byte, more) = rest.split_first()?;
        match byte {
            b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
            b'\r' if digits > 0 => return Some((number, more.strip_prefix(b"\n")?)),
            _ => return None,
        }
        rest = more;
    }
    None
}
