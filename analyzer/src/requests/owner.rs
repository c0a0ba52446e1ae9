//! Whose block it is: what each worker (a thread, or a task) serves, and what that proves of the blocks that
//! it makes.
//!
//! A worker's *zone* is what it does between two moments at which it may turn to something else: a wait, the
//! lock of a queue, a touch of a connection, an answer. What it allocates in a zone is decided together:
//!
//! | the worker | its allocations |
//! | --- | --- |
//! | has read the request's head itself, and nothing else that is unanswered was touched last by it | proved, that request's |
//! | the same, beside heads that it read with it; it answers each by a write of its own, and goes on in between (`behind`) | proved, the one's that it answers next, but where a thread of the process writes several answers at once |
//! | the same, and answers several by one write, or waits before it does | open, without a hint |
//! | was handed a request: it begins the answer to one whose head another worker read; since its last wait or lock of a queue | the same, but where threads take several jobs at once |
//! | has answered; up to its next wait, or first lock of a queue, or the head that it reads next | the same: what it tidies up |
//! | has answered, and begins another's answer without a lock between | open, with both as hints |
//! | is a loop, has answered, and writes to one that streams in the same round | open; where loops go on with streams in rounds in which they read nothing, with that one as a hint, too |
//! | has answered, and has woken another thread (a byte to a pipe); since the byte | open, with that request as a hint |
//! | serves several at once | open; touched last and next are hints |
//! | touches none between two waits or locks | open, without a hint |
//! | is a thread that lives for one request; before it reads that one's head | proved |
//! | is a thread that a request's worker created, and that ends within the request | proved, that request's; else open, with that as a hint |
//! | touches none, and was woken by one that worked for a request | open, with that as a hint |
//! | touches none, and frees then the blocks of a job that another made for a request (`carriers`) | the same |
//! | is a task that was made by one that served a request | proved, while that is in flight; then a hint |
//!
//! Only the write that begins an answer settles what came before it. What is open is associated later, from all
//! blocks of its call site; so is what was proved in a way that does not hold in its process (`habits`).

mod accepted;
mod account;
mod behind;
mod birth;
mod carriers;
mod habits;
mod job;
mod leave;
mod maker;
mod rest;
mod touch;
mod worker;
mod zone;

use accepted::Accepted;
pub(super) use habits::Habits;
use worker::{Birth, Worker};
pub(super) use worker::{Lineage, Service};

use rustc_hash::FxHashMap;

use crate::ledger::holding::{Holder, Proof};
use crate::ledger::{Freer, Ledger};
use crate::replay::Found;
use crate::requests::options::Scope;
use crate::requests::record::{Records, RequestId};
use crate::sample::{Amount, Sample};
use crate::sites::SiteId;
use crate::trace::{ProcessId, ThreadId};
use crate::types::TypeId;

/// All ledgers, and what each worker serves.
#[derive(Debug, Default)]
pub struct Owners {
    scope: Scope,
    /// Services are explicit (marks): a wait does not end them, and they nest.
    explicit: bool,
    ledgers: Vec<Option<Ledger>>,
    /// For each process, the interval between two process-wide marks.
    intervals: Vec<Option<RequestId>>,
    habits: Vec<Habits>,
    workers: Vec<Worker>,
    /// For whom threads are created that have not begun, by their numbers in the process.
    creations: FxHashMap<(ProcessId, u64), (RequestId, Proof)>,
    /// The same where nothing proves it.
    makers: FxHashMap<(ProcessId, u64), RequestId>,
    /// What was made for connections without a request as yet.
    accepted: FxHashMap<u32, Accepted>,
    /// How many threads may turn out to have worked for a request after its end.
    expected: FxHashMap<RequestId, u32>,
    sample: Sample,
    /// Stamp of the event that comes.
    now: u64,
}

impl Owners {
    /// No processes yet, in a trace whose blocks count so.
    pub fn new(scope: Scope, explicit: bool, sample: Sample) -> Self {
        Owners {
            scope,
            explicit,
            sample,
            ..Owners::default()
        }
    }

    /// An event of this stamp comes.
    pub(super) fn comes(&mut self, stamp: u64) {
        self.now = stamp;
    }

