//! Whose block it is: which request a thread serves, and what becomes of blocks that it allocated
//! while it served none.
//!
//! A thread's *period* begins with each idle wait (accept, poll, lock; not read) and with its birth.
//!
//! | the thread | its allocations |
//! | --- | --- |
//! | has touched the connection of a request in flight since its last idle wait | direct, that request's |
//! | touches one later in the same period | provisional, then direct: the request's that it touches |
//! | touches none in the period, but still serves the request it touched before | provisional, then direct: that one's |
//! | the same, and serves none | provisional, then inferred (exactly one was in flight) or outside |
//!
//! Accepting a connection ends the service of another; blocks allocated after it in the period are its
//! first request's, if the thread touches that next, and else no request's that it serves.

use crate::ledger::Ledger;
use crate::ledger::holding::{AccountId, InFlight, Kind, OUTSIDE};
use crate::replay::Found;
use crate::requests::record::{Record, RequestId};
use crate::sample::Sample;
use crate::trace::{ProcessId, ThreadId};

/// Which blocks belong to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Direct and inferred ones.
    #[default]
    Default,
    /// Direct ones alone.
    Thread,
    /// Every block, to the oldest request in flight in the process.
    Process,
}

/// A thread that never waits keeps at most so many provisional accounts.
const MAX_PERIOD: usize = 1024;

/// What a thread serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Service {
    #[default]
    None,
    /// A request touched in this period.
    Firm(RequestId),
    /// A request touched in an earlier one.
    Loose(RequestId),
}

#[derive(Debug, Default)]
struct Thread {
    process: ProcessId,
    service: Service,
    /// The account of the request served firmly.
    account: Option<AccountId>,
    /// The connection that was accepted last in this period.
    accepted: Option<u32>,
    /// Provisional accounts of this period.
    period: Vec<AccountId>,
    /// The one for the process's state of this version.
    current: Option<(u32, AccountId)>,
    /// Reallocs whose outcome is not known yet, the innermost last.
    limbo: Vec<(u64, Found)>,
}

/// All ledgers, and what each thread serves.
#[derive(Debug, Default)]
pub struct Owners {
    scope: Scope,
    /// Services are explicit (marks): a wait does not loosen them.
    lasting: bool,
    ledgers: Vec<Option<Ledger>>,
    /// For each process, the interval between two process-wide marks.
    intervals: Vec<Option<RequestId>>,
    threads: Vec<Thread>,
    sample: Sample,
}

impl Owners {
    /// No processes yet, in a trace whose blocks count so.
    pub fn new(scope: Scope, lasting: bool, sample: Sample) -> Self {
        Owners {
            scope,
            lasting,
            sample,
            ..Owners::default()
        }
    }

    /// The ledger of a process that has begun and not ended.
    pub fn ledger(&mut self, process: ProcessId) -> &mut Ledger {
        let at = process as usize;
        if self.ledgers.len() <= at {
            self.ledgers.resize_with(at + 1, || None);
            self.intervals.resize(at + 1, None);
        }
        self.ledgers[at].get_or_insert_with(|| Ledger::new(self.sample))
    }

