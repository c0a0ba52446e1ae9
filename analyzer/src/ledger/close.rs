//! How accounts end: a request's end, and what becomes of provisional accounts.

use rustc_hash::FxHashSet;

use super::holding::{AccountId, InFlight, Kind, OUTSIDE};
use super::site::SiteIndex;
use super::{Ledger, Pending};
use crate::replay::{Block, HoldingId};
use crate::requests::record::{Record, RequestId};

impl Ledger {
    /// `request` ends here and now: what it still holds are its survivors.
    pub fn end(&mut self, request: RequestId, record: &mut Record, stamp: u64) {
        self.commit_pending();
        let order = self.ends.len() as u64;
        self.ends.push(request);
        self.requests_ended += u64::from(record.count);
        self.last_end = stamp;
        self.land(request);
        self.close_direct(request, record, Some(order));
        for account in self.inferring.remove(&request).unwrap_or_default() {
            self.end_inferring(account);
        }
        for site in self.dirty.drain(..) {
            let figures = &mut self.sites[site as usize];
            figures.dirty = false;
            let live = figures.live_bytes;
            if figures.live_log.level_before(u64::MAX) != live {
                figures.live_log.level(order, live);
            }
        }
    }

    /// `request`, which ends in another process, leaves survivors here, too.
    pub fn end_abroad(&mut self, request: RequestId, record: &mut Record) {
        let order = self.ends.len() as u64;
        self.close_direct(request, record, Some(order));
        for account in self.inferring.remove(&request).unwrap_or_default() {
            self.end_inferring(account);
        }
    }

    /// Adds what `request` allocated directly to its record. With its place in the order of ends, what
    /// is live survives; without, the request never ended.
    pub(super) fn close_direct(
        &mut self,
        request: RequestId,
        record: &mut Record,
        order: Option<u64>,
    ) {
        let Some(account) = self.direct.remove(&request) else {
            return;
        };
        let inferred = self.inferring_sites(request);
        let mut holdings = self.take_holdings(account);
        for id in holdings.drain(..) {
            let holding = &mut self.holdings[id as usize];
            record.figures.allocations += holding.allocations;
            record.figures.allocated_bytes += holding.allocated_bytes;
            let site = &mut self.sites[holding.site as usize];
            let survivors = order.map_or(0, |_| holding.live_blocks);
            site.reached_by(request, record);
            site.survive(record.label, survivors);
            if inferred.contains(&holding.site) {
                self.reached.insert((request, holding.site));
            }
            if let Some(order) = order {
                holding.ended = true;
                holding.survivor_blocks = holding.live_blocks;
                holding.survivor_bytes = holding.live_bytes;
                record.figures.survivor_blocks += holding.live_blocks;
                record.figures.survivor_bytes += holding.live_bytes;
                site.survivor_blocks += holding.live_blocks;
                site.survivor_bytes += holding.live_bytes;
                if holding.live_bytes > 0 {
                    site.survivor_log.add(order, holding.live_bytes);
                }
                self.retire(id);
            }
        }
        // Its memory serves the next request.
        self.accounts[account as usize].holdings = holdings;
    }

    /// Call sites where `request` may turn out to have allocated by inference, too.
    fn inferring_sites(&self, request: RequestId) -> FxHashSet<SiteIndex> {
        let accounts = self.inferring.get(&request).into_iter().flatten();
        accounts
            .flat_map(|account| &self.accounts[*account as usize].holdings)
            .map(|id| self.holdings[*id as usize].site)
            .collect()
    }

    /// The request of an inferred or provisional account has ended.
    fn end_inferring(&mut self, account: AccountId) {
        let provisional = matches!(self.kind(account), Kind::Provisional(_));
        let holdings = if provisional {
            // The thread may still turn out to serve another request: the account stays.
            self.accounts[account as usize].holdings.clone()
        } else {
            self.take_holdings(account)
        };
        for id in holdings {
            let holding = &mut self.holdings[id as usize];
            holding.ended = true;
            holding.survivor_blocks = holding.live_blocks;
            holding.survivor_bytes = holding.live_bytes;
            self.retire(id);
        }
    }

    /// Closes the account; gives its holdings, which live on by themselves.
    pub(super) fn take_holdings(&mut self, account: AccountId) -> Vec<HoldingId> {
        let holdings = std::mem::take(&mut self.accounts[account as usize].holdings);
        for id in &holdings {
            let site = self.site_of(*id);
            self.index.remove(account, site);
        }
        self.free_accounts.push(account);
        holdings
    }

    /// The thread of a provisional account turned out to serve `request`.
    pub fn becomes_direct(&mut self, account: AccountId, request: RequestId) {
        self.forget_inferring(account);
        let target = self.direct_account(request);
        self.merge(account, target);
    }

