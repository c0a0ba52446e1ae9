//! What is known of a label's leaking requests, and how many of them leak at least and at most.

use rustc_hash::{FxHashMap, FxHashSet};

use super::spans::{Span, candidates, fewest, made_by};
use crate::analyze::judged::{Judged, JudgedLabel};
use crate::analyze::ways::{Line, processes_of, short_line};
use crate::ledger::{Certain, Retained};
use crate::requests::record::{Record, RequestId};
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;

/// What a request of a label that leaks retained at sites where it does: blocks and bytes. Of requests that can't be told
/// apart, one of those that may be meant.
pub(crate) type Leaking = FxHashMap<RequestId, (u64, u64)>;

/// Births of blocks whose owner could not be told, by call site.
pub(super) type Unknown = FxHashMap<SiteId, Vec<(ProcessId, u64)>>;

/// What is known of a label's leaking requests.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// It is called leaking somewhere.
    pub(super) leaks: bool,
    /// What it keeps there: most of a stack is never touched.
    pub(super) bytes: u64,
    pub(super) told: FxHashSet<RequestId>,
    /// Answers with these statuses leak; what had none may be any of them.
    pub(super) statuses: FxHashSet<Option<u32>>,
    /// Requests that leak if what they kept at undecided call sites does.
    pub(super) undecided: FxHashSet<RequestId>,
    /// Births of blocks that are one or another request's.
    pub(super) births: FxHashMap<ProcessId, Vec<u64>>,
    /// Births of blocks that may be one of its requests', too.
    pub(super) maybe: FxHashMap<ProcessId, Vec<u64>>,
    /// The last birth of such blocks as a request may have made when it had ended.
    pub(super) after: FxHashMap<ProcessId, u64>,
    /// Births of blocks whose owner could not be told.
    pub(super) unknown: FxHashMap<ProcessId, Vec<u64>>,
    /// Lines where it leaks.
    pub(super) lines: FxHashMap<Line, AtLine>,
    /// The same by fewer frames: in which processes.
    pub(super) short_lines: FxHashMap<Line, FxHashSet<ProcessId>>,
}

/// What a label leaks at a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AtLine {
    /// The most blocks that it retained by one way.
    pub(super) most: u64,
    /// Not all of them are proved to be its.
    pub(super) associated: bool,
}

/// A rare way to a line where much leaks leaves less than one block in so many.
const RARE: u64 = 4;

impl Known {
    /// Takes what the label keeps at a call site where it leaks.
    pub(super) fn add_leak(&mut self, part: &JudgedLabel, leaking: &Leaking, records: &[Record]) {
        self.leaks = true;
        let groups = part.groups.iter().filter(|group| group.verdict.leaks());
        self.statuses.extend(groups.map(|group| group.status));
        for kept in part.retained.iter().filter(|kept| kept.is_used()) {
            let record = records.get(kept.request as usize);
            let process = record.map_or(0, |record| record.process);
            let ended = record.and_then(|record| record.end);
            if kept.certain != Certain::Request && ended.is_some_and(|end| end < kept.last) {
                let after = self.after.entry(process).or_default();
                *after = (*after).max(kept.last);
            }
            let births = match kept.certain {
                Certain::Request if kept.may_go => {
                    self.undecided.insert(kept.request);
                    continue;
                }
                Certain::Request if leaking.contains_key(&kept.request) => {
                    self.told.insert(kept.request);
                    continue;
                }
                Certain::Request => continue,
                Certain::Label if !kept.may_go => &mut self.births,
                Certain::Label => &mut self.maybe,
                Certain::Neither => &mut self.maybe,
            };
            births.entry(process).or_default().push(kept.born);
            self.maybe.entry(process).or_default().push(kept.last);
        }
    }

