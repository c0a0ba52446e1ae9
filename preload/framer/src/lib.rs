//! Finds the requests and answers in what a server reads from and writes to a connection.
//!
//! - Fed with the bytes of both directions as they pass, in parts of any size; emits [`Fact`]s.
//! - Recognises the protocol by its first bytes: HTTP/1, Redis, memcached (text and binary) and
//!   PostgreSQL are framed, and WebSocket after an upgrade; TLS and HTTP/2 are named, all else is left alone.
//! - Each byte is looked at a bounded number of times, and memory is fixed: one [`Connection`]
//!   and its [`Buffers`]. No allocation, no unsafe code, no panic.
//! - The bytes are a peer's: nothing in them is believed further than the next head. A stream that
//!   can't be framed is said to be so once ([`Fact::Unseen`]), and nothing more is said of it.
//! - Of the bytes only a label leaves this crate: method and path, or a verb. Keys, bodies and
//!   queries never do; values of headers only where they are [`Wanted`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod batch;
mod chunked;
mod connection;
mod detect;
mod head;
mod hostile;
mod http;
mod label;
mod memcached;
mod pieces;
mod postgres;
mod redis;
mod runs;
mod wanted;
mod websocket;

#[cfg(test)]
mod tests;

pub use connection::{Buffers, Connection};
#[doc(hidden)]
pub use hostile::hostile;
pub use label::LABEL_MAX;
pub use pieces::{Parts, Piece, Pieces};
pub use wanted::{VALUE_MAX, Wanted};

/// What was found in the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// The first byte of a head was read, and the head is not complete with these bytes.
    RequestBegun,
    /// The head of the next [`Fact::Request`], which is one alone, has a header that is wanted.
    Header {
        /// As it is wanted.
        name: &'a [u8],
        /// All values of this name, the first [`VALUE_MAX`] bytes of them.
        value: &'a [u8],
        /// How many bytes they are.
        length: u32,
    },
    /// The heads of equal requests that follow each other were read.
    Request {
        /// What the connection speaks.
        protocol: Protocol,
        /// How many, at least 1.
        count: u32,
        /// `METHOD /path` for HTTP, else the verb; may be empty, as for WebSocket.
        label: &'a [u8],
    },
    /// The last byte of equal answers that follow each other was written.
    Answer {
        /// How many, at least 1.
        count: u32,
        /// The status code; 0 where the protocol has none.
        status: u32,
    },
    /// The connection speaks something else from here on.
    Upgraded,
    /// What that is: messages, which are told from here on. What was read since the upgrade began none.
    Messages,
    /// From here on the requests can't be told apart.
    Unseen(Reason),
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http,
    /// Redis, arrays and inline commands.
    Redis,
    /// memcached, text and binary.
    Memcached,
    /// PostgreSQL, version 3.
    Postgres,
    /// WebSocket, after an upgrade.
    Websocket,
}

/// Why requests can't be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Ciphertext.
    Tls,
    /// HTTP/2.
    Http2,
    /// A head longer than the buffer, or bytes that the protocol does not know.
    Unframed,
    /// Requests are answered that were never read here.
    Bypassed,
}

/// The bytes are not what the protocol says they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Broken;
