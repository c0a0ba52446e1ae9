//! A process's end: what is left is taken together by call site.

use rustc_hash::{FxHashMap, FxHashSet};

use super::finished::{Certain, Finished, FinishedSite, OutsideOfSite, Reached, Retained};
use super::holding::{Holding, Kind, Proof};
use super::site::SiteFigures;
use super::{Judged, Ledger, Loose, Open, Pending, Typed};
use crate::replay::HoldingId;
use crate::requests::record::{Record, RequestId};
use crate::sample::{Amount, Sample};
use crate::sites::SiteId;

/// What is left of a holding's blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    /// Live at the process's end.
    pub(super) live: Amount,
    /// Live when serving ended.
    pub(super) served: Amount,
    /// Live when the process's exit began; without one, at its end.
    pub(super) before_exit: Amount,
    /// Of `served`, gone before the collector's first full run after the serving was over.
    pub(super) collected: Amount,
}

impl Left {
    /// Whether that was most of it.
    pub(super) fn is_mostly_collected(&self) -> bool {
        2 * self.collected.bytes > self.served.bytes
    }
}

/// What call sites have, by their index.
struct Parts {
    retained: FxHashMap<u32, Vec<Retained>>,
    outside: FxHashMap<u32, OutsideOfSite>,
    outside_before: FxHashMap<u32, Amount>,
    open: FxHashMap<u32, Vec<Open>>,
    types: FxHashMap<u32, Vec<Typed>>,
}

/// What the call site has there.
fn take<T: Default>(from: &mut FxHashMap<u32, T>, index: u32) -> T {
    from.remove(&index).unwrap_or_default()
}

impl Ledger {
    /// The process has ended; the proofs that `holds` denies hold nothing there.
    pub fn finish(mut self, records: &mut [Record], holds: impl Fn(Proof) -> bool) -> Finished {
        let unended: Vec<RequestId> = self.proved.keys().copied().collect();
        for request in unended {
            if let Some(record) = records.get_mut(request as usize) {
                self.close_proved(request, record, None);
            }
        }
        self.leave_void(records);
        self.hand_on_prepared(records);
        self.complete_caches(records);
        self.serve_without_ends(records);
        self.serving.requests = self.serving.requests.max(self.order());
        self.collector.serving_ended(self.serving.to);
        self.close_periods();
        let lived = self.periods.take();
        let left = self.left();
        let loose = self.loose(&left, records, &holds);
        let mut beside = Vec::new();
        let retained = self.retained_by_site(&left, records, &holds, &mut beside);
        let outside = self.outside_by_site(records);
        let open = self.open_by_site(records, &holds);
        let outside_before = self.outside_before_exit(&left, &holds);
        let types = self.types_by_site(records, &holds);
        let made = self.counts.allocations + self.counts.reallocations;
        let outside_allocations = made.saturating_sub(self.proved_allocations);
        let most_in_flight = self.flight.most();
        let parts = Parts {
            retained,
            outside,
            outside_before,
            open,
            types,
        };
        let (sites, reached) = self.finish_sites(parts, &loose);
        Finished {
            counts: self.counts,
            before_exit: self.exit.before(),
            inherited: self.heap.inherited(),
            outside_allocations,
            ends: self.ends,
            most_in_flight,
            sites,
            reached,
            loose,
            beside,
            moments: Vec::new(),
            made_threads: Vec::new(),
            serving: self.serving,
            touches: self.touches,
            ended_at: 0,
            collector: self.collector,
            tracing: self.tracing,
            told_by_deaths: self.cycles.told,
            lived,
            standings: Vec::new(),
            most_cached: self.cached.most(),
        }
    }

    /// The call sites of which there is something to tell, and how many requests reached each.
    fn finish_sites(
        &mut self,
        mut parts: Parts,
        loose: &[Loose],
    ) -> (Vec<FinishedSite>, Vec<Reached>) {
        let of_loose: FxHashSet<SiteId> = loose.iter().map(|loose| loose.site).collect();
        let (mut sites, mut reached) = (Vec::new(), Vec::new());
        let has_exit = self.exit.has_begun();
        for (index, mut figures) in (0..).zip(std::mem::take(&mut self.sites)) {
            if figures.requests > 0 || !figures.abroad.is_empty() {
                reached.push(Reached {
                    site: figures.id,
                    requests: figures.requests,
                    abroad: std::mem::take(&mut figures.abroad),
                });
            }
            let outside = parts.outside.remove(&index);
            let live = figures.live_blocks > 0 || figures.before_exit.blocks > 0;
            let survived = figures.survivor_blocks + figures.open_freed.blocks > 0;
            let of_outside = outside.as_ref().is_some_and(|outside| outside.2.any());
            if !(live || survived || of_outside || of_loose.contains(&figures.id)) {
                continue;
            }
            sites.push(FinishedSite {
                sample: self.heap.sample(),
                outside_before_exit: take(&mut parts.outside_before, index),
                retained: take(&mut parts.retained, index),
                types: take(&mut parts.types, index),
                open: take(&mut parts.open, index),
                ..finished_site(figures, outside.unwrap_or_default(), has_exit)
            });
        }
        (sites, reached)
    }

    /// What turned out to be no request after it had ended has nothing.
    fn leave_void(&mut self, records: &[Record]) {
        for holding in &mut self.holdings {
            if let Kind::Proved(request, _) = holding.kind
                && records
                    .get(request as usize)
                    .is_none_or(|record| record.void)
            {
                holding.kind = Kind::Outside;
            }
        }
    }

