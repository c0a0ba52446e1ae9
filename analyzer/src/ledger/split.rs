//! Blocks of which nothing proves whose they are, told apart by what was in flight when they were made: what was thought
//! to be proved is taken together for as long as its request lasts, and others begin and end meanwhile.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::Ledger;
use super::finish::Left;
use super::holding::{Holding, Kind, Proof};
use super::types::is_loose;
use crate::replay::{Block, HoldingId};
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::types::TypeId;

/// What is left of those blocks of a holding that were made while the same requests were in flight.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Stamp of the first one's birth.
    pub(super) born: u64,
    /// Stamp of the last one's.
    pub(super) last: u64,
    /// It is not the oldest one of its holding.
    pub(super) is_further: bool,
    /// What is left.
    pub(super) left: Left,
    /// What those of `left.served` are, where types were read.
    pub(super) types: Vec<(TypeId, Amount)>,
}

impl Part {
    fn add(&mut self, born: u64, of_type: Option<TypeId>, amount: Amount) {
        if self.left.served.blocks == 0 {
            (self.born, self.last) = (born, born);
        }
        self.born = self.born.min(born);
        self.last = self.last.max(born);
        self.left.served += amount;
        let Some(of_type) = of_type else {
            return;
        };
        match self.types.iter_mut().find(|known| known.0 == of_type) {
            Some(known) => known.1 += amount,
            None => self.types.push((of_type, amount)),
        }
    }
}

/// The parts of a holding, by how much had changed by then.
type Parts = BTreeMap<usize, Part>;

impl Ledger {
    /// The parts of all holdings that have several, the oldest first, which add up to what is `left`.
    pub(super) fn split(
        &self,
        left: &FxHashMap<HoldingId, Left>,
        records: &[Record],
        holds: &impl Fn(Proof) -> bool,
    ) -> FxHashMap<HoldingId, Vec<Part>> {
        let changes = self.changes(records);
        let place = |stamp: u64| changes.partition_point(|change| *change <= stamp);
        let lasts = |holding: &Holding| {
            is_loose(holding.kind, holds)
                && !matches!(holding.kind, Kind::Prepared(_))
                && place(holding.born) < place(holding.last)
        };
        let mut parts: FxHashMap<HoldingId, Parts> = left
            .keys()
            .filter(|id| lasts(&self.holdings[**id as usize]))
            .map(|id| (*id, Parts::new()))
            .collect();
        if parts.is_empty() {
            return FxHashMap::default();
        }
        let type_of = |block: &Block| self.typed.then_some(block.of_type);
        for (address, block) in self.heap.own() {
            if let Some(of_holding) = parts.get_mut(&self.resolve(block)) {
                let part = of_holding.entry(place(block.born)).or_default();
                let amount = self.heap.amount(address, block);
                part.add(block.born, type_of(block), amount);
                part.left.live += amount;
                if !self.exit.is_late(block) {
                    part.left.before_exit += amount;
                }
            }
        }
        for (at, pending) in self.pending.iter().enumerate() {
            let (block, id) = (&pending.block, self.resolve(&pending.block));
            let is_its = self.holdings[id as usize].kind.request() == pending.survived;
            if let Some(of_holding) = parts.get_mut(&id).filter(|_| is_its) {
                let part = of_holding.entry(place(block.born)).or_default();
                let amount = self.heap.amount(pending.address, block);
                part.add(block.born, type_of(block), amount);
                if pending.torn {
                    part.left.before_exit += amount;
                }
                if at < self.pending_collected {
                    part.left.collected += amount;
                }
            }
        }
        let whole = |(id, parts): (HoldingId, Parts)| {
            let mut parts: Vec<Part> = parts.into_values().collect();
            complete(&mut parts, &left[&id]);
            for part in parts.iter_mut().skip(1) {
                part.is_further = true;
            }
            (id, parts)
        };
        parts.into_iter().map(whole).collect()
    }

    /// When requests of the process began and ended, sorted.
    fn changes(&self, records: &[Record]) -> Vec<u64> {
        let ended = self.ends.iter().copied();
        let all = ended.chain(self.flight.requests());
        let of_request = |id: RequestId| {
            let record = records.get(id as usize).filter(|record| !record.void);
            record.map(|record| [Some(record.start), record.end])
        };
        let mut changes: Vec<u64> = all.filter_map(of_request).flatten().flatten().collect();
        changes.sort_unstable();
        changes
    }
}

/// What has no birth any more (the tear-down freed what no request had outlived) counts for the oldest part, so that the
/// sums are those of the whole.
fn complete(parts: &mut [Part], whole: &Left) {
    let rest = |of: fn(&Left) -> Amount| {
        let mut known = Amount::default();
        parts.iter().for_each(|part| known += of(&part.left));
        Amount {
            blocks: of(whole).blocks.saturating_sub(known.blocks),
            bytes: of(whole).bytes.saturating_sub(known.bytes),
        }
    };
    let live = rest(|left| left.live);
    let served = rest(|left| left.served);
    let before_exit = rest(|left| left.before_exit);
    if let Some(oldest) = parts.first_mut() {
        oldest.left.live += live;
        oldest.left.served += served;
        oldest.left.before_exit += before_exit;
    }
}