    /// The thread of a provisional account turned out to serve none.
    pub fn becomes_unserved(&mut self, account: AccountId, infer: bool) {
        match self.kind(account) {
            Kind::Provisional(InFlight::One(request)) if infer => self.infer(account, request),
            Kind::Provisional(state) => {
                self.forget_inferring(account);
                if state == InFlight::None {
                    let thread = self.accounts[account as usize].thread;
                    for id in &self.accounts[account as usize].holdings {
                        let site: SiteIndex = self.holdings[*id as usize].site;
                        self.idle.insert((thread, site));
                    }
                }
                self.merge(account, OUTSIDE);
            }
            _ => {}
        }
    }

    fn infer(&mut self, account: AccountId, request: RequestId) {
        let kind = Kind::Inferred(request);
        let thread = self.accounts[account as usize].thread;
        let siblings = self.inferring.get(&request).cloned();
        let Some(siblings) = siblings else {
            // The request has ended meanwhile, and its survivors are counted.
            for id in self.take_holdings(account) {
                self.holdings[id as usize].kind = kind;
                self.retire(id);
            }
            return;
        };
        let same = |id: &&AccountId| {
            let other = &self.accounts[**id as usize];
            other.kind == kind && other.thread == thread
        };
        if let Some(target) = siblings.iter().find(same) {
            let target = *target;
            self.forget_inferring(account);
            self.merge(account, target);
        } else {
            self.accounts[account as usize].kind = kind;
            for id in &self.accounts[account as usize].holdings {
                self.holdings[*id as usize].kind = kind;
            }
        }
    }

    /// `request` was none: what it holds belongs to `other`, or to no request.
    pub fn void(&mut self, request: RequestId, other: Option<RequestId>) {
        self.land(request);
        let accounts = self.inferring.remove(&request).unwrap_or_default();
        for account in accounts {
            let kind = match (self.kind(account), other) {
                (Kind::Inferred(_), Some(other)) => Kind::Inferred(other),
                (Kind::Inferred(_), None) => {
                    self.merge(account, OUTSIDE);
                    continue;
                }
                (_, Some(other)) => Kind::Provisional(InFlight::One(other)),
                (_, None) => Kind::Provisional(InFlight::Several),
            };
            self.accounts[account as usize].kind = kind;
            for id in &self.accounts[account as usize].holdings {
                self.holdings[*id as usize].kind = kind;
            }
            if let Some(other) = other {
                self.inferring.entry(other).or_default().push(account);
            }
        }
        if let Some(account) = self.direct.remove(&request) {
            let target = match other {
                Some(other) => self.direct_account(other),
                None => OUTSIDE,
            };
            self.merge(account, target);
        }
    }

    fn forget_inferring(&mut self, account: AccountId) {
        if let Kind::Provisional(InFlight::One(request)) = self.kind(account)
            && let Some(accounts) = self.inferring.get_mut(&request)
        {
            accounts.retain(|other| *other != account);
        }
    }

    /// Moves everything of `from`, which closes, to `into`.
    fn merge(&mut self, from: AccountId, into: AccountId) {
        let (kind, thread) = {
            let target = &self.accounts[into as usize];
            (target.kind, target.thread)
        };
        for id in self.take_holdings(from) {
            let site = self.site_of(id);
            let Some(target) = self.index.get(into, site) else {
                let holding = &mut self.holdings[id as usize];
                (holding.kind, holding.thread) = (kind, thread);
                holding.ended = false;
                (holding.survivor_blocks, holding.survivor_bytes) = (0, 0);
                self.index.insert(into, site, id);
                self.accounts[into as usize].holdings.push(id);
                continue;
            };
            let moved = self.holdings[id as usize].clone();
            self.holdings[target as usize].absorb(&moved);
            self.holdings[id as usize].moved = Some(target);
            if moved.held == 0 {
                self.free_holdings.push(id);
            }
        }
    }

    /// Frees of blocks that had outlived their request are final: another request has ended since.
    fn commit_pending(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        for Pending { address, block, .. } in pending.drain(..) {
            let holding = self.resolve(&block);
            if self.holdings[holding as usize].kind == Kind::Outside {
                let site = self.holdings[holding as usize].site;
                let amount = self.heap.amount(address, &block);
                let figures = &mut self.sites[site as usize];
                figures.outside_freed_log.add(block.born, amount.bytes);
            }
            self.unhold(block.holding);
        }
        self.pending = pending;
    }

    /// The holding that a block counts in.
    pub(super) fn resolve(&self, block: &Block) -> HoldingId {
        let mut id = block.holding;
        while let Some(target) = self.holdings[id as usize].moved {
            id = target;
        }
        id
    }
}
