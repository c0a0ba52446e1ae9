//! Ways to a line that threads of their own take: where a loop runs in `main` and others in threads, the function that
//! keeps something has a call site for each. Of one such way the requests tell that those threads served, no others: as
//! connections move from loop to loop, what the whole label's requests keep there comes and goes.
//!
//! Ways are so where no request took another's. That may be chance where few keep something.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::analyze::ways::{BY_CHANCE, Line};
use crate::ledger::{Certain, FinishedSite};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;
use crate::trace::ThreadId;

/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// By call site, process and group, where those have threads of their own: the places of the requests that these served.
#[derive(Debug, Default)]
pub(super) struct OwnWays(FxHashMap<(SiteId, usize, Group), Vec<u64>>);

/// What a group's requests kept at a call site in a process.
#[derive(Debug)]
struct Way {
    site: SiteId,
    keeping: FxHashSet<RequestId>,
    threads: FxHashSet<ThreadId>,
    /// How many requests of the group these served.
    served: u64,
}

/// Where a process's requests of one group kept something by several ways.
type Ways = FxHashMap<(usize, Line, Group), Vec<Way>>;

impl OwnWays {
    /// Of call sites whose `line` is known. `orders` are the places of requests in their processes.
    pub(super) fn find(
        parts: &FxHashMap<SiteId, Vec<(usize, FinishedSite)>>,
        line: impl Fn(SiteId) -> Option<Line>,
        (records, orders): (&[Record], &[u32]),
    ) -> OwnWays {
        let mut ways = Ways::default();
        for (site, parts) in parts {
            let Some(line) = line(*site) else {
                continue;
            };
            for (process, part) in parts {
                for (group, way) in ways_of(*site, part, records) {
                    let at = ways.entry((*process, line.clone(), group)).or_default();
                    at.push(way);
                }
            }
        }
        ways.retain(|_, ways| ways.len() > 1);
        if ways.is_empty() {
            return OwnWays::default();
        }
        let served = served(&ways, records, orders);
        let mut own = OwnWays::default();
        for ((process, _, group), mut ways) in ways {
            let served = served.get(&(process, group)).map_or(&[][..], Vec::as_slice);
            let of = |threads: &FxHashSet<ThreadId>| {
                let of = served.iter().filter(|(_, host)| threads.contains(host));
                of.map(|(order, _)| *order).collect::<Vec<u64>>()
            };
            for way in &mut ways {
                way.served = of(&way.threads).len() as u64;
            }
            if are_apart(&ways) {
                let own_of = ways.iter().map(|way| {
                    let mut orders = of(&way.threads);
                    orders.sort_unstable();
                    ((way.site, process, group), orders)
                });
                own.0.extend(own_of);
            }
        }
        own
    }

    /// The places of the requests that tell of a call site, if not all do.
    pub(super) fn of(&self, site: SiteId, process: usize, group: Group) -> Option<&[u64]> {
        self.0.get(&(site, process, group)).map(Vec::as_slice)
    }
}

/// What each group kept at a call site, where all of that is proved and nothing was freed.
fn ways_of(site: SiteId, part: &FinishedSite, records: &[Record]) -> FxHashMap<Group, Way> {
    let mut ways: FxHashMap<Group, Way> = FxHashMap::default();
    if part.lives.unowned[0].count() > 0 {
        return ways;
    }
    let mut unsure: FxHashSet<Group> = FxHashSet::default();
    for kept in part.retained.iter().filter(|kept| kept.is_used()) {
        let Some(record) = records.get(kept.request as usize) else {
            continue;
        };
        let Some(label) = record.label else {
            continue;
        };
        let group = (label, record.status);
        if kept.certain != Certain::Request {
            unsure.insert(group);
        }
        let way = ways.entry(group).or_insert_with(|| Way {
            site,
            keeping: FxHashSet::default(),
            threads: FxHashSet::default(),
            served: 0,
        });
        way.keeping.insert(kept.request);
        way.threads.insert(record.host);
    }
    for lives in &part.lives.groups {
        if lives.freed[0].count() > 0 {
            unsure.insert((lives.label, lives.status));
        }
    }
    ways.retain(|group, _| !unsure.contains(group));
    ways
}

