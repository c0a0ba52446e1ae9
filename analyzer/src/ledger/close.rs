//! How accounts end: a request's end, and what becomes of a worker's zone.

use super::holding::{AccountId, Hints, Kind, OUTSIDE, Proof};
use super::lives::{Age, SiteLives};
use super::{Ledger, PROOFS, Pending, pieces};
use crate::replay::{Block, HoldingId};
use crate::requests::record::{Record, RequestId};
use crate::trace::ThreadId;

impl Ledger {
    /// `request` ends here and now: what it still holds are its survivors.
    pub fn end(&mut self, request: RequestId, record: &mut Record, stamp: u64) {
        self.commit_pending(None);
        self.collector.ran_last = false;
        let order = self.order();
        self.ends.push(request);
        self.ended_at.push(stamp);
        self.requests_ended += u64::from(record.count);
        self.serving.to = stamp;
        self.serving.to_bytes = self.counts.held_bytes();
        self.flight.end(request);
        self.flight.took(record.start, stamp);
        self.close_proved(request, record, Some(order));
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
        let order = self.order();
        self.close_proved(request, record, Some(order));
    }

    /// Adds what is proved to be the request's to its record. With its place in the order of ends, what
    /// is live survives; without, the request never ended.
    pub(super) fn close_proved(
        &mut self,
        request: RequestId,
        record: &mut Record,
        order: Option<u64>,
    ) {
        let Some(accounts) = self.proved.remove(&request) else {
            return;
        };
        let noted = self.reached.remove(&request);
        let several = noted.is_some() || accounts.iter().filter(|id| **id != OUTSIDE).count() > 1;
        let mut reached = Vec::new();
        for account in accounts.into_iter().filter(|id| *id != OUTSIDE) {
            let mut holdings = self.take_holdings(account);
            for id in holdings.drain(..) {
                let site = self.holdings[id as usize].site;
                // More than one account is rare, and its sites are few.
                if !several || !reached.contains(&site) {
                    self.sites[site as usize].reached_by(request, record);
                    if several {
                        reached.push(site);
                    }
                }
                self.close_holding(id, record, order);
            }
            // Its memory serves the next request.
            self.accounts[account as usize].holdings = holdings;
        }
        if noted.is_some() {
            self.reached.insert(request, reached);
        }
    }

    /// More may come to `request` after its end.
    pub fn expect_more(&mut self, request: RequestId) {
        self.reached.insert(request, Vec::new());
    }

    /// Nothing more comes to `request`.
    pub fn expect_no_more(&mut self, request: RequestId) {
        self.reached.remove(&request);
    }

    /// A holding of a request that ends, or has ended.
    fn close_holding(&mut self, id: HoldingId, record: &mut Record, order: Option<u64>) {
        let holding = &mut self.holdings[id as usize];
        let figures = &mut record.figures;
        figures.allocations += holding.allocations;
        self.proved_allocations += holding.allocations;
        figures.allocated_bytes += holding.allocated_bytes;
        let site = &mut self.sites[holding.site as usize];
        site.survive(record.label, order.map_or(0, |_| holding.live_blocks));
        if let Some(order) = order {
            holding.ended = true;
            if !holding.is_stack {
                figures.survivor_blocks += holding.live_blocks;
                figures.survivor_bytes += holding.live_bytes;
            }
            site.survivor_blocks += holding.live_blocks;
            site.survivor_bytes += holding.live_bytes;
            if holding.live_blocks > 0 {
                site.survivor_log.add(order, holding.live_bytes);
                if let Some(label) = record.label {
                    let group = site
                        .lives
                        .born((label, record.status), order, holding.largest);
                    let now = Age {
                        requests: order,
                        visits: site.requests,
                        keepings: site.lives.groups[group].keepings,
                        time: record.end.unwrap_or(0),
                    };
                    holding.birth = Some((group as u32, now));
                    self.cycles.born();
                }
            }
            self.retire(id);
        }
    }

