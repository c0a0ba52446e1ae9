//! How a worker's zones begin and end, and what each end proves.

use super::{Lineage, Owners, Service};
use crate::ledger::holding::{AccountId, Hints, Kind, Proof};
use crate::requests::record::{Records, RequestId};
use crate::trace::{ProcessId, ThreadId};

/// A worker that never waits keeps at most so many accounts of one zone.
const MAX_ZONE: usize = 256;

/// Whose a zone's blocks are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Proved(RequestId, Proof),
    Open(Hints),
}

impl Owners {
    /// An account of the worker's zone, for the present state of what is in flight.
    pub(super) fn pending(&mut self, id: ThreadId) -> AccountId {
        let process = self.workers[id as usize].process;
        let ledger = self.ledger(process);
        let (version, count) = (ledger.flight.version(), ledger.flight.count());
        let worker = &self.workers[id as usize];
        // A block's candidates are those in flight when its account was opened: renewed when a good part of
        // them is new.
        let near = version.wrapping_sub(worker.opened) as usize <= count / 2;
        let account = match worker.zone.last() {
            Some(account) if near => *account,
            _ => {
                let account = self.ledger(process).pending_account(id);
                let worker = &mut self.workers[id as usize];
                worker.zone.push(account);
                worker.opened = version;
                account
            }
        };
        self.workers[id as usize].account = Some((account, Some(version)));
        if self.workers[id as usize].zone.len() > MAX_ZONE {
            let hints = self.workers[id as usize].hints();
            let oldest: Vec<AccountId> = self.workers[id as usize]
                .zone
                .drain(..MAX_ZONE / 2)
                .collect();
            oldest
                .into_iter()
                .for_each(|account| self.ledger(process).becomes_open(account, hints));
        }
        account
    }

    /// The worker's zone ends, and nothing proves whose its blocks are; `next` is touched then.
    pub(super) fn close_zone(
        &mut self,
        id: ThreadId,
        next: Option<RequestId>,
        records: &mut Records,
    ) {
        let mut hints = self.workers[id as usize].hints();
        hints.next = next;
        hints.task = self.made_by_ended(id, records).or(hints.task);
        self.settle(id, Verdict::Open(hints), records);
    }

    fn settle(&mut self, id: ThreadId, verdict: Verdict, records: &mut Records) {
        let worker = &mut self.workers[id as usize];
        worker.account = None;
        let (process, accounts) = (worker.process, std::mem::take(&mut worker.zone));
        let accepted = std::mem::take(&mut worker.accepted);
        let accounts = match verdict {
            Verdict::Proved(..) if self.workers[id as usize].job.for_request.is_none() => {
                let mut all = std::mem::take(&mut self.workers[id as usize].job.accounts);
                all.extend(accounts);
                all
            }
            _ => {
                self.settle_job(id, records);
                accounts
            }
        };
        if accepted != 0 {
            // What is proved is nobody else's.
            let (proved, made) = match verdict {
                Verdict::Open(_) => (Vec::new(), accounts),
                Verdict::Proved(..) => (accounts, Vec::new()),
            };
            self.settle_all(process, proved, verdict, records);
            return self.has_accepted(accepted, made, records);
        }
        self.settle_all(process, accounts, verdict, records);
    }

    /// Nothing proves whose the blocks of these accounts are.
    pub(super) fn leave_open(
        &mut self,
        process: ProcessId,
        accounts: Vec<AccountId>,
        hints: Hints,
        records: &mut Records,
    ) {
        self.settle_all(process, accounts, Verdict::Open(hints), records);
    }

    pub(super) fn settle_all(
        &mut self,
        process: ProcessId,
        accounts: Vec<AccountId>,
        verdict: Verdict,
        records: &mut Records,
    ) {
        if accounts.is_empty() || !self.runs(process) {
            return;
        }
        let ledger = self.ledger(process);
        for account in accounts {
            match verdict {
                Verdict::Proved(request, proof) => {
                    if let Some(record) = records.get_mut(request as usize) {
                        ledger.becomes_proved(account, (request, proof), record);
                    }
                }
                Verdict::Open(hints) => ledger.becomes_open(account, hints),
            }
        }
    }

    /// Notes for the process what the worker's zone is known by, as it ends.
    fn note_moment(&mut self, id: ThreadId, next: Option<RequestId>) {
        let worker = &self.workers[id as usize];
        let hints = Hints {
            next,
            ..worker.hints()
        };
        if let Some(habits) = self.habits.get_mut(worker.process as usize) {
            habits.zone_ends(self.now, hints);
        }
    }

    /// The worker has read the request's head: it serves that one from now on. `begins`: just now.
    pub(in crate::requests) fn reads(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        self.note_moment(id, Some(request));
        match self.workers[id as usize].service {
            Service::Tail { .. } if self.explicit => {}
            // It may have been at this request's job by then.
            Service::Tail { .. } if self.workers[id as usize].woke => {
                self.close_zone(id, Some(request), records);
                self.leave(id);
            }
            Service::Tail { .. } => self.rest(id, records),
            _ => {}
        }
        self.workers[id as usize].reads = true;
        if self.explicit || !self.is_born_for(id, request) {
            self.end_birth(id, Some(request), records);
            self.close_zone(id, Some(request), records);
        }
        self.serves(id, request, true, records);
        self.note_habits(id);
    }