    /// The ledger of a process that has begun and not ended.
    pub fn ledger(&mut self, process: ProcessId) -> &mut Ledger {
        let at = process as usize;
        if self.ledgers.len() <= at {
            self.ledgers.resize_with(at + 1, || None);
            self.intervals.resize(at + 1, None);
            self.habits.resize_with(at + 1, Habits::default);
        }
        self.ledgers[at].get_or_insert_with(|| Ledger::new(self.sample))
    }

    /// Whether the process runs.
    pub fn runs(&self, process: ProcessId) -> bool {
        matches!(self.ledgers.get(process as usize), Some(Some(_)))
    }

    /// Tells how things stand in a process that runs; `as_served`: or stood, when its last request ended.
    pub fn standing(
        &self,
        process: ProcessId,
        as_served: bool,
        tell: impl FnMut(Holder, SiteId, TypeId, Amount),
    ) {
        let at = process as usize;
        if let (Some(Some(ledger)), Some(habits)) = (self.ledgers.get(at), self.habits.get(at)) {
            ledger.standing(as_served, |proof| habits.hold(proof), tell);
        }
    }

    /// How a block of a process that runs stands, see [`Ledger::standing_of`].
    pub fn standing_of(
        &self,
        process: ProcessId,
        address: u64,
        begin: u64,
    ) -> Option<(Holder, SiteId, TypeId, Amount, u64)> {
        let ledger = self.ledgers.get(process as usize)?.as_ref()?;
        let habits = self.habits.get(process as usize)?;
        ledger.standing_of(address, begin, |proof| habits.hold(proof))
    }

    /// Forgets ends of requests that were long ago, all but the newest `most`.
    pub fn fold(&mut self, most: usize) {
        let ledgers = self.ledgers.iter_mut().flatten();
        ledgers.for_each(|ledger| ledger.fold(most));
    }

    /// A process begins; `parent` where it was forked.
    pub fn process_begins(&mut self, process: ProcessId, parent: Option<ProcessId>) {
        let child = match parent {
            Some(parent) if self.runs(parent) => self.ledger(parent).fork(),
            _ => Ledger::new(self.sample),
        };
        self.ledger(process);
        self.ledgers[process as usize] = Some(child);
    }

    /// A process has ended: what its workers left undecided is decided. Gives its ledger, and its habits.
    pub(super) fn process_ends(
        &mut self,
        process: ProcessId,
        records: &mut Records,
    ) -> Option<(Ledger, Habits)> {
        for worker in self.workers_of(process) {
            self.is_cut(worker, records);
            self.worker_ends(worker, records);
        }
        self.accepted.retain(|_, accepted| !accepted.is_of(process));
        let ledger = self.ledgers.get_mut(process as usize)?.take()?;
        Some((ledger, std::mem::take(&mut self.habits[process as usize])))
    }

    /// The first request of all processes begins.
    pub(super) fn tree_serves(&mut self) {
        self.ledgers
            .iter_mut()
            .flatten()
            .for_each(Ledger::tree_serves);
    }

    /// The workers of a process.
    pub(super) fn workers_of(&self, process: ProcessId) -> Vec<ThreadId> {
        let all = (0..).zip(&self.workers);
        let of_it = all.filter(|(_, worker)| worker.process == process);
        of_it.map(|(id, _)| id).collect()
    }

    /// A worker is known to belong to `process`.
    pub(super) fn worker_begins(&mut self, id: ThreadId, process: ProcessId, lineage: Lineage) {
        let at = id as usize;
        if self.workers.len() <= at {
            self.workers.resize_with(at + 1, Worker::default);
        }
        if self.workers[at].process != process || lineage != Lineage::Thread {
            self.workers[at] = Worker::default();
        }
        self.workers[at].process = process;
        self.workers[at].lineage = lineage;
    }

    /// Nothing is left of a worker that has ended.
    pub(super) fn worker_is_gone(&mut self, id: ThreadId) {
        if let Some(worker) = self.workers.get_mut(id as usize) {
            *worker = Worker::default();
        }
    }

    /// A worker has ended.
    pub(super) fn worker_ends(&mut self, id: ThreadId, records: &mut Records) {
        self.put_back(id);
        self.settle_aside(id, records);
        self.settle_birth(id, records);
        self.close_of_task(id, records);
        self.rest(id, records);
        self.leave(id);
        self.maker_is_noted(id);
    }

