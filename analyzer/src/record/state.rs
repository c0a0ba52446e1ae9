//! What a recorder says of itself when it is asked: the question and the answer.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// How it stands; what was recorded so far is in the file when the answer comes.
    Status,
    /// The same once the types of what is live were read.
    Snapshot,
    /// The end of the recording; the answer comes when the trace is whole.
    Stop,
}

impl What {
    /// As it is sent.
    pub(crate) fn letter(self) -> u8 {
        match self {
            What::Status => b's',
            What::Snapshot => b'r',
            What::Stop => b'e',
        }
    }

    /// What was sent as this letter.
    pub(crate) fn of_letter(letter: u8) -> Option<What> {
        [What::Status, What::Snapshot, What::Stop]
            .into_iter()
            .find(|what| what.letter() == letter)
    }
}

/// A question that waits for its answer.
pub(crate) struct Asked {
    /// Where the answer goes.
    pub(crate) connection: OwnedFd,
    /// What is asked for.
    pub(crate) what: What,
    /// When it is answered at the latest.
    pub(crate) until: Instant,
}

/// How a recording stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Where its trace is, as the recorder sees it.
    pub(crate) trace: PathBuf,
    /// Wall clock at its start, nanoseconds since the epoch.
    pub(crate) started_at_ns: u64,
    /// Time since then, nanoseconds.
    pub(crate) age_ns: u64,
    /// Events in the file.
    pub(crate) events: u64,
    /// The file's length.
    pub(crate) bytes: u64,
    /// The recorder's pid in its own namespace.
    pub(crate) recorder: u32,
    /// The time that it has computed, nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Processes that are recorded now.
    pub(crate) processes: usize,
}
