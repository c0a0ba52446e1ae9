//! What a thread did before it first touched a connection, and whose that was.
//!
//! - A thread that reads one request's head and ends lived for that request, and so did its blocks from before.
//! - A thread that a request's worker creates, and that ends while the request is in flight or allocates nothing
//!   after the end of that, did all for it: such are the threads of a pool that the request makes and joins. Where
//!   it lives on it may be a pool's that others share: then who created it is a hint.

use super::worker::Birth;
use super::zone::Verdict;
use super::{Owners, Service};
use crate::ledger::holding::{AccountId, Hints, Proof};
use crate::requests::record::{Records, RequestId};
use crate::trace::{ProcessId, ThreadId};

/// A thread keeps at most so many accounts for the request that created it.
const MAX_ACCOUNTS: usize = 256;

impl Owners {
    /// The worker is about to create a thread with this number.
    pub(in crate::requests) fn creates(&mut self, id: ThreadId, created: u64, records: &Records) {
        let worker = &self.workers[id as usize];
        let (process, service) = (worker.process, worker.service);
        let made_for = match (self.proves(id), service) {
            (Some((request, proof, _)), _) => Some((request, proof)),
            (None, Service::Tail { request }) if worker.unanswered == 0 => {
                Some((request, Proof::Tail))
            }
            _ => None,
        };
        let maker = self.hands_on(id, records);
        match maker {
            Some(request) => self.makers.insert((process, created), request),
            None => self.makers.remove(&(process, created)),
        };
        match made_for {
            Some(made_for) => self.creations.insert((process, created), made_for),
            None => self.creations.remove(&(process, created)),
        };
    }

    /// The thread is the one that was created with this number.
    pub(in crate::requests) fn was_created(&mut self, id: ThreadId, created: u64) {
        let process = self.workers[id as usize].process;
        let maker = self.makers.remove(&(process, created));
        let worker = &mut self.workers[id as usize];
        // What it does first is what it was made for, also where the request ends before it begins.
        (worker.maker, worker.handed) = (maker, maker);
        let Some((request, proof)) = self.creations.remove(&(process, created)) else {
            return;
        };
        let worker = &self.workers[id as usize];
        let at_birth = worker.birth == Birth::Now && worker.zone.is_empty();
        if at_birth && self.is_in_flight(process, request) {
            self.workers[id as usize].birth = Birth::Within(request, proof, Vec::new());
            self.expects(request);
        }
    }

    /// One more thread may turn out to have worked for `request`, after the end of that.
    pub(super) fn expects(&mut self, request: RequestId) {
        *self.expected.entry(request).or_default() += 1;
    }

    /// Whether such threads are left.
    pub(super) fn is_expected(&self, request: RequestId) -> bool {
        !self.expected.is_empty() && self.expected.contains_key(&request)
    }

    fn expects_no_more(&mut self, process: ProcessId, request: RequestId) {
        let Some(count) = self.expected.get_mut(&request) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.expected.remove(&request);
            if self.runs(process) {
                self.ledger(process).expect_no_more(request);
            }
        }
    }

    /// The thread has read the first head, and touched nothing before: it may live for this request. Whether it
    /// was not known to be anything else's.
    pub(super) fn is_born_for(&mut self, id: ThreadId, request: RequestId) -> bool {
        let worker = &mut self.workers[id as usize];
        let at_birth = worker.birth == Birth::Now && worker.service == Service::None;
        if !at_birth || worker.is_task() {
            return false;
        }
        worker.birth = Birth::For(request, std::mem::take(&mut worker.zone));
        worker.account = None;
        self.expects(request);
        true
    }

    /// A zone ends, `next` being touched then: the thread does not live for one request alone, unless it
    /// still may.
    pub(super) fn end_birth(
        &mut self,
        id: ThreadId,
        next: Option<RequestId>,
        records: &mut Records,
    ) {
        let worker = &mut self.workers[id as usize];
        let process = worker.process;
        match std::mem::replace(&mut worker.birth, Birth::Over) {
            Birth::For(request, accounts) if next == Some(request) => {
                worker.birth = Birth::For(request, accounts);
            }
            Birth::For(request, accounts) => {
                let hints = Hints {
                    next: Some(request),
                    ..Hints::default()
                };
                self.settle_all(process, accounts, Verdict::Open(hints), records);
                self.expects_no_more(process, request);
            }
            Birth::Within(request, proof, mut accounts)
                if next.is_none()
                    && accounts.len() < MAX_ACCOUNTS
                    && self.is_in_flight(process, request) =>
            {
                accounts.append(&mut self.take_zone(id));
                self.workers[id as usize].birth = Birth::Within(request, proof, accounts);
            }
            Birth::Within(request, _, accounts) => {
                self.lives_on(id, (request, accounts), next, records);
            }
            Birth::Now | Birth::Over => {}
        }
    }

    /// A thread that `request`'s worker created outlives that, or turns to something else.
    fn lives_on(
        &mut self,
        id: ThreadId,
        (request, mut accounts): (RequestId, Vec<AccountId>),
        next: Option<RequestId>,
        records: &mut Records,
    ) {
        let process = self.workers[id as usize].process;
        // A touch settles its own zone.
        if next.is_none() {
            accounts.append(&mut self.take_zone(id));
        }
        let hints = Hints {
            next,
            task: Some(request),
            ..Hints::default()
        };
        self.settle_all(process, accounts, Verdict::Open(hints), records);
        self.expects_no_more(process, request);
    }

    fn take_zone(&mut self, id: ThreadId) -> Vec<AccountId> {
        let worker = &mut self.workers[id as usize];
        worker.account = None;
        std::mem::take(&mut worker.zone)
    }

    /// The thread ends: if it lived for one request, all that it did was for that.
    pub(super) fn settle_birth(&mut self, id: ThreadId, records: &mut Records) {
        let process = self.workers[id as usize].process;
        let birth = std::mem::replace(&mut self.workers[id as usize].birth, Birth::Over);
        let (request, proof, accounts) = match birth {
            Birth::For(request, accounts) => (request, Proof::Touch, accounts),
            Birth::Within(request, proof, mut accounts) => {
                accounts.append(&mut self.take_zone(id));
                let end = records.get(request as usize).and_then(|record| record.end);
                if end.is_some_and(|end| !self.are_from_before(process, &accounts, end)) {
                    return self.lives_on(id, (request, accounts), None, records);
                }
                (request, proof, accounts)
            }
            Birth::Now | Birth::Over => return,
        };
        let verdict = Verdict::Proved(request, proof);
        self.settle_all(process, accounts, verdict, records);
        self.expects_no_more(process, request);
    }

    /// Whether all blocks of these accounts were made before `stamp`.
    fn are_from_before(&mut self, process: ProcessId, accounts: &[AccountId], stamp: u64) -> bool {
        if !self.runs(process) {
            return false;
        }
        let ledger = self.ledger(process);
        accounts
            .iter()
            .all(|account| ledger.last_of(*account) < stamp)
    }

    /// The process ends, and the thread with it, wherever that was.
    pub(super) fn is_cut(&mut self, id: ThreadId, records: &mut Records) {
        let birth = &mut self.workers[id as usize].birth;
        match std::mem::replace(birth, Birth::Over) {
            Birth::Within(request, _, accounts) => {
                self.lives_on(id, (request, accounts), None, records);
            }
            other => *birth = other,
        }
    }
}
