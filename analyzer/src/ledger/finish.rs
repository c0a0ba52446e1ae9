//! A process's end: inferred blocks are settled, and what is left is taken together by call site.

use rustc_hash::FxHashMap;

use super::holding::{Holding, Kind};
use super::log::Log;
use super::{Counts, Ledger, Pending, Typed};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Sample;
use crate::sites::SiteId;
use crate::types::is_free;

/// Into how many parts a process's life of serving is cut when it is judged.
pub const SLICES: usize = 8;

/// A process's account of itself, complete.
#[derive(Debug, Default)]
pub struct Finished {
    /// What happened.
    pub counts: Counts,
    /// Inherited blocks still live, and their bytes.
    pub inherited: (u64, u64),
    /// Allocations that belong to no request.
    pub outside_allocations: u64,
    /// The requests that ended, in the order of their ends.
    pub ends: Vec<RequestId>,
    /// The most requests in flight at once.
    pub most_in_flight: usize,
    /// Call sites with survivors or live blocks.
    pub sites: Vec<FinishedSite>,
    /// Call sites where requests allocated.
    pub reached: Vec<Reached>,
}

/// Requests at a call site in one process.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Which.
    pub site: SiteId,
    /// Requests that allocated here.
    pub requests: u64,
    /// Those besides that may go on in another process, or came from one.
    pub abroad: Vec<RequestId>,
}

/// A call site in one process, at its end.
#[derive(Clone, Debug, Default)]
pub struct FinishedSite {
    /// Which.
    pub id: SiteId,
    /// How its blocks were counted.
    pub sample: Sample,
    /// Their labels, sorted, and how many blocks survived the requests of each.
    pub labels: Vec<(LabelId, u64)>,
    /// Alive at their request's end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Alive at the process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Of them, in no request.
    pub outside_blocks: u64,
    /// Their bytes.
    pub outside_bytes: u64,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// What each request retained.
    pub retained: Vec<Retained>,
    /// What its blocks are, where types were read.
    pub types: Vec<Typed>,
    /// Live bytes by the order of request ends.
    pub live_log: Log,
    /// Survivors' bytes by the order of their requests' ends.
    pub survivor_log: Log,
    /// Blocks in no request that were live when serving ended, by the slice of the serving time they
    /// were born in; those from before it apart.
    pub outside: OutsideSeries,
}

/// Survivors of one request that were live when serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Whose.
    pub request: RequestId,
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of `blocks`, by inference only.
    pub inferred_blocks: u64,
    /// Of `blocks`, those that hold freed objects on a free list of CPython's.
    pub free_blocks: u64,
    /// Their bytes.
    pub free_bytes: u64,
}

impl Retained {
    /// Whether anything in use is left.
    pub fn is_used(&self) -> bool {
        self.blocks > self.free_blocks
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> u64 {
        self.bytes - self.free_bytes
    }
}

/// A call site's blocks in no request, over equal slices of the serving time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutsideSeries {
    /// Born before the first request and never freed while serving, blocks and bytes.
    pub before: (u64, u64),
    /// Born in the slice and live when serving ended, blocks.
    pub retained_blocks: [u64; SLICES],
    /// Their bytes.
    pub retained_bytes: [u64; SLICES],
    /// Born in the slice, outlived a request's end, but freed while serving; bytes.
    pub freed_bytes: [u64; SLICES],
    /// Live bytes at the end of each slice.
    pub live_bytes: [u64; SLICES],
}

