//! A process's ledger: every live block, whose it is and where it was allocated, and what requests
//! left behind when they ended.
//!
//! Blocks point to holdings (an account's blocks of one call site). While a request is in flight its
//! holdings count; when it ends, what they hold are its survivors. Frees of survivors stay *pending*
//! until another request ends, because what is freed after the last end was still live when serving
//! ended. Memory is bounded by live blocks, call sites and requests.

mod close;
mod finish;
pub mod holding;
mod index;
mod log;
pub mod site;
mod types;

pub use finish::{Finished, FinishedSite, Reached, Retained, SLICES};
use holding::{Account, AccountId, Holding, InFlight, Kind};
use index::HoldingIndex;
pub use log::Log;
use rustc_hash::{FxHashMap, FxHashSet};
use site::{SiteFigures, SiteIndex};
pub use types::Typed;

use crate::replay::{Block, Found, Heap, HoldingId};
use crate::requests::record::RequestId;
use crate::sample::{Amount, Sample};
use crate::sites::SiteId;
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
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Ledger {
    heap: Heap,
    /// Figures so far.
    pub counts: Counts,
    holdings: Vec<Holding>,
    free_holdings: Vec<HoldingId>,
    index: HoldingIndex,
    accounts: Vec<Account>,
    /// They have no holdings.
    free_accounts: Vec<AccountId>,
    direct: FxHashMap<RequestId, AccountId>,
    /// Inferred and provisional accounts of requests in flight.
    inferring: FxHashMap<RequestId, Vec<AccountId>>,
    sites: Vec<SiteFigures>,
    site_index: FxHashMap<SiteId, SiteIndex>,
    dirty: Vec<SiteIndex>,
    /// Freed blocks that had outlived a request's end.
    pending: Vec<Pending>,
    /// (thread, site) that allocated while no request was in flight.
    idle: FxHashSet<(ThreadId, SiteIndex)>,
    /// Call sites that requests reached directly, and may have reached by inference, too.
    reached: FxHashSet<(RequestId, SiteIndex)>,
    /// Inferred holdings without live blocks of requests that have ended.
    settled_later: Vec<Holding>,
    in_flight: Vec<RequestId>,
    flight_version: u32,
    most_in_flight: usize,
    ends: Vec<RequestId>,
    requests_ended: u64,
    first_begin: Option<u64>,
    last_end: u64,
    /// Types of blocks were read.
    typed: bool,
}

/// A freed block that had outlived a request's end.
#[derive(Clone, Copy, Debug)]
struct Pending {
    address: u64,
    block: Block,
    /// Whose survivor it was when it was freed.
    survived: Option<RequestId>,
}

impl Ledger {
    /// Nothing happened yet, in a trace whose blocks count so.
    pub fn new(sample: Sample) -> Self {
        Ledger::with(Heap::new(sample))
    }

    fn with(heap: Heap) -> Self {
        let outside = Account {
            kind: Kind::Outside,
            thread: 0,
            holdings: Vec::new(),
        };
        Ledger {
            heap,
            counts: Counts::default(),
            holdings: Vec::new(),
            free_holdings: Vec::new(),
            index: HoldingIndex::default(),
            accounts: vec![outside],
            free_accounts: Vec::new(),
            direct: FxHashMap::default(),
            inferring: FxHashMap::default(),
            sites: Vec::new(),
            site_index: FxHashMap::default(),
            dirty: Vec::new(),
            pending: Vec::new(),
            idle: FxHashSet::default(),
            reached: FxHashSet::default(),
            settled_later: Vec::new(),
            in_flight: Vec::new(),
            flight_version: 0,
            most_in_flight: 0,
            ends: Vec::new(),
            requests_ended: 0,
            first_begin: None,
            last_end: 0,
            typed: false,
        }
    }

    /// The ledger of a child forked now.
    pub fn fork(&mut self) -> Ledger {
        Ledger::with(self.heap.fork())
    }

    /// Live bytes, own and inherited.
    pub fn live_bytes(&self) -> u64 {
        self.counts.live_bytes + self.heap.inherited().1
    }

    /// How many requests have ended.
    pub fn requests_ended(&self) -> u64 {
        self.requests_ended
    }

    /// Changes with every begin and end of a request.
    pub fn flight_version(&self) -> u32 {
        self.flight_version
    }

    /// What is in flight now.
    pub fn in_flight(&self) -> InFlight {
        match self.in_flight.as_slice() {
            [] => InFlight::None,
            [one] => InFlight::One(*one),
            _ => InFlight::Several,
        }
    }

    /// The request that has been in flight for the longest time.
    pub fn oldest_in_flight(&self) -> Option<RequestId> {
        self.in_flight.first().copied()
    }

    /// `request` is in flight from now on.
    pub fn begin(&mut self, request: RequestId, stamp: u64) {
        let at = self.in_flight.partition_point(|other| *other < request);
        self.in_flight.insert(at, request);
        self.most_in_flight = self.most_in_flight.max(self.in_flight.len());
        self.flight_version += 1;
        self.first_begin.get_or_insert(stamp);
    }