/// The requests of each group that has several ways, by process: their places, and who served them.
fn served(
    ways: &Ways,
    records: &[Record],
    orders: &[u32],
) -> FxHashMap<(usize, Group), Vec<(u64, ThreadId)>> {
    let keys = ways.keys().map(|(process, _, group)| (*process, *group));
    let mut served: FxHashMap<(usize, Group), Vec<(u64, ThreadId)>> =
        keys.map(|key| (key, Vec::new())).collect();
    for (record, order) in records.iter().zip(orders) {
        let ended = !record.void && record.end.is_some();
        let Some(label) = record.label.filter(|_| ended) else {
            continue;
        };
        let key = (record.process as usize, (label, record.status));
        if let Some(served) = served.get_mut(&key) {
            served.push((u64::from(*order), record.host));
        }
    }
    served
}

/// Whether it is no chance that no thread took two of the ways: each way's requests would have taken another one.
fn are_apart(ways: &[Way]) -> bool {
    let mut seen: FxHashSet<ThreadId> = FxHashSet::default();
    let mut threads = ways.iter().flat_map(|way| &way.threads);
    if !threads.all(|thread| seen.insert(*thread)) {
        return false;
    }
    ways.iter().all(|way| {
        let others = || ways.iter().filter(|other| other.site != way.site);
        let keeping: u64 = others().map(|other| other.keeping.len() as u64).sum();
        let served: u64 = others().map(|other| other.served).sum();
        let part = keeping.min(served) as f64 / served.max(1) as f64;
        way.served as f64 * (1.0 - part).ln() < BY_CHANCE.ln()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Retained;
    use crate::sites::Frame;

    fn way(site: SiteId, thread: ThreadId, keeping: u32, served: u64) -> Way {
        Way {
            site,
            keeping: (0..keeping).collect(),
            threads: [thread].into_iter().collect(),
            served,
        }
    }

    /// Two threads serve a request each in turn, as the first one does more and more; what they keep is at two ways to a line.
    fn found(line: impl Fn(SiteId) -> Option<Line>, certain: Certain) -> (OwnWays, Vec<u64>) {
        let record = |at: u64| Record {
            host: u32::from(at % 50 < at / 8),
            ..Record::answered(0, (at * 100, at * 100 + 50))
        };
        let records: Vec<Record> = (0..400).map(record).collect();
        let orders: Vec<u32> = (0..400).collect();
        let of = |host: ThreadId| {
            let mine = (0..400).filter(|at| records[*at as usize].host == host);
            mine.collect::<Vec<RequestId>>()
        };
        let part = |site: SiteId, host| {
            let kept = of(host).into_iter().map(|request| Retained {
                certain,
                ..Retained::block(request, u64::from(request) * 100 + 10)
            });
            let part = FinishedSite {
                id: site,
                retained: kept.collect(),
                ..FinishedSite::default()
            };
            (site, vec![(0, part)])
        };
        let parts = FxHashMap::from_iter([part(7, 0), part(8, 1)]);
        let first = of(0).into_iter().map(u64::from).collect();
        (OwnWays::find(&parts, line, (&records, &orders)), first)
    }

    #[test]
    fn each_way_is_told_by_the_requests_of_its_threads() {
        let group = (0, Some(200));
        let one = |_| Some((None, Vec::new(), Vec::new()));
        let (own, first) = found(one, Certain::Request);
        assert_eq!(own.of(7, 0, group), Some(&first[..]));
        assert_eq!(
            own.of(8, 0, group).map(<[u64]>::len),
            Some(400 - first.len())
        );
        assert_eq!(own.of(7, 1, group), None);
        // Where it is not known whose it is, nor who made it; and where they are two lines.
        assert_eq!(found(one, Certain::Label).0.of(7, 0, group), None);
        let two = |site: SiteId| {
            let frame = Frame {
                module: 0,
                file_address: u64::from(site),
            };
            Some((Some(frame), Vec::new(), Vec::new()))
        };
        assert_eq!(found(two, Certain::Request).0.of(7, 0, group), None);
    }

    #[test]
    fn threads_that_keep_to_their_way_have_it_to_themselves() {
        assert!(are_apart(&[way(1, 1, 300, 304), way(2, 2, 1_237, 1_253)]));
        // One in fifty keeps something: of 100 requests none has by chance, now and then.
        assert!(!are_apart(&[way(1, 1, 2, 100), way(2, 2, 10, 500)]));
        assert!(are_apart(&[way(1, 1, 20, 1_000), way(2, 2, 20, 1_000)]));
        let mut both = way(2, 2, 300, 300);
        both.threads.insert(1);
        assert!(!are_apart(&[way(1, 1, 300, 304), both]));
    }
}