    /// Whether the process runs.
    pub fn runs(&self, process: ProcessId) -> bool {
        matches!(self.ledgers.get(process as usize), Some(Some(_)))
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

    /// A process has ended: what its threads left undecided is decided.
    pub fn process_ends(&mut self, process: ProcessId) -> Option<Ledger> {
        for thread in 0..self.threads.len() as ThreadId {
            if self.threads[thread as usize].process == process {
                self.thread_ends(thread);
            }
        }
        self.ledgers.get_mut(process as usize)?.take()
    }

    /// A thread is known to belong to `process`.
    pub fn thread_begins(&mut self, thread: ThreadId, process: ProcessId) {
        let at = thread as usize;
        if self.threads.len() <= at {
            self.threads.resize_with(at + 1, Thread::default);
        }
        self.threads[at].process = process;
    }

    /// A thread has ended.
    pub fn thread_ends(&mut self, thread: ThreadId) {
        self.put_back(thread);
        self.idle(thread);
        self.leave(thread);
    }

    /// Reallocs of the thread whose outcome never came have not happened.
    pub fn put_back(&mut self, thread: ThreadId) {
        let state = &mut self.threads[thread as usize];
        let process = state.process;
        for (address, old) in std::mem::take(&mut state.limbo) {
            if self.runs(process) {
                self.ledger(process).reallocation_failed(address, old);
            }
        }
    }

    /// The thread touched `connection`, the one of `request`, or began it.
    pub fn serve(&mut self, thread: ThreadId, request: RequestId, connection: u32) {
        let state = &mut self.threads[thread as usize];
        if state.service == Service::Firm(request) {
            return;
        }
        state.service = Service::Firm(request);
        state.account = None;
        let other = state.accepted.take().is_some_and(|it| it != connection);
        self.settle_period(thread, (!other).then_some(request));
    }

    /// The thread accepted a connection: it serves none any more, and what it allocates in this period
    /// is that connection's.
    pub fn accepted(&mut self, thread: ThreadId, connection: u32) {
        self.leave(thread);
        if let Some(state) = self.threads.get_mut(thread as usize) {
            state.accepted = Some(connection);
        }
    }

    /// What the thread allocated so far is none of a request's that begins with a call of its own.
    pub fn part(&mut self, thread: ThreadId) {
        let served = self.served_by(thread);
        self.settle_period(thread, served);
    }

    /// The thread serves none any more; its period goes on.
    pub fn leave(&mut self, thread: ThreadId) {
        if let Some(state) = self.threads.get_mut(thread as usize) {
            state.service = Service::None;
            state.account = None;
        }
    }

    /// What the thread serves.
    pub fn served_by(&self, thread: ThreadId) -> Option<RequestId> {
        match self.threads.get(thread as usize)?.service {
            Service::None => None,
            Service::Firm(request) | Service::Loose(request) => Some(request),
        }
    }

    /// The thread enters an idle wait.
    pub fn idle(&mut self, thread: ThreadId) {
        let served = self.served_by(thread);
        let state = &mut self.threads[thread as usize];
        state.accepted = None;
        if let Some(request) = served
            && !self.lasting
        {
            state.service = Service::Loose(request);
            state.account = None;
        }
        self.settle_period(thread, served);
    }

    /// Decides the provisional accounts of the thread's period.
    fn settle_period(&mut self, thread: ThreadId, request: Option<RequestId>) {
        let state = &mut self.threads[thread as usize];
        state.current = None;
        if state.period.is_empty() {
            return;
        }
        let accounts = std::mem::take(&mut state.period);
        let (process, infer) = (state.process, self.scope == Scope::Default);
        if !self.runs(process) {
            return;
        }
        let ledger = self.ledger(process);
        for account in accounts {
            match request {
                Some(request) => ledger.becomes_direct(account, request),
                None => ledger.becomes_unserved(account, infer),
            }
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

    /// `request` ends.
    pub fn end(&mut self, request: RequestId, record: &mut Record) {
        let server = record.thread;
        if self.served_by(server) == Some(request) {
            if let Service::Loose(_) = self.threads[server as usize].service {
                self.settle_period(server, Some(request));
            }
            self.leave(server);
        }
        if record.moved {
            for (process, ledger) in self.ledgers.iter_mut().enumerate() {
                if let Some(ledger) = ledger
                    && process as ProcessId != record.process
                {
                    ledger.end_abroad(request, record);
                }
            }
        }
        let stamp = record.end.unwrap_or(0);
        self.ledger(record.process).end(request, record, stamp);
    }

    /// `request` was none; what it holds belongs to `other`, or to no request.
    pub fn void(&mut self, request: RequestId, record: &Record, other: Option<RequestId>) {
        let server = record.thread;
        if self.served_by(server) == Some(request) {
            let state = &mut self.threads[server as usize];
            state.account = None;
            state.service = match (other, state.service) {
                (Some(other), Service::Firm(_)) => Service::Firm(other),
                (Some(other), _) => Service::Loose(other),
                (None, _) => Service::None,
            };
        }
        if self.runs(record.process) {
            self.ledger(record.process).void(request, other);
        }
    }

    /// The account for a block that `thread` allocates now.
    pub fn account(&mut self, thread: ThreadId) -> AccountId {
        let state = &self.threads[thread as usize];
        let process = state.process;
        if self.scope == Scope::Process {
            let ledger = self.ledger(process);
            return match ledger.oldest_in_flight() {
                Some(request) => ledger.direct_account(request),
                None => OUTSIDE,
            };
        }
        if let Service::Firm(request) = state.service {
            if let Some(account) = state.account {
                return account;
            }
            let account = self.ledger(process).direct_account(request);
            self.threads[thread as usize].account = Some(account);
            return account;
        }
        if let Some(Some(interval)) = self.intervals.get(process as usize).copied() {
            return self.ledger(process).direct_account(interval);
        }
        self.provisional(thread, process)
    }

    fn provisional(&mut self, thread: ThreadId, process: ProcessId) -> AccountId {
        self.ledger(process);
        let Some(Some(ledger)) = self.ledgers.get_mut(process as usize) else {
            return OUTSIDE;
        };
        let state = &mut self.threads[thread as usize];
        let version = ledger.flight_version();
        if let Some((seen, account)) = state.current
            && seen == version
        {
            return account;
        }
        let now: InFlight = ledger.in_flight();
        let same = |account: &&AccountId| ledger.kind(**account) == Kind::Provisional(now);
        let account = match state.period.iter().rev().take(8).find(same) {
            Some(account) => *account,
            None => {
                let account = ledger.provisional_account(thread);
                state.period.push(account);
                account
            }
        };
        state.current = Some((version, account));
        if state.period.len() > MAX_PERIOD {
            let infer = self.scope == Scope::Default;
            for old in state.period.drain(..MAX_PERIOD / 2) {
                if old != account {
                    ledger.becomes_unserved(old, infer);
                }
            }
        }
        account
    }

    /// A realloc of the block at `address` is about to happen.
    pub fn reallocation_begins(&mut self, thread: ThreadId, address: u64) {
        let process = self.threads[thread as usize].process;
        let old = self.ledger(process).reallocation_begins(address);
        self.threads[thread as usize].limbo.push((address, old));
    }

    /// The block of the thread's innermost realloc, and its address.
    pub fn reallocated(&mut self, thread: ThreadId) -> Option<(u64, Found)> {
        self.threads[thread as usize].limbo.pop()
    }
}