    /// Closes the account; gives its holdings, which live on by themselves.
    fn take_holdings(&mut self, account: AccountId) -> Vec<HoldingId> {
        let holdings = std::mem::take(&mut self.accounts[account as usize].holdings);
        for id in &holdings {
            let site = self.site_of(*id);
            self.index.remove(account, site);
            self.holdings[*id as usize].closed = true;
        }
        self.free_accounts.push(account);
        holdings
    }

    /// A zone is over: its blocks are proved to be the request's, which may have ended meanwhile.
    pub fn becomes_proved(
        &mut self,
        account: AccountId,
        (request, proof): (RequestId, Proof),
        record: &mut Record,
    ) {
        if record.end.is_none() {
            let target = self.proved_account(request, proof);
            return self.merge(account, target);
        }
        let order = self.order().saturating_sub(1);
        for id in self.take_holdings(account) {
            self.holdings[id as usize].kind = Kind::Proved(request, proof);
            let site = self.holdings[id as usize].site;
            let reached = self.reached.entry(request).or_default();
            if !reached.contains(&site) {
                reached.push(site);
                self.sites[site as usize].reached_by(request, record);
            }
            self.close_holding(id, record, Some(order));
        }
    }

    /// Whether a request was in flight when the account was opened, or had ended shortly before its blocks were made.
    fn may_be_requests(&self, account: AccountId) -> bool {
        let account = &self.accounts[account as usize];
        let mut holdings = account.holdings.iter();
        account.busy
            || holdings.any(|id| self.flight.ended_before(self.holdings[*id as usize].born))
    }

    /// A zone is over, and nothing proves whose its blocks are.
    pub fn becomes_open(&mut self, account: AccountId, hints: Hints) {
        if !hints.any() && !self.flight.any() && !self.may_be_requests(account) {
            return self.merge(account, OUTSIDE);
        }
        for id in self.take_holdings(account) {
            let (requests, time) = self.over_by(self.holdings[id as usize].born);
            let holding = &mut self.holdings[id as usize];
            holding.kind = Kind::Open(hints);
            let birth = Age {
                requests,
                visits: self.sites[holding.site as usize].requests,
                keepings: 0,
                time,
            };
            holding.birth = (holding.live_blocks > 0).then_some((SiteLives::UNOWNED, birth));
            self.retire(id);
        }
    }

    /// How many requests had ended, and when the last of them, by when all that were in flight at this stamp may have
    /// ended: as many later as there were at once. A zone may last much longer (a task that nobody waits for).
    fn over_by(&self, born: u64) -> (u64, u64) {
        let place = self.over_at(born);
        match place
            .checked_sub(1)
            .and_then(|last| self.ended_at.get(last))
        {
            Some(end) => (self.folded_ends + place as u64, *end),
            None => (self.order(), self.serving.to),
        }
    }

    /// How many requests have ended once as many have since this stamp as there were at once.
    fn over_at(&self, born: u64) -> usize {
        self.ended_at.partition_point(|end| *end <= born) + self.flight.most()
    }

    /// Whether what was made then, by nobody knows which request, has outlived that: all that were in flight have ended,
    /// or as many requests have since as there were at once. One that stays open for long (a slow client, a long
    /// poll, a job that starves) is not waited for: else nothing would be seen to die meanwhile.
    pub(super) fn are_over(&self, born: u64) -> bool {
        let ended_since = self.ended_at.last().is_some_and(|last| *last > born);
        self.flight.are_over(born) || ended_since && self.over_at(born) <= self.ended_at.len()
    }

    /// `request` was none: what it holds belongs to `other`, or to no request.
    pub fn void(&mut self, request: RequestId, other: Option<RequestId>) {
        self.flight.end(request);
        let accounts = self.proved.remove(&request).unwrap_or([OUTSIDE; PROOFS]);
        let proofs = [
            Proof::Touch,
            Proof::Handed,
            Proof::Tail,
            Proof::Waited,
            Proof::Task,
            Proof::Passed,
            Proof::Alone,
        ];
        for (account, proof) in accounts.into_iter().zip(proofs) {
            if account != OUTSIDE {
                let target = other.map_or(OUTSIDE, |other| self.proved_account(other, proof));
                self.merge(account, target);
            }
        }
    }

