//! A process's ledger: every live block, whose it is and where it was allocated, and what requests
//! left behind when they ended.
//!
//! Blocks point to holdings (an account's blocks of one call site). While a request is in flight its
//! holdings count; when it ends, what they hold are its survivors. Frees of survivors stay *pending*
//! until another request ends, because what is freed after the last end was still live when serving
//! ended. Memory is bounded by live blocks, call sites and requests.

mod accounts;
mod blocks;
mod caches;
mod close;
mod collector;
mod counts;
mod cycles;
mod exit;
mod finish;
mod finished;
mod flight;
pub mod holding;
mod index;
mod lives;
mod log;
mod loose;
pub mod mapped;
mod meanwhile;
mod merge;
mod now;
mod open;
mod outside;
mod pages;
mod periods;
pub mod pieces;
mod prepared;
mod resident;
mod reuse;
pub mod site;
mod split;
pub mod stacks;
pub mod standing;
mod threads;
mod tracing;
mod tree;
mod types;

use caches::Cached;
pub use collector::{Collector, Judged};
pub use counts::Counts;
use cycles::Cycles;
pub use exit::BeforeExit;
use exit::Exit;
pub use finished::{
    Certain, Finished, FinishedSite, OutsideSeries, PARTS, Reached, Retained, SLICES, Serving,
};
pub use flight::AFTER;
use flight::Flight;
use holding::{Account, AccountId, Holding, Kind};
use index::HoldingIndex;
pub use lives::{Age, GroupLives, Lives, MEASURES, MassDeath, SiteLives};
pub use log::Log;
pub use loose::{Known, Loose};
use meanwhile::OfTree;
pub use open::Open;
use periods::Periods;
use pieces::Mappings;
use rustc_hash::{FxHashMap, FxHashSet};
use site::{SiteFigures, SiteIndex};
use threads::Stacks;
pub use tracing::{Moment as CollectionMoment, Tracing};
pub use types::Typed;

use crate::analysis::course::Begins;
use crate::replay::{Block, Heap, HoldingId};
use crate::requests::record::RequestId;
use crate::sample::Sample;
use crate::sites::SiteId;
use crate::trace::ThreadId;

/// See the module's documentation.
#[derive(Debug)]
pub struct Ledger {
    heap: Heap,
    /// What is mapped, by address.
    mappings: Mappings,
    /// Threads and their stacks.
    stacks: Stacks,
    /// Figures so far.
    pub counts: Counts,
    holdings: Vec<Holding>,
    free_holdings: Vec<HoldingId>,
    index: HoldingIndex,
    accounts: Vec<Account>,
    /// They have no holdings.
    free_accounts: Vec<AccountId>,
    /// Of each request that has one, by what proves it; [`OUTSIDE`](holding::OUTSIDE): none.
    proved: FxHashMap<RequestId, [AccountId; PROOFS]>,
    sites: Vec<SiteFigures>,
    site_index: FxHashMap<SiteId, SiteIndex>,
    dirty: Vec<SiteIndex>,
    /// Freed blocks that had outlived a request's end.
    pending: Vec<Pending>,
    /// So many of them went before the first full run of the collector since a request ended was over.
    pending_collected: usize,
    /// What is in flight.
    pub flight: Flight,
    /// The newest requests in the order of their ends, and the stamps of those; so many came before.
    ends: Vec<RequestId>,
    ended_at: Vec<u64>,
    folded_ends: u64,
    requests_ended: u64,
    /// Call sites where a request was counted that has ended, and to which more may come.
    reached: FxHashMap<RequestId, Vec<SiteIndex>>,
    /// Allocations that are proved to be a request's, of those that have ended.
    proved_allocations: u64,
    /// Who frees blocks now.
    pub freer: Freer,
    serving: Serving,
    /// Reads and writes of requests' connections, by stamp.
    touches: Log,
    /// What it knows of the time that others serve.
    tree: OfTree,
    /// Types of blocks were read.
    typed: bool,
    /// What caches of bounded size keep.
    cached: Cached,
    /// Addresses of blocks that were there before it served, and are used again since.
    older: FxHashSet<u64>,
    /// What the process was like before its tear-down.
    exit: Exit,
    /// When its collector of cyclic garbage ran.
    collector: Collector,
    /// When a runtime's collector went over everything.
    tracing: Tracing,
    /// The same of one that nobody tells of.
    cycles: Cycles,
    /// When blocks came and went, where that is asked for.
    periods: Periods,
}

