//! What requests keep that began when more were in flight than ever before: a pool of objects grows so, or requests leak.
//!
//! A pool makes its next object while all that it has are in use, and so never more than there were users at once. Where
//! each request that keeps something began at such a moment, nothing tells that from a leak: the next one that keeps
//! something among fewer would. Where most of a label's requests began so, that says nothing, and a leak is one.
//!
//! The same where what is kept is not more than were in flight at once, and most of it came soon after that had grown: an
//! object is used for a part of a request, so that not each one is made at such a moment. By chance as often as once in
//! ten thousand, or less.
//!
//! Of simulated leaks (8 and 32 connections, at once or one after another; 60, 150 and 600 requests; one in 50 to each
//! one keeps) with 3 things kept or more, 32 connections had all of them at such moments in 119 of 2,338 servers with 60
//! requests, in 7 of 3,063 with 150 and in none of 3,829 with 600; 8 connections in one of 9,231.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::figures::counted;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::trace::ProcessId;
use crate::verdict::survival::chance;

/// A pool's object is so many blocks of a call site at most, as a connection's state is.
const BLOCKS: u64 = 16;

/// Requests that began when more were in flight in their process than ever before.
#[derive(Debug, Default)]
struct Highs {
    /// Of all labels, ...
    of_all: FxHashSet<RequestId>,
    /// ... and of their own.
    of_label: FxHashSet<RequestId>,
    /// The requests of each label.
    all: FxHashMap<LabelId, Vec<RequestId>>,
    /// By request: the most that had been in flight at once when it had begun, of all labels and of its own.
    most: FxHashMap<RequestId, [u64; 2]>,
}

/// What comes among so many requests of its label after more were in flight than ever before, comes soon after that, ...
const SOON: [usize; 2] = [16, 64];
/// ... and this part of all, or more, does so in a pool, ...
const MOST: f64 = 0.7;
/// ... which comes by chance so rarely.
const BY_CHANCE: f64 = 1e-4;

impl Highs {
    fn of(records: &[Record]) -> Highs {
        let mut highs = Highs::default();
        let mut changes: Vec<(u64, bool, RequestId)> = Vec::new();
        for (id, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
            changes.push((record.start, true, id));
            if let Some(label) = record.label {
                highs.all.entry(label).or_default().push(id);
            }
            changes.extend(record.end.map(|end| (end, false, id)));
        }
        // What ends at a moment has ended when another begins.
        changes.sort_unstable();
        let mut flights: FxHashMap<(ProcessId, Option<LabelId>), (u64, u64)> = FxHashMap::default();
        for (_, begins, id) in changes {
            let record = &records[id as usize];
            for (which, label) in [None, record.label].into_iter().enumerate() {
                let (flying, most) = flights.entry((record.process, label)).or_default();
                if !begins {
                    *flying = flying.saturating_sub(1);
                    continue;
                }
                *flying += 1;
                if *flying > *most {
                    *most = *flying;
                    let highs = match label {
                        None => &mut highs.of_all,
                        Some(_) => &mut highs.of_label,
                    };
                    highs.insert(id);
                }
                let most = *most;
                highs.most.entry(id).or_default()[which] = most;
            }
        }
        highs
    }

    /// Whether what these requests of the label keep comes as the load grows, of its own or of all.
    fn come_as_the_load_grows(&self, label: LabelId, requests: &FxHashSet<RequestId>) -> bool {
        let all = self.all.get(&label).map_or(&[][..], Vec::as_slice);
        let kept = requests.len() as u64;
        let load = |which: usize, id: &RequestId| self.most.get(id).map_or(0, |most| most[which]);
        let comes = |(which, soon): (usize, usize)| {
            // Requests since the load grew.
            let (mut since, mut most) = (usize::MAX, 0);
            let (mut near, mut kept_near) = (0u64, 0u64);
            for id in all {
                let now = load(which, id);
                since = if now > most {
                    0
                } else {
                    since.saturating_add(1)
                };
                most = now;
                if since <= soon {
                    near += 1;
                    kept_near += u64::from(requests.contains(id));
                }
            }
            // What is used may be given back a moment after its request's end.
            let fits = kept <= most + most / 4 + 1;
            let part = near as f64 / all.len().max(1) as f64;
            fits && kept_near as f64 >= MOST * kept as f64
                && chance::at_least(kept_near, kept, part) < BY_CHANCE
        };
        let ways = (0..2).flat_map(|which| SOON.map(|soon| (which, soon)));
        ways.into_iter().any(comes)
    }

    /// Whether each of these requests of the label began so, and at least half of all of its own did not.
    fn explain(&self, label: LabelId, requests: &FxHashSet<RequestId>) -> bool {
        let all = self.all.get(&label).map_or(&[][..], Vec::as_slice);
        [&self.of_label, &self.of_all].into_iter().any(|highs| {
            let such = all.iter().filter(|request| highs.contains(request));
            requests.is_subset(highs) && such.count() * 2 <= all.len()
        })
    }
}

/// Leaks of labels of which that is so can't be told from a pool.
pub(super) fn correct(sites: &mut [Judged], records: &[Record]) {
    let mut highs = None;
    let mut why = |part: &JudgedLabel| {
        let requests = with_few_blocks(part).filter(|_| part.verdict == Verdict::Leak)?;
        let highs = highs.get_or_insert_with(|| Highs::of(records));
        if highs.explain(part.label, &requests) {
            return Some(said(requests.len()));
        }
        let grows = highs.come_as_the_load_grows(part.label, &requests);
        grows.then(|| grown(requests.len()))
    };
    for site in sites.iter_mut().filter(|site| site.verdict.leaks()) {
        site.undecide(&mut why);
    }
}

/// The requests that keep something, if none of them keeps much.
fn with_few_blocks(part: &JudgedLabel) -> Option<FxHashSet<RequestId>> {
    let kept = part.retained.iter().filter(|kept| kept.is_used());
    let mut requests = FxHashSet::default();
    for kept in kept {
        if kept.blocks - kept.bounded_blocks > BLOCKS {
            return None;
        }
        requests.insert(kept.request);
    }
    Some(requests)
}

fn grown(requests: usize) -> String {
    format!(
        "kept by {}, most of them soon after more were in flight than ever before: a pool that grows as it is needed, or a \
         leak; more requests, as many at once, would tell",
        counted(requests as u64, "request"),
    )
}

fn said(requests: usize) -> String {
    format!(
        "kept by {}, each of which began when more were in flight than ever before: a pool that grows as it is needed, or \
         a leak; more requests, as many at once, would tell",
        counted(requests as u64, "request"),
    )
}
