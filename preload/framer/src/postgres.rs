//! PostgreSQL, protocol 3: a request is the opening of the session, a simple query, a function call, or
//! what a Sync ends; its answer ends with ReadyForQuery. Of a statement only its first keyword is looked
//! at.

use crate::batch::Out;
use crate::chunked::skip;
use crate::label::Label;
use crate::{Broken, Protocol};

/// The first words of statements that may be a label.
const KEYWORDS: &[&[u8]] = &[
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"MERGE",
    b"BEGIN",
    b"START",
    b"COMMIT",
    b"END",
    b"ROLLBACK",
    b"ABORT",
    b"SAVEPOINT",
    b"RELEASE",
    b"SET",
    b"RESET",
    b"SHOW",
    b"COPY",
    b"CREATE",
    b"DROP",
    b"ALTER",
    b"WITH",
    b"VALUES",
    b"TABLE",
    b"VACUUM",
    b"ANALYZE",
    b"EXPLAIN",
    b"TRUNCATE",
    b"LOCK",
    b"PREPARE",
    b"EXECUTE",
    b"DEALLOCATE",
    b"DECLARE",
    b"FETCH",
    b"MOVE",
    b"CLOSE",
    b"LISTEN",
    b"NOTIFY",
    b"UNLISTEN",
    b"DISCARD",
    b"CALL",
    b"DO",
    b"GRANT",
    b"REVOKE",
    b"COMMENT",
    b"CLUSTER",
    b"REINDEX",
    b"REFRESH",
    b"CHECKPOINT",
    b"IMPORT",
    b"SECURITY",
    b"LOAD",
    b"REASSIGN",
];
const LONGEST_KEYWORD: usize = 16;
/// The opening of a session: from the first message (maybe a question for TLS) to the first
/// ReadyForQuery.
const OPENING: &[u8] = b"CONNECT";
/// A connection that only asks to cancel what another one does; it is never answered.
const CANCELLING: &[u8] = b"CANCEL";

/// No keyword.
const NONE: u8 = u8::MAX;
/// The longest first message that PostgreSQL takes.
const LONGEST_STARTUP: u32 = 10_000;
const LONGEST_MESSAGE: u32 = 1 << 30;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// Prepared statements whose keyword is remembered.
const STATEMENTS: usize = 64;

/// A message's first 8 bytes, if a connection can begin with them: body length and code.
pub(crate) fn startup(head: &[u8; 8]) -> Option<(u32, u32)> {
    let [a, b, c, d, code @ ..] = *head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let code = u32::from_be_bytes(code);
    let known = matches!(code, SSL_REQUEST | GSS_REQUEST | CANCEL) || code >> 16 == 3;
    let body = length.checked_sub(8)?;
    (known && length <= LONGEST_STARTUP).then_some((body, code))
}

/// What the bytes of a message from the client are looked at for.
#[derive(Clone, Copy)]
enum Look {
    /// Nothing.
    Skip,
    /// A name up to a NUL: of a portal (Bind), to be skipped.
    Portal,
    /// A name up to a NUL: of a statement that is bound.
    Bound,
    /// A name up to a NUL: of a statement that is parsed.
    Parsed,
    /// A statement.
    Statement(Sniff),
}

/// In search of a statement's first word.
#[derive(Clone, Copy)]
enum Sniff {
    Space,
    /// After one `-` or `/`.
    Maybe(u8),
    /// In a comment up to the line's end.
    LineComment,
    /// In a comment up to `*/`; whether the `*` was there.
    BlockComment(bool),
    Word,
    Found,
}

pub(crate) struct Postgres {
    /// Messages have types: the startup message was read.
    started: bool,
    head: [u8; 8],
    head_len: usize,
    /// Bytes of the client's message that are still to come.
    left: u64,
    kind: u8,
    look: Look,
    /// FNV-1a of the statement's name.
    name: u32,
    word: [u8; LONGEST_KEYWORD],
    word_len: usize,
    /// Keyword of the request that is being read.
    keyword: u8,
    /// Names and keywords of prepared statements, by hash.
    statements: [(u32, u8); STATEMENTS],
    /// Requests that wait for ReadyForQuery.
    waiting: u32,
    /// The server answers an SSL or GSS request with one byte.
    single: bool,
    /// The session's opening was announced.
    begun: bool,
    answer_head: [u8; 5],
    answer_head_len: usize,
    answer_left: u64,
}

