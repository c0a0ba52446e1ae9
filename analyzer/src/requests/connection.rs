//! A watched connection: who holds it, and the requests that were read and not yet answered.

use std::collections::VecDeque;

use leak_wire::Unseen;

use super::label::LabelId;
use super::record::RequestId;
use crate::analysis::Source;
use crate::trace::{ProcessId, ThreadId};

/// How a connection is cut into requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not known yet.
    #[default]
    New,
    /// By reads and writes.
    Turns,
    /// By heads and answers.
    Framed,
    /// Not at all.
    Uncut,
}

/// A request (or several, read together) that was read and not yet answered.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The request, once it has begun.
    pub request: Option<RequestId>,
    /// Its label, once its head is complete.
    pub label: Option<LabelId>,
    /// Where it comes from.
    pub source: Source,
    /// How many were read.
    pub count: u32,
    /// Which read brought it.
    pub read: u32,
}

/// The request that was answered last.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Which.
    pub request: RequestId,
    /// Its label.
    pub label: Option<LabelId>,
    /// The answer's status.
    pub status: Option<u32>,
    /// Which read brought it.
    pub read: u32,
    /// Which write answered it.
    pub write: u32,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// The local end: `tcp:PORT` or `unix:PATH`.
    pub local: String,
    /// Processes with a descriptor of it.
    pub holders: Vec<ProcessId>,
    /// How it is cut.
    pub mode: Mode,
    /// Why it isn't.
    pub unseen: Option<Unseen>,
    /// Oldest first. The first has begun.
    pub queue: VecDeque<Waiting>,
    /// Number of the read that is under way or was last.
    pub reads: u32,
    /// Number of the write that is under way or was last.
    pub writes: u32,
    /// Who has entered a write that answers the first of the queue.
    pub writer: Option<ThreadId>,
    /// What was answered last.
    pub answered: Option<Answered>,
    /// The request from accept to close, with `--boundary connection`.
    pub whole: Option<RequestId>,
}
