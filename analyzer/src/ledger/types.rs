//! What the blocks of a ledger are.

use rustc_hash::FxHashMap;

use super::Ledger;
use super::holding::{Kind, Proof};
use super::site::SiteIndex;
use crate::replay::{Block, HoldingId};
use crate::requests::label::Group;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::types::{TypeId, is_bounded};

/// Blocks of one type at a call site in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typed {
    /// What they are, and whether a cache of bounded size keeps them.
    pub of_type: TypeId,
    /// Retained by requests of this label with this status; `None`: live when the process's exit began (without one,
    /// at its end), and not retained.
    pub retained_by: Option<Group>,
    /// Made in the tear-down, and live at the end.
    pub late: bool,
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Ledger {
    /// The block at `address` is of this type, if it was there before `begin`.
    pub fn set_type(&mut self, address: u64, begin: u64, of_type: TypeId) {
        self.typed = true;
        self.heap.set_type(address, begin, of_type);
    }

    /// Types by site; nothing where none were read.
    pub(super) fn types_by_site(
        &self,
        records: &[Record],
        holds: &impl Fn(Proof) -> bool,
    ) -> FxHashMap<SiteIndex, Vec<Typed>> {
        let mut sums: FxHashMap<_, Amount> = FxHashMap::default();
        if !self.typed {
            return FxHashMap::default();
        }
        let live = self.heap.own();
        let live = live.map(|(address, block)| (address, block, None));
        let ended = self.pending.iter();
        let ended = ended.map(|ended| (ended.address, &ended.block, Some(ended.survived)));
        for (address, block, freed) in live.chain(ended) {
            let Some((site, retained_by)) = self.place(block, freed, records, holds) else {
                continue;
            };
            let late = retained_by.is_none() && self.exit.is_late(block);
            *sums
                .entry((site, retained_by, late, block.of_type))
                .or_default() += self.heap.amount(address, block);
        }
        for (holding, of_type, amount) in self.exit.torn() {
            let holding = &self.holdings[self.moved_to(holding) as usize];
            if !is_loose(holding.kind, holds) {
                *sums
                    .entry((holding.site, None, false, of_type))
                    .or_default() += amount;
            }
        }
        let mut by_site: FxHashMap<SiteIndex, Vec<Typed>> = FxHashMap::default();
        for ((site, retained_by, late, of_type), amount) in sums {
            by_site.entry(site).or_default().push(Typed {
                of_type,
                retained_by,
                late,
                blocks: amount.blocks,
                bytes: amount.bytes,
            });
        }
        by_site
    }

    /// Blocks and bytes that are bounded, by holding.
    pub(super) fn bounded_by_holding(&self) -> FxHashMap<HoldingId, (u64, u64)> {
        let mut sums: FxHashMap<HoldingId, (u64, u64)> = FxHashMap::default();
        let live = self
            .heap
            .own()
            .map(|(address, block)| (address, block, None));
        let ended = self.pending.iter();
        let ended = ended.map(|ended| (ended.address, &ended.block, Some(ended.survived)));
        // Few are typed so; where nothing was read there is nothing to look for.
        let all = live.chain(ended).filter(|_| self.typed);
        for (address, block, freed) in all.filter(|(_, block, _)| is_bounded(block.of_type)) {
            let holding = self.resolve(block);
            let request = self.holdings.get(holding as usize);
            let request = request.and_then(|holding| holding.kind.request());
            if freed.is_none_or(|by| by == request) {
                let amount = self.heap.amount(address, block);
                let sum = sums.entry(holding).or_default();
                *sum = (sum.0 + amount.blocks, sum.1 + amount.bytes);
            }
        }
        sums
    }

    /// Types of the blocks of which nothing proves whose they are and that were live when serving ended, by
    /// holding.
    pub(super) fn types_of_loose(
        &self,
        holds: &impl Fn(Proof) -> bool,
    ) -> FxHashMap<HoldingId, Vec<(TypeId, Amount)>> {
        let mut sums: FxHashMap<HoldingId, Vec<(TypeId, Amount)>> = FxHashMap::default();
        let own = self.heap.own();
        let ended = self.pending.iter();
        let ended = ended.map(|ended| (ended.address, &ended.block));
        for (address, block) in own.chain(ended).filter(|_| self.typed) {
            let id = self.resolve(block);
            if !is_loose(self.holdings[id as usize].kind, holds) {
                continue;
            }
            let amount = self.heap.amount(address, block);
            let types = sums.entry(id).or_default();
            match types.iter_mut().find(|known| known.0 == block.of_type) {
                Some(known) => known.1 += amount,
                None => types.push((block.of_type, amount)),
            }
        }
        sums
    }

    /// The block's site, and label and status of the requests that retained it. `freed`: it was, after serving
    /// had ended, and whose survivor it was then; what nobody retained is not counted then. Those of which
    /// nothing proves whose they are come later.
    fn place(
        &self,
        block: &Block,
        freed: Option<Option<RequestId>>,
        records: &[Record],
        holds: &impl Fn(Proof) -> bool,
    ) -> Option<(SiteIndex, Option<Group>)> {
        let holding = self.holdings.get(self.resolve(block) as usize)?;
        if is_loose(holding.kind, holds) {
            return None;
        }
        let request = match holding.kind {
            Kind::Proved(request, _) if holding.ended => Some(request),
            _ => None,
        };
        // It may have come to another request since, which had not ended when it was freed.
        let request = request.filter(|request| freed.is_none_or(|by| by == Some(*request)));
        let record = request.and_then(|request| records.get(request as usize));
        let record = record.filter(|record| !record.void);
        let group = record.and_then(|record| record.label.map(|label| (label, record.status)));
        (freed.is_none() || group.is_some()).then_some((holding.site, group))
    }
}

/// Whether nothing proves whose such blocks are.
pub(super) fn is_loose(kind: Kind, holds: &impl Fn(Proof) -> bool) -> bool {
    match kind {
        Kind::Outside => false,
        Kind::Proved(_, proof) => !holds(proof),
        Kind::Pending(_) | Kind::Open(_) | Kind::Prepared(_) => true,
    }
}