/// Who frees blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Freer {
    /// The thread.
    pub thread: ThreadId,
    /// The request that it serves, or has answered and tidies up after.
    pub serves: Option<RequestId>,
    /// It serves none, and does jobs that others give it: what it frees of theirs is told by `freed`.
    pub is_given_jobs: bool,
    /// Such a block that it has freed.
    pub freed: Option<Freed>,
}

/// A block that was freed, and whose it was.
#[derive(Clone, Copy, Debug)]
pub struct Freed {
    /// Whose.
    pub kind: Kind,
    /// Where it was made.
    pub site: SiteIndex,
}

/// A freed block that had outlived a request's end.
#[derive(Clone, Copy, Debug)]
struct Pending {
    address: u64,
    block: Block,
    /// Whose survivor it was when it was freed.
    survived: Option<RequestId>,
    /// Nothing proved whose it is, and all that were in flight at its birth had ended.
    outlived_all: bool,
    /// It was there when the process began to exit, and the tear-down freed it.
    torn: bool,
    /// Who freed it.
    by: ThreadId,
}

/// How many kinds of proof there are.
const PROOFS: usize = 7;

impl Ledger {
    /// Nothing happened yet, in a trace whose blocks count so.
    pub fn new(sample: Sample) -> Self {
        Ledger::with(Heap::new(sample))
    }

    fn with(heap: Heap) -> Self {
        let outside = Account {
            kind: Kind::Outside,
            busy: false,
            holdings: Vec::new(),
        };
        Ledger {
            heap,
            mappings: Mappings::default(),
            stacks: Stacks::default(),
            counts: Counts::default(),
            holdings: Vec::new(),
            free_holdings: Vec::new(),
            index: HoldingIndex::default(),
            accounts: vec![outside],
            free_accounts: Vec::new(),
            proved: FxHashMap::default(),
            sites: Vec::new(),
            site_index: FxHashMap::default(),
            dirty: Vec::new(),
            pending: Vec::new(),
            pending_collected: 0,
            flight: Flight::default(),
            ends: Vec::new(),
            ended_at: Vec::new(),
            folded_ends: 0,
            requests_ended: 0,
            serving: Serving::default(),
            touches: Log::default(),
            tree: OfTree::default(),
            reached: FxHashMap::default(),
            proved_allocations: 0,
            freer: Freer::default(),
            typed: false,
            cached: Cached::default(),
            older: FxHashSet::default(),
            exit: Exit::default(),
            collector: Collector::default(),
            tracing: Tracing::default(),
            cycles: Cycles::default(),
            periods: Periods::default(),
        }
    }

    /// The ledger of a child forked now.
    pub fn fork(&mut self) -> Ledger {
        Ledger {
            collector: self.collector.fork(),
            tracing: self.tracing.fork(),
            ..Ledger::with(self.heap.fork())
        }
    }

    /// Live bytes, own and inherited.
    pub fn live_bytes(&self) -> u64 {
        self.counts.live_bytes + self.heap.inherited().1
    }

    /// How many ends there were: the place of the next one.
    fn order(&self) -> u64 {
        self.folded_ends + self.ends.len() as u64
    }

    /// Forgets all but the newest `most` ends: ages that reach further back are lower bounds then.
    pub fn fold(&mut self, most: usize) {
        let old = self.ends.len().saturating_sub(most);
        self.ends.drain(..old);
        self.ended_at.drain(..old);
        self.folded_ends += old as u64;
    }

    /// How many requests have ended.
    pub fn requests_ended(&self) -> u64 {
        self.requests_ended
    }

    /// `request` is in flight from now on.
    pub fn begin(&mut self, request: RequestId, stamp: u64) {
        self.flight.begin(request, stamp);
        if self.serving.from.is_none() {
            self.serving.from = Some(stamp);
            self.serving.from_bytes = self.counts.held_bytes();
        }
    }

    /// The period `now` of those that begin at `begins` has begun.
    pub fn period_begins(&mut self, begins: &Begins, now: u8) {
        self.periods.begins(begins, now);
    }

    /// A request's connection is read or written.
    pub fn touched(&mut self, stamp: u64) {
        self.touches.add(stamp, 1);
    }

    /// Where its own live blocks lie.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.heap.own().map(|(address, _)| address)
    }

    /// Whose the live block at `address` is.
    pub fn kind_of_block(&self, address: u64) -> Option<Kind> {
        let block = self.heap.get(address)?;
        Some(self.holdings[self.resolve(block) as usize].kind)
    }
}

#[cfg(test)]
mod tests;
