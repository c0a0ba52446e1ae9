//! Live blocks: what an allocation, a free and a realloc change in the ledger.

use super::holding::{AccountId, Kind};
use super::site::SiteIndex;
use super::{Freed, Ledger, Pending, pieces};
use crate::replay::{Block, Found};
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::types::UNKNOWN;

impl Ledger {
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
    pub(super) fn add(
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
        let is_allocated = self.counts.comes(address, amount);
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
    pub(super) fn release(&mut self, address: u64, block: Block) -> Amount {
        let amount = self.heap.amount(address, &block);
        let is_allocated = self.counts.goes(address, amount);
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
}
