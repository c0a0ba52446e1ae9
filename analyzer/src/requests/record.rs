//! What is kept of each request; how it begins, is served and ends.

use std::num::NonZeroU64;

use super::label::LabelId;
use super::machine::{At, Machine};
use crate::analysis::{Octets, Source, Traffic};
use crate::folding::Folding;
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
    /// When a loop had answered it: what that has done for it since, it did before it turned to another one.
    pub answered: Option<NonZeroU64>,
    /// Who read its head.
    pub reader: ThreadId,
    /// Its head is complete, its answer is not, and it has not ended: somebody may work for it.
    pub unanswered: bool,
    /// The first byte of its answer is written, or about to be.
    pub answer_begun: bool,
    /// It was none: absorbed by another, or its connection turned out not to be cut.
    pub void: bool,
    /// Another process took its connection over.
    pub moved: bool,
    /// Reads and writes of its connection since it began.
    pub touches: u32,
    /// What went over its connection.
    pub traffic: Traffic,
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
    /// Of `retained_blocks`, those that nothing proves to be its own.
    pub inferred_blocks: u64,
    /// Their bytes.
    pub associated_bytes: u64,
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

/// All requests, in order of their begin; those that ended long ago may be folded.
pub type Records = Folding<Record>;

/// None yet.
pub(super) fn records() -> Records {
    Folding::new(FOLDED)
}

/// A request that has ended, and of which nothing else is known.
const FOLDED: Record = Record {
    process: 0,
    thread: 0,
    host: 0,
    label: None,
    connection: 0,
    source: Source::Http,
    count: 1,
    status: None,
    start: 0,
    end: Some(0),
    answered: None,
    reader: 0,
    unanswered: false,
    answer_begun: true,
    void: false,
    moved: false,
    touches: 0,
    traffic: Traffic {
        bytes_in: Octets::UNKNOWN,
        bytes_out: Octets::UNKNOWN,
        client_gone: false,
    },
    figures: Figures {
        allocations: 0,
        allocated_bytes: 0,
        inferred_blocks: 0,
        associated_bytes: 0,
        live_blocks: 0,
        live_bytes: 0,
        survivor_blocks: 0,
        survivor_bytes: 0,
        retained_blocks: 0,
        retained_bytes: 0,
    },
};

