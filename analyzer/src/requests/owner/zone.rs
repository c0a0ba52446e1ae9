//! How a worker's zones begin and end, and what each end proves.

use super::Owners;
use crate::ledger::holding::{AccountId, Hints, Proof};
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

    pub(super) fn settle(&mut self, id: ThreadId, verdict: Verdict, records: &mut Records) {
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
    pub(super) fn note_moment(&mut self, id: ThreadId, next: Option<RequestId>) {
        let worker = &self.workers[id as usize];
        let hints = Hints {
            next,
            ..worker.hints()
        };
        if let Some(habits) = self.habits.get_mut(worker.process as usize) {
            habits.zone_ends(self.now, hints);
        }
    }
}
