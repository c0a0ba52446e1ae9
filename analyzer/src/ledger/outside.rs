//! What is left outside requests at the end of a process, and how that came over the serving time.

use rustc_hash::FxHashMap;

use super::Ledger;
use super::finish::Left;
use super::finished::{OutsideOfSite, SLICES};
use super::holding::{Kind, Proof};
use super::types::is_loose;
use crate::replay::HoldingId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::types::is_bounded;

impl Ledger {
    /// What was live outside requests when the exit began, by site; without one, at the end. Loose blocks come
    /// later, but for those that nobody looks at any more.
    pub(super) fn outside_before_exit(
        &self,
        left: &FxHashMap<HoldingId, Left>,
        holds: &impl Fn(Proof) -> bool,
    ) -> FxHashMap<u32, Amount> {
        let mut by_site: FxHashMap<u32, Amount> = FxHashMap::default();
        for (id, left) in left {
            let holding = &self.holdings[*id as usize];
            let gone = is_loose(holding.kind, holds) && left.served.blocks == 0;
            if holding.kind == Kind::Outside || gone {
                *by_site.entry(holding.site).or_default() += left.before_exit;
            }
        }
        by_site
    }

    /// Blocks and bytes live outside requests, and their series over the serving time, by site.
    pub(super) fn outside_by_site(&self, records: &[Record]) -> FxHashMap<u32, OutsideOfSite> {
        let mut by_site: FxHashMap<u32, OutsideOfSite> = FxHashMap::default();
        let start = self.serving.from.unwrap_or(u64::MAX);
        let own = self.heap.own();
        let own = own.map(|(address, block)| (address, block, true, false));
        let ended = self.pending.iter().enumerate();
        let ended = ended.map(|(place, ended)| {
            let collected = place < self.pending_collected;
            (ended.address, &ended.block, false, collected)
        });
        for (address, block, live, collected) in own.chain(ended) {
            let holding = &self.holdings[self.resolve(block) as usize];
            if holding.kind != Kind::Outside {
                continue;
            }
            let amount = self.heap.amount(address, block);
            let (blocks, bytes, series, births) = by_site.entry(holding.site).or_default();
            if live {
                *blocks += amount.blocks;
                *bytes += amount.bytes;
            }
            // Bounded, however long it is kept: what was there before is no growth.
            if is_bounded(block.of_type) {
                let is_new = (start..self.serving.to).contains(&block.born);
                if is_new && !self.older.contains(&address) {
                    series.bounded += amount;
                }
                continue;
            }
            series.add(&self.serving, block.born, amount);
            if (start..self.serving.to).contains(&block.born) {
                births.push(block.born);
                if collected {
                    series.served.collected.insert(block.born);
                }
            }
        }
        for (.., births) in by_site.values_mut() {
            births.sort_unstable();
            births.dedup();
        }
        if self.order() == 0 && self.serving.from.is_none() {
            return by_site;
        }
        if self.order() == 0 {
            // Its levels at other processes' requests were not noted: what is left is known.
            for (.., series, _) in by_site.values_mut() {
                let mut live = series.before.1;
                let served = &mut *series.served;
                for (level, born) in served.live_bytes.iter_mut().zip(served.retained_bytes) {
                    live += born;
                    *level = live;
                }
            }
            return by_site;
        }
        self.outside_by_slice(records, &mut by_site);
        by_site
    }

    /// What was freed and live outside requests in each slice of the serving time, by site.
    fn outside_by_slice(&self, records: &[Record], by_site: &mut FxHashMap<u32, OutsideOfSite>) {
        let start = self.serving.from.unwrap_or(u64::MAX);
        let span = self.serving.to.saturating_sub(start);
        let ends: Vec<u64> = (1..=SLICES as u64)
            .map(|part| {
                let until = start.saturating_add((u128::from(span) * u128::from(part) / 8) as u64);
                let ended = |id: &RequestId| {
                    let end = records.get(*id as usize).and_then(|record| record.end);
                    end.is_some_and(|end| end <= until)
                };
                self.ends.partition_point(ended) as u64
            })
            .collect();
        for (index, figures) in self.sites.iter().enumerate() {
            let freed = &figures.outside_freed_log;
            let total = freed.sum_before(u64::MAX);
            if total == 0 && !by_site.contains_key(&(index as u32)) {
                continue;
            }
            let series = &mut by_site.entry(index as u32).or_default().2;
            let mut before = freed.sum_before(start);
            for (part, ended) in ends.iter().enumerate() {
                let until = match part + 1 {
                    SLICES => u64::MAX,
                    next => start.saturating_add((u128::from(span) * next as u128 / 8) as u64),
                };
                let sum = freed.sum_before(until);
                let live = figures.live_log.level_before(*ended);
                if sum > before || live > 0 {
                    series.served.freed_bytes[part] = sum.saturating_sub(before);
                    series.served.live_bytes[part] = live;
                }
                before = sum;
            }
        }
    }
}
