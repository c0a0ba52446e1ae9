//! A worker comes to rest, wakes another or takes a lock: what it did since it answered was its tidying, or may have
//! been the next job.

use super::zone::Verdict;
use super::{Owners, Service};
use crate::ledger::holding::Proof;
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
    /// The worker takes the lock of a queue: what it does from here on may be its next job.
    pub(in crate::requests) fn takes_lock(&mut self, id: ThreadId, records: &mut Records) {
        self.note_moment(id, None);
        self.workers[id as usize].adrift = false;
        match self.workers[id as usize].service {
            Service::Serves { .. } => {}
            Service::Tail { request } => {
                self.settle_tail(id, request, records);
                self.leave(id);
            }
            Service::None => {
                self.end_birth(id, None, records);
                self.close_zone(id, None, records);
                self.workers[id as usize].after = None;
            }
        }
        let worker = &mut self.workers[id as usize];
        (worker.handed, worker.told, worker.told_before) = (None, None, None);
        self.job_is_over(id);
    }

    /// What the worker answered before is over with its job. A loop takes and gives jobs, and reads, in the midst of a
    /// round: what that leaves to be done comes at the end of it.
    fn job_is_over(&mut self, id: ThreadId) {
        let worker = &mut self.workers[id as usize];
        if !worker.polls {
            worker.answered = 0;
        }
    }

    /// The worker wakes another thread: what it did since it answered was its tidying, and what it does up to the next
    /// head that it reads, if it does not wait before, may be for that.
    pub(in crate::requests) fn wakes(&mut self, id: ThreadId, records: &mut Records) {
        match self.workers[id as usize].service {
            Service::Tail { request } => {
                self.settle_tail(id, request, records);
                self.workers[id as usize].woke = true;
                self.job_is_over(id);
            }
            // It tells that the job is done which it was given.
            Service::None if self.is_given_jobs(id) => self.puts_by(id, records),
            _ => {}
        }
    }

    /// For whom a thread works that this worker wakes now, if for anybody.
    pub(in crate::requests) fn hands_on(
        &self,
        id: ThreadId,
        records: &Records,
    ) -> Option<RequestId> {
        let worker = self.workers.get(id as usize)?;
        match worker.service {
            Service::Serves { request, .. } | Service::Tail { request } => Some(request),
            Service::None => self.made_by_ended(id, records).or(worker.handed),
        }
    }

    /// The thread goes on after a wait. `woken_for`: for whom the one works that has woken it, if any is known to have.
    /// `same`: it had waited for that before, too; else it may have waited for a lock in the midst of its job.
    pub(in crate::requests) fn goes_on(
        &mut self,
        id: ThreadId,
        woken_for: Option<Option<RequestId>>,
        same: bool,
    ) {
        if let Some(worker) = self.workers.get_mut(id as usize)
            && !worker.is_task()
            && worker.service == Service::None
        {
            let before = worker.handed_before.take().filter(|_| !same);
            worker.handed = woken_for.unwrap_or(before);
            worker.told = woken_for.flatten();
            worker.told_by.clear();
            worker.is_at(worker.handed);
        }
    }

    /// What the worker did since it answered was its tidying, unless it serves others, too, or has answered others since
    /// it last waited (a loop has what all of a round's requests left to be done run at the end of it), or has told
    /// another thread since that its job is done: then it may have begun the next one. See [`Proof::Passed`], too.
    pub(super) fn settle_tail(&mut self, id: ThreadId, request: RequestId, records: &mut Records) {
        let worker = &self.workers[id as usize];
        let proof = match worker.passed {
            true => Proof::Passed,
            false => Proof::Tail,
        };
        let resumes = worker.passed && self.habits[worker.process as usize].resumes;
        match worker.unanswered + worker.answered.saturating_sub(1) {
            0 if !worker.woke && !resumes => {
                self.settle(id, Verdict::Proved(request, proof), records)
            }
            _ => self.close_zone(id, None, records),
        }
    }

    /// The worker enters the read of a connection. One that never looks which is ready serves one after the other.
    pub(in crate::requests) fn enters_read(&mut self, id: ThreadId) {
        self.job_is_over(id);
    }

    /// The worker enters a wait; `polls`: for one of several connections.
    pub(in crate::requests) fn idle(&mut self, id: ThreadId, polls: bool, records: &mut Records) {
        self.settle_aside(id, records);
        self.workers[id as usize].polls |= polls;
        self.note_moment(id, None);
        let worker = &self.workers[id as usize];
        let has_made = !worker.zone.is_empty();
        let (process, zone) = (worker.process, worker.zone.clone());
        let rests = worker.service == Service::None && worker.after.is_none();
        let other_work = rests && worker.reads && self.runs(process) && {
            let ledger = self.ledger(process);
            zone.iter().any(|account| ledger.has_holdings(*account))
        };
        if other_work {
            self.habits[process as usize].multiplexes = true;
        }
        self.rest(id, records);
        let worker = &mut self.workers[id as usize];
        (worker.told, worker.told_before) = (None, None);
        worker.answered = 0;
        worker.handed_before = worker.handed.take().filter(|_| !polls && !has_made);
    }

    /// What the worker has answered ends, and with it its tidying. A task goes on with what it was at.
    pub(in crate::requests) fn rest(&mut self, id: ThreadId, records: &mut Records) {
        if self.explicit {
            if self.workers[id as usize].service == Service::None {
                self.close_zone(id, None, records);
            }
            return;
        }
        let is_task = self.workers[id as usize].is_task();
        self.workers[id as usize].adrift = false;
        match self.workers[id as usize].service {
            Service::Tail { request } => {
                self.settle_tail(id, request, records);
                self.leave(id);
            }
            Service::None if is_task => self.workers[id as usize].waited = true,
            Service::None => {
                self.end_birth(id, None, records);
                self.close_zone(id, None, records);
                self.workers[id as usize].after = None;
            }
            Service::Serves { own, .. } => {
                let alone = !self.workers[id as usize].has_others();
                if !alone {
                    self.close_zone(id, None, records);
                }
                if !is_task && (!own || !alone) {
                    self.leave(id);
                }
                self.workers[id as usize].waited = true;
                self.workers[id as usize].account = None;
            }
        }
    }
}
