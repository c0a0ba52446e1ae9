//! Figures of processes, and over all of them.

use crate::ledger::BeforeExit;
use crate::sample::Amount;
use crate::trace::ProcessId;

/// Figures of one process image.
#[derive(Clone, Debug, Default)]
pub struct ProcessFigures {
    /// Requests that began in it.
    pub requests: u64,
    /// Successful calls that returned a new block.
    pub allocations: u64,
    /// Calls that ended a block.
    pub frees: u64,
    /// Successful reallocs of a block.
    pub reallocations: u64,
    /// Blocks live at its end, its own.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Memory that it had mapped by itself at its end, in none of the others.
    pub mapped: Amount,
    /// What of its own was live when its exit began, where it ended by itself and that was seen.
    pub before_exit: Option<BeforeExit>,
    /// Blocks live at its end that it inherited by fork.
    pub inherited_live_blocks: u64,
    /// Their bytes.
    pub inherited_live_bytes: u64,
    /// How often its collector of cyclic garbage ran; `None`: it has none that is known.
    pub collections: Option<Collections>,
}

/// How often a collector of cyclic garbage ran, before its process's exit began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    /// Over the youngest objects, over those and the next older ones, over all; `None`: not known.
    pub runs: Option<[u64; 3]>,
    /// How often it was asked to run over all (`LEAK_GC`).
    pub asked: u64,
}

/// Figures over all processes.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Sum over images.
    pub allocations: u64,
    /// Sum over images.
    pub frees: u64,
    /// Sum over images.
    pub reallocations: u64,
    /// Bytes of all allocations (and of reallocations that grew, by what they grew).
    pub allocated_bytes: u64,
    /// Own blocks live at the end of their process.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// The same when exits began; a process without one counts with what is live at its end. `None`: all do.
    pub before_exit: Option<BeforeExit>,
    /// The most bytes live at once, over all processes.
    pub peak_live_bytes: u64,
    /// Frees of addresses that were never seen allocated.
    pub unknown_frees: u64,
    /// Memory that programs mapped by themselves, live at the end of their process; in none of the others.
    pub mapped: Amount,
    /// Of that, in no request.
    pub outside_mapped: Amount,
    /// Files that they mapped, in none of the others either.
    pub mapped_files: Amount,
    /// Stacks of threads that they created, in none of the others either.
    pub stacks: Amount,
    /// Python objects live at the end.
    pub python_live_blocks: u64,
    /// Their bytes.
    pub python_live_bytes: u64,
    /// Blocks that belong to no request.
    pub outside: Outside,
    /// How it is known whose the retained ones are.
    pub ownership: Ownership,
}

/// How it is known whose retained bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Proved.
    pub proved_bytes: u64,
    /// Not proved: associated with a label.
    pub associated_bytes: u64,
    /// Neither, though requests were in flight when they were allocated.
    pub unknown_bytes: u64,
}

/// What happened outside requests.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Allocations.
    pub allocations: u64,
    /// Of them, live at their process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// As [`Totals::before_exit`].
    pub before_exit: Amount,
}

/// Live bytes of a process at a moment.
#[derive(Clone, Debug)]
pub struct TimelinePoint {
    /// Nanoseconds from the trace's start.
    pub t_ns: u64,
    /// Whose.
    pub process: ProcessId,
    /// Bytes live, own and inherited.
    pub live_bytes: u64,
    /// Resident set, where read.
    pub rss_bytes: Option<u64>,
    /// Requests ended so far in the process.
    pub requests: u64,
}
