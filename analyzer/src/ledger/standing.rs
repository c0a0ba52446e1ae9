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
            let holding = &self.holdings[id as usize];
            let holder = match holding.kind {
                Kind::Outside => Holder::Outside,
                Kind::Proved(request, proof) if !holds(proof) => Holder::Untold(Some(request)),
                Kind::Proved(request, _) if holding.ended => Holder::Ended(request),
                Kind::Proved(request, _) => Holder::Flying(request),
                Kind::Open(hints) => Holder::Untold(only(hints)),
                Kind::Pending(_) => Holder::Untold(None),
            };
            tell(holder, self.site_of(id), of_type, amount);
        }
    }
}

/// The only request among hints.
fn only(hints: Hints) -> Option<RequestId> {
    let mut all = [hints.last, hints.next, hints.task].into_iter().flatten();
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}
