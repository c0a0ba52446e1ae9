//! Lines that are reached in several ways, each in processes of its own: a worker that is forked at the start has other
//! outer frames than those that replace it, and so other call sites. What the first workers kept looks like the
//! warm-up of the server then, though the same requests leak at the same line in all workers that follow.
//!
//! Where a worker's stack is so short that the frame in which it was forked is among the innermost ones, fewer frames are
//! the same. They are as good where no worker has both ways, though it would have by chance: so many requests it served.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedGroup, JudgedLabel};
use crate::analysis::Verdict;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{Frame, PythonFrame, SiteId, Sites};
use crate::trace::ProcessId;

/// So many innermost frames (Python's, where there are some) make two call sites the same line.
const SHARED: usize = 3;
/// So many do where the ways are told to be of other processes.
const SHARED_APART: usize = SHARED - 1;
/// By chance none of the requests takes the other way in one of so many cases.
pub(super) const BY_CHANCE: f64 = 1e-3;

/// The frame that allocates, and the innermost ones of Python's or of its callers.
pub(super) type Line = (Option<Frame>, Vec<PythonFrame>, Vec<Frame>);
/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// What leaks at a line: in which processes, and how many of their requests leave something there.
#[derive(Debug, Default)]
struct Leaks {
    processes: FxHashSet<ProcessId>,
    leaking: u64,
}

/// How many requests of each group ended in each process.
type Served = FxHashMap<Group, FxHashMap<ProcessId, u64>>;

/// Groups that kept too early or too little to leak at a call site do leak there where they leak at the same line in
/// other processes.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, records: &[Record]) {
    let mut leaks: FxHashMap<(Line, Group), Leaks> = FxHashMap::default();
    for site in sites.iter().filter(|site| site.verdict == Verdict::Leak) {
        for line in lines(places, site.id) {
            for (label, group) in groups(site).filter(|(_, group)| group.verdict == Verdict::Leak) {
                let of_group = (label.label, group.status);
                let at = leaks.entry((line.clone(), of_group)).or_default();
                at.processes.extend(processes_of(site, records));
                at.leaking += keeping(label, group.status, records);
            }
        }
    }
    if leaks.is_empty() {
        return;
    }
    let mut served = None;
    for site in sites {
        let undecided = |verdict| matches!(verdict, Verdict::WarmUp | Verdict::TooFewRequests);
        if !undecided(site.verdict) {
            continue;
        }
        let here: FxHashSet<ProcessId> = processes_of(site, records).collect();
        let lines: Vec<Line> = lines(places, site.id).collect();
        let mut leaks_elsewhere = |label: LabelId, group: &JudgedGroup| {
            let group = (label, group.status);
            let mut of_lines = lines.iter().filter_map(|line| {
                let leaks = leaks.get(&(line.clone(), group))?;
                Some((is_long(line), leaks))
            });
            of_lines.any(|(is_long, leaks)| {
                let mut are_told_apart = || {
                    let served = served.get_or_insert_with(|| of_groups(records));
                    leaks.are_told_apart(&here, served.get(&group))
                };
                leaks.processes.is_disjoint(&here) && (is_long || are_told_apart())
            })
        };
        for part in &mut site.labels {
            let label = part.label;
            let groups = part.groups.iter_mut();
            for group in groups.filter(|group| undecided(group.verdict)) {
                if leaks_elsewhere(label, group) {
                    (group.verdict, group.is_sure) = (Verdict::Leak, false);
                    group.text += "; the same line leaks in other processes, by another way";
                    part.verdict = Verdict::Leak;
                    site.verdict = Verdict::Leak;
                    site.evidence.text.clone_from(&group.text);
                    site.evidence.is_sure = false;
                }
            }
        }
    }
}

impl Leaks {
    /// Whether it is no chance that none of the group's requests in the processes `here` leaks this way.
    fn are_told_apart(
        &self,
        here: &FxHashSet<ProcessId>,
        served: Option<&FxHashMap<ProcessId, u64>>,
    ) -> bool {
        let requests = |of: &FxHashSet<ProcessId>| -> u64 {
            let each = of.iter().filter_map(|process| served?.get(process));
            each.sum()
        };
        let (all, others) = (requests(&self.processes), requests(here));
        let part = self.leaking.min(all) as f64 / all.max(1) as f64;
        others as f64 * (1.0 - part).ln() < BY_CHANCE.ln()
    }
}

fn of_groups(records: &[Record]) -> Served {
    let mut served = Served::default();
    for record in records.iter().filter(|r| !r.void && r.end.is_some()) {
        if let Some(label) = record.label {
            let of_group = served.entry((label, record.status)).or_default();
            *of_group.entry(record.process).or_default() += 1;
        }
    }
    served
}

/// How many requests of the label with this status kept something at the site.
fn keeping(part: &JudgedLabel, status: Option<u32>, records: &[Record]) -> u64 {
    let used = part.retained.iter().filter(|kept| kept.is_used());
    let of_status = used.filter(|kept| {
        let record = records.get(kept.request as usize);
        record.is_some_and(|record| record.status == status)
    });
    let requests: FxHashSet<RequestId> = of_status.map(|kept| kept.request).collect();
    requests.len() as u64
}

