//! How things stand now, while the process runs: what is live, and who holds it.

use rustc_hash::FxHashMap;

use super::holding::{Hints, Holder, Kind, Proof};
use super::{Ledger, Pending, pieces};
use crate::replay::HoldingId;
use crate::requests::record::RequestId;
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::types::TypeId;

impl Ledger {
    /// Tells what allocators' blocks of the process's own are live: who holds them, where they were made, what they are.
    /// Proofs that `holds` denies prove nothing here. `as_served`: what was freed since the last request's end is live
    /// still.
    pub fn standing(
        &self,
        as_served: bool,
        holds: impl Fn(Proof) -> bool,
        mut tell: impl FnMut(Holder, SiteId, TypeId, Amount),
    ) {
        let mut sums: FxHashMap<(HoldingId, TypeId), Amount> = FxHashMap::default();
        // It may have come to another request since, which had not ended when it was freed.
        let was_its = |freed: &&Pending| {
            let holding = &self.holdings[self.resolve(&freed.block) as usize];
            as_served && holding.kind.request() == freed.survived
        };
        let freed = self.pending.iter().filter(was_its);
        let freed = freed.map(|freed| (freed.address, &freed.block));
        for (address, block) in self.heap.own().chain(freed) {
            if pieces::apart(address).is_none() {
                let key = (self.resolve(block), block.of_type);
                *sums.entry(key).or_default() += self.heap.amount(address, block);
            }
        }
        for ((id, of_type), amount) in sums {
            tell(self.holder(id, &holds), self.site_of(id), of_type, amount);
        }
    }

    /// How the block at `address` stands, if it was there before `begin`: who holds it, where it was made, of what type it
    /// was so far, what it counts for, and the stamp of its birth.
    pub fn standing_of(
        &self,
        address: u64,
        begin: u64,
        holds: impl Fn(Proof) -> bool,
    ) -> Option<(Holder, SiteId, TypeId, Amount, u64)> {
        let block = self.heap.get(address).filter(|block| block.born < begin)?;
        let (id, amount) = (self.resolve(block), self.heap.amount(address, block));
        let holder = self.holder(id, &holds);
        Some((holder, self.site_of(id), block.of_type, amount, block.born))
    }

    fn holder(&self, id: HoldingId, holds: &impl Fn(Proof) -> bool) -> Holder {
        let holding = &self.holdings[id as usize];
        match holding.kind {
            Kind::Outside => Holder::Outside,
            Kind::Proved(request, proof) if !holds(proof) => Holder::Untold(Some(request)),
            Kind::Proved(request, _) if holding.ended => Holder::Ended(request),
            Kind::Proved(request, _) => Holder::Flying(request),
            Kind::Open(hints) => Holder::Untold(only(hints)),
            Kind::Prepared(request) => Holder::Untold(request),
            Kind::Pending(_) => Holder::Untold(None),
        }
    }
}

/// The only request among hints.
fn only(hints: Hints) -> Option<RequestId> {
    let mut all = [hints.last, hints.next, hints.task].into_iter().flatten();
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}
