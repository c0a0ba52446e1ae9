//! What is known of a worker: a thread, or a task of an event loop.

use crate::ledger::holding::{AccountId, Hints, Proof};
use crate::ledger::site::SiteIndex;
use crate::replay::Found;
use crate::requests::record::RequestId;
use crate::trace::ProcessId;

/// What a worker serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::requests) enum Service {
    /// Nothing that is known.
    #[default]
    None,
    /// A request that is not answered, and whose connection it touched last.
    Serves {
        /// Which.
        request: RequestId,
        /// It read the head itself.
        own: bool,
    },
    /// It has answered the request, and may still tidy up.
    Tail {
        /// Which.
        request: RequestId,
    },
}

/// Where a worker comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::requests) enum Lineage {
    /// A thread.
    #[default]
    Thread,
    /// A task, whose coroutine lies in the block at this address: who made that, made the task.
    Task(u64),
}

/// What a thread did before it touched a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Birth {
    /// It has not waited, nor touched any.
    #[default]
    Now,
    /// It has read this request's head, and no other; these accounts are from before.
    For(RequestId, Vec<AccountId>),
    /// A worker that this request is proved for has created it; these accounts are of its zones that are over.
    Within(RequestId, Proof, Vec<AccountId>),
    /// It has done something else.
    Over,
}

/// What a thread did for a job that may be over.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) accounts: Vec<AccountId>,
    /// For whom the one worked that gave the job.
    pub(super) for_request: Option<RequestId>,
}

/// What a thread did for a request while heads that were read with it waited behind it, up to its answer.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) request: RequestId,
    pub(super) accounts: Vec<AccountId>,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) process: ProcessId,
    pub(super) lineage: Lineage,
    pub(super) service: Service,
    /// It has woken another thread since it answered, and made what its zone holds after that.
    pub(super) woke: bool,
    /// It is a loop, and has written to one that streams since it answered.
    pub(super) passed: bool,
    /// The request that it had answered then, which has ended: it reads on, and what its zone holds may be that one's or
    /// the next one's.
    pub(super) after: Option<RequestId>,
    /// For whom the one worked that has woken it: it serves none by itself, and has not waited since, nor taken or told
    /// anything by which its job may be another one.
    pub(super) handed: Option<RequestId>,
    /// The same before it began to wait, having made nothing since it was woken: for a lock, it may be.
    pub(super) handed_before: Option<RequestId>,
    /// A job that may be over, of a thread that serves none by itself.
    pub(super) job: Job,
    /// For whom the one worked that woke it last; not once its job may be over.
    pub(super) told: Option<RequestId>,
    /// The same of the job that may be over.
    pub(super) told_before: Option<RequestId>,
    /// Call sites of blocks that it has freed since it was woken.
    pub(super) told_by: Vec<SiteIndex>,
    /// The request that it served last.
    pub(super) served: Option<RequestId>,
    /// It has waited since it touched what it serves; of a task also: since its zone began.
    pub(super) waited: bool,
    /// A thread that came to serve none without a wait or a queue's lock of its own: it may have done several jobs since.
    pub(super) adrift: bool,
    /// Requests that it has answered since it last waited, or took a queue's lock.
    pub(super) answered: u32,
    /// It has waited for one of several connections: it is a loop.
    pub(super) polls: bool,
    /// Requests without a complete answer whose connection it touched last.
    pub(super) unanswered: u32,
    /// The request that it serves is one of them: not while its head is incomplete.
    pub(super) counted: bool,
    /// Heads that were read together with one that it serves, and wait behind that.
    pub(super) behind: u32,
    /// What it did up to an answer behind which others waited: whether that was the only one in its write shows later.
    pub(super) aside: Option<Aside>,
    /// The request of which that was so last.
    pub(super) alone: Option<RequestId>,
    /// The account for its next block; with a version, while that is the one of what is in flight.
    pub(super) account: Option<(AccountId, Option<u32>)>,
    /// Accounts of its zone, the newest last, and what was in flight when that was opened.
    pub(super) zone: Vec<AccountId>,
    pub(super) opened: u32,
    pub(super) birth: Birth,
    /// The request for which a thread has created it, proved or not.
    pub(super) maker: Option<RequestId>,
    /// It has worked for others than that one since.
    pub(super) works_on: bool,
    /// The connection that its zone began with the accept of; 0: none.
    pub(super) accepted: u32,
    /// It has read heads.
    pub(super) reads: bool,
    /// It has begun answers to requests whose heads other threads had read.
    pub(super) answers_others: bool,
    /// The connection that it has touched, if it is a task.
    pub(super) connection: u32,
    /// Reallocs whose outcome is not known yet, the innermost last.
    pub(super) limbo: Vec<(u64, Found)>,
}

impl Worker {
    pub(super) fn is_task(&self) -> bool {
        self.lineage != Lineage::Thread
    }

    /// It works for this request now.
    pub(super) fn is_at(&mut self, request: Option<RequestId>) {
        self.works_on |= self.maker.is_some() && request.is_some() && request != self.maker;
    }

    /// Whether somebody waits for it besides the one that it serves.
    pub(super) fn has_others(&self) -> bool {
        self.unanswered + self.behind > u32::from(self.counted)
    }

    /// What proves that a block is that request's which the worker serves.
    pub(super) fn proof(&self) -> Proof {
        match self.waited && !self.is_task() {
            true => Proof::Waited,
            false => Proof::Touch,
        }
    }

    /// What is known of a block that the worker makes now.
    pub(super) fn hints(&self) -> Hints {
        let (last, task) = match self.service {
            Service::None => (self.after, self.handed),
            Service::Serves { request, .. } | Service::Tail { request } => (Some(request), None),
        };
        Hints {
            last,
            answered: last.is_some() && !matches!(self.service, Service::Serves { .. }),
            next: None,
            task,
        }
    }
}