// There may be millions.
const _: () = assert!(size_of::<Record>() <= 168);

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
            answered: None,
            reader: at.thread,
            unanswered: source != Source::Mark && label.is_some(),
            answer_begun: false,
            void: false,
            moved: false,
            touches: 0,
            traffic: Traffic::default(),
            figures: Figures::default(),
        });
        if self.tree.from.is_none() {
            self.tree.from = Some(at.stamp);
            self.owners.tree_serves();
        }
        self.owners.ledger(at.process).begin(request, at.stamp);
        self.owners.is_first(connection, request, &mut self.records);
        if self.records[request as usize].unanswered {
            self.owners.count_unanswered(at.thread, true);
        }
        request
    }

    /// The head of `request` is complete: work for it may begin.
    pub(super) fn head_is_complete(&mut self, request: RequestId) {
        let record = &mut self.records[request as usize];
        if !std::mem::replace(&mut record.unanswered, true) {
            self.owners.head_is_complete(record.thread, request);
        }
    }

    /// The worker has read the head of `request`, and serves it from now on.
    pub(super) fn reads(&mut self, at: At, request: RequestId) {
        self.owners.reads(at.thread, request, &mut self.records);
    }

    /// The worker touched the connection of `request`, by `writes` or by reading more of it.
    pub(super) fn touch(&mut self, at: At, request: RequestId, writes: bool) {
        let record = &mut self.records[request as usize];
        record.touches = record.touches.saturating_add(1);
        let begins = writes && !record.answer_begun;
        if writes && !begins && self.owners.runs(record.process) {
            let flight = &mut self.owners.ledger(record.process).flight;
            flight.streams(request);
        }
        let serves = self.owners.served_by(at.thread);
        if record.answer_begun && serves.is_some_and(|other| other != request) {
            // One that streams: who writes to it as well does that for what it serves.
            return self.owners.passes_by(at.thread, request, &mut self.records);
        }
        record.answer_begun |= writes;
        record.host = at.host;
        let (handed, unanswered) = (record.reader != at.thread, record.unanswered);
        if record.thread != at.thread {
            let before = std::mem::replace(&mut record.thread, at.thread);
            if unanswered {
                self.owners.count_unanswered(before, false);
                self.owners.count_unanswered(at.thread, true);
            }
            if self.owners.served_by(before) == Some(request) {
                self.owners.is_relieved(before, &mut self.records);
            }
            let connection = self.records[request as usize].connection;
            self.goes_before(connection, request);
        }
        self.move_to(at, request);
        self.owners.ledger(at.process).touched(at.stamp);
        self.owners.touches(
            at.thread,
            request,
            (begins, writes && !begins, handed),
            &mut self.records,
        );
        if begins {
            // Whoever begins an answer is done with what it answered before.
            self.end_answered(at);
        }
    }

    /// The request goes on in this process.
    fn move_to(&mut self, at: At, request: RequestId) {
        let record = &mut self.records[request as usize];
        if record.process == at.process {
            return;
        }
        let before = std::mem::replace(&mut record.process, at.process);
        record.moved = true;
        if self.owners.runs(before) {
            self.owners.ledger(before).flight.end(request);
        }
        self.owners.ledger(at.process).begin(request, at.stamp);
    }

    /// Nobody owes the request an answer any more.
    pub(super) fn settle_answer(&mut self, request: RequestId) {
        let record = &mut self.records[request as usize];
        if std::mem::replace(&mut record.unanswered, false) {
            self.owners.count_unanswered(record.thread, false);
        }
    }

    /// The last byte of the answer was written.
    pub(super) fn is_answered(&mut self, at: At, request: RequestId) {
        self.tree.to = self.tree.to.max(at.stamp);
        self.settle_answer(request);
        let process = self.records[request as usize].process;
        if self.owners.runs(process) {
            self.owners.ledger(process).answered();
        }
        let server = self.records[request as usize].thread;
        if self.owners.is_loop(server) {
            self.records[request as usize].answered = NonZeroU64::new(at.stamp);
        }
        if self.owners.served_by(server) == Some(request) {
            self.owners.has_answered(server, request, &mut self.records);
        }
        self.threads[server as usize]
            .answered
            .push((request, at.stamp));
    }

    /// `request` ends.
    pub(super) fn end(&mut self, request: RequestId, stamp: u64) {
        self.end_as(request, stamp, false);
    }

    /// The same; `last`: with its process, and nothing that was freed since its answer counts.
    pub(super) fn end_as(&mut self, request: RequestId, stamp: u64, last: bool) {
        self.settle_answer(request);
        let record = &self.records[request as usize];
        // What was open when its process ended stays open.
        if record.void || record.end.is_some() || !self.owners.runs(record.process) {
            return;
        }
        self.owners.before_end(request, &mut self.records);
        self.records[request as usize].end = Some(stamp);
        self.tree.to = self.tree.to.max(stamp);
        self.owners.end(request, &mut self.records, last);
    }

    /// `request` was none; what it holds belongs to `other`, or to no request.
    pub(super) fn void(&mut self, request: RequestId, other: Option<RequestId>) {
        self.settle_answer(request);
        self.records[request as usize].void = true;
        self.owners.void(request, &mut self.records, other);
    }

    /// The thread enters a wait: what it has answered ends.
    pub(super) fn end_answered(&mut self, at: At) {
        let mut answered = std::mem::take(&mut self.threads[at.thread as usize].answered);
        for (request, _) in answered.drain(..) {
            self.end(request, at.stamp);
        }
        self.threads[at.thread as usize].answered = answered;
    }
}

#[cfg(test)]
impl Record {
    /// One that has begun, and of which nothing else is known.
    pub(crate) fn begun() -> Record {
        Record {
            end: None,
            answer_begun: false,
            traffic: Traffic::default(),
            ..FOLDED
        }
    }

    /// One of the label, between these stamps, that was answered with 200.
    pub(crate) fn answered(label: LabelId, (start, end): (u64, u64)) -> Record {
        Record {
            label: Some(label),
            connection: 1,
            status: Some(200),
            start,
            end: Some(end),
            answer_begun: true,
            ..Record::begun()
        }
    }
}