impl Ledger {
    /// The process has ended.
    pub fn finish(mut self, records: &mut [Record]) -> Finished {
        let open: Vec<RequestId> = self.direct.keys().copied().collect();
        for request in open {
            if let Some(record) = records.get_mut(request as usize) {
                self.close_direct(request, record, None);
            }
        }
        for request in std::mem::take(&mut self.in_flight) {
            self.inferring.remove(&request);
        }
        self.settle_inferred(records);
        let mut retained = self.retained_by_site(records);
        let outside = self.outside_by_site(records);
        let mut types = self.types_by_site(records);
        let outside_allocations = self
            .holdings
            .iter()
            .filter(|holding| holding.kind == Kind::Outside && holding.moved.is_none())
            .map(|holding| holding.allocations)
            .sum();
        let (mut sites, mut reached) = (Vec::new(), Vec::new());
        for (index, figures) in std::mem::take(&mut self.sites).into_iter().enumerate() {
            if figures.requests > 0 || !figures.abroad.is_empty() {
                reached.push(Reached {
                    site: figures.id,
                    requests: figures.requests,
                    abroad: figures.abroad,
                });
            }
            let (outside_blocks, outside_bytes, series) =
                outside.get(&(index as u32)).cloned().unwrap_or_default();
            let site = FinishedSite {
                id: figures.id,
                sample: self.heap.sample(),
                labels: figures.labels,
                survivor_blocks: figures.survivor_blocks,
                survivor_bytes: figures.survivor_bytes,
                live_blocks: figures.live_blocks,
                live_bytes: figures.live_bytes,
                outside_blocks,
                outside_bytes,
                reallocations: figures.reallocations,
                retained: retained.remove(&(index as u32)).unwrap_or_default(),
                types: types.remove(&(index as u32)).unwrap_or_default(),
                live_log: figures.live_log,
                survivor_log: figures.survivor_log,
                outside: series,
            };
            if site.survivor_blocks > 0 || site.live_blocks > 0 || site.outside.any() {
                sites.push(site);
            }
        }
        Finished {
            counts: self.counts,
            inherited: self.heap.inherited(),
            outside_allocations,
            ends: self.ends,
            most_in_flight: self.most_in_flight,
            sites,
            reached,
        }
    }

    /// Inferred blocks become their request's, unless the same site also allocates on that thread
    /// while no request is in flight: then they belong to none.
    fn settle_inferred(&mut self, records: &mut [Record]) {
        // By request, as there may be millions; 0: it never ended, else its place in the order of ends plus 1.
        let mut orders: Vec<u32> = vec![0; records.len()];
        for (place, request) in (1..).zip(&self.ends) {
            if let Some(order) = orders.get_mut(*request as usize) {
                *order = place;
            }
        }
        let gone = self.settled_later.len();
        let mut all = std::mem::take(&mut self.settled_later);
        let live = self.holdings.len();
        for id in 0..live + gone {
            let holding = if id < live {
                &mut self.holdings[id]
            } else {
                &mut all[id - live]
            };
            let Kind::Inferred(request) = holding.kind else {
                continue;
            };
            // A holding that was given up stays in its place until that is used again: its figures
            // are then among those that were kept aside.
            if holding.moved.is_some() || (id < live && holding.ended && holding.held == 0) {
                continue;
            }
            if self.idle.contains(&(holding.thread, holding.site)) {
                holding.kind = Kind::Outside;
                if id >= live {
                    let gone = holding.clone();
                    self.holdings.push(gone);
                }
                continue;
            }
            let site = &mut self.sites[holding.site as usize];
            let Some(record) = records.get_mut(request as usize) else {
                continue;
            };
            let figures = &mut record.figures;
            figures.allocations += holding.allocations;
            figures.inferred_blocks += holding.allocations;
            figures.allocated_bytes += holding.allocated_bytes;
            figures.survivor_blocks += holding.survivor_blocks;
            figures.survivor_bytes += holding.survivor_bytes;
            site.survivor_blocks += holding.survivor_blocks;
            site.survivor_bytes += holding.survivor_bytes;
            if self.reached.insert((request, holding.site)) {
                site.reached_by(request, record);
            }
            site.survive(record.label, holding.survivor_blocks);
            if holding.survivor_bytes > 0
                && let Some(order) = orders[request as usize].checked_sub(1)
            {
                site.survivor_log.add(order.into(), holding.survivor_bytes);
            }
        }
    }