    /// The worker touches a request that was read before. `begins`: with the write that begins its answer; `streams`: with
    /// one that goes on with it.
    pub(in crate::requests) fn touches(
        &mut self,
        id: ThreadId,
        request: RequestId,
        (begins, streams, handed): (bool, bool, bool),
        records: &mut Records,
    ) {
        self.may_resume(id, request, streams && !handed);
        let worker = &mut self.workers[id as usize];
        let service = worker.service;
        if matches!(service, Service::Serves { request: same, .. } if same == request) {
            if worker.waited {
                worker.waited = false;
                worker.account = None;
            }
            return;
        }
        self.note_moment(id, Some(request));
        let counted = records
            .get(request as usize)
            .is_some_and(|record| record.unanswered);
        let others = self.workers[id as usize]
            .unanswered
            .saturating_sub(u32::from(counted));
        let worker = &self.workers[id as usize];
        let proof = match worker.waited && worker.is_task() {
            true => Proof::Task,
            false => Proof::Handed,
        };
        let proved = begins && handed && others == 0 && self.workers[id as usize].behind == 0;
        match service {
            Service::None if proved && !self.workers[id as usize].adrift => {
                self.end_birth(id, Some(request), records);
                self.settle(id, Verdict::Proved(request, proof), records);
            }
            _ => {
                self.end_birth(id, Some(request), records);
                self.close_zone(id, Some(request), records);
            }
        }
        if begins && handed && !self.workers[id as usize].is_task() {
            let worker = &mut self.workers[id as usize];
            worker.answers_others = true;
            if matches!(service, Service::Tail { .. }) && !worker.woke {
                self.habits[worker.process as usize].takes_unseen = true;
            }
        }
        self.serves(id, request, !handed, records);
        self.note_habits(id);
    }

    /// The worker writes to a request that streams while it serves another one, or tidies up after that. A loop that goes
    /// on with streams in the midst of its rounds may have worked for that one.
    pub(in crate::requests) fn passes_by(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        if !self.is_loop(id) || self.explicit {
            return;
        }
        let worker = &mut self.workers[id as usize];
        worker.passed |= matches!(worker.service, Service::Tail { .. });
        if self.habits[worker.process as usize].resumes {
            self.note_moment(id, Some(request));
            self.close_zone(id, Some(request), records);
        }
    }

    /// Whether a loop goes on with a request that streams although it has read nothing since its last wait.
    fn may_resume(&mut self, id: ThreadId, request: RequestId, streams: bool) {
        let worker = &self.workers[id as usize];
        let after_wait = match worker.service {
            Service::None => true,
            Service::Serves {
                request: served, ..
            } => served == request && worker.waited,
            Service::Tail { .. } => false,
        };
        if streams && after_wait && self.is_loop(id) {
            let process = self.workers[id as usize].process as usize;
            self.habits[process].resumes = true;
        }
    }

    /// Whether the worker is a loop.
    pub(in crate::requests) fn is_loop(&self, id: ThreadId) -> bool {
        let worker = self.workers.get(id as usize);
        worker.is_some_and(|worker| worker.polls && !worker.is_task())
    }

    fn serves(&mut self, id: ThreadId, request: RequestId, own: bool, records: &Records) {
        let connection = records
            .get(request as usize)
            .map_or(0, |record| record.connection);
        let counted = records
            .get(request as usize)
            .is_some_and(|record| record.unanswered);
        let worker = &mut self.workers[id as usize];
        worker.service = Service::Serves { request, own };
        worker.is_at(Some(request));
        (worker.waited, worker.counted) = (false, counted);
        (worker.account, worker.woke, worker.after) = (None, false, None);
        worker.passed = false;
        (worker.handed, worker.adrift) = (None, false);
        (worker.told, worker.told_before) = (None, None);
        worker.served = Some(request);
        if worker.is_task() && connection != 0 {
            let before = std::mem::replace(&mut worker.connection, connection);
            if before != 0 && before != connection {
                let process = worker.process as usize;
                self.habits[process].tasks_share = true;
            }
        }
    }

    fn note_habits(&mut self, id: ThreadId) {
        let worker = &self.workers[id as usize];
        if let Some(habits) = self.habits.get_mut(worker.process as usize) {
            habits.migrates |= worker.reads && worker.answers_others;
            habits.multiplexes |= worker.unanswered > 1;
        }
    }

    /// One more or less of the requests without a complete answer is the worker's.
    pub(in crate::requests) fn count_unanswered(&mut self, id: ThreadId, more: bool) {
        let Some(worker) = self.workers.get_mut(id as usize) else {
            return;
        };
        worker.unanswered = match more {
            true => worker.unanswered + 1,
            false => worker.unanswered.saturating_sub(1),
        };
        // Whether it serves one alone may have changed.
        worker.account = None;
    }

