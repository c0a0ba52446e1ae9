//! For whom a task was made: by whose block its coroutine lies in.

use super::zone::Verdict;
use super::{Lineage, Owners, Service};
use crate::ledger::holding::Kind;
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
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
    pub(super) fn made_by_ended(&self, id: ThreadId, records: &Records) -> Option<RequestId> {
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
