//! The contract between a target (which writes) and its recorder (which reads).
//!
//! - One mapping, made by the recorder and shared by every process of the target's tree.
//! - One *lane* for each thread: a ring of 64-bit words with a single producer.
//! - A *record* is a whole number of words and is published whole or not at all.
//! - Each side assumes that the other may scribble over the mapping: every number that is read
//!   from it is checked before it is used.
//!
//! The producer owns this format; `FORMAT.md` beside this crate is its specification.
//! No dependencies, no allocation, no unsafe code: the one cast from bytes to these types is made
//! by each side in its own mapping file.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod build;
pub mod bytes;
pub mod control;
pub mod detour;
pub mod event;
pub mod free_list;
pub mod layout;
pub mod names;
pub mod order;
pub mod record;
pub mod ring;
pub mod settings;

pub use bytes::Bytes;
pub use event::{Asked, Backing, Event, Protocol, Transfer, Unseen, Wait};
pub use order::Order;
pub use record::{Common, Entry, Malformed, Prefix, Record};
