//! A process's ledger: every live block, whose it is and where it was allocated, and what requests
//! left behind when they ended.
//!
//! Blocks point to holdings (an account's blocks of one call site). While a request is in flight its
//! holdings count; when it ends, what they hold are its survivors. Frees of survivors stay *pending*
//! until another request ends, because what is freed after the last end was still live when serving
//! ended. Memory is bounded by live blocks, call sites and requests.

mod accounts;
mod caches;
mod close;
mod collector;
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
use rustc_hash::FxHashMap;
use site::{SiteFigures, SiteIndex};
use threads::Stacks;
pub use tracing::{Moment as CollectionMoment, Tracing};
pub use types::Typed;

use crate::analysis::course::Begins;
use crate::replay::{Block, Found, Heap, HoldingId};
use crate::requests::record::RequestId;
use crate::sample::{Amount, Sample};
use crate::sites::{Memory, SiteId};
use crate::trace::ThreadId;
use crate::types::UNKNOWN;

/// What happened in a process, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that returned a new block.
    pub allocations: u64,
    /// Calls that ended one.
    pub frees: u64,
    /// Successful reallocs.
    pub reallocations: u64,
    /// Bytes of allocations, and what reallocs added.
    pub allocated_bytes: u64,
    /// Frees of addresses where nothing was live.
    pub unknown_frees: u64,
    /// Blocks whose end was not seen: another was allocated on them.
    pub missed_frees: u64,
    /// Live blocks of its own.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// What is mapped and no allocator's, in none of the others, in the order of [`Memory::APART`].
    pub apart: [Amount; Memory::APART.len()],
}

impl Counts {
    /// What lives of the kind of memory that has such keys; `None`: of allocators' blocks.
    #[inline]
    fn apart_of(&mut self, address: u64) -> Option<&mut Amount> {
        self.apart.get_mut(pieces::apart(address)?)
    }

    /// Memory that is mapped: no files, and no stacks.
    pub fn mapped(&self) -> Amount {
        let mut sum = self.apart[0];
        sum += self.apart[3];
        sum
    }