    /// Blocks and bytes that were live when serving ended, and at the process's end, by holding.
    fn left(&self) -> FxHashMap<HoldingId, Left> {
        let mut left: FxHashMap<HoldingId, Left> = FxHashMap::default();
        for (id, holding) in (0..).zip(&self.holdings) {
            if holding.moved.is_none() && holding.live_blocks > 0 {
                let live = Amount {
                    blocks: holding.live_blocks,
                    bytes: holding.live_bytes,
                };
                left.insert(
                    id,
                    Left {
                        live,
                        served: live,
                        before_exit: live,
                        ..Left::default()
                    },
                );
            }
        }
        for (holding, amount) in self.exit.made_since() {
            left.entry(self.moved_to(holding)).or_default().before_exit -= amount;
        }
        for (holding, _, amount) in self.exit.torn() {
            left.entry(self.moved_to(holding)).or_default().before_exit += amount;
        }
        for (place, pending) in self.pending.iter().enumerate() {
            let Pending {
                address,
                block,
                survived,
                ..
            } = pending;
            let holding = self.resolve(block);
            // It may have come to another request since, which had not ended when it was freed.
            if self.holdings[holding as usize].kind.request() == *survived {
                let amount = self.heap.amount(*address, block);
                let left = left.entry(holding).or_default();
                left.served += amount;
                if place < self.pending_collected {
                    left.collected += amount;
                }
            }
        }
        left
    }

    /// What is left of requests: live figures go to the records, retained ones there and by site.
    fn retained_by_site(
        &self,
        left: &FxHashMap<HoldingId, Left>,
        records: &mut [Record],
        holds: &impl Fn(Proof) -> bool,
        beside: &mut Vec<(RequestId, Amount)>,
    ) -> FxHashMap<u32, Vec<Retained>> {
        let bounded = self.bounded_by_holding();
        let mut by_site: FxHashMap<u32, FxHashMap<RequestId, Retained>> = FxHashMap::default();
        for (id, left) in left {
            let holding: &Holding = &self.holdings[*id as usize];
            let Kind::Proved(request, proof) = holding.kind else {
                continue;
            };
            let Some(record) = records.get_mut(request as usize) else {
                continue;
            };
            if record.void || !holds(proof) {
                continue;
            }
            if !holding.is_stack {
                record.figures.live_blocks += left.live.blocks;
                record.figures.live_bytes += left.live.bytes;
            }
            if !holding.ended || left.served.blocks == 0 {
                if !holding.is_stack {
                    beside.push((request, left.before_exit));
                }
                continue;
            }
            let requests = by_site.entry(holding.site).or_default();
            let entry = requests
                .entry(request)
                .or_insert_with(|| nothing_of(request, holding));
            entry.born = entry.born.min(holding.born);
            entry.last = entry.last.max(holding.last);
            entry.blocks += left.served.blocks;
            if proof.is_tail() {
                entry.tail_blocks += left.served.blocks;
            }
            entry.bytes += left.served.bytes;
            entry.before_exit += left.before_exit;
            entry.collected |= left.is_mostly_collected();
            let (bounded_blocks, bounded_bytes) = bounded.get(id).copied().unwrap_or_default();
            entry.bounded_blocks += bounded_blocks;
            entry.bounded_bytes += bounded_bytes;
            if !holding.is_stack {
                record.figures.retained_blocks += left.served.blocks;
                record.figures.retained_bytes += left.served.bytes;
            }
        }
        let sorted = by_site.into_iter().map(|(site, requests)| {
            let mut list: Vec<Retained> = requests.into_values().collect();
            list.sort_unstable_by_key(|retained| retained.request);
            (site, list)
        });
        sorted.collect()
    }
}

/// What a call site has of itself; `outside` belongs to no request there.
fn finished_site(
    figures: SiteFigures,
    (outside_blocks, outside_bytes, outside, outside_births): OutsideOfSite,
    has_exit: bool,
) -> FinishedSite {
    FinishedSite {
        id: figures.id,
        sample: Sample::default(),
        labels: figures.labels,
        survivor_blocks: figures.survivor_blocks + figures.open_freed.blocks,
        survivor_bytes: figures.survivor_bytes + figures.open_freed.bytes,
        live_blocks: figures.live_blocks,
        live_bytes: figures.live_bytes,
        before_exit: match has_exit {
            true => figures.before_exit,
            false => Amount {
                blocks: figures.live_blocks,
                bytes: figures.live_bytes,
            },
        },
        outside_blocks,
        outside_bytes,
        outside_before_exit: Amount::default(),
        reallocations: figures.reallocations,
        retained: Vec::new(),
        types: Vec::new(),
        live_log: figures.live_log,
        survivor_log: figures.survivor_log,
        outside,
        outside_births,
        open: Vec::new(),
        outside_lives: figures.outside_lives,
        lives: figures.lives,
        tail_ends: figures.tail_ends,
        visits: figures.requests,
    }
}

/// What a request retained of a holding, before anything of that is counted.
fn nothing_of(request: RequestId, holding: &Holding) -> Retained {
    Retained {
        request,
        blocks: 0,
        bytes: 0,
        before_exit: Amount::default(),
        born: holding.born,
        last: holding.last,
        birth: holding.birth.map(|(_, age)| age),
        tail_blocks: 0,
        associated: false,
        untold: false,
        certain: Certain::Request,
        bounded_blocks: 0,
        bounded_bytes: 0,
        collected: false,
        judged: Judged::default(),
        may_go: false,
    }
}