    /// Takes what may be the label's.
    pub(super) fn may_be<'k>(
        &mut self,
        kept: impl Iterator<Item = &'k Retained>,
        records: &[Record],
    ) {
        for kept in kept {
            let record = records.get(kept.request as usize);
            let process = record.map_or(0, |record| record.process);
            let maybe = self.maybe.entry(process).or_default();
            maybe.extend([kept.born, kept.last]);
        }
    }

    /// Takes what the label keeps at a call site where it may leak.
    pub(super) fn may_leak(&mut self, part: &JudgedLabel, records: &[Record]) {
        let used = || part.retained.iter().filter(|kept| kept.is_used());
        let (certain, others): (Vec<&Retained>, Vec<&Retained>) =
            used().partition(|kept| kept.certain == Certain::Request);
        self.undecided
            .extend(certain.iter().map(|kept| kept.request));
        self.may_be(others.into_iter(), records);
    }

    /// Whether so many blocks may be what another way to a line leaves where it leaks: where that is proved, a rare way.
    pub(super) fn may_be_of(&self, line: &Line, blocks: u64) -> bool {
        let at = self.lines.get(line);
        at.is_some_and(|at| at.associated || blocks.saturating_mul(RARE) < at.most)
    }

    /// Whether the call site may be another way to where it leaks, which processes of their own take.
    pub(super) fn may_be_apart(
        &self,
        site: &Judged,
        (records, places): (&[Record], &Sites),
    ) -> bool {
        let Some(leaking) = short_line(places, site.id).and_then(|at| self.short_lines.get(&at))
        else {
            return false;
        };
        processes_of(site, records).all(|process| !leaking.contains(&process))
    }

    pub(super) fn is_unknown(&mut self, unknown: &Unknown, site: SiteId) {
        for (process, born) in unknown.get(&site).into_iter().flatten() {
            self.unknown.entry(*process).or_default().push(*born);
        }
    }

    pub(super) fn processes(&self) -> Vec<ProcessId> {
        let all = [&self.births, &self.maybe, &self.unknown];
        let mut all: Vec<ProcessId> = all
            .iter()
            .flat_map(|births| births.keys().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn is_certain(&self) -> bool {
        self.undecided.is_empty() && self.processes().is_empty()
    }

    /// At least and at most so many of its requests, which are `spans`, leak.
    pub(super) fn range(mut self, spans: &FxHashMap<ProcessId, Vec<Span>>) -> [u64; 2] {
        let may_leak = |span: &Span| {
            let known = self.leaks && !self.statuses.is_empty() && span.status.is_some();
            !known || self.statuses.contains(&span.status) || self.statuses.contains(&None)
        };
        let of_process = |spans: &Vec<Span>| spans.iter().copied().filter(may_leak).collect();
        let spans = spans
            .iter()
            .map(|(process, spans)| (*process, of_process(spans)));
        let spans: FxHashMap<ProcessId, Vec<Span>> = spans.collect();
        let count = |wanted: &dyn Fn(&Span) -> bool| -> u64 {
            let all = spans.values().flatten();
            all.filter(|span| wanted(span)).map(|span| span.count).sum()
        };
        let told = self.told.len() as u64;
        let mut least = told;
        // One that stands for several tells that one of these leaks.
        let mut most = told.max(count(&|span| self.told.contains(&span.request)))
            + count(&|span| {
                !self.told.contains(&span.request) && self.undecided.contains(&span.request)
            });
        let told: FxHashSet<RequestId> = self.told.union(&self.undecided).copied().collect();
        for process in self.processes() {
            let mut births = self.births.remove(&process).unwrap_or_default();
            births.sort_unstable();
            let spans = spans.get(&process).map_or(&[][..], Vec::as_slice);
            least += fewest(&births, spans, &self.told);
            births.extend(self.maybe.remove(&process).unwrap_or_default());
            let unknown = self.unknown.remove(&process).unwrap_or_default();
            births.extend(made_by(&unknown, spans));
            births.sort_unstable();
            let after = self.after.get(&process).copied().unwrap_or(0);
            most += candidates(&births, spans, (&told, after));
        }
        [least, most]
    }
}
