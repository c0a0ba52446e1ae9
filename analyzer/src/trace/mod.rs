//! trace.bin: what was recorded, as a file. `FORMAT.md` beside this file specifies it.

mod areas;
mod codes;
mod columns;
mod compress;
mod facts;
mod follow;
mod format;
mod merge;
mod notes;
mod open;
mod orders;
pub(crate) mod packing;
mod passed;
mod reader;
mod readings;
mod resolve;
#[cfg(test)]
mod tests;
mod turns;
mod varint;
mod writer;

use leak_wire::{Bytes, Event};

use crate::sites::SiteId;

pub use follow::{Follow, Grown};
pub use merge::{Run, Steps};
pub use open::{Error, Trace, open, open_or_wait};
pub use readings::{Cache, MAKERS, Reading};

pub use areas::{Area, AreaKind, PAGE};
pub use orders::Orders;

pub(crate) use areas::to_note as areas_to_note;
pub(crate) use columns::At;
pub use notes::LimitKind;
pub(crate) use notes::{Note, NotedEnd, NotedOrigin, NotedOutcome};
pub(crate) use writer::{Commons, ThreadEvents, WriteError, Writer};

/// Code of the warning that a program ran already when its recording began.
pub const BEGAN_LATE: &str = "began_late";
/// Code of the warning that a recording was ended while its program ran on.
pub const ENDED_EARLY: &str = "ended_early";

/// Index into [`Facts::processes`].
pub type ProcessId = u32;
/// Index into [`Facts::threads`].
pub type ThreadId = u32;

/// Everything about a trace but its events; complete once the file is open (the file is scanned chunk
/// header by chunk header first).
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Version of the recorder that wrote it.
    pub tool_version: String,
    /// Host name.
    pub host: String,
    /// Start, nanoseconds since the epoch.
    pub started_at_ns: u64,
    /// First to last moment, nanoseconds.
    pub duration_ns: u64,
    /// How it ended.
    pub ended: Ended,
    /// Parts of the file could not be read; `warnings` says which.
    pub damaged: bool,
    /// Events that were not recorded (full lanes in drop mode, no lane to be had), and what they were.
    pub dropped: Dropped,
    /// Nanoseconds that threads waited for a full lane.
    pub waited_ns: u64,
    /// `LEAK_SAMPLE`; 0: every event.
    pub sample_bytes: u64,
    /// One for each program image, in order of their start.
    pub processes: Vec<Process>,
    /// One for each thread, in order of their start.
    pub threads: Vec<Thread>,
    /// What limits the first process's memory, and bytes.
    pub limit: Option<(LimitKind, u64)>,
    /// Resident set sizes, in order of time.
    pub rss: Vec<Rss>,
    /// What resident memory was made of, in order of time.
    pub resident: Vec<Resident>,
    /// What the reader or the recorder wants to have said, ready to print.
    pub warnings: Vec<Warning>,
    /// Stamp to nanoseconds.
    pub clock: Clock,
}

impl Facts {
    /// Whether everything that happened until the last process ended is in the trace.
    pub fn complete(&self) -> bool {
        matches!(self.ended, Ended::Complete | Ended::Killed)
            && self.dropped == Dropped::default()
            && !self.damaged
    }
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// The last process exited and everything was drained.
    #[default]
    Complete,
    /// The same, but a process was killed by a signal.
    Killed,
    /// The disk was full.
    DiskFull,
    /// `LEAK_MAX_TRACE` was reached.
    Limit,
    /// The recorder still writes.
    Recording,
    /// No end marker: the file was cut short.
    Truncated,
}

/// Events that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Frees.
    pub frees: u64,
    /// Anything else, or unknown.
    pub other: u64,
}

/// One program image.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Its pid in the recorder's namespace.
    pub pid: u32,
    /// The process that forked it, or that it was before exec.
    pub parent: Option<ProcessId>,
    /// Whether it came from a fork of `parent` (then it inherits its live blocks), or by exec, or is the first.
    pub origin: Origin,
    /// Path of the executable.
    pub executable: String,
    /// Command line.
    pub arguments: Vec<String>,
    /// Stamp of its start.
    pub start: u64,
    /// Stamp of its end, `None` while it runs or where the file was cut.
    pub end: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The kernel killed it for lack of memory.
    pub killed_for_memory: bool,
}

/// How a process came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The first of the session.
    #[default]
    First,
    /// Forked.
    Fork,
    /// Another image of the same process.
    Exec,
}

