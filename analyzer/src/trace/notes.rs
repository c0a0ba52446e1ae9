//! Everything in a trace that is no event: compact JSON, so that later versions may add to it.

use serde::{Deserialize, Serialize};

/// One note. Unknown fields are ignored and unknown notes skipped by readers of this version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// The first of every trace.
    Session {
        tool_version: String,
        host: String,
        started_at_ns: u64,
        sample_bytes: u64,
        recorder_pid: u32,
    },
    /// A program image exists from stamp `start` on.
    ProcessBegin {
        image: u32,
        pid: u32,
        parent: u32,
        origin: NotedOrigin,
        start: u64,
        executable: String,
        arguments: Vec<String>,
    },
    /// It has ended.
    ProcessEnd {
        image: u32,
        stamp: u64,
        outcome: NotedOutcome,
    },
    /// A thread, known by `thread` from here on, began to record.
    ThreadBegin {
        thread: u32,
        image: u32,
        tid: u32,
        start: u64,
    },
    /// It has ended.
    ThreadEnd { thread: u32, stamp: u64 },
    /// The file at `path`, as mapped from stamp `since` on, has this build-id.
    BuildId {
        path: String,
        since: u64,
        build_id: Option<String>,
    },
    /// Stamp `stamp` was `ns` nanoseconds after the start.
    Clock { stamp: u64, ns: u64 },
    /// A reading of a resident set.
    Rss {
        image: u32,
        stamp: u64,
        bytes: u64,
        #[serde(default)]
        space: u64,
    },
    /// What a resident set is made of; the areas are those of [`super::areas`].
    Resident {
        image: u32,
        stamp: u64,
        calls: u64,
        files: u64,
        own: u64,
        rest: u64,
        areas: Vec<Vec<u64>>,
    },
    /// What limits the memory of the first process, at its begin.
    Limit { kind: LimitKind, bytes: u64 },
    /// The kernel killed the image for lack of memory.
    MemoryKill { image: u32 },
    /// Events that were not recorded since the last such note.
    Lost {
        allocations: u64,
        frees: u64,
        other: u64,
    },
    /// Nanoseconds that threads waited for room since the last such note.
    Waited { ns: u64 },
    /// What threads have recorded up to `stamp` lies before this note, but for what came late.
    Through { stamp: u64 },
    /// Something that the reader of a report must know.
    Warning { code: String, text: String },
}

/// What limits a process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// The group that it is in (a container's).
    Cgroup,
    /// `RLIMIT_AS`.
    AddressSpace,
    /// There is no more on the machine.
    Machine,
}

/// How an image came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotedOrigin {
    First,
    Fork,
    Exec,
}

/// How an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotedOutcome {
    Exit {
        code: Option<i32>,
    },
    Exec,
    Killed {
        signal: Option<i32>,
    },
    /// Nobody told.
    Unknown,
}

/// Why the recorder ended the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotedEnd {
    /// All processes had ended.
    Complete,
    /// The disk was full.
    DiskFull,
    /// The size limit was reached.
    Limit,
}

/// What the trailer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trailer {
    pub(crate) ended: NotedEnd,
    pub(crate) stamp: u64,
    pub(crate) events: u64,
    /// The offsets of all chunks before, each as difference to the last.
    pub(crate) chunks: Vec<u64>,
}

/// The notes of a chunk; those of kinds unknown here are left out.
pub(crate) fn parse(raw: &[u8]) -> Option<Vec<Note>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(raw).ok()?;
    let notes = values
        .into_iter()
        .filter_map(|value| serde_json::from_value(value).ok());
    Some(notes.collect())
}
