//! What is kept of each request; how it begins, is served and ends.

use super::label::LabelId;
use super::machine::{At, Machine};
use crate::analysis::Source;
use crate::trace::{ProcessId, ThreadId};

/// Index into the list of requests, in order of their begin.
pub type RequestId = u32;

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose: where it began, or where a later process took its connection over.
    pub process: ProcessId,
    /// Who served it last: a thread, or a task.
    pub thread: ThreadId,
    /// The thread on which that was.
    pub host: ThreadId,
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

impl Machine {
    /// A request begins on a thread, which serves it.
    pub(super) fn begin(
        &mut self,
        at: At,
        connection: u32,
        source: Source,
        label: Option<LabelId>,
        count: u32,
    ) -> RequestId {
        let request = self.records.len() as RequestId;
        self.records.push(Record {
            process: at.process,
            thread: at.thread,
            host: at.host,
            label,
            connection,
            source,
            count,
            status: None,
            start: at.stamp,
            end: None,
            void: false,
            moved: false,
            figures: Figures::default(),
        });
        self.owners.ledger(at.process).begin(request, at.stamp);
        request
    }

    /// The thread serves `request` from now on.
    pub(super) fn serve(&mut self, at: At, request: RequestId) {
        let connection = self.records[request as usize].connection;
        self.owners.serve(at.thread, request, connection);
    }

    /// The thread touched the connection of `request`: it serves it from now on.
    pub(super) fn touch(&mut self, at: At, request: RequestId) {
        let record = &mut self.records[request as usize];
        record.host = at.host;
        if record.thread != at.thread {
            let before = std::mem::replace(&mut record.thread, at.thread);
            if self.owners.served_by(before) == Some(request) {
                self.owners.leave(before);
            }
        }
        if record.process != at.process {
            let before = std::mem::replace(&mut record.process, at.process);
            record.moved = true;
            if self.owners.runs(before) {
                self.owners.ledger(before).land(request);
            }
            self.owners.ledger(at.process).begin(request, at.stamp);
        }
        self.serve(at, request);
    }

    /// `request` ends.
    pub(super) fn end(&mut self, request: RequestId, stamp: u64) {
        let record = &mut self.records[request as usize];
        // What was open when its process ended stays open.
        if record.void || record.end.is_some() || !self.owners.runs(record.process) {
            return;
        }
        record.end = Some(stamp);
        self.owners.end(request, record);
    }

    /// `request` was none; what it holds belongs to `other`, or to no request.
    pub(super) fn void(&mut self, request: RequestId, other: Option<RequestId>) {
        let record = &mut self.records[request as usize];
        record.void = true;
        self.owners.void(request, record, other);
    }

    /// The thread enters a wait: what it has answered ends.
    pub(super) fn end_answered(&mut self, at: At) {
        let mut answered = std::mem::take(&mut self.threads[at.thread as usize].answered);
        for request in answered.drain(..) {
            self.end(request, at.stamp);
        }
        self.threads[at.thread as usize].answered = answered;
    }
}