    /// What is left of requests: live figures go to the records, retained ones there and by site.
    fn retained_by_site(&self, records: &mut [Record]) -> FxHashMap<u32, Vec<Retained>> {
        let mut left: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        for (id, holding) in self.holdings.iter().enumerate() {
            if holding.moved.is_none() && holding.live_blocks > 0 {
                left.insert(id as u32, (holding.live_blocks, holding.live_bytes));
                if let Kind::Direct(request) | Kind::Inferred(request) = holding.kind
                    && let Some(record) = records.get_mut(request as usize)
                {
                    record.figures.live_blocks += holding.live_blocks;
                    record.figures.live_bytes += holding.live_bytes;
                }
            }
        }
        for Pending {
            address,
            block,
            survived,
        } in &self.pending
        {
            let holding = self.resolve(block);
            // It may have come to another request since, which had not ended when it was freed.
            if self.holdings[holding as usize].kind.request() != *survived {
                continue;
            }
            let amount = self.heap.amount(*address, block);
            let entry = left.entry(holding).or_default();
            entry.0 += amount.blocks;
            entry.1 += amount.bytes;
        }
        let free = self.free_by_holding();
        let mut by_site: FxHashMap<u32, FxHashMap<RequestId, Retained>> = FxHashMap::default();
        for (id, (blocks, bytes)) in left {
            let holding: &Holding = &self.holdings[id as usize];
            let (Kind::Direct(request) | Kind::Inferred(request)) = holding.kind else {
                continue;
            };
            if !holding.ended {
                continue;
            }
            let inferred = matches!(holding.kind, Kind::Inferred(_));
            let requests = by_site.entry(holding.site).or_default();
            let entry = requests.entry(request).or_insert(Retained {
                request,
                blocks: 0,
                bytes: 0,
                inferred_blocks: 0,
                free_blocks: 0,
                free_bytes: 0,
            });
            entry.blocks += blocks;
            entry.bytes += bytes;
            let (free_blocks, free_bytes) = free.get(&id).copied().unwrap_or_default();
            entry.free_blocks += free_blocks;
            entry.free_bytes += free_bytes;
            entry.inferred_blocks += if inferred { blocks } else { 0 };
            if let Some(record) = records.get_mut(request as usize) {
                record.figures.retained_blocks += blocks;
                record.figures.retained_bytes += bytes;
            }
        }
        let sorted = by_site.into_iter().map(|(site, requests)| {
            let mut list: Vec<Retained> = requests.into_values().collect();
            list.sort_unstable_by_key(|retained| retained.request);
            (site, list)
        });
        sorted.collect()
    }

    /// Blocks and bytes live outside requests, and their series over the serving time, by site.
    fn outside_by_site(&self, records: &[Record]) -> FxHashMap<u32, (u64, u64, OutsideSeries)> {
        let mut by_site: FxHashMap<u32, (u64, u64, OutsideSeries)> = FxHashMap::default();
        let start = self.first_begin.unwrap_or(u64::MAX);
        let span = self.last_end.saturating_sub(start);
        let slice = |stamp: u64| match stamp.checked_sub(start) {
            Some(since) if span > 0 => {
                let part = u128::from(since) * SLICES as u128 / (u128::from(span) + 1);
                Some((part as usize).min(SLICES - 1))
            }
            _ => None,
        };
        let own = self.heap.own();
        let own = own.map(|(address, block)| (address, block, true));
        let ended = self.pending.iter();
        let ended = ended.map(|ended| (ended.address, &ended.block, false));
        for (address, block, live) in own.chain(ended) {
            let holding = &self.holdings[self.resolve(block) as usize];
            if holding.kind != Kind::Outside {
                continue;
            }
            let amount = self.heap.amount(address, block);
            let (blocks, bytes, series) = by_site.entry(holding.site).or_default();
            if live {
                *blocks += amount.blocks;
                *bytes += amount.bytes;
            }
            // Bounded, however long it waits there.
            if is_free(block.of_type) {
                continue;
            }
            match slice(block.born) {
                None if block.born < start => {
                    series.before.0 += amount.blocks;
                    series.before.1 += amount.bytes;
                }
                Some(slice) if block.born < self.last_end => {
                    series.retained_blocks[slice] += amount.blocks;
                    series.retained_bytes[slice] += amount.bytes;
                }
                _ => {}
            }
        }
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
                series.freed_bytes[part] = sum.saturating_sub(before);
                before = sum;
                series.live_bytes[part] = figures.live_log.level_before(*ended);
            }
        }
        by_site
    }
}

impl OutsideSeries {
    /// Whether there is anything in it.
    pub fn any(&self) -> bool {
        *self != OutsideSeries::default()
    }
}
