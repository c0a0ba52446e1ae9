//! The account for a block that a worker allocates now.

use super::{Owners, Service};
use crate::ledger::holding::{AccountId, Kind, OUTSIDE, Proof};
use crate::requests::options::Scope;
use crate::requests::record::RequestId;
use crate::trace::{ProcessId, ThreadId};

impl Owners {
    /// The account for a block that the worker allocates now.
    #[inline]
    pub fn account(&mut self, id: ThreadId) -> AccountId {
        let worker = &self.workers[id as usize];
        if let Some((account, version)) = worker.account {
            let now = match self.ledgers.get(worker.process as usize) {
                Some(Some(ledger)) => ledger.flight.version(),
                _ => 0,
            };
            if version.is_none_or(|version| version == now) {
                return account;
            }
        }
        self.find_account(id)
    }

    fn find_account(&mut self, id: ThreadId) -> AccountId {
        let process = self.workers[id as usize].process;
        if self.scope == Scope::Process {
            let ledger = self.ledger(process);
            return match ledger.flight.oldest() {
                Some(request) => ledger.proved_account(request, Proof::Touch),
                None => OUTSIDE,
            };
        }
        let proved = self.proves(id);
        if let Some((request, proof, lasting)) = proved {
            let ledger = self.ledger(process);
            let version = (!lasting).then(|| ledger.flight.version());
            let account = ledger.proved_account(request, proof);
            self.workers[id as usize].account = Some((account, version));
            return account;
        }
        self.pending(id)
    }

    /// Whose a block of the worker's is by proof, and whether that lasts until the worker does something else.
    pub(super) fn proves(&self, id: ThreadId) -> Option<(RequestId, Proof, bool)> {
        let worker = &self.workers[id as usize];
        if let Service::Serves { request, .. } = worker.service
            && (self.explicit || !worker.has_others())
        {
            return Some((request, worker.proof(), true));
        }
        if let Some(Some(interval)) = self.intervals.get(worker.process as usize) {
            return Some((*interval, Proof::Touch, false));
        }
        match (worker.service, self.made_by(id)) {
            (Service::None, Some(Kind::Proved(request, proof)))
                if self.is_in_flight(worker.process, request) =>
            {
                Some((request, proof, false))
            }
            _ => None,
        }
    }

    pub(super) fn is_in_flight(&self, process: ProcessId, request: RequestId) -> bool {
        match self.ledgers.get(process as usize) {
            Some(Some(ledger)) => ledger.flight.has(request),
            _ => false,
        }
    }
}
