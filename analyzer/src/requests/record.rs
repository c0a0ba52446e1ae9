//! What is kept of each request.

use super::label::LabelId;
use crate::analysis::Source;
use crate::trace::{ProcessId, ThreadId};

/// Index into the list of requests, in order of their begin.
pub type RequestId = u32;

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose: where it began, or where a later process took its connection over.
    pub process: ProcessId,
    /// Who served it last.
    pub thread: ThreadId,
    /// Its label; `None` until its head is complete.
    pub label: Option<LabelId>,
    /// The connection it came by, 0 for a mark.
    pub connection: u32,
    /// How its boundaries are found.
    pub source: Source,
    /// How many requests it stands for.
    pub count: u32,
    /// Status code of the answer.
    pub status: Option<u32>,
    /// Stamp of its begin.
    pub start: u64,
    /// Stamp of its end.
    pub end: Option<u64>,
    /// It was none: absorbed by another, or its connection turned out not to be cut.
    pub void: bool,
    /// Another process took its connection over.
    pub moved: bool,
    /// What its blocks add up to.
    pub figures: Figures,
}

/// Sums over a request's blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Blocks allocated for it.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Of `allocations`, the inferred ones.
    pub inferred_blocks: u64,
    /// Live at its process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Live at its end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Survivors live when serving ended.
    pub retained_blocks: u64,
    /// Their bytes.
    pub retained_bytes: u64,
}