    /// Bytes of memory that are live and grow with what is kept: of allocators, and mapped. Arenas grow in large steps,
    /// and with what nobody keeps.
    pub fn held_bytes(&self) -> u64 {
        self.live_bytes + self.apart[0].bytes
    }
}

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

    /// What happens at `address` will be told soon.
    #[inline]
    pub fn expect(&self, address: u64) {
        self.heap.expect(address);
    }

    /// A new block.
    #[inline]
    pub fn allocate(
        &mut self,
        account: AccountId,
        address: u64,
        size: u64,
        site: SiteId,
        stamp: u64,
    ) {
        let (_, amount) = self.add(account, address, size, site, stamp);
        self.counts.allocations += amount.blocks;
        self.counts.allocated_bytes += amount.bytes;
    }

    /// The end of the block at `address`, if there is one. `was_task`: in a sample it is told in any case.
    #[inline]
    pub fn free(&mut self, address: u64, was_task: bool) {
        self.counts.frees += match self.heap.remove(address) {
            Found::Own(block) => self.release(address, block).blocks,
            Found::Inherited(amount) => amount.blocks,
            Found::Nothing => {
                let untaken = was_task && self.heap.sample().is_partial();
                self.counts.unknown_frees += u64::from(!untaken);
                0
            }
        };
    }

    /// Blocks that came and went.
    pub fn pass(&mut self, account: AccountId, site: SiteId, stamp: u64, blocks: u64, bytes: u64) {
        self.counts.allocations += blocks;
        self.counts.frees += blocks;
        self.counts.allocated_bytes += bytes;
        let id = self.holding(account, site, stamp);
        let holding = &mut self.holdings[id as usize];
        holding.allocations += blocks;
        holding.allocated_bytes += bytes;
    }

    /// A block that came to `address` and went with nothing in between. `false`: it has to be told one after
    /// the other, as another is live there, or it stands for more than itself.
    #[inline]
    pub fn pass_one(
        &mut self,
        account: AccountId,
        address: u64,
        size: u64,
        site: SiteId,
        stamp: u64,
    ) -> bool {
        let passes = !self.heap.sample().is_partial() && !self.heap.may_hold(address);
        if passes {
            self.pass(account, site, stamp, 1, size);
        }
        passes
    }

    /// Takes the block at `address` out until its realloc's outcome is known.
    pub fn reallocation_begins(&mut self, address: u64) -> Found {
        self.heap.remove(address)
    }

    /// The realloc of `old`, which was at the address beside it, gave a new block. An `address` of 0: it
    /// is not in the sample.
    pub fn reallocation_ends(
        &mut self,
        (from, old): (u64, Found),
        account: AccountId,
        address: u64,
        size: u64,
        site: SiteId,
        stamp: u64,
    ) {
        // What was there before was allocated before. Either end of a realloc may be missing in a sample:
        // each counts by its own weight, so that over many of them what was added is left.
        let before = match old {
            Found::Own(block) => self.heap.sample().part(block.size, block.size.min(size)),
            Found::Inherited(amount) => amount.bytes.min(size.saturating_mul(amount.blocks)),
            Found::Nothing => 0,
        };
        self.ends(from, old);
        let mut allocated = self.counts.allocated_bytes;
        if address != 0 {
            let (site, amount) = self.add(account, address, size, site, stamp);
            self.counts.reallocations += amount.blocks;
            self.sites[site as usize].reallocations += amount.blocks;
            allocated += amount.bytes;
        }
        self.counts.allocated_bytes = allocated.saturating_sub(before);
    }

    /// The realloc of `old` failed, or its thread died: it lives on.
    pub fn reallocation_failed(&mut self, address: u64, old: Found) {
        if !self.heap.put_back(address, old)
            && let Found::Own(block) = old
        {
            self.counts.missed_frees += 1;
            self.release(address, block);
        }
    }

    /// The realloc of `old`, which was at the address, freed it.
    pub fn reallocation_freed(&mut self, address: u64, old: Found) {
        if old == Found::Nothing {
            self.counts.unknown_frees += 1;
        }
        self.counts.frees += self.ends(address, old).blocks;
    }

    /// What was found at `address` has ended; gives what it counted for.
    #[inline]
    fn ends(&mut self, address: u64, found: Found) -> Amount {
        match found {
            Found::Own(block) => self.release(address, block),
            Found::Inherited(amount) => amount,
            Found::Nothing => Amount::default(),
        }
    }

    #[inline]
    fn add(
        &mut self,
        account: AccountId,
        address: u64,
        size: u64,
        site: SiteId,
        stamp: u64,
    ) -> (SiteIndex, Amount) {
        let id = self.holding(account, site, stamp);
        let block = Block {
            size,
            born: self.exit.birth(stamp),
            holding: id,
            of_type: UNKNOWN,
        };
        let amount = self.heap.amount(address, &block);
        if self.exit.has_begun() {
            self.exit.made(id, amount);
        }
        if self.mappings.may_contain(address) {
            self.hand_over(address);
        }
        let apart = self.counts.apart_of(address);
        let is_allocated = apart.is_none();
        match apart {
            Some(live) => *live += amount,
            None => {
                self.counts.live_blocks += amount.blocks;
                self.counts.live_bytes += amount.bytes;
            }
        }
        let holding = &mut self.holdings[id as usize];
        holding.is_stack = !is_allocated && pieces::is_stack(address);
        if is_allocated {
            holding.allocations += amount.blocks;
            holding.allocated_bytes += amount.bytes;
        }
        holding.live_blocks += amount.blocks;
        holding.live_bytes += amount.bytes;
        holding.held += 1;
        holding.last = stamp;
        holding.largest = holding.largest.max(size);
        let site = holding.site;
        let figures = &mut self.sites[site as usize];
        figures.live_blocks += amount.blocks;
        figures.live_bytes += amount.bytes;
        if !figures.dirty {
            figures.dirty = true;
            self.dirty.push(site);
        }
        if let Some(phase) = figures.phase {
            self.collector_seen(phase, stamp);
        }
        match self.heap.insert(address, block) {
            Found::Nothing => {}
            Found::Inherited(_) => self.counts.missed_frees += 1,
            Found::Own(old) => {
                self.counts.missed_frees += 1;
                self.release(address, old);
            }
        }
        (site, amount)
    }

    /// A block has ended; gives what it counted for.
    #[inline]
    fn release(&mut self, address: u64, block: Block) -> Amount {
        let amount = self.heap.amount(address, &block);
        let apart = self.counts.apart_of(address);
        let is_allocated = apart.is_none();
        match apart {
            Some(live) => *live -= amount,
            None => {
                self.counts.live_blocks -= amount.blocks;
                self.counts.live_bytes -= amount.bytes;
            }
        }
        let id = self.resolve(&block);
        let holding = &mut self.holdings[id as usize];
        // What was live before the exit is to be told by whose it was, so that its holding stays.
        let torn = self.exit.has_begun() && self.exit.freed(id, &block, amount, is_allocated);
        holding.torn |= torn;
        holding.live_blocks -= amount.blocks;
        holding.live_bytes -= amount.bytes;
        let (kind, site, has_ended) = (holding.kind, holding.site, holding.ended);
        if self.freer.is_given_jobs && kind != Kind::Outside {
            self.freer.freed = Some(Freed { kind, site });
        }
        let is_over = has_ended || matches!(kind, Kind::Open(_));
        if let Some(request) = kind.made_after().filter(|_| is_over) {
            self.sites[site as usize].tail_ends(request, self.freer.serves);
        }
        if self.periods.is_of_another(block.born) {
            self.periods
                .ends(self.sites[site as usize].id, block.born, amount);
        }
        let outlived = match kind {
            Kind::Proved(..) => holding.ended,
            // It may have outlived its request, whosever it is.
            Kind::Outside | Kind::Pending(_) | Kind::Open(_) | Kind::Prepared(_) => {
                self.order() > 0 && block.born < self.serving.to
            }
        };
        let is_nobodys = matches!(kind, Kind::Pending(_) | Kind::Open(_));
        let outlived_all = is_nobodys && self.are_over(block.born);
        let survived = matches!(kind, Kind::Open(_)) && outlived_all;
        let figures = &mut self.sites[site as usize];
        figures.live_blocks -= amount.blocks;
        figures.live_bytes -= amount.bytes;
        if !figures.dirty {
            figures.dirty = true;
            self.dirty.push(site);
        }
        if outlived {
            if survived {
                figures.open_freed += amount;
                let order = self.folded_ends + self.ends.len() as u64;
                figures.survivor_log.add(order, amount.bytes);
            }
            self.pending.push(Pending {
                address,
                block,
                survived: kind.request(),
                outlived_all,
                torn,
                by: self.freer.thread,
            });
        } else {
            self.unhold(block.holding);
        }
        amount
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