    /// Moves everything of `from`, which closes, to `into`.
    fn merge(&mut self, from: AccountId, into: AccountId) {
        let kind = self.accounts[into as usize].kind;
        for id in self.take_holdings(from) {
            let site = self.site_of(id);
            let Some(target) = self.index.get(into, site) else {
                let holding = &mut self.holdings[id as usize];
                (holding.kind, holding.ended, holding.closed) = (kind, false, false);
                self.index.insert(into, site, id);
                self.accounts[into as usize].holdings.push(id);
                continue;
            };
            let moved = self.holdings[id as usize].clone();
            self.holdings[target as usize].absorb(&moved);
            self.holdings[id as usize].moved = Some(target);
            if moved.held == 0 {
                self.give_up(id);
            }
        }
    }

    /// A request was answered: what was freed before is no matter of the end of serving.
    pub fn answered(&mut self) {
        self.commit_pending(None);
    }

    /// Frees of blocks that had outlived their request are final: another request has ended since, or `by`
    /// has tidied up after its own.
    pub(super) fn commit_pending(&mut self, by: Option<ThreadId>) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        let mut kept = Vec::new();
        for freed in pending.drain(..) {
            if by.is_some_and(|by| by != freed.by) {
                kept.push(freed);
                continue;
            }
            let Pending {
                address,
                block,
                outlived_all,
                ..
            } = freed;
            let holding = &self.holdings[self.resolve(&block) as usize];
            if !matches!(holding.kind, Kind::Proved(..)) {
                let amount = self.heap.amount(address, &block);
                let figures = &mut self.sites[holding.site as usize];
                figures.outside_freed_log.add(block.born, amount.bytes);
                let before = self.ended_at.partition_point(|end| *end <= block.born);
                let age = Age {
                    requests: (self.ended_at.len() - before) as u64,
                    time: self.serving.to.saturating_sub(block.born),
                    ..Age::default()
                };
                if holding.kind == Kind::Outside {
                    for (lives, life) in figures.outside_lives.iter_mut().zip(age.all()) {
                        lives.add(life);
                    }
                } else if holding.birth.is_none() && outlived_all {
                    // Its zone was not over: a task that waits for a timer, say.
                    figures.lives.dies_unowned(age);
                }
            }
            self.unhold(block.holding);
        }
        self.pending_collected = 0;
        self.pending = match kept.is_empty() {
            true => pending,
            false => kept,
        };
    }

    /// The process ends, and `by` has answered requests that did not end: what it freed since was theirs.
    pub fn tidied(&mut self, by: ThreadId) {
        self.commit_pending(Some(by));
    }

    /// A request that was answered when its process ended: it ends here, and nothing is freed any more that
    /// counts.
    pub fn end_last(&mut self, request: RequestId, record: &mut Record, stamp: u64) {
        let pending = std::mem::take(&mut self.pending);
        let (collected, ran_last) = (self.pending_collected, self.collector.ran_last);
        self.end(request, record, stamp);
        // That was live while it served.
        let memory = pending
            .iter()
            .filter(|freed| pieces::is_memory(freed.address));
        let bytes = memory.map(|freed| self.heap.amount(freed.address, &freed.block).bytes);
        self.serving.to_bytes += bytes.sum::<u64>();
        (self.pending, self.pending_collected) = (pending, collected);
        self.collector.ran_last = ran_last;
    }

    /// The holding that a block counts in.
    pub(super) fn resolve(&self, block: &Block) -> HoldingId {
        self.moved_to(block.holding)
    }

    /// Where everything of a holding was moved to, if it was.
    pub(super) fn moved_to(&self, mut id: HoldingId) -> HoldingId {
        while let Some(target) = self.holdings[id as usize].moved {
            id = target;
        }
        id
    }
}