    /// The head of `request`, whose connection the worker touched last, is complete.
    pub(in crate::requests) fn head_is_complete(&mut self, id: ThreadId, request: RequestId) {
        self.count_unanswered(id, true);
        if self.served_by(id) == Some(request)
            && let Some(worker) = self.workers.get_mut(id as usize)
        {
            worker.counted = true;
        }
    }

    /// The worker has written the last byte of the request's answer.
    pub(in crate::requests) fn has_answered(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        if self.explicit {
            return;
        }
        self.note_moment(id, Some(request));
        if !self.puts_aside(id, request, records) {
            self.close_zone(id, Some(request), records);
        }
        let worker = &mut self.workers[id as usize];
        (worker.counted, worker.woke, worker.passed) = (false, false, false);
        // A task has one job.
        worker.answered += u32::from(!worker.is_task());
        worker.service = Service::Tail { request };
    }

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
    fn settle_tail(&mut self, id: ThreadId, request: RequestId, records: &mut Records) {
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

    /// The request that the worker serves ends.
    pub(super) fn close_at_end(&mut self, id: ThreadId, request: RequestId, records: &mut Records) {
        match self.workers[id as usize].service {
            Service::Tail { .. } if self.workers[id as usize].woke => {
                self.leave(id);
                self.workers[id as usize].after = Some(request);
                return self.drifts(id);
            }
            Service::Tail { .. } => self.settle_tail(id, request, records),
            _ => self.close_zone(id, None, records),
        }
        self.leave(id);
        self.drifts(id);
    }

    /// It came to serve none by what others did, and goes on with nobody knows what. A task has one job.
    fn drifts(&mut self, id: ThreadId) {
        if let Some(worker) = self.workers.get_mut(id as usize) {
            worker.adrift = !worker.is_task();
        }
    }

    /// The worker serves none any more.
    pub(in crate::requests) fn leave(&mut self, id: ThreadId) {
        if let Some(worker) = self.workers.get_mut(id as usize) {
            worker.service = Service::None;
            (worker.counted, worker.woke, worker.after) = (false, false, None);
            worker.account = None;
        }
    }

    /// Another worker touches what this one serves.
    pub(in crate::requests) fn is_relieved(&mut self, id: ThreadId, records: &mut Records) {
        self.close_zone(id, None, records);
        self.leave(id);
        self.drifts(id);
    }

    /// The worker touches a connection whose requests can't be told: what it does from here on may be for those.
    pub(in crate::requests) fn turns_away(&mut self, id: ThreadId, records: &mut Records) {
        if self.explicit {
            return;
        }
        self.takes_lock(id, records);
        if let Service::Serves { .. } = self.workers[id as usize].service {
            self.close_zone(id, None, records);
            self.leave(id);
        }
    }

    /// What the worker allocated so far is none of a request's that begins with a call of its own.
    pub(in crate::requests) fn part(&mut self, id: ThreadId, records: &mut Records) {
        self.close_zone(id, None, records);
    }

    /// An explicit request begins, or goes on.
    pub(in crate::requests) fn serve_explicitly(&mut self, id: ThreadId, request: RequestId) {
        let worker = &mut self.workers[id as usize];
        worker.service = Service::Serves { request, own: true };
        worker.account = None;
    }

    /// Whose the block is that the worker's coroutine lies in, if it is a task.
    pub(super) fn made_by(&self, id: ThreadId) -> Option<Kind> {
        let worker = &self.workers[id as usize];
        let Lineage::Task(block) = worker.lineage else {
            return None;
        };
        match self.ledgers.get(worker.process as usize) {
            Some(Some(ledger)) => ledger.kind_of_block(block),
            _ => None,
        }
    }

    /// The request that has made the task, and has ended.
    fn made_by_ended(&self, id: ThreadId, records: &Records) -> Option<RequestId> {
        let made_by = match self.made_by(id)? {
            Kind::Proved(request, _) => Some(request),
            Kind::Open(hints) => hints.task.or(hints.last).or(hints.next),
            Kind::Outside | Kind::Pending(_) | Kind::Prepared(_) => None,
        };
        made_by.filter(|request| {
            records
                .get(*request as usize)
                .is_some_and(|record| !record.void)
        })
    }

    /// A task ends that has touched no connection: what it did was for whom it was made.
    pub(super) fn close_of_task(&mut self, id: ThreadId, records: &mut Records) {
        let worker = &self.workers[id as usize];
        if !worker.is_task() || worker.service != Service::None {
            return;
        }
        let process = worker.process;
        match self.made_by(id) {
            Some(Kind::Proved(request, proof)) if self.is_in_flight(process, request) => {
                self.settle(id, Verdict::Proved(request, proof), records);
            }
            Some(Kind::Pending(maker)) if maker != id && self.runs(process) => {
                let accounts = std::mem::take(&mut self.workers[id as usize].zone);
                self.workers[id as usize].account = None;
                for account in &accounts {
                    self.ledger(process).wait_for(*account, maker);
                }
                // Before the newest, which its worker goes on with.
                self.workers[maker as usize].zone.splice(0..0, accounts);
            }
            _ => self.close_zone(id, None, records),
        }
    }
}
