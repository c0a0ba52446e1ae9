//! How many requests of a label leak, where it is not known which ones.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use super::ways::{Line, line};
use crate::analysis::Verdict;
use crate::ledger::{Certain, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;

/// What a request of a label that leaks retained at sites where it does: blocks and bytes. Of requests that can't be told
/// apart, one of those that may be meant.
pub(super) type Leaking = FxHashMap<RequestId, (u64, u64)>;

/// Births of blocks whose owner could not be told, by call site.
type Unknown = FxHashMap<SiteId, Vec<(ProcessId, u64)>>;

/// How many of each label's requests leak, where that is not certain.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// At least and at most.
    pub(super) of_labels: FxHashMap<LabelId, [u64; 2]>,
    /// Labels that leak nowhere, but may have made what grows and is one label's or another's.
    pub(super) untold: FxHashSet<LabelId>,
}

/// What is known of a label's leaking requests.
#[derive(Debug, Default)]
struct Known {
    /// It is called leaking somewhere.
    leaks: bool,
    told: FxHashSet<RequestId>,
    /// Answers with these statuses leak; what had none may be any of them.
    statuses: FxHashSet<Option<u32>>,
    /// Requests that leak if what they kept at undecided call sites does.
    undecided: FxHashSet<RequestId>,
    /// Births of blocks that are one or another request's.
    births: FxHashMap<ProcessId, Vec<u64>>,
    /// Births of blocks that may be one of its requests', too.
    maybe: FxHashMap<ProcessId, Vec<u64>>,
    /// The last birth of such blocks as a request may have made when it had ended.
    after: FxHashMap<ProcessId, u64>,
    /// Births of blocks whose owner could not be told.
    unknown: FxHashMap<ProcessId, Vec<u64>>,
    /// Lines where it leaks.
    lines: FxHashMap<Line, AtLine>,
}

/// What a label leaks at a line.
#[derive(Clone, Copy, Debug, Default)]
struct AtLine {
    /// The most blocks that it retained by one way.
    most: u64,
    /// Not all of them are proved to be its.
    associated: bool,
}

/// A rare way to a line where much leaks leaves less than one block in so many.
const RARE: u64 = 4;

