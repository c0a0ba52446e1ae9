//! Heads that were read together wait behind the first of them. Who answers each by itself works for one after the
//! other; who writes all answers at once has worked for all of them, in an order that nobody sees.

use super::worker::Aside;
use super::zone::Verdict;
use super::{Owners, Service};
use crate::ledger::holding::{Hints, Proof};
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
    /// One more or less of the heads that wait behind another one is the worker's.
    pub(in crate::requests) fn count_behind(&mut self, id: ThreadId, more: bool) {
        let Some(worker) = self.workers.get_mut(id as usize) else {
            return;
        };
        worker.behind = match more {
            true => worker.behind + 1,
            false => worker.behind.saturating_sub(1),
        };
        // Whether it serves one alone may have changed.
        worker.account = None;
    }

    /// The worker has answered the request: what it did for that is put aside, if others wait behind it, and it may have
    /// worked for none of them. A loop goes on with any of them at any time.
    pub(super) fn puts_aside(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) -> bool {
        self.settle_aside(id, records);
        let worker = &mut self.workers[id as usize];
        let own = Service::Serves { request, own: true };
        let waits = worker.behind > 0 && worker.unanswered == 0;
        if !waits || worker.service != own || worker.polls {
            return false;
        }
        worker.account = None;
        worker.aside = Some(Aside {
            request,
            accounts: std::mem::take(&mut worker.zone),
        });
        true
    }

    /// The worker has answered the request, and another one with the same write, which is one with it.
    pub(in crate::requests) fn answers_as_one(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        let worker = &mut self.workers[id as usize];
        if worker.behind > 0 {
            return;
        }
        // All that waited was part of it.
        let process = worker.process;
        if let Some(aside) = worker.aside.take_if(|aside| aside.request == request) {
            let verdict = Verdict::Proved(request, Proof::Touch);
            self.settle_all(process, aside.accounts, verdict, records);
        }
    }

    /// The worker has answered the request, and another one with the same write.
    pub(in crate::requests) fn answers_together(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        let worker = &mut self.workers[id as usize];
        if let Some(habits) = self.habits.get_mut(worker.process as usize) {
            habits.answers_together = true;
        }
        if let Some(aside) = worker.aside.take_if(|aside| aside.request == request) {
            let process = worker.process;
            self.leave_open(process, aside.accounts, Hints::default(), records);
        }
    }

    /// Whether the worker answered the request by itself, while others waited behind it.
    pub(in crate::requests) fn was_alone(&self, id: ThreadId, request: RequestId) -> bool {
        let worker = self.workers.get(id as usize);
        worker.is_some_and(|worker| worker.alone == Some(request))
    }

    /// What the worker has put aside for this request, which ends, is settled.
    pub(super) fn settle_aside_of(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        let aside = self
            .workers
            .get(id as usize)
            .and_then(|worker| worker.aside.as_ref());
        if aside.is_some_and(|aside| aside.request == request) {
            self.settle_aside(id, records);
        }
    }

    /// No other answer was in the write: what was put aside is proved, if the worker has done something since. Else it may
    /// have been done with all of them before, and writes them one after the other.
    pub(super) fn settle_aside(&mut self, id: ThreadId, records: &mut Records) {
        let Some(aside) = self.workers[id as usize].aside.take() else {
            return;
        };
        let (process, request) = (self.workers[id as usize].process, aside.request);
        let verdict = match self.has_gone_on(id, request) {
            true => {
                self.workers[id as usize].alone = Some(request);
                Verdict::Proved(request, Proof::Alone)
            }
            false => Verdict::Open(Hints::default()),
        };
        self.settle_all(process, aside.accounts, verdict, records);
    }

    /// Whether the worker has made something for a request that it serves since it answered this one.
    fn has_gone_on(&mut self, id: ThreadId, answered: RequestId) -> bool {
        let worker = &self.workers[id as usize];
        let (process, zone) = (worker.process, worker.zone.clone());
        match worker.service {
            Service::Serves { request, own: true } if request != answered => {
                let ledger = self.ledger(process);
                let mut zone = zone.iter();
                ledger.has_proved(request) || zone.any(|account| ledger.has_holdings(*account))
            }
            _ => false,
        }
    }
}
