//! What a connection speaks, by the first bytes that the server reads.

use crate::memcached::{self, BINARY_HEAD};
use crate::postgres;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// Too few bytes; whether they look like the head of an HTTP request.
    More {
        /// They do.
        http: bool,
    },
    /// This many bytes come before the protocol proper (a PROXY head, empty lines).
    Skip(usize),
    Http,
    Http2,
    Tls,
    Redis,
    Memcached {
        binary: bool,
    },
    Postgres,
    /// Something else.
    Unknown,
}

const PROXY_1: &[u8] = b"PROXY ";
const PROXY_1_MAX: usize = 107;
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// A first word longer than this is none.
const WORD_MAX: usize = 32;
/// Commands with which an inline Redis conversation may begin.
const REDIS_INLINE: &[&[u8]] = &[
    b"PING",
    b"ECHO",
    b"AUTH",
    b"SELECT",
    b"INFO",
    b"COMMAND",
    b"CONFIG",
    b"CLIENT",
    b"DBSIZE",
    b"FLUSHALL",
    b"FLUSHDB",
    b"KEYS",
    b"MONITOR",
    b"PSYNC",
    b"SYNC",
    b"SET",
    b"GET",
    b"DEL",
    b"EXISTS",
    b"EXPIRE",
    b"TTL",
    b"INCR",
    b"DECR",
    b"MGET",
    b"MSET",
    b"LPUSH",
    b"RPUSH",
    b"LPOP",
    b"RPOP",
    b"LRANGE",
    b"SADD",
    b"SPOP",
    b"SMEMBERS",
    b"HSET",
    b"HGET",
    b"HGETALL",
    b"ZADD",
    b"ZRANGE",
    b"PUBLISH",
    b"SUBSCRIBE",
    b"EVAL",
    b"MULTI",
    b"XADD",
    b"SCAN",
    b"TYPE",
];
/// Methods that tell a request before its first line is complete.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"PURGE",
];

/// What `bytes`, all that was read so far, are the beginning of.
pub(crate) fn guess(bytes: &[u8]) -> Guess {
    let more = Guess::More { http: false };
    match bytes {
        [] | [0x16] => more,
        [0x16, 3] => more,
        [0x16, 3, 0..=4, ..] => Guess::Tls,
        [0x80, ..] => match bytes.first_chunk::<BINARY_HEAD>() {
            None => more,
            Some(head) if memcached::binary_head(head).is_some() => {
                Guess::Memcached { binary: true }
            }
            Some(_) => Guess::Unknown,
        },
        [0, ..] => match bytes.first_chunk::<8>() {
            None => more,
            Some(head) if postgres::startup(head).is_some() => Guess::Postgres,
            Some(_) => Guess::Unknown,
        },
        [b'*', rest @ ..] => redis_array(rest),
        [b'\r' | b'\n', ..] => empty_lines(bytes),
        [first, ..] if first.is_ascii_graphic() => text(bytes),
        _ => Guess::Unknown,
    }
}

fn redis_array(rest: &[u8]) -> Guess {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(digits..).unwrap_or(&[]) {
        _ if digits > 7 => Guess::Unknown,
        [] | [b'\r'] => Guess::More { http: false },
        [b'\r', b'\n', ..] if digits > 0 => Guess::Redis,
        _ => Guess::Unknown,
    }
}

fn empty_lines(bytes: &[u8]) -> Guess {
    if bytes.len() < PROXY_2.len() && PROXY_2.starts_with(bytes) {
        return Guess::More { http: false };
    }
    if bytes.starts_with(PROXY_2) {
        // Then: version and command, family, and the length of the rest.
        return match bytes.get(12..16) {
            Some(&[_, _, high, low]) => {
                Guess::Skip(16 + usize::from(u16::from_be_bytes([high, low])))
            }
            _ => Guess::More { http: false },
        };
    }
    let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
    Guess::Skip(bytes.iter().take_while(|byte| blank(byte)).count())
}

fn text(bytes: &[u8]) -> Guess {
    if let Some(guess) = proxy_1(bytes) {
        return guess;
    }
    let is_word = |byte: &&u8| byte.is_ascii_graphic();
    let word_len = bytes.iter().take(WORD_MAX + 1).take_while(is_word).count();
    if word_len > WORD_MAX {
        return Guess::Unknown;
    }
    let (word, rest) = bytes.split_at_checked(word_len).unwrap_or((bytes, &[]));
    let Some(after) = rest.first() else {
        return Guess::More {
            http: METHODS.iter().any(|method| method.starts_with(word)),
        };
    };
    if !matches!(after, b' ' | b'\r' | b'\n') {
        return Guess::Unknown;
    }
    if memcached::is_text_verb(word) {
        return Guess::Memcached { binary: false };
    }
    line(word, rest, METHODS.contains(&word))
}

/// A PROXY head of version 1, complete or not.
fn proxy_1(bytes: &[u8]) -> Option<Guess> {
    if !bytes.starts_with(PROXY_1) {
        let may_be = bytes.len() > 1 && PROXY_1.starts_with(bytes);
        return may_be.then_some(Guess::More { http: false });
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    Some(match end {
        Some(end) => Guess::Skip(end + 1),
        None if bytes.len() < PROXY_1_MAX => Guess::More { http: false },
        None => Guess::Unknown,
    })
}

/// A first line that begins with `word`: a request line ends with the version.
fn line(word: &[u8], rest: &[u8], method: bool) -> Guess {
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        let text = rest
            .iter()
            .all(|byte| *byte >= b' ' || matches!(byte, b'\r' | b'\t'));
        return match text {
            true => Guess::More { http: method },
            false => Guess::Unknown,
        };
    };
    let line = rest.get(..end).unwrap_or(&[]).trim_ascii();
    if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
        return Guess::Http;
    }
    if word == b"PRI" && line == b"* HTTP/2.0" {
        return Guess::Http2;
    }
    // `GET /path` alone is HTTP/0.9, which has no heads to frame.
    let redis = rest.get(end.wrapping_sub(1)) == Some(&b'\r') && !line.starts_with(b"/");
    let inline = |known: &&[u8]| known.eq_ignore_ascii_case(word);
    match redis && REDIS_INLINE.iter().any(inline) {
        true => Guess::Redis,
        false => Guess::Unknown,
    }
}

/// Whether `bytes`, the first after an upgrade, begin HTTP/2.
pub(crate) fn is_http2(bytes: &[u8]) -> bool {
    bytes.starts_with(HTTP_2)
}

/// Whether `bytes`, the first that the server writes, begin with HTTP/2 settings: a frame of type 4 on
/// stream 0, of entries of 6 bytes.
pub(crate) fn is_http2_settings(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, length, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0)
}
