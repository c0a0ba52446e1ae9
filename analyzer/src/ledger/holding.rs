//! Who holds what: accounts (an owner of blocks) and holdings (an account's blocks of one call site).

use super::lives::Age;
use super::site::SiteIndex;
use crate::replay::HoldingId;
use crate::requests::record::RequestId;
use crate::trace::ThreadId;

/// Index into a ledger's accounts.
pub type AccountId = u32;
/// The account of blocks that belong to no request.
pub const OUTSIDE: AccountId = 0;

/// What an account stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No request.
    Outside,
    /// This request, proved in this way.
    Proved(RequestId, Proof),
    /// This worker's zone, which is not over: what ends it decides whose its blocks are.
    Pending(ThreadId),
    /// Nothing proves whose these are; what is known of them.
    Open(Hints),
    /// Made after an answer for the connection's next request, which is this one, if it came. Only at the process's end.
    Prepared(Option<RequestId>),
}

/// What a proof rests on. Some hold only in processes that work in a certain way, which shows at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The worker touched the request's connection, and nothing else of its own was unanswered.
    Touch,
    /// The worker has begun the answer to a request that another one had read, and came from a wait or a queue's lock:
    /// one that takes several jobs at once may have made it for another of these.
    Handed,
    /// The worker had answered the request, and waited no more since: it may have done other work by then.
    Tail,
    /// As [`Proof::Touch`], but the worker has waited in between: one that has other work may have done that.
    Waited,
    /// A task that waited before it touched the connection: one that serves several may have done other work.
    Task,
    /// As [`Proof::Tail`], but the worker is a loop, and has written to one that streams meanwhile: a loop that goes on with
    /// streams in the midst of its rounds may have worked for that one.
    Passed,
    /// Heads that were read together with the request's waited behind it, and its answer was written by itself: one that
    /// writes several answers at once may have worked for those, too.
    Alone,
}

impl Proof {
    /// Whether the worker had answered the request.
    pub fn is_tail(self) -> bool {
        matches!(self, Proof::Tail | Proof::Passed)
    }
}

/// Requests that may be a block's owner more likely than others in flight when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// Its worker touched this one's connection last, and has not waited since.
    pub last: Option<RequestId>,
    /// That one had been answered.
    pub answered: bool,
    /// Its worker touched this one's connection next, without a wait before.
    pub next: Option<RequestId>,
    /// A request that had ended had made the task.
    pub task: Option<RequestId>,
}

/// What one zone's blocks would have been told by: what any block that no request makes would meet, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// When: just before what ended the zone.
    pub stamp: u64,
    /// Requests touched last and next, and the one that made the task.
    pub hints: Hints,
}

/// Who holds a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// It is proved to be this request's, which has ended: left over.
    Ended(RequestId),
    /// It is proved to be this request's, which goes on.
    Flying(RequestId),
    /// Nothing proves whose it is; the one request that is a hint, if there is one.
    Untold(Option<RequestId>),
    /// No request's.
    Outside,
}

impl Holder {
    /// The request that is named.
    pub fn request(self) -> Option<RequestId> {
        match self {
            Holder::Ended(request) | Holder::Flying(request) => Some(request),
            Holder::Untold(request) => request,
            Holder::Outside => None,
        }
    }
}

impl Hints {
    /// Whether there are any.
    pub fn any(self) -> bool {
        self != Hints::default()
    }
}

impl Kind {
    /// After whose answer a worker made these, before it turned to anything else.
    pub fn made_after(self) -> Option<RequestId> {
        match self {
            Kind::Proved(request, proof) if proof.is_tail() => Some(request),
            Kind::Open(hints) if hints.answered => hints.last,
            _ => None,
        }
    }

    /// Whose blocks these are, proved.
    pub fn request(self) -> Option<RequestId> {
        match self {
            Kind::Proved(request, _) => Some(request),
            Kind::Outside | Kind::Pending(_) | Kind::Open(_) | Kind::Prepared(_) => None,
        }
    }
}

/// An owner of blocks.
#[derive(Debug)]
pub struct Account {
    /// What it stands for.
    pub kind: Kind,
    /// Something was in flight when it was opened.
    pub busy: bool,
    /// One for each site.
    pub holdings: Vec<HoldingId>,
}

/// An account's blocks of one call site.
#[derive(Clone, Debug)]
pub struct Holding {
    /// As the account's.
    pub kind: Kind,
    /// The call site.
    pub site: SiteIndex,
    /// The request has ended: what is live is a survivor.
    pub ended: bool,
    /// Its account is closed.
    pub closed: bool,
    /// Its blocks are stacks of threads, which count in no request's figures.
    pub is_stack: bool,
    /// Blocks of it that were live before the process's tear-down were freed by that.
    pub torn: bool,
    /// When its request ended with survivors here: the place of its group, and how things stood.
    pub birth: Option<(u32, Age)>,
    /// Everything was moved to this other one.
    pub moved: Option<HoldingId>,
    /// Stamp of its first block.
    pub born: u64,
    /// Stamp of its last.
    pub last: u64,
    /// Bytes of its largest block.
    pub largest: u64,
    /// Live or pending blocks that name this one, or one that was moved to it.
    pub held: u64,
    /// Blocks allocated.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Live now.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
}

impl Holding {
    /// Without blocks.
    pub fn new(kind: Kind, site: SiteIndex, born: u64) -> Self {
        Holding {
            kind,
            site,
            ended: false,
            closed: false,
            is_stack: false,
            torn: false,
            birth: None,
            moved: None,
            born,
            last: born,
            largest: 0,
            held: 0,
            allocations: 0,
            allocated_bytes: 0,
            live_blocks: 0,
            live_bytes: 0,
        }
    }

    /// Takes over the blocks of `other`.
    pub fn absorb(&mut self, other: &Holding) {
        self.born = self.born.min(other.born);
        self.last = self.last.max(other.last);
        self.largest = self.largest.max(other.largest);
        self.held += other.held;
        self.torn |= other.torn;
        self.is_stack |= other.is_stack;
        self.allocations += other.allocations;
        self.allocated_bytes += other.allocated_bytes;
        self.live_blocks += other.live_blocks;
        self.live_bytes += other.live_bytes;
    }
}
