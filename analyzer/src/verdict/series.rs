//! Builds the series of a call site in one process from what its ledger kept.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{QUARTER, Series, Unit};
use crate::ledger::{Finished, FinishedSite, Log, SLICES, Serving};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// The sequences of requests of one process, by the labels that they have.
#[derive(Debug)]
pub struct Sequences {
    /// Orders of the ends of each label's requests, and how many those are one by one.
    by_label: FxHashMap<LabelId, (Vec<u32>, u64)>,
    /// Orders of the ends of each group's requests: by label and status.
    by_group: FxHashMap<(LabelId, Option<u32>), Vec<u64>>,
    /// How long each label's longest took.
    longest: FxHashMap<LabelId, u64>,
    /// When it served.
    serving: Serving,
    /// When it ended.
    ended_at: u64,
    touches: Log,
    cuts: FxHashMap<Vec<LabelId>, Cut>,
    newest: u64,
    requests: u64,
    /// When requests ended: one in `every`, in their order.
    ends: Vec<u64>,
    every: usize,
}

/// So many ends of requests are known, at most twice.
const ENDS: usize = 4096;

/// The requests of some labels together.
#[derive(Clone, Copy, Debug)]
struct Cut {
    judged: u64,
    served: u64,
    /// For each slice the order after its last one.
    ends: [u64; SLICES],
}

impl Sequences {
    /// Of a process that held `connections` at once at most.
    pub fn new(finished: &Finished, records: &[Record], connections: usize) -> Self {
        let mut by_label: FxHashMap<LabelId, (Vec<u32>, u64)> = FxHashMap::default();
        let mut by_group: FxHashMap<(LabelId, Option<u32>), Vec<u64>> = FxHashMap::default();
        let mut longest: FxHashMap<LabelId, u64> = FxHashMap::default();
        for (order, request) in (0..).zip(&finished.ends) {
            if let Some(record) = records.get(*request as usize).filter(|record| !record.void)
                && let Some(label) = record.label
            {
                let (orders, served) = by_label.entry(label).or_default();
                orders.push(order);
                let of_group = by_group.entry((label, record.status)).or_default();
                of_group.push(u64::from(order));
                *served += u64::from(record.count);
                let took = record.end.unwrap_or(0).saturating_sub(record.start);
                let of_label = longest.entry(label).or_default();
                *of_label = took.max(*of_label);
            }
        }
        let every = (finished.ends.len() / ENDS).max(1);
        let ends = finished.ends.iter().skip(every - 1).step_by(every);
        let ends = ends.map(|request| {
            let record = records.get(*request as usize);
            record.and_then(|record| record.end).unwrap_or(0)
        });
        Sequences {
            ends: ends.collect(),
            every,
            by_label,
            by_group,
            longest,
            serving: finished.serving,
            ended_at: finished.ended_at,
            touches: finished.touches.clone(),
            cuts: FxHashMap::default(),
            newest: connections.max(finished.most_in_flight).max(1) as u64,
            requests: finished.ends.len() as u64,
        }
    }

    /// The orders of the ends of the requests that have one of the labels.
    pub fn of_labels(&self, labels: &[LabelId]) -> Vec<u64> {
        let orders = labels.iter().filter_map(|label| self.by_label.get(label));
        let orders = orders.flat_map(|(orders, _)| orders);
        let mut orders: Vec<u64> = orders.map(|order| u64::from(*order)).collect();
        orders.sort_unstable();
        orders
    }

    /// How many requests had ended by `stamp`; where there were many, some fewer.
    pub fn ended_by(&self, stamp: u64) -> u64 {
        let ends = self.ends.partition_point(|end| *end <= stamp);
        (ends * self.every) as u64
    }

    /// How many requests would have ended at `stamp`, had they come evenly over the serving time.
    pub fn place_in_time(&self, stamp: u64) -> u64 {
        let last = self.serving.requests.saturating_sub(1);
        let place = self.serving.place(stamp, self.serving.requests);
        place.unwrap_or(0).min(last)
    }

    /// So many slices of the serving time ended so long before its end, or longer.
    pub fn slices_older_than(&self, time: u64) -> usize {
        let from = self.serving.from.unwrap_or(self.serving.to);
        let span = self.serving.to.saturating_sub(from);
        let older = u128::from(span.saturating_sub(time)) * SLICES as u128;
        (older / u128::from(span.max(1))) as usize
    }

    /// How many requests ended over the serving time: where the process had none, in all processes.
    pub fn places(&self) -> u64 {
        self.serving.requests
    }

    /// When the request in this place ended; where there were many, some later.
    pub fn ended_when(&self, order: u64) -> u64 {
        let end = self.ends.get(order as usize / self.every);
        end.copied().unwrap_or(self.serving.to)
    }

