//! Who holds what: accounts (an owner of blocks) and holdings (an account's blocks of one call site).

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
    /// The request that the allocating thread served.
    Direct(RequestId),
    /// A thread that serves none, and the one request in flight.
    Inferred(RequestId),
    /// A thread that served none when it allocated, while so much was in flight; becomes one of the
    /// others when the thread touches a connection, or waits.
    Provisional(InFlight),
}

impl Kind {
    /// Whose blocks these are, or may be.
    pub fn request(self) -> Option<RequestId> {
        match self {
            Kind::Direct(request)
            | Kind::Inferred(request)
            | Kind::Provisional(InFlight::One(request)) => Some(request),
            Kind::Outside | Kind::Provisional(_) => None,
        }
    }
}

/// What was in flight in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// No request.
    None,
    /// Exactly this one.
    One(RequestId),
    /// More than one.
    Several,
}

/// An owner of blocks.
#[derive(Debug)]
pub struct Account {
    /// What it stands for.
    pub kind: Kind,
    /// Who allocated, for inferred and provisional ones.
    pub thread: ThreadId,
    /// One for each site.
    pub holdings: Vec<HoldingId>,
}

/// An account's blocks of one call site.
#[derive(Clone, Debug)]
pub struct Holding {
    /// As the account's.
    pub kind: Kind,
    /// As the account's.
    pub thread: ThreadId,
    /// The call site.
    pub site: SiteIndex,
    /// The request has ended: what is live is a survivor.
    pub ended: bool,
    /// Everything was moved to this other one.
    pub moved: Option<HoldingId>,
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
    /// Live at the request's end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
}

impl Holding {
    /// Without blocks.
    pub fn new(kind: Kind, thread: ThreadId, site: SiteIndex) -> Self {
        Holding {
            kind,
            thread,
            site,
            ended: false,
            moved: None,
            held: 0,
            allocations: 0,
            allocated_bytes: 0,
            live_blocks: 0,
            live_bytes: 0,
            survivor_blocks: 0,
            survivor_bytes: 0,
        }
    }

    /// Takes over the blocks of `other`.
    pub fn absorb(&mut self, other: &Holding) {
        self.held += other.held;
        self.allocations += other.allocations;
        self.allocated_bytes += other.allocated_bytes;
        self.live_blocks += other.live_blocks;
        self.live_bytes += other.live_bytes;
    }
}