impl Known {
    /// Takes what the label keeps at a call site where it leaks.
    fn add_leak(&mut self, part: &JudgedLabel, leaking: &Leaking, records: &[Record]) {
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
                Certain::Request if leaking.contains_key(&kept.request) => {
                    self.told.insert(kept.request);
                    continue;
                }
                Certain::Request => continue,
                Certain::Label => &mut self.births,
                Certain::Neither => &mut self.maybe,
            };
            births.entry(process).or_default().push(kept.born);
            self.maybe.entry(process).or_default().push(kept.last);
        }
    }

    /// Takes what may be the label's.
    fn may_be<'k>(&mut self, kept: impl Iterator<Item = &'k Retained>, records: &[Record]) {
        for kept in kept {
            let record = records.get(kept.request as usize);
            let process = record.map_or(0, |record| record.process);
            let maybe = self.maybe.entry(process).or_default();
            maybe.extend([kept.born, kept.last]);
        }
    }

    /// Takes what the label keeps at a call site where it may leak.
    fn may_leak(&mut self, part: &JudgedLabel, records: &[Record]) {
        let used = || part.retained.iter().filter(|kept| kept.is_used());
        let (certain, others): (Vec<&Retained>, Vec<&Retained>) =
            used().partition(|kept| kept.certain == Certain::Request);
        self.undecided
            .extend(certain.iter().map(|kept| kept.request));
        self.may_be(others.into_iter(), records);
    }

    /// Whether so many blocks may be what another way to a line leaves where it leaks: where that is proved, a rare way.
    fn may_be_of(&self, line: &Line, blocks: u64) -> bool {
        let at = self.lines.get(line);
        at.is_some_and(|at| at.associated || blocks.saturating_mul(RARE) < at.most)
    }

    fn is_unknown(&mut self, unknown: &Unknown, site: SiteId) {
        for (process, born) in unknown.get(&site).into_iter().flatten() {
            self.unknown.entry(*process).or_default().push(*born);
        }
    }

    fn processes(&self) -> Vec<ProcessId> {
        let all = [&self.births, &self.maybe, &self.unknown];
        let mut all: Vec<ProcessId> = all
            .iter()
            .flat_map(|births| births.keys().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn is_certain(&self) -> bool {
        self.undecided.is_empty() && self.processes().is_empty()
    }

    /// At least and at most so many of its requests, which are `spans`, leak.
    fn range(mut self, spans: &FxHashMap<ProcessId, Vec<Span>>) -> [u64; 2] {
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
        let mut most = told
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

/// For each label of which it is not known which requests leak: at least and at most so many do.
///
/// What nobody could be found for counts for all labels that leak at its call site or its line (the innermost
/// frames), and, where it grows, for all labels that leak nowhere and may have made it. Where all that requests left
/// behind is proved, what is not proved is no request's.
pub(super) fn leaking_ranges(
    sites: &[Judged],
    leaking: &Leaking,
    records: &[Record],
    (unknown, ambiguous): (&Unknown, &FxHashSet<SiteId>),
    places: &Sites,
) -> Ranges {
    let mut known: FxHashMap<LabelId, Known> = FxHashMap::default();
    for site in sites {
        for part in site.labels.iter().filter(|part| part.verdict.leaks()) {
            let of_label = known.entry(part.label).or_default();
            if let Some(line) = line(places, site.id) {
                let at = of_label.lines.entry(line).or_default();
                at.most = at.most.max(blocks(part));
                at.associated |= part.retained.iter().any(|kept| kept.associated);
            }
            of_label.add_leak(part, leaking, records);
            // What is another label's may be this one's.
            let others = site.labels.iter().filter(|other| other.label != part.label);
            let unsure = others.flat_map(|other| &other.retained);
            of_label.may_be(unsure.filter(|kept| kept.associated), records);
            of_label.is_unknown(unknown, site.id);
        }
    }
    add_undecided(sites, &mut known, records, (unknown, places));
    let parts = sites.iter().flat_map(|site| &site.labels);
    let mut kept = parts.flat_map(|part| &part.retained);
    let associates = kept.any(|kept| kept.associated);
    let grows = sites.iter().filter(|site| grows_for_nobody(site));
    let of_nobody: Vec<SiteId> = grows.map(|site| site.id).collect();
    let is_ambiguous = of_nobody.iter().any(|site| ambiguous.contains(site));
    if !associates && !is_ambiguous && known.values().all(Known::is_certain) {
        return Ranges::default();
    }
    let spans = spans_of(records);
    let mut untold = FxHashSet::default();
    for site in of_nobody {
        let is_ambiguous = ambiguous.contains(&site);
        if associates || is_ambiguous {
            let added = add_unknown_growth(site, &mut known, &spans, unknown);
            untold.extend(added.into_iter().filter(|_| is_ambiguous));
        }
    }
    known.retain(|_, known| !known.is_certain());
    let none = FxHashMap::default();
    let range =
        |(label, known): (LabelId, Known)| (label, known.range(spans.get(&label).unwrap_or(&none)));
    Ranges {
        of_labels: known.into_iter().map(range).collect(),
        untold,
    }
}

/// Whether blocks grow at the call site that are no request's.
fn grows_for_nobody(site: &Judged) -> bool {
    site.outside.leaks() || site.outside == Verdict::TooFewRequests
}

/// What the label retained at the call site.
fn blocks(part: &JudgedLabel) -> u64 {
    part.retained.iter().map(|kept| kept.blocks).sum()
}

/// Adds what is undecided: of a label that leaks only where it is at the same line as a leak (the first request comes
/// to a line by another way than those that follow, or one request of many).
fn add_undecided(
    sites: &[Judged],
    known: &mut FxHashMap<LabelId, Known>,
    records: &[Record],
    (unknown, places): (&Unknown, &Sites),
) {
    let is_early = |verdict| matches!(verdict, Verdict::TooFewRequests | Verdict::WarmUp);
    let leaking: FxHashSet<LabelId> = known.keys().copied().collect();
    for site in sites {
        let line = line(places, site.id);
        for part in site.labels.iter().filter(|part| is_early(part.verdict)) {
            let of_label = known.entry(part.label).or_default();
            let leaks_here = line
                .as_ref()
                .is_some_and(|line| of_label.may_be_of(line, blocks(part)));
            let leaks_nowhere = !leaking.contains(&part.label);
            if leaks_here || leaks_nowhere && part.verdict == Verdict::TooFewRequests {
                of_label.may_leak(part, records);
                // As at a leak: what is another label's, or nobody's, may be this one's.
                if part.retained.iter().any(|kept| kept.associated) {
                    let others = site.labels.iter().filter(|other| other.label != part.label);
                    let unsure = others.flat_map(|other| &other.retained);
                    of_label.may_be(unsure.filter(|kept| kept.associated), records);
                    of_label.is_unknown(unknown, site.id);
                }
            }
        }
        let Some(line) = line.filter(|_| site.outside.leaks() || is_early(site.outside)) else {
            continue;
        };
        let births = unknown.get(&site.id).map_or(0, Vec::len) as u64;
        for (label, of_label) in known.iter_mut() {
            let mut parts = site.labels.iter();
            let is_known = parts.any(|part| part.label == *label && part.verdict.leaks());
            if !is_known && of_label.may_be_of(&line, births) {
                of_label.is_unknown(unknown, site.id);
            }
        }
    }
}

/// Adds what grows at the call site and is nobody's to the labels that leak nowhere and were in flight at half of the
/// births or more; tells which ones.
fn add_unknown_growth(
    site: SiteId,
    known: &mut FxHashMap<LabelId, Known>,
    spans: &FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>>,
    unknown: &Unknown,
) -> Vec<LabelId> {
    let births = unknown.get(&site).map_or(&[][..], Vec::as_slice);
    let mut added = Vec::new();
    for (label, spans) in spans {
        let leaks = known.get(label).is_some_and(|known| known.leaks);
        if !leaks && !births.is_empty() && is_beside(births, spans) {
            known.entry(*label).or_default().is_unknown(unknown, site);
            added.push(*label);
        }
    }
    added
}

/// Whether a request was in flight at half of the births or more.
fn is_beside(births: &[(ProcessId, u64)], spans: &FxHashMap<ProcessId, Vec<Span>>) -> bool {
    let reach: FxHashMap<ProcessId, Vec<(u64, u64)>> = spans
        .iter()
        .map(|(process, spans)| (*process, reach(spans)))
        .collect();
    let beside = births.iter().filter(|(process, born)| {
        let last = reach.get(process).and_then(|reach| begun_by(reach, *born));
        last.is_some_and(|last| last >= *born)
    });
    beside.count() * 2 >= births.len()
}

/// The requests of each label in each process.
fn spans_of(records: &[Record]) -> FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>> {
    let mut spans: FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>> = FxHashMap::default();
    for (request, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
        if let Some(label) = record.label {
            let of_label = spans.entry(label).or_default();
            of_label.entry(record.process).or_default().push(Span {
                request,
                status: record.status,
                count: u64::from(record.count),
                start: record.start,
                end: record.end.unwrap_or(u64::MAX),
            });
        }
    }
    spans
}

/// A request of the label.
#[derive(Clone, Copy, Debug)]
struct Span {
    request: RequestId,
    status: Option<u32>,
    count: u64,
    start: u64,
    end: u64,
}

/// So many requests beside the told ones are needed at least, that one was in flight at each birth: each time the
/// one that lasts longest (a greedy cover of points by intervals is a smallest one).
fn fewest(births: &[u64], spans: &[Span], told: &FxHashSet<RequestId>) -> u64 {
    let mut spans: Vec<Span> = spans.to_vec();
    spans.sort_unstable_by_key(|span| span.start);
    let (mut next, mut longest, mut told_until) = (0, 0, 0);
    let (mut covered, mut needed) = (0, 0);
    for birth in births {
        while let Some(span) = spans.get(next).filter(|span| span.start <= *birth) {
            longest = longest.max(span.end);
            if told.contains(&span.request) {
                told_until = told_until.max(span.end);
            }
            next += 1;
        }
        if *birth > covered && *birth > told_until && longest >= *birth {
            covered = longest;
            needed += 1;
        }
    }
    needed
}

/// For each begin of a request, when the last of all that had begun by then ends.
fn reach(spans: &[Span]) -> Vec<(u64, u64)> {
    let mut ends: Vec<(u64, u64)> = spans.iter().map(|span| (span.start, span.end)).collect();
    ends.sort_unstable();
    let mut last = 0;
    for (_, end) in &mut ends {
        last = last.max(*end);
        *end = last;
    }
    ends
}

/// When the last ends of those that had begun by `stamp`; nothing if none had.
fn begun_by(reach: &[(u64, u64)], stamp: u64) -> Option<u64> {
    let begun = reach.partition_point(|(start, _)| *start <= stamp);
    let (_, last) = reach.get(begun.checked_sub(1)?)?;
    Some(*last)
}

/// When a request of these may have made what was made at each of `births`: then, or where none was in flight, as the
/// last before ended (it may have left work to others).
fn made_by(births: &[u64], spans: &[Span]) -> Vec<u64> {
    let reach = reach(spans);
    let of = |born: &u64| Some(*born.min(&begun_by(&reach, *born)?));
    births.iter().filter_map(of).collect()
}

/// So many requests beside the told ones were in flight at any of the births, or had begun before `after`, when
/// something was made that a request leaves to be done.
fn candidates(births: &[u64], spans: &[Span], (told, after): (&FxHashSet<RequestId>, u64)) -> u64 {
    let meets = |span: &&Span| {
        let first = births.partition_point(|birth| *birth < span.start);
        span.start < after || births.get(first).is_some_and(|birth| *birth <= span.end)
    };
    let untold = spans.iter().filter(|span| !told.contains(&span.request));
    untold.filter(meets).map(|span| span.count).sum()
}

#[cfg(test)]
mod tests;
