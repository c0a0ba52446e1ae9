//! Jobs of threads that touch no connection: when one may be over, and what shows then whose it was (`carriers`).

use super::worker::{Birth, Job};
use super::{Owners, Service};
use crate::ledger::Freed;
use crate::ledger::holding::{AccountId, Hints, Kind};
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
    /// A thread that touches no connection has freed this block.
    pub(in crate::requests) fn has_freed(
        &mut self,
        id: ThreadId,
        freed: Freed,
        records: &mut Records,
    ) {
        let worker = &self.workers[id as usize];
        let (process, told) = (worker.process, worker.told.or(worker.told_before));
        let Some(request) = self.made_for(freed.kind, id, records) else {
            return;
        };
        // The next one may be of a job that was taken without a wait.
        let told = told.filter(|_| !worker.told_by.contains(&freed.site));
        let has_worked = told.is_some() && self.has_worked(id);
        let carrier = self.habits[process as usize]
            .carriers
            .entry(freed.site)
            .or_default();
        if let Some(told) = told {
            carrier.learn(told == request, has_worked);
            self.workers[id as usize].told_by.push(freed.site);
        }
        if carrier.tells() {
            self.job_was(id, request, records);
        }
    }

    /// What the thread has done since it took its job was for this request.
    fn job_was(&mut self, id: ThreadId, request: RequestId, records: &mut Records) {
        let worker = &mut self.workers[id as usize];
        (worker.handed, worker.told_before) = (Some(request), None);
        worker.job.for_request = Some(request);
        self.close_zone(id, None, records);
        self.workers[id as usize].handed = None;
    }

    /// The thread's job may be over: it tells somebody so. What it frees next may still tell whose it was.
    pub(super) fn puts_by(&mut self, id: ThreadId, records: &mut Records) {
        self.settle_job(id, records);
        let worker = &mut self.workers[id as usize];
        worker.account = None;
        worker.job = Job {
            accounts: std::mem::take(&mut worker.zone),
            for_request: worker.handed.take(),
        };
        worker.told_before = worker.told.take();
    }

    /// Whose the thread's job was that may be over shows no more.
    pub(super) fn settle_job(&mut self, id: ThreadId, records: &mut Records) {
        let worker = &mut self.workers[id as usize];
        let process = worker.process;
        let Job {
            accounts,
            for_request,
        } = std::mem::take(&mut worker.job);
        let hints = Hints {
            task: for_request,
            ..Hints::default()
        };
        self.leave_open(process, accounts, hints, records);
    }

    /// The request that another worker served when it made such a block.
    fn made_for(&self, kind: Kind, freed_by: ThreadId, records: &Records) -> Option<RequestId> {
        let of_kind = |kind| match kind {
            Kind::Proved(request, _) => Some(request),
            Kind::Open(hints) if !hints.answered => hints.last,
            Kind::Outside | Kind::Pending(_) | Kind::Open(_) | Kind::Prepared(_) => None,
        };
        let request = match kind {
            Kind::Pending(maker) if maker != freed_by => self
                .served_by(maker)
                .or_else(|| of_kind(self.made_by(maker)?)),
            kind => of_kind(kind),
        };
        let is_own = |request| self.workers[freed_by as usize].served == Some(request);
        let is_void = |request: RequestId| records.get(request as usize).is_none_or(|of| of.void);
        request.filter(|request| !is_own(*request) && !is_void(*request))
    }

    /// Whether the worker has made blocks since it took its job.
    fn has_worked(&mut self, id: ThreadId) -> bool {
        let worker = &self.workers[id as usize];
        let accounts: Vec<AccountId> = [&worker.job.accounts[..], &worker.zone].concat();
        let ledger = self.ledger(self.workers[id as usize].process);
        accounts.iter().any(|account| ledger.has_holdings(*account))
    }

    /// Whether what the thread frees may tell whose job it does: it serves none by itself.
    pub(super) fn is_given_jobs(&self, id: ThreadId) -> bool {
        self.workers.get(id as usize).is_some_and(|worker| {
            !self.explicit
                && !worker.polls
                && !worker.is_task()
                && worker.birth == Birth::Over
                && worker.accepted == 0
                && worker.service == Service::None
        })
    }
}
