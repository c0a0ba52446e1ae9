//! Accounts, and what each has at a call site: opened, and given up when nothing names them any more.

use super::holding::{Account, AccountId, Holding, Kind, OUTSIDE, Proof};
use super::lives::{Age, SiteLives};
use super::site::{SiteFigures, SiteIndex};
use super::{CollectionMoment, Ledger};
use crate::replay::HoldingId;
use crate::requests::record::RequestId;
use crate::sites::SiteId;
use crate::trace::ThreadId;

impl Ledger {
    /// A block names the holding no more; one that nothing needs any more is given up.
    #[inline]
    pub(super) fn unhold(&mut self, mut id: HoldingId) {
        loop {
            let holding = &mut self.holdings[id as usize];
            holding.held -= 1;
            let Some(target) = holding.moved else {
                self.retire(id);
                return;
            };
            if holding.held == 0 {
                self.give_up(id);
            }
            id = target;
        }
    }

    /// Gives up a holding whose account is closed and that no block names.
    #[inline]
    pub(super) fn retire(&mut self, id: HoldingId) {
        let holding = &mut self.holdings[id as usize];
        if holding.held > 0 || !holding.closed {
            return;
        }
        // What died while those that may have made it were in flight, is no survivor.
        let (birth, born, site) = (holding.birth.take(), holding.born, holding.site);
        let survived = |group| group != SiteLives::UNOWNED || self.are_over(born);
        let birth = birth.filter(|(group, _)| survived(*group));
        if let Some((group, birth)) = birth {
            let order = self.folded_ends + self.ends.len() as u64;
            let site = &mut self.sites[site as usize];
            let keepings = site
                .lives
                .groups
                .get(group as usize)
                .map_or(0, |group| group.keepings);
            let now = Age {
                requests: order,
                visits: site.requests,
                keepings,
                time: self.serving.to,
            };
            // The server had just begun to serve as many as there are at once: it is slow then.
            let starts = birth.requests < self.flight.most() as u64;
            site.lives
                .dies(group as usize, now.since(birth), order, starts);
            let moment = CollectionMoment {
                stamp: self.serving.to,
                order,
            };
            self.cycles.dies(birth.requests, moment);
        }
        self.give_up(id);
    }

    /// The holding's place may serve another one.
    #[inline]
    pub(super) fn give_up(&mut self, id: HoldingId) {
        if !self.holdings[id as usize].torn {
            self.free_holdings.push(id);
        }
    }

    /// The holding of `account` at `site`, new or known.
    #[inline]
    pub(super) fn holding(&mut self, account: AccountId, site: SiteId, stamp: u64) -> HoldingId {
        if let Some(id) = self.index.get(account, site) {
            return id;
        }
        self.new_holding(account, site, stamp)
    }

    #[cold]
    pub(super) fn new_holding(
        &mut self,
        account: AccountId,
        site: SiteId,
        stamp: u64,
    ) -> HoldingId {
        let next = self.sites.len() as SiteIndex;
        let site_index = *self.site_index.entry(site).or_insert(next);
        if site_index == next {
            self.sites.push(SiteFigures {
                id: site,
                phase: self.tracing.phase(site),
                ..SiteFigures::default()
            });
        }
        let kind = self.accounts[account as usize].kind;
        let holding = Holding::new(kind, site_index, stamp);
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

    pub(super) fn site_of(&self, holding: HoldingId) -> SiteId {
        let site = self.holdings[holding as usize].site;
        self.sites[site as usize].id
    }

    pub(super) fn open_account(&mut self, kind: Kind) -> AccountId {
        let busy = self.flight.any();
        if let Some(id) = self.free_accounts.pop() {
            let account = &mut self.accounts[id as usize];
            (account.kind, account.busy) = (kind, busy);
            return id;
        }
        self.accounts.push(Account {
            kind,
            busy,
            holdings: Vec::new(),
        });
        self.accounts.len() as AccountId - 1
    }

    /// The account of what is proved to be `request`'s in this way.
    pub fn proved_account(&mut self, request: RequestId, proof: Proof) -> AccountId {
        let known = self.proved.get(&request).map(|of| of[proof as usize]);
        if let Some(id @ 1..) = known {
            return id;
        }
        let id = self.open_account(Kind::Proved(request, proof));
        self.proved.entry(request).or_default()[proof as usize] = id;
        id
    }

    /// Whether anything was allocated that is proved to be the request's, here.
    pub fn has_proved(&self, request: RequestId) -> bool {
        let accounts = self.proved.get(&request);
        let mut all = accounts.into_iter().flatten();
        all.any(|account| *account != OUTSIDE && self.has_holdings(*account))
    }

    /// A new account for what a worker allocates in a zone that is not over.
    pub fn pending_account(&mut self, worker: ThreadId) -> AccountId {
        self.open_account(Kind::Pending(worker))
    }

    /// The account's blocks wait for what `worker` will have done.
    pub fn wait_for(&mut self, account: AccountId, worker: ThreadId) {
        let account = &mut self.accounts[account as usize];
        account.kind = Kind::Pending(worker);
        for id in &account.holdings {
            self.holdings[*id as usize].kind = account.kind;
        }
    }

    /// Stamp of the last block that was allocated in the account; 0: none was.
    pub fn last_of(&self, account: AccountId) -> u64 {
        let holdings = self.accounts[account as usize].holdings.iter();
        let last = holdings.map(|id| self.holdings[*id as usize].last);
        last.max().unwrap_or(0)
    }

    /// Whether anything was allocated in the account.
    pub fn has_holdings(&self, account: AccountId) -> bool {
        !self.accounts[account as usize].holdings.is_empty()
    }
}