impl Postgres {
    pub(crate) const fn new() -> Self {
        Postgres {
            started: false,
            head: [0; 8],
            head_len: 0,
            left: 0,
            kind: 0,
            look: Look::Skip,
            name: 0,
            word: [0; LONGEST_KEYWORD],
            word_len: 0,
            keyword: NONE,
            statements: [(0, NONE); STATEMENTS],
            waiting: 0,
            single: false,
            begun: false,
            answer_head: [0; 5],
            answer_head_len: 0,
            answer_left: 0,
        }
    }

    /// Whether `bytes`, the next to be read, are a TLS handshake.
    pub(crate) fn turns_secret(&self, bytes: &[u8]) -> bool {
        let may = !self.started && self.head_len == 0 && self.left == 0;
        may && bytes.first() == Some(&0x16)
    }

    pub(crate) fn read(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if self.left > 0 {
                self.body(&mut bytes);
                if self.left == 0 {
                    self.message_ends(out);
                }
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            if let Some(slot) = self.head.get_mut(self.head_len) {
                *slot = *byte;
                self.head_len += 1;
            }
            if !self.started && self.head_len == 8 {
                self.head_len = 0;
                self.opens(out)?;
            } else if self.started && self.head_len == 5 {
                self.head_len = 0;
                self.message_begins(out)?;
            }
        }
        Ok(())
    }

    /// A message without a type: the first one of a connection, or one after a question for TLS.
    fn opens(&mut self, out: &mut Out<'_>) -> Result<(), Broken> {
        let (left, code) = startup(&self.head).ok_or(Broken)?;
        self.left = u64::from(left);
        (self.kind, self.look) = (0, Look::Skip);
        match code {
            SSL_REQUEST | GSS_REQUEST => {
                self.single = true;
                if !core::mem::replace(&mut self.begun, true) {
                    out.begun();
                }
            }
            CANCEL => out.request(Protocol::Postgres, &Label::verb(CANCELLING, true)),
            _ => {
                self.started = true;
                out.request(Protocol::Postgres, &Label::verb(OPENING, true));
                self.waiting = self.waiting.saturating_add(1);
            }
        }
        Ok(())
    }

    fn message_begins(&mut self, out: &mut Out<'_>) -> Result<(), Broken> {
        let [kind, a, b, c, d, ..] = self.head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(4..=LONGEST_MESSAGE).contains(&length) || !kind.is_ascii_alphabetic() {
            return Err(Broken);
        }
        self.kind = kind;
        self.left = u64::from(length - 4);
        self.word_len = 0;
        self.name = FNV_START;
        self.look = match kind {
            b'Q' => Look::Statement(Sniff::Space),
            b'P' => Look::Parsed,
            b'B' => Look::Portal,
            _ => Look::Skip,
        };
        if self.left == 0 {
            self.message_ends(out);
        }
        Ok(())
    }

    fn body(&mut self, bytes: &mut &[u8]) {
        while self.left > 0 && !matches!(self.look, Look::Skip | Look::Statement(Sniff::Found)) {
            let Some((byte, rest)) = bytes.split_first() else {
                return;
            };
            *bytes = rest;
            self.left -= 1;
            self.look = self.look_at(*byte);
        }
        self.left -= skip(bytes, self.left);
    }

    fn look_at(&mut self, byte: u8) -> Look {
        match (self.look, byte) {
            (Look::Portal, 0) => Look::Bound,
            (Look::Bound, 0) => Look::Skip,
            (Look::Parsed, 0) => Look::Statement(Sniff::Space),
            (Look::Bound | Look::Parsed, _) => {
                self.name = (self.name ^ u32::from(byte)).wrapping_mul(FNV_PRIME);
                self.look
            }
            (Look::Statement(sniff), _) => Look::Statement(self.sniff(sniff, byte)),
            (look, _) => look,
        }
    }

