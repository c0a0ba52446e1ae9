//! One connection: from its first bytes to its end.
//!
//! One file on purpose: its parts are compiled into each other on the path of every read and write.

use crate::batch::Out;
use crate::chunked::skip;
use crate::detect::{self, Guess};
use crate::head::{Appended, Head};
use crate::http::{Flow, Http};
use crate::memcached::Memcached;
use crate::pieces::{Piece, Pieces};
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::websocket::{self, Websocket};
use crate::{Broken, Fact, Reason, Wanted};

/// Room for heads that come in parts. What it holds before a connection begins does not matter, and
/// it is touched only where a head is cut by a read or write.
pub struct Buffers {
    request: [u8; 16 << 10],
    answer: [u8; 8 << 10],
}

impl Buffers {
    /// Empty buffers.
    pub const fn new() -> Self {
        Buffers {
            request: [0; 16 << 10],
            answer: [0; 8 << 10],
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
enum Stage {
    /// The first bytes don't tell yet.
    Detect,
    /// This many bytes come before the first bytes that count.
    Prefix(u64),
    Http(Http),
    Redis(Redis),
    Memcached(Memcached),
    Postgres(Postgres),
    /// Ciphertext.
    Tls,
    /// After an upgrade: nothing read yet, or a first byte.
    Upgraded(Option<u8>),
    Websocket(Websocket),
    /// Not framed.
    Opaque,
}

/// What is known of a connection between two transfers.
pub struct Connection {
    stage: Stage,
    /// In `Detect`: the bytes so far.
    first: Head,
    /// They look like the beginning of an HTTP request.
    http: bool,
    /// Its beginning was announced.
    begun: bool,
    /// Something was read.
    read: bool,
    /// It was accepted some time ago: what is written before something is read answers what went by unseen.
    resumed: bool,
}

impl Connection {
    /// A connection that was just accepted.
    pub const fn new() -> Self {
        Connection::begin(false)
    }

    /// The same, or one that was accepted some time ago, and of which nothing was seen so far.
    pub const fn begin(resumed: bool) -> Self {
        Connection {
            resumed,
            stage: Stage::Detect,
            first: Head::EMPTY,
            http: false,
            begun: false,
            read: false,
        }
    }

    /// Whether the bytes are of no use any more: only their number counts.
    pub fn is_opaque(&self) -> bool {
        matches!(self.stage, Stage::Opaque | Stage::Tls)
    }

    /// Whether the bytes so far were ciphertext.
    pub fn is_ciphertext(&self) -> bool {
        matches!(self.stage, Stage::Tls)
    }

    /// Whether a request was read, or begun, whose answer is not complete; false where requests are not told by heads.
    pub fn owes_an_answer(&self) -> bool {
        match &self.stage {
            Stage::Http(http) => http.owes_an_answer(),
            Stage::Detect => self.begun,
            _ => false,
        }
    }

    /// From here on the plain text of an encrypted connection is fed, and its raw bytes are not.
    pub fn secured(&mut self) {
        if matches!(self.stage, Stage::Tls) {
            *self = Connection::new();
        }
    }

    /// The connection is not framed any more.
    pub fn give_up(&mut self) {
        self.stage = Stage::Opaque;
    }

    /// The server read `pieces`, at once. Of heads in them, the `wanted` headers are told, too.
    pub fn read(
        &mut self,
        buffers: &mut Buffers,
        mut pieces: impl Pieces,
        wanted: Wanted<'_>,
        mut emit: impl FnMut(Fact<'_>),
    ) {
        let mut out = Out::with(&mut emit, wanted);
        while !self.is_opaque()
            && let Some(piece) = pieces.next_piece(self.needless_to_read())
        {
            let result = match piece {
                Piece::Seen([]) => continue,
                Piece::Seen(part) => self.read_part(buffers, part, &mut out),
                Piece::Unseen(count) => self.read_unseen(count, &mut out),
            };
            self.settle(result, &mut out);
            self.read = true;
        }
        match &mut self.stage {
            Stage::Http(http) => http.read_ends(&mut out),
            Stage::Detect if self.http && !self.begun => {
                self.begun = true;
                out.begun();
            }
            _ => {}
        }
        out.flush();
    }

    fn read_part(
        &mut self,
        buffers: &mut Buffers,
        mut bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match &mut self.stage {
                Stage::Detect if self.first.is_empty() => {
                    self.decide(detect::guess(bytes), &mut bytes, out);
                    if matches!(self.stage, Stage::Detect) {
                        self.collect(buffers, &mut bytes, out)?;
                    }
                }
                Stage::Detect => self.collect(buffers, &mut bytes, out)?,
                Stage::Prefix(left) => {
                    *left -= skip(&mut bytes, *left);
                    if *left == 0 {
                        self.stage = Stage::Detect;
                    }
                }
                Stage::Http(http) => return http.read(&mut buffers.request, bytes, out),
                Stage::Redis(redis) => return redis.read(bytes, out),
                Stage::Memcached(memcached) => return memcached.read(bytes, out),
                Stage::Postgres(postgres) => {
                    if postgres.turns_secret(bytes) {
                        self.stage = Stage::Tls;
                        out.unseen(Reason::Tls);
                        return Ok(());
                    }
                    return postgres.read(bytes, out);
                }
                Stage::Upgraded(_) => self.after_upgrade(&mut bytes, out)?,
                Stage::Websocket(websocket) => return websocket.read(bytes, out),
                Stage::Tls | Stage::Opaque => return Ok(()),
            }
        }
        Ok(())
    }

    /// Goes to the stage that the first two bytes after an upgrade tell.
    fn after_upgrade(&mut self, bytes: &mut &[u8], out: &mut Out<'_>) -> Result<(), Broken> {
        let Stage::Upgraded(kept) = self.stage else {
            return Ok(());
        };
        let (first, second) = match (kept, *bytes) {
            (None, [only]) => {
                self.stage = Stage::Upgraded(Some(*only));
                *bytes = &[];
                return Ok(());
            }
            (None, [first, second, ..]) => (*first, *second),
            (Some(first), [second, ..]) => (first, *second),
            (_, []) => return Ok(()),
        };
        self.stage = Stage::Opaque;
        if websocket::begins(first, second) {
            out.messages();
            let mut state = Websocket::new();
            state.read(kept.as_slice(), out)?;
            self.stage = Stage::Websocket(state);
        } else if detect::is_http2(bytes) {
            out.unseen(Reason::Http2);
        }
        Ok(())
    }

    /// Goes to the stage that the first bytes tell; `bytes` are those bytes.
    fn decide(&mut self, guess: Guess, bytes: &mut &[u8], out: &mut Out<'_>) {
        self.stage = match guess {
            Guess::More { http } => {
                self.http = http;
                return;
            }
            Guess::Skip(count) => {
                let left = count as u64 - skip(bytes, count as u64);
                match left {
                    0 => return,
                    _ => Stage::Prefix(left),
                }
            }
            Guess::Http => Stage::Http(Http::new()),
            Guess::Redis => Stage::Redis(Redis::new()),
            Guess::Memcached { binary } => Stage::Memcached(Memcached::new(binary)),
            Guess::Postgres => Stage::Postgres(Postgres::new()),
            Guess::Tls => {
                out.unseen(Reason::Tls);
                Stage::Tls
            }
            Guess::Http2 => {
                out.unseen(Reason::Http2);
                Stage::Opaque
            }
            Guess::Unknown => Stage::Opaque,
        };
        self.http = false;
    }

    /// Keeps first bytes one by one until they tell: a first line at most.
    fn collect(
        &mut self,
        buffers: &mut Buffers,
        bytes: &mut &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Broken> {
        while let Some((byte, rest)) = bytes.split_first() {
            let mut one = core::slice::from_ref(byte);
            if self.first.append(&mut buffers.request, &mut one) == Appended::Full {
                return Err(Broken);
            }
            *bytes = rest;
            let mut first = self.first.bytes(&buffers.request);
            // Past the first few, only a line's end can tell: the work stays linear.
            if first.len() > FEW && *byte != b'\n' {
                continue;
            }
            let guess = detect::guess(first);
            let seen = first.len();
            self.decide(guess, &mut first, out);
            let skipped = seen - first.len();
            match &mut self.stage {
                Stage::Detect if skipped == 0 => {}
                Stage::Detect => {
                    // Empty lines came first; the byte that is none begins anew.
                    self.first = Head::EMPTY;
                    if skipped < seen {
                        let mut one = core::slice::from_ref(byte);
                        self.first.append(&mut buffers.request, &mut one);
                    }
                }
                Stage::Http(http) => {
                    http.resume(self.first, self.begun);
                    return Ok(());
                }
                Stage::Redis(redis) => return redis.read(first, out),
                Stage::Memcached(memcached) => return memcached.read(first, out),
                Stage::Postgres(postgres) => return postgres.read(first, out),
                _ => {
                    self.first = Head::EMPTY;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The server wrote `pieces`, at once.
    pub fn wrote(
        &mut self,
        buffers: &mut Buffers,
        mut pieces: impl Pieces,
        mut emit: impl FnMut(Fact<'_>),
    ) {
        let mut out = Out::new(&mut emit);
        while !self.is_opaque()
            && let Some(piece) = pieces.next_piece(self.needless())
        {
            let result = match piece {
                Piece::Seen([]) => continue,
                Piece::Seen(part) => self.wrote_part(buffers, part, &mut out),
                Piece::Unseen(count) => self.wrote_unseen(count, &mut out),
            };
            self.settle(result, &mut out);
        }
        out.flush();
    }

    /// How many of the next bytes that the server writes don't matter, whatever they are.
    pub fn needless(&self) -> u64 {
        match &self.stage {
            Stage::Detect => 0,
            Stage::Http(http) => http.needless(),
            Stage::Postgres(postgres) => postgres.needless(),
            _ => u64::MAX,
        }
    }

    /// How many of the next bytes that the server reads don't matter, whatever they are.
    fn needless_to_read(&self) -> u64 {
        match &self.stage {
            Stage::Http(http) => http.needless_to_read(),
            Stage::Redis(redis) => redis.needless_to_read(),
            Stage::Memcached(memcached) => memcached.needless_to_read(),
            Stage::Websocket(websocket) => websocket.needless_to_read(),
            Stage::Tls => u64::MAX,
            _ => 0,
        }
    }

    fn wrote_part(
        &mut self,
        buffers: &mut Buffers,
        bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Broken> {
        if matches!(self.stage, Stage::Detect) {
            self.wrote_first(bytes, out);
        }
        match &mut self.stage {
            Stage::Http(http) => {
                if http.wrote(&mut buffers.answer, bytes, out)? == Flow::Upgraded {
                    self.stage = Stage::Upgraded(None);
                }
                Ok(())
            }
            Stage::Postgres(postgres) => postgres.wrote(bytes, out),
            Stage::Redis(redis) => {
                redis.wrote(out);
                Ok(())
            }
            Stage::Memcached(memcached) => {
                memcached.wrote(out);
                Ok(())
            }
            Stage::Websocket(websocket) => {
                websocket.wrote(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Written before what was read could tell the protocol.
    fn wrote_first(&mut self, bytes: &[u8], out: &mut Out<'_>) {
        if self.resumed && !self.read {
            return;
        }
        let http = bytes.starts_with(b"HTTP/1.");
        if self.read && http {
            // An answer to a head that never was complete: 400, 408.
            let mut state = Http::new();
            state.resume(self.first, self.begun);
            self.stage = Stage::Http(state);
            return;
        }
        self.stage = Stage::Opaque;
        // Where both ends agreed on HTTP/2 under TLS, the server need not wait for the client.
        if !self.read && detect::is_http2_settings(bytes) {
            out.unseen(Reason::Http2);
        }
        // A server that is busy may say so unasked; a success answers what went by unseen.
        if http && matches!(bytes.get(9), Some(b'2' | b'3')) {
            out.unseen(Reason::Bypassed);
        }
    }

    /// The server read `count` bytes that can't be seen (splice).
    pub fn read_opaque(&mut self, count: u64, mut emit: impl FnMut(Fact<'_>)) {
        let mut out = Out::new(&mut emit);
        let result = self.read_unseen(count, &mut out);
        self.settle(result, &mut out);
        out.flush();
    }

    fn read_unseen(&mut self, count: u64, out: &mut Out<'_>) -> Result<(), Broken> {
        match &mut self.stage {
            _ if count == 0 => Ok(()),
            Stage::Tls | Stage::Opaque => Ok(()),
            Stage::Http(http) => http.read_opaque(count),
            Stage::Redis(redis) => redis.read_opaque(count, out),
            Stage::Memcached(memcached) => memcached.read_opaque(count),
            Stage::Websocket(websocket) => websocket.read_opaque(count),
            Stage::Detect | Stage::Upgraded(_) => {
                self.stage = Stage::Opaque;
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    /// The server wrote `count` bytes that can't be seen (sendfile, splice).
    pub fn wrote_opaque(&mut self, count: u64, mut emit: impl FnMut(Fact<'_>)) {
        let mut out = Out::new(&mut emit);
        let result = self.wrote_unseen(count, &mut out);
        self.settle(result, &mut out);
        out.flush();
    }

    fn wrote_unseen(&mut self, count: u64, out: &mut Out<'_>) -> Result<(), Broken> {
        match &mut self.stage {
            _ if count == 0 => {}
            Stage::Http(http) => return http.wrote_opaque(count, out),
            Stage::Detect if self.resumed && !self.read => {}
            Stage::Detect => self.stage = Stage::Opaque,
            Stage::Postgres(postgres) => return postgres.wrote_opaque(count),
            Stage::Redis(redis) => redis.wrote(out),
            Stage::Memcached(memcached) => memcached.wrote(out),
            Stage::Websocket(websocket) => websocket.wrote(out),
            _ => {}
        }
        Ok(())
    }

    /// Nothing more will be written: the connection is closed or shut down.
    pub fn wrote_last(&mut self, mut emit: impl FnMut(Fact<'_>)) {
        let mut out = Out::new(&mut emit);
        if let Stage::Http(http) = &mut self.stage {
            http.wrote_last(&mut out);
        }
        out.flush();
    }

    fn settle(&mut self, result: Result<(), Broken>, out: &mut Out<'_>) {
        if result == Err(Broken) {
            self.stage = Stage::Opaque;
            out.unseen(Reason::Unframed);
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

/// All protocols but the ones with a first line are told by fewer bytes.
const FEW: usize = 40;
