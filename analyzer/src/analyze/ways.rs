//! Lines that are reached in several ways, each in processes of its own: a worker that is forked at the start has other
//! outer frames than those that replace it, and so other call sites. What the first workers kept looks like the
//! warm-up of the server then, though the same requests leak at the same line in all workers that follow.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedGroup, JudgedLabel};
use crate::analysis::Verdict;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sites::{Frame, PythonFrame, SiteId, Sites};
use crate::trace::ProcessId;

/// So many innermost frames (Python's, where there are some) make two call sites the same line.
const SHARED: usize = 3;

/// The frame that allocates, and the innermost ones of Python's or of its callers.
pub(super) type Line = (Option<Frame>, Vec<PythonFrame>, Vec<Frame>);
/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// Groups that kept too early or too little to leak at a call site do leak there where they leak at the same line in
/// other processes.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, records: &[Record]) {
    let mut leaks: FxHashMap<(Line, Group), FxHashSet<ProcessId>> = FxHashMap::default();
    for site in sites.iter().filter(|site| site.verdict == Verdict::Leak) {
        let Some(line) = line(places, site.id) else {
            continue;
        };
        for (label, group) in groups(site).filter(|(_, group)| group.verdict == Verdict::Leak) {
            let processes = leaks.entry((line.clone(), (label.label, group.status)));
            processes.or_default().extend(processes_of(site, records));
        }
    }
    if leaks.is_empty() {
        return;
    }
    for site in sites {
        let undecided = |verdict| matches!(verdict, Verdict::WarmUp | Verdict::TooFewRequests);
        let Some(line) = line(places, site.id).filter(|_| undecided(site.verdict)) else {
            continue;
        };
        let here: FxHashSet<ProcessId> = processes_of(site, records).collect();
        let leaks_elsewhere = |label: LabelId, group: &JudgedGroup| {
            let elsewhere = leaks.get(&(line.clone(), (label, group.status)));
            elsewhere.is_some_and(|processes| processes.is_disjoint(&here))
        };
        for part in &mut site.labels {
            let label = part.label;
            let groups = part.groups.iter_mut();
            for group in groups.filter(|group| undecided(group.verdict)) {
                if leaks_elsewhere(label, group) {
                    group.verdict = Verdict::Leak;
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

/// The line that a call site stands for, where it has frames enough.
pub(super) fn line(places: &Sites, site: SiteId) -> Option<Line> {
    let native = places.backtrace(site).take(SHARED);
    let native: Vec<Frame> = native.collect();
    let python: Vec<PythonFrame> = places.python_backtrace(site).take(SHARED).collect();
    let allocates = native.first().copied();
    match python.len() {
        0 => (native.len() == SHARED).then_some((allocates, python, native)),
        _ => (python.len() == SHARED).then_some((allocates, python, Vec::new())),
    }
}

fn groups(site: &Judged) -> impl Iterator<Item = (&JudgedLabel, &JudgedGroup)> {
    let labels = site.labels.iter();
    labels.flat_map(|label| label.groups.iter().map(move |group| (label, group)))
}

/// The processes whose requests retained something at the site.
fn processes_of<'s>(
    site: &'s Judged,
    records: &'s [Record],
) -> impl Iterator<Item = ProcessId> + 's {
    let kept = site.labels.iter().flat_map(|label| &label.retained);
    let used = kept.filter(|kept| Retained::is_used(kept));
    used.filter_map(|kept| Some(records.get(kept.request as usize)?.process))
}
