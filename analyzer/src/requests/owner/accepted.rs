//! What a thread makes for a connection that it has just accepted, before it waits or does anything else: an object
//! for the connection, the thread that is to serve it. Whose it is, the connection's first request tells.

use super::{Birth, Owners, Service};
use crate::ledger::holding::{AccountId, Hints};
use crate::requests::record::{Records, RequestId};
use crate::trace::{ProcessId, ThreadId};

/// What was made for a connection.
#[derive(Debug)]
pub(super) struct Accepted {
    process: ProcessId,
    /// The zone that it is made in goes on.
    goes_on: bool,
    /// Accounts that wait for the first request.
    accounts: Vec<AccountId>,
    /// That one, when it has begun.
    first: Option<RequestId>,
    /// The connection has been closed: no request comes any more.
    is_closed: bool,
}

impl Accepted {
    pub(super) fn is_of(&self, process: ProcessId) -> bool {
        self.process == process
    }
}

impl Owners {
    /// The thread has accepted a connection, and serves nothing.
    pub(in crate::requests) fn accepts(
        &mut self,
        id: ThreadId,
        connection: u32,
        records: &mut Records,
    ) {
        let Some(worker) = self.workers.get(id as usize) else {
            return;
        };
        let is_free = worker.service == Service::None && worker.birth == Birth::Over;
        if self.explicit || worker.is_task() || !is_free || connection == 0 {
            return;
        }
        let process = worker.process;
        self.close_zone(id, None, records);
        self.workers[id as usize].accepted = connection;
        let accepted = Accepted {
            process,
            goes_on: true,
            accounts: Vec::new(),
            first: None,
            is_closed: false,
        };
        self.accepted.insert(connection, accepted);
    }

    /// The zone in which the worker accepted the connection is over: these are its accounts.
    pub(super) fn has_accepted(
        &mut self,
        connection: u32,
        accounts: Vec<AccountId>,
        records: &mut Records,
    ) {
        let Some(accepted) = self.accepted.get_mut(&connection) else {
            return;
        };
        accepted.goes_on = false;
        accepted.accounts.extend(accounts);
        if accepted.first.is_some() || accepted.is_closed {
            self.settle_accepted(connection, records);
        }
    }

    /// The request is the connection's first.
    pub(in crate::requests) fn is_first(
        &mut self,
        connection: u32,
        request: RequestId,
        records: &mut Records,
    ) {
        if let Some(accepted) = self.accepted.get_mut(&connection) {
            accepted.first = accepted.first.or(Some(request));
            self.settle_accepted(connection, records);
        }
    }

    /// The connection has been closed.
    pub(in crate::requests) fn is_closed(&mut self, connection: u32, records: &mut Records) {
        if let Some(accepted) = self.accepted.get_mut(&connection) {
            accepted.is_closed = true;
            self.settle_accepted(connection, records);
        }
    }

    /// What was made for the connection is left to its first request, if it had one; more may come while the zone goes
    /// on.
    fn settle_accepted(&mut self, connection: u32, records: &mut Records) {
        let Some(accepted) = self.accepted.get_mut(&connection) else {
            return;
        };
        let (process, first, goes_on) = (accepted.process, accepted.first, accepted.goes_on);
        let accounts = std::mem::take(&mut accepted.accounts);
        if !goes_on {
            self.accepted.remove(&connection);
        }
        // A forked child serves it: what its parent holds is not the child's.
        let here = first.filter(|first| {
            let record = records.get(*first as usize);
            record.is_some_and(|record| record.process == process)
        });
        let hints = Hints {
            next: here,
            ..Hints::default()
        };
        let now = self.now;
        if let Some(habits) = self.habits.get_mut(process as usize)
            && !accounts.is_empty()
        {
            habits.zone_ends(now, hints);
        }
        self.leave_open(process, accounts, hints, records);
    }
}