/// How a program image ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It has not, or the trace doesn't say.
    #[default]
    Running,
    /// `exit`, with its status where known.
    Exit(Option<i32>),
    /// Replaced by exec.
    Exec,
    /// Ended by a signal, with its number where known.
    Killed(Option<i32>),
    /// It has ended, and nobody told how.
    Unknown,
}

/// One thread of one image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    /// Whose.
    pub process: ProcessId,
    /// Kernel thread id.
    pub tid: u32,
}

/// A reading of a process's resident set.
#[derive(Clone, Copy, Debug)]
pub struct Rss {
    /// When.
    pub stamp: u64,
    /// Whose.
    pub process: ProcessId,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of addresses that it had mapped; 0: not read.
    pub space: u64,
}

/// What a process's resident memory was made of at a moment.
#[derive(Clone, Debug, Default)]
pub struct Resident {
    /// When.
    pub stamp: u64,
    /// Whose.
    pub process: ProcessId,
    /// So many events of requests' connections, and marks, had come from it before.
    pub calls: u64,
    /// Bytes of files: code, data, what the program maps.
    pub files: u64,
    /// Bytes that are libleak's own.
    pub own: u64,
    /// Bytes that are in no area, and neither of these.
    pub rest: u64,
    /// The rest of it, by address.
    pub areas: Vec<Area>,
}

impl Resident {
    /// All of it, in bytes.
    pub fn bytes(&self) -> u64 {
        let areas: u64 = self.areas.iter().map(|area| area.resident).sum();
        areas + self.files + self.own + self.rest
    }
}

/// Something that the reader of a report must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable word for scripts, such as `dropped_events`.
    pub code: String,
    /// One sentence that ends with what to do.
    pub text: String,
}

/// Turns stamps into nanoseconds since the trace's start.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Pairs of (stamp, nanoseconds since the start), rising in both.
    pub points: Vec<(u64, u64)>,
}

impl Clock {
    /// Nanoseconds since the start for `stamp`: interpolated between the points around it, continued
    /// beyond the last one, and from the first stamp at the start up to the first one.
    pub fn ns(&self, stamp: u64) -> u64 {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return 0;
        };
        let after = self.points.partition_point(|point| point.0 <= stamp);
        let (low, high) = match after {
            0 => ((0, 0), *first),
            _ if after < self.points.len() => (self.points[after - 1], self.points[after]),
            _ if self.points.len() > 1 => (*first, *last),
            _ => return first.1,
        };
        let ticks = (high.0 - low.0).max(1) as f64;
        let rate = (high.1 - low.1) as f64 / ticks;
        let base = if after < self.points.len() {
            low
        } else {
            *last
        };
        base.1 + ((stamp - base.0) as f64 * rate) as u64
    }
}

/// One step of the replay: the merged, ordered stream of everything that happened.
///
/// The reader has already resolved frames and modules: `site` in events is a
/// [`crate::sites::SiteId`], and events that only tell of frames, code and modules never come.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Position in the order of all events.
    pub stamp: u64,
    /// Whose.
    pub process: ProcessId,
    /// Which thread's; meaningless for process steps.
    pub thread: ThreadId,
    /// What happened.
    pub what: What<'a>,
}

/// What a step tells.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// A process image begins; for a fork its parent's live blocks are now its own, too.
    ProcessBegins,
    /// A process image has ended; no later step is its. Does not come for one whose `end` is `None`.
    ProcessEnds,
    /// A thread begins to record.
    ThreadBegins,
    /// A thread has ended; no later step is its.
    ThreadEnds,
    /// Types of blocks that live: those that were allocated before the reading's begin.
    Types(&'a Reading),
    /// An event.
    Event(Event<'a>),
    /// CPython's free lists have changed.
    FreeLists {
        /// How.
        changes: Bytes<'a>,
        /// The first of the [sites](crate::sites::Sites::free_lists) that stand for them.
        sites: SiteId,
    },
    /// Blocks that came and went, with nothing between that they could outlive.
    Passed(Passed),
}

/// What is known of blocks that were counted, not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Blocks of one call site, allocated and freed by the thread before its next other event.
    Blocks {
        /// Where, as in events.
        site: u32,
        /// How many.
        blocks: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// At this moment, so many bytes of them were live.
    Peak {
        /// How many.
        bytes: u64,
    },
}