/// The lines that a call site stands for: by as many frames as tell it anyway, and by those that do in other processes.
fn lines(places: &Sites, site: SiteId) -> impl Iterator<Item = Line> {
    [line(places, site), short_line(places, site)]
        .into_iter()
        .flatten()
}

fn is_long((_, python, native): &Line) -> bool {
    python.len() == SHARED || native.len() == SHARED
}

/// The line that a call site stands for, where it has frames enough.
pub(super) fn line(places: &Sites, site: SiteId) -> Option<Line> {
    line_of(places, site, SHARED)
}

/// The same by fewer frames, which tell it where its blocks are of other processes.
pub(super) fn short_line(places: &Sites, site: SiteId) -> Option<Line> {
    line_of(places, site, SHARED_APART)
}

fn line_of(places: &Sites, site: SiteId, frames: usize) -> Option<Line> {
    let native: Vec<Frame> = places.backtrace(site).take(frames).collect();
    let python: Vec<PythonFrame> = places.python_backtrace(site).take(frames).collect();
    let allocates = native.first().copied();
    match python.len() {
        0 => (native.len() == frames).then_some((allocates, python, native)),
        _ => (python.len() == frames).then_some((allocates, python, Vec::new())),
    }
}

fn groups(site: &Judged) -> impl Iterator<Item = (&JudgedLabel, &JudgedGroup)> {
    let labels = site.labels.iter();
    labels.flat_map(|label| label.groups.iter().map(move |group| (label, group)))
}

/// The processes whose requests retained something at the site.
pub(super) fn processes_of<'s>(
    site: &'s Judged,
    records: &'s [Record],
) -> impl Iterator<Item = ProcessId> + 's {
    let kept = site.labels.iter().flat_map(|label| &label.retained);
    let used = kept.filter(|kept| Retained::is_used(kept));
    used.filter_map(|kept| Some(records.get(kept.request as usize)?.process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{Module, NO_SITE};

    /// So many requests of one label in each of four processes.
    fn records(each: u32) -> Vec<Record> {
        let record = |at: u32| {
            let start = u64::from(at) * 100;
            Record {
                process: at / each,
                ..Record::answered(0, (start, start + 50))
            }
        };
        (0..4 * each).map(record).collect()
    }

    fn kept(request: RequestId) -> Retained {
        Retained::block(request, u64::from(request) * 100 + 10)
    }

    fn site(id: SiteId, verdict: Verdict, requests: impl Iterator<Item = RequestId>) -> Judged {
        let group = JudgedGroup {
            is_sure: true,
            ..JudgedGroup::of_status(200, verdict)
        };
        let label = JudgedLabel {
            groups: vec![group],
            ..JudgedLabel::retaining(0, verdict, requests.map(kept).collect())
        };
        Judged::of_labels(id, verdict, vec![label])
    }

    /// Ways by these frames, the innermost last.
    fn places<const N: usize>(ways: [&[u64]; N]) -> (Sites, [SiteId; N]) {
        let mut sites = Sites::default();
        let module = sites.module(Module {
            path: "server".into(),
            build_id: None,
        });
        let ids = ways.map(|frames| {
            frames.iter().fold(NO_SITE, |outer, file_address| {
                let frame = Frame {
                    module,
                    file_address: *file_address,
                };
                sites.child(outer, frame)
            })
        });
        (sites, ids)
    }

    /// The first process comes by one way, where every second request keeps something; the others by another, where one in
    /// `part` does. What is thought of the first way then.
    fn first_way(ways: [&[u64]; 2], each: u32, part: u32) -> Verdict {
        let (places, [first, later]) = places(ways);
        let in_first = (0..each).filter(|at| at.is_multiple_of(2));
        let in_later = (each..4 * each).filter(|at| at.is_multiple_of(part));
        let mut sites = [
            site(first, Verdict::WarmUp, in_first),
            site(later, Verdict::Leak, in_later),
        ];
        correct(&mut sites, &places, &records(each));
        assert!(sites[0].labels[0].groups[0].is_sure == (sites[0].verdict == Verdict::WarmUp));
        sites[0].verdict
    }

    #[test]
    fn a_first_generation_of_workers_comes_by_another_way() {
        let long: [&[u64]; 2] = [&[9, 3, 2, 1], &[8, 3, 2, 1]];
        assert_eq!(first_way(long, 4, 4), Verdict::Leak);
        // Two frames are enough where the requests were so many that some would have come by the other way.
        let short: [&[u64]; 2] = [&[9, 2, 1], &[8, 2, 1]];
        assert_eq!(first_way(short, 100, 5), Verdict::Leak);
        assert_eq!(first_way(short, 12, 5), Verdict::WarmUp);
        assert_eq!(first_way(short, 100, 50), Verdict::WarmUp);
        let other: [&[u64]; 2] = [&[9, 3, 1], &[8, 2, 1]];
        assert_eq!(first_way(other, 100, 5), Verdict::WarmUp);
    }

    #[test]
    fn a_process_that_has_both_ways_tells_them_apart() {
        let (places, [first, later]) = places([&[9, 2, 1], &[8, 2, 1]]);
        let mut sites = [
            site(first, Verdict::WarmUp, 0..10),
            site(later, Verdict::Leak, 50..400),
        ];
        correct(&mut sites, &places, &records(100));
        assert_eq!(sites[0].verdict, Verdict::WarmUp);
    }
}