    fn sniff(&mut self, sniff: Sniff, byte: u8) -> Sniff {
        match (sniff, byte) {
            (Sniff::Space | Sniff::Word, _) if byte.is_ascii_alphabetic() => {
                match self.word.get_mut(self.word_len) {
                    Some(slot) => {
                        *slot = byte.to_ascii_uppercase();
                        self.word_len += 1;
                        Sniff::Word
                    }
                    None => {
                        self.word_len = 0;
                        Sniff::Found
                    }
                }
            }
            (Sniff::Space, b'-' | b'/') => Sniff::Maybe(byte),
            (Sniff::Space, b'(' | b';') => Sniff::Space,
            (Sniff::Space, _) if byte.is_ascii_whitespace() => Sniff::Space,
            (Sniff::Maybe(b'-'), b'-') => Sniff::LineComment,
            (Sniff::Maybe(b'/'), b'*') => Sniff::BlockComment(false),
            (Sniff::LineComment, b'\n') => Sniff::Space,
            (Sniff::LineComment, _) => Sniff::LineComment,
            (Sniff::BlockComment(true), b'/') => Sniff::Space,
            (Sniff::BlockComment(_), _) => Sniff::BlockComment(byte == b'*'),
            // A word that goes on is no keyword.
            (Sniff::Word, b'_' | b'0'..=b'9' | 128..) => {
                self.word_len = 0;
                Sniff::Found
            }
            _ => Sniff::Found,
        }
    }

    fn message_ends(&mut self, out: &mut Out<'_>) {
        let found = self.word.get(..self.word_len).unwrap_or(&[]);
        let found = KEYWORDS.iter().position(|word| *word == found);
        let found = found.map_or(NONE, |index| index as u8);
        match self.kind {
            b'Q' => {
                self.keyword = found;
                self.request(out);
            }
            b'P' => self.remember(found),
            b'B' if self.keyword == NONE => self.keyword = self.remembered(),
            b'S' | b'F' => self.request(out),
            _ => {}
        }
    }

    fn request(&mut self, out: &mut Out<'_>) {
        let keyword = KEYWORDS.get(usize::from(self.keyword));
        let keyword = keyword.copied().unwrap_or_default();
        out.request(Protocol::Postgres, &Label::verb(keyword, true));
        self.keyword = NONE;
        self.waiting = self.waiting.saturating_add(1);
    }

    fn remember(&mut self, keyword: u8) {
        if self.keyword == NONE {
            self.keyword = keyword;
        }
        if let Some(slot) = self.statements.get_mut(self.name as usize % STATEMENTS) {
            *slot = (self.name, keyword);
        }
    }

    fn remembered(&self) -> u8 {
        match self.statements.get(self.name as usize % STATEMENTS) {
            Some((name, keyword)) if *name == self.name => *keyword,
            _ => NONE,
        }
    }

    /// How many of the next bytes that are written lie within a message.
    pub(crate) fn needless(&self) -> u64 {
        self.answer_left
    }

    pub(crate) fn wrote_opaque(&mut self, count: u64) -> Result<(), Broken> {
        self.answer_left = self.answer_left.checked_sub(count).ok_or(Broken)?;
        Ok(())
    }

    pub(crate) fn wrote(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if self.answer_left > 0 {
                self.answer_left -= skip(&mut bytes, self.answer_left);
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            if core::mem::take(&mut self.single) && matches!(byte, b'S' | b'N' | b'G') {
                continue;
            }
            if let Some(slot) = self.answer_head.get_mut(self.answer_head_len) {
                *slot = *byte;
                self.answer_head_len += 1;
            }
            if self.answer_head_len == 5 {
                self.answer_head_len = 0;
                let [kind, a, b, c, d] = self.answer_head;
                let length = u32::from_be_bytes([a, b, c, d]);
                if !(4..=LONGEST_MESSAGE).contains(&length) {
                    return Err(Broken);
                }
                self.answer_left = u64::from(length - 4);
                if kind == b'Z' && self.waiting > 0 {
                    self.waiting -= 1;
                    out.answer(0);
                }
            }
        }
        Ok(())
    }
}

const FNV_START: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;
