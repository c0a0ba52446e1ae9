//! memcached commands, text and binary. Data blocks are skipped by their lengths. Replies are not
//! framed: the first bytes written after commands answer all of them.

use crate::batch::Out;
use crate::chunked::skip;
use crate::label::Label;
use crate::{Broken, Protocol};

/// The commands of the text protocol.
const TEXT: &[&[u8]] = &[
    b"get",
    b"gets",
    b"gat",
    b"gats",
    b"set",
    b"add",
    b"replace",
    b"append",
    b"prepend",
    b"cas",
    b"delete",
    b"incr",
    b"decr",
    b"touch",
    b"mg",
    b"ms",
    b"md",
    b"ma",
    b"mn",
    b"me",
    b"stats",
    b"version",
    b"verbosity",
    b"flush_all",
    b"quit",
    b"shutdown",
    b"slabs",
    b"lru",
    b"lru_crawler",
    b"watch",
    b"cache_memlimit",
];

/// The names of the binary protocol's opcodes.
const BINARY: &[&[u8]] = &[
    b"get",
    b"set",
    b"add",
    b"replace",
    b"delete",
    b"increment",
    b"decrement",
    b"quit",
    b"flush",
    b"getq",
    b"noop",
    b"version",
    b"getk",
    b"getkq",
    b"append",
    b"prepend",
    b"stat",
    b"setq",
    b"addq",
    b"replaceq",
    b"deleteq",
    b"incrementq",
    b"decrementq",
    b"quitq",
    b"flushq",
    b"appendq",
    b"prependq",
    b"verbosity",
    b"touch",
    b"gat",
    b"gatq",
];

/// Bytes of a binary request's head.
pub(crate) const BINARY_HEAD: usize = 24;
/// The longest data block that memcached can be told to allow.
const LONGEST_DATA: u64 = 1 << 30;

/// Whether `verb` is a command of the text protocol.
pub(crate) fn is_text_verb(verb: &[u8]) -> bool {
    TEXT.contains(&verb)
}

/// The verb and the body's length of a binary head, if it is one.
pub(crate) fn binary_head(head: &[u8; BINARY_HEAD]) -> Option<(&'static [u8], u64)> {
    let [0x80, opcode, key_high, key_low, extras, 0, _, _, rest @ ..] = head else {
        return None;
    };
    let body = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    let key = u32::from(u16::from_be_bytes([*key_high, *key_low]));
    let plausible =
        key <= 250 && key + u32::from(*extras) <= body && u64::from(body) <= LONGEST_DATA;
    let verb = match opcode {
        0x20..=0x22 => b"sasl".as_slice(),
        _ => BINARY.get(usize::from(*opcode))?,
    };
    plausible.then_some((verb, u64::from(body)))
}

#[derive(Clone, Copy)]
enum Part {
    /// In a command line.
    Line,
    /// In a data block (its CR LF included) or a binary body.
    Data(u64),
}

pub(crate) struct Memcached {
    part: Part,
    binary: bool,
    /// The command's first word, or a binary head.
    kept: [u8; BINARY_HEAD],
    kept_len: usize,
    /// Which word of the line is at hand, counted from 1; 0 before the first.
    word: u32,
    /// Between words.
    space: bool,
    /// The word at hand as a number, if it is one.
    number: Option<u64>,
    /// What the word that tells the data's length says.
    length: Option<u64>,
    /// How many bytes the word at hand has in common with [`NO_REPLY`]; more than it has: it differs.
    quiet: usize,
    /// Commands that wait for their replies.
    waiting: u32,
}

/// The last word of a command that is not answered.
const NO_REPLY: &[u8] = b"noreply";

impl Memcached {
    pub(crate) const fn new(binary: bool) -> Self {
        Memcached {
            part: Part::Line,
            binary,
            kept: [0; BINARY_HEAD],
            kept_len: 0,
            word: 0,
            space: true,
            number: None,
            length: None,
            quiet: 0,
            waiting: 0,
        }
    }

    pub(crate) fn wrote(&mut self, out: &mut Out<'_>) {
        out.answers(core::mem::take(&mut self.waiting), 0);
    }

    pub(crate) fn read(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if let Part::Data(left) = &mut self.part {
                *left -= skip(&mut bytes, *left);
                if *left > 0 {
                    return Ok(());
                }
                self.part = Part::Line;
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            if self.binary {
                self.binary_byte(*byte, out)?;
            } else {
                self.text_byte(*byte, out)?;
            }
        }
        Ok(())
    }

    /// How many of the next bytes are a data block's.
    pub(crate) fn needless_to_read(&self) -> u64 {
        match self.part {
            Part::Data(left) => left,
            Part::Line => 0,
        }
    }

    pub(crate) fn read_opaque(&mut self, count: u64) -> Result<(), Broken> {
        match &mut self.part {
            Part::Data(left) if count <= *left => *left -= count,
            _ => return Err(Broken),
        }
        if self.needless_to_read() == 0 {
            self.part = Part::Line;
        }
        Ok(())
    }

    fn binary_byte(&mut self, byte: u8, out: &mut Out<'_>) -> Result<(), Broken> {
        self.keep(byte);
        if self.kept_len < BINARY_HEAD {
            return Ok(());
        }
        let (verb, body) = binary_head(&self.kept).ok_or(Broken)?;
        out.request(Protocol::Memcached, &Label::verb(verb, false));
        self.waiting = self.waiting.saturating_add(1);
        self.kept_len = 0;
        self.part = Part::Data(body);
        Ok(())
    }

    fn text_byte(&mut self, byte: u8, out: &mut Out<'_>) -> Result<(), Broken> {
        match byte {
            b'\n' => return self.line(out),
            b' ' | b'\r' => {
                self.word_ends();
                self.space = true;
            }
            0 => return Err(Broken),
            _ => {
                if self.space {
                    self.space = false;
                    self.word = self.word.saturating_add(1);
                    self.number = Some(0);
                    self.quiet = 0;
                }
                if self.word == 1 {
                    self.keep(byte);
                }
                self.quiet = match NO_REPLY.get(self.quiet) {
                    Some(expected) if *expected == byte => self.quiet + 1,
                    _ => usize::MAX,
                };
                let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
                self.number = self
                    .number
                    .zip(digit)
                    .map(|(number, digit)| number.saturating_mul(10).saturating_add(digit));
            }
        }
        Ok(())
    }

    /// The line's end: a command, and maybe data after it.
    fn line(&mut self, out: &mut Out<'_>) -> Result<(), Broken> {
        self.word_ends();
        if self.word > 0 {
            let verb = self.kept.get(..self.kept_len).unwrap_or(&[]);
            out.request(Protocol::Memcached, &Label::verb(verb, false));
            if self.word > 1 && self.quiet == NO_REPLY.len() {
                out.answer(0);
            } else {
                self.waiting = self.waiting.saturating_add(1);
            }
        }
        if let Some(length) = self.length {
            if length > LONGEST_DATA {
                return Err(Broken);
            }
            self.part = Part::Data(length + 2);
        }
        (self.kept_len, self.word, self.space, self.length) = (0, 0, true, None);
        Ok(())
    }

    fn word_ends(&mut self) {
        let verb = self.kept.get(..self.kept_len).unwrap_or(&[]);
        let tells_length = match verb {
            b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => 5,
            b"ms" => 3,
            _ => 0,
        };
        if !self.space && self.word == tells_length {
            self.length = self.number;
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(slot) = self.kept.get_mut(self.kept_len) {
            *slot = byte;
            self.kept_len += 1;
        }
    }
}
