//! How a trace is to be judged: where requests come from, and which blocks belong to them.

use crate::sites::runtimes::PhasesOf;

/// Where requests come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Marks if there are any, else for each connection http, else turn.
    #[default]
    Auto,
    /// HTTP heads.
    Http,
    /// Reads and answers.
    Turn,
    /// Explicit marks.
    Mark,
    /// From accept to close.
    Connection,
}

/// How a trace is to be judged.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where requests come from.
    pub boundary: Boundary,
    /// Which blocks belong to them.
    pub scope: Scope,
    /// Globs of paths that are one label each.
    pub routes: Vec<String>,
    /// Whether to keep when blocks came and went, and what requests left behind when: for reports that show time.
    pub periods: bool,
    /// Whether the paths of requests are kept as they were.
    pub keep_paths: bool,
    /// Requests whose heads came before this are of the warm-up, nanoseconds from the trace's start.
    pub judge_from_ns: u64,
    /// Finds what tells when a runtime's collector runs; `None`: that is not seen.
    pub phases_of: Option<PhasesOf>,
}

/// Which blocks belong to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Proved and associated ones.
    #[default]
    Default,
    /// Proved ones alone.
    Thread,
    /// Every block, to the oldest request in flight in the process.
    Process,
}