    /// How many requests ended in the process.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// When connections of its requests were read and written, and how often, by stamp.
    pub fn touches(&self) -> &[(u64, u64)] {
        self.touches.points()
    }

    /// When the process ended.
    pub fn ended_at(&self) -> u64 {
        self.ended_at
    }

    /// How long the longest of the label's requests took that ended here, in ticks; `None`: none did.
    pub fn longest_of(&self, label: LabelId) -> Option<u64> {
        self.longest.get(&label).copied()
    }

    /// The orders of the ends of a group's requests.
    pub fn of_group(&self, label: LabelId, status: Option<u32>) -> &[u64] {
        self.by_group
            .get(&(label, status))
            .map_or(&[], Vec::as_slice)
    }

    /// As many requests as there were at once.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The stamp at which serving ended.
    pub fn served_until(&self) -> u64 {
        self.serving.to
    }

    /// The requests that have one of the labels.
    fn cut(&mut self, labels: &[LabelId]) -> Cut {
        if let Some(cut) = self.cuts.get(labels) {
            return *cut;
        }
        let (mut orders, mut served) = (Vec::new(), 0);
        for (of_label, count) in labels.iter().filter_map(|label| self.by_label.get(label)) {
            orders.extend_from_slice(of_label);
            served += count;
        }
        orders.sort_unstable();
        let mut ends = [0; SLICES];
        for (slice, end) in ends.iter_mut().enumerate() {
            let within = (slice + 1) * orders.len() / SLICES;
            *end = match within.checked_sub(1) {
                Some(last) => u64::from(orders[last]) + 1,
                None => 0,
            };
        }
        let cut = Cut {
            judged: orders.len() as u64,
            served,
            ends,
        };
        self.cuts.insert(labels.to_vec(), cut);
        cut
    }
}

/// The series of `site` over the requests with one of `labels`; `orders` tells each request's place
/// among the ends of its process.
pub fn of_requests(
    site: &FinishedSite,
    sequences: &mut Sequences,
    labels: &[LabelId],
    records: &[Record],
    orders: &[u32],
) -> Series {
    let Cut {
        judged,
        served,
        ends,
    } = sequences.cut(labels);
    let mut series = Series {
        unit: Unit::Requests,
        processes: 1,
        judged,
        served,
        sample: site.sample,
        survivor_blocks: site.survivor_blocks,
        reallocations: site.reallocations,
        newest: sequences.newest,
        ..Series::default()
    };
    // What is proved and what is associated may be the same request's.
    let mut seen: FxHashSet<RequestId> = FxHashSet::default();
    for retained in site.retained.iter().filter(|retained| retained.is_used()) {
        let request = retained.request as usize;
        let label = records.get(request).and_then(|record| record.label);
        if !label.is_some_and(|label| labels.contains(&label)) {
            continue;
        }
        let order = u64::from(orders.get(request).copied().unwrap_or(0));
        let slice = ends.iter().position(|end| order < *end);
        let slice = slice.unwrap_or(SLICES - 1);
        if seen.insert(retained.request) {
            series.retaining += 1;
            series.retaining_late += u64::from(slice >= QUARTER);
        }
        series.retained_bytes[slice] += retained.used_bytes();
        series.retained_blocks += retained.blocks - retained.bounded_blocks;
    }
    for (slice, end) in ends.iter().enumerate() {
        series.live_bytes[slice] = site.live_log.level_before(*end);
    }
    let older = site.survivor_log.sum_before(ends[SLICES - 2]);
    series.older_survivor_bytes = older.max(series.older_retained_bytes());
    series
}

/// The series of the blocks that `site` allocated outside requests, over the serving time.
pub fn of_time(site: &FinishedSite, requests_ended: u64) -> Series {
    let outside = &*site.outside.served;
    let retained_blocks: u64 = outside.retained_blocks.iter().sum();
    let freed: u64 = outside.freed_bytes.iter().sum();
    let slices_with = |slices: &[u64]| slices.iter().filter(|blocks| **blocks > 0).count() as u64;
    let mut series = Series {
        unit: Unit::Time,
        processes: 1,
        sample: site.sample,
        judged: if requests_ended == 0 {
            0
        } else {
            SLICES as u64
        },
        retaining: slices_with(&outside.retained_blocks),
        retaining_late: slices_with(&outside.retained_blocks[QUARTER..]),
        live_bytes: outside.live_bytes,
        retained_bytes: outside.retained_bytes,
        survivor_blocks: retained_blocks + u64::from(freed > 0),
        retained_blocks,
        reallocations: site.reallocations,
        before_blocks: site.outside.before.0,
        newest: 1,
        ..Series::default()
    };
    let older_freed: u64 = outside.freed_bytes[..SLICES - 1].iter().sum();
    series.older_survivor_bytes = older_freed + series.older_retained_bytes();
    series
}