    /// The worker ends: whether it worked for others than the request that had it made.
    fn maker_is_noted(&mut self, id: ThreadId) {
        let worker = &mut self.workers[id as usize];
        let (process, works_on) = (worker.process, worker.works_on);
        if let Some(maker) = worker.maker.take()
            && self.runs(process)
        {
            let ended = self.ledger(process).requests_ended();
            self.habits[process as usize].thread_ends((maker, works_on), ended);
        }
    }

    /// Reallocs of the worker whose outcome never came have not happened.
    pub fn put_back(&mut self, id: ThreadId) {
        let worker = &mut self.workers[id as usize];
        let process = worker.process;
        for (address, old) in std::mem::take(&mut worker.limbo) {
            if self.runs(process) {
                let ledger = self.ledger(process);
                // It frees the block whose place another one has taken.
                ledger.freer.thread = id;
                ledger.reallocation_failed(address, old);
            }
        }
    }

    /// What is freed from here on, this `thread` frees, for whom its `worker` serves.
    #[inline]
    pub(super) fn frees(&mut self, process: ProcessId, worker: ThreadId, thread: ThreadId) {
        let serves = self.served_by(worker);
        let is_given_jobs = self.is_given_jobs(worker);
        self.ledger(process).freer = Freer {
            thread,
            serves,
            is_given_jobs,
            freed: None,
        };
    }

    /// What the worker serves.
    pub fn served_by(&self, id: ThreadId) -> Option<RequestId> {
        match self.workers.get(id as usize)?.service {
            Service::Serves { request, .. } | Service::Tail { request } => Some(request),
            Service::None => None,
        }
    }

    /// The process's interval is `request` from now on.
    pub fn interval(
        &mut self,
        process: ProcessId,
        request: Option<RequestId>,
    ) -> Option<RequestId> {
        self.ledger(process);
        std::mem::replace(&mut self.intervals[process as usize], request)
    }

    /// `request` is about to end.
    pub(super) fn before_end(&mut self, request: RequestId, records: &mut Records) {
        let Some(record) = records.get(request as usize) else {
            return;
        };
        let (worker, process) = (record.thread, record.process);
        if self.is_expected(request) && self.runs(process) {
            self.ledger(process).expect_more(request);
        }
        self.settle_aside_of(worker, request, records);
        if self.served_by(worker) == Some(request) {
            self.close_at_end(worker, request, records);
        }
    }

    /// `request` has ended; `last`: with its process.
    pub(super) fn end(&mut self, request: RequestId, records: &mut Records, last: bool) {
        let Some(record) = records.get_mut(request as usize) else {
            return;
        };
        let (process, moved) = (record.process, record.moved);
        if moved {
            for (other, ledger) in self.ledgers.iter_mut().enumerate() {
                if let Some(ledger) = ledger
                    && other as ProcessId != process
                {
                    ledger.end_abroad(request, record);
                }
            }
        }
        let stamp = record.end.unwrap_or(0);
        match last {
            true => self.ledger(process).end_last(request, record, stamp),
            false => self.ledger(process).end(request, record, stamp),
        }
    }

    /// `request` was none; what it holds belongs to `other`, or to no request.
    pub(super) fn void(
        &mut self,
        request: RequestId,
        records: &mut Records,
        other: Option<RequestId>,
    ) {
        let (id, process) = match records.get(request as usize) {
            Some(record) => (record.thread, record.process),
            None => return,
        };
        if self.served_by(id) == Some(request) {
            self.close_zone(id, None, records);
            let worker = &mut self.workers[id as usize];
            worker.account = None;
            worker.service = match (other, worker.service) {
                (Some(request), Service::Serves { own, .. }) => Service::Serves { request, own },
                (Some(request), Service::Tail { .. }) => Service::Tail { request },
                _ => Service::None,
            };
        }
        if self.runs(process) {
            self.ledger(process).void(request, other);
        }
    }

    /// A realloc of the block at `address` is about to happen.
    pub fn reallocation_begins(&mut self, id: ThreadId, address: u64) {
        let process = self.workers[id as usize].process;
        let old = self.ledger(process).reallocation_begins(address);
        self.workers[id as usize].limbo.push((address, old));
    }

    /// The block of the worker's innermost realloc, and its address.
    pub fn reallocated(&mut self, id: ThreadId) -> Option<(u64, Found)> {
        self.workers[id as usize].limbo.pop()
    }
}