    /// `request` is not in flight any more.
    pub(crate) fn land(&mut self, request: RequestId) {
        self.in_flight.retain(|other| *other != request);
        self.flight_version += 1;
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
    pub fn pass(&mut self, account: AccountId, site: SiteId, blocks: u64, bytes: u64) {
        self.counts.allocations += blocks;
        self.counts.frees += blocks;
        self.counts.allocated_bytes += bytes;
        let id = self.holding(account, site);
        let holding = &mut self.holdings[id as usize];
        holding.allocations += blocks;
        holding.allocated_bytes += bytes;
    }

    /// A block that came to `address` and went with nothing in between. `false`: it has to be told one after
    /// the other, as another is live there, or it stands for more than itself.
    #[inline]
    pub fn pass_one(&mut self, account: AccountId, address: u64, size: u64, site: SiteId) -> bool {
        let passes = !self.heap.sample().is_partial() && !self.heap.may_hold(address);
        if passes {
            self.pass(account, site, 1, size);
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
        let id = self.holding(account, site);
        let block = Block {
            size,
            born: stamp,
            holding: id,
            of_type: UNKNOWN,
        };
        let amount = self.heap.amount(address, &block);
        let holding = &mut self.holdings[id as usize];
        holding.allocations += amount.blocks;
        holding.allocated_bytes += amount.bytes;
        holding.live_blocks += amount.blocks;
        holding.live_bytes += amount.bytes;
        holding.held += 1;
        let site = holding.site;
        let figures = &mut self.sites[site as usize];
        figures.live_blocks += amount.blocks;
        figures.live_bytes += amount.bytes;
        if !figures.dirty {
            figures.dirty = true;
            self.dirty.push(site);
        }
        self.counts.live_blocks += amount.blocks;
        self.counts.live_bytes += amount.bytes;
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
        self.counts.live_blocks -= amount.blocks;
        self.counts.live_bytes -= amount.bytes;
        let id = self.resolve(&block);
        let holding = &mut self.holdings[id as usize];
        holding.live_blocks -= amount.blocks;
        holding.live_bytes -= amount.bytes;
        let (kind, site) = (holding.kind, holding.site);
        let outlived = match kind {
            Kind::Outside => !self.ends.is_empty() && block.born < self.last_end,
            _ => holding.ended,
        };
        let figures = &mut self.sites[site as usize];
        figures.live_blocks -= amount.blocks;
        figures.live_bytes -= amount.bytes;
        if !figures.dirty {
            figures.dirty = true;
            self.dirty.push(site);
        }
        if outlived {
            self.pending.push(Pending {
                address,
                block,
                survived: kind.request(),
            });
        } else {
            self.unhold(block.holding);
        }
        amount
    }

    /// A block names the holding no more; one that nothing needs any more is given up.
    #[inline]
    fn unhold(&mut self, mut id: HoldingId) {
        loop {
            let holding = &mut self.holdings[id as usize];
            holding.held -= 1;
            let Some(target) = holding.moved else {
                if holding.held == 0 && holding.ended {
                    self.retire(id);
                }
                return;
            };
            if holding.held == 0 {
                self.free_holdings.push(id);
            }
            id = target;
        }
    }

    /// Gives up a holding that has ended and that no block names.
    fn retire(&mut self, id: HoldingId) {
        let holding = &self.holdings[id as usize];
        if holding.held > 0 || !holding.ended {
            return;
        }
        match holding.kind {
            Kind::Direct(_) => {}
            Kind::Inferred(_) => self.settled_later.push(holding.clone()),
            Kind::Outside | Kind::Provisional(_) => return,
        }
        self.free_holdings.push(id);
    }

    /// The holding of `account` at `site`, new or known.
    #[inline]
    fn holding(&mut self, account: AccountId, site: SiteId) -> HoldingId {
        if let Some(id) = self.index.get(account, site) {
            return id;
        }
        self.new_holding(account, site)
    }

    #[cold]
    fn new_holding(&mut self, account: AccountId, site: SiteId) -> HoldingId {
        let next = self.sites.len() as SiteIndex;
        let site_index = *self.site_index.entry(site).or_insert(next);
        if site_index == next {
            self.sites.push(SiteFigures {
                id: site,
                ..SiteFigures::default()
            });
        }
        let owner = &self.accounts[account as usize];
        let holding = Holding::new(owner.kind, owner.thread, site_index);
        let id = match self.free_holdings.pop() {
            Some(id) => {
                self.holdings[id as usize] = holding;
                id
            }
            None => {
                self.holdings.push(holding);
                self.holdings.len() as HoldingId - 1
            }
        };
        self.index.insert(account, site, id);
        self.accounts[account as usize].holdings.push(id);
        id
    }

    fn site_of(&self, holding: HoldingId) -> SiteId {
        let site = self.holdings[holding as usize].site;
        self.sites[site as usize].id
    }

    fn open_account(&mut self, kind: Kind, thread: ThreadId) -> AccountId {
        if let Some(id) = self.free_accounts.pop() {
            let account = &mut self.accounts[id as usize];
            (account.kind, account.thread) = (kind, thread);
            return id;
        }
        self.accounts.push(Account {
            kind,
            thread,
            holdings: Vec::new(),
        });
        self.accounts.len() as AccountId - 1
    }

    /// The account of what `request` allocates directly.
    pub fn direct_account(&mut self, request: RequestId) -> AccountId {
        if let Some(id) = self.direct.get(&request) {
            return *id;
        }
        let id = self.open_account(Kind::Direct(request), 0);
        self.direct.insert(request, id);
        id
    }

    /// A new account for what `thread`, serving none, allocates in the present state of the process.
    pub fn provisional_account(&mut self, thread: ThreadId) -> AccountId {
        let state = self.in_flight();
        let id = self.open_account(Kind::Provisional(state), thread);
        if let InFlight::One(request) = state {
            self.inferring.entry(request).or_default().push(id);
        }
        id
    }

    /// What the account stands for.
    pub fn kind(&self, account: AccountId) -> Kind {
        self.accounts[account as usize].kind
    }
}

#[cfg(test)]
mod tests;
