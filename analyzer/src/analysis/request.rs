//! Requests.

use super::Traffic;
use crate::sample::Amount;
use crate::trace::ProcessId;

/// Where a request's boundaries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// HTTP heads.
    Http,
    /// Reads and answers of any protocol.
    Turn,
    /// Explicit marks.
    Mark,
    /// From accept to close.
    Connection,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose.
    pub process: ProcessId,
    /// Kernel thread id of the thread that served it last.
    pub thread: u32,
    /// How its boundaries were found.
    pub source: Source,
    /// Which connection it came by; 0: by none.
    pub connection: u32,
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// How many requests it stands for.
    pub count: u32,
    /// Status code of the answer.
    pub status: Option<u32>,
    /// What went over its connection.
    pub traffic: Traffic,
    /// Begin, nanoseconds from the trace's start.
    pub start_ns: u64,
    /// End, `None` where it was still open when its process ended.
    pub end_ns: Option<u64>,
    /// Blocks allocated for it.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Of what it retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Its blocks live at its process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Its blocks live at its end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Survivors still live when serving ended.
    pub retained_blocks: u64,
    /// Their bytes.
    pub retained_bytes: u64,
    /// Of `retained_blocks`, those at leaking or growing sites: with any, it is a leaking request (as
    /// many of them as it stands for, but no more than there are blocks).
    pub leaking_blocks: u64,
}

impl Request {
    /// What it retained.
    pub fn retained(&self) -> Amount {
        Amount {
            blocks: self.retained_blocks,
            bytes: self.retained_bytes,
        }
    }
}

#[cfg(test)]
impl Request {
    /// One of the first endpoint between these moments, that made nothing and whose answer was not complete.
    pub(crate) fn between(start_ns: u64, end_ns: u64) -> Request {
        Request {
            process: 0,
            thread: 1,
            source: Source::Http,
            connection: 1,
            endpoint: 0,
            count: 1,
            status: None,
            traffic: Traffic::default(),
            start_ns,
            end_ns: Some(end_ns),
            allocations: 0,
            allocated_bytes: 0,
            associated: Amount::default(),
            live_blocks: 0,
            live_bytes: 0,
            survivor_blocks: 0,
            survivor_bytes: 0,
            retained_blocks: 0,
            retained_bytes: 0,
            leaking_blocks: 0,
        }
    }
}
