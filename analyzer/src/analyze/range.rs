//! How many requests of a label leak, where it is not known which ones.

mod spans;

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use super::ways::{Line, line, processes_of, short_line};
use crate::analysis::Verdict;
use crate::ledger::{Certain, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;
use crate::verdict::LEAK_REQUESTS;
use spans::{Ends, Span, beside, ends, fewest, made_by, spans_of};

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
    /// Labels that leak nowhere, but may have made what grows and is one label's or another's, or any one's or none's.
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
    /// The same by fewer frames: in which processes.
    short_lines: FxHashMap<Line, FxHashSet<ProcessId>>,
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

    /// Whether the call site may be another way to where it leaks, which processes of their own take.
    fn may_be_apart(&self, site: &Judged, (records, places): (&[Record], &Sites)) -> bool {
        let Some(leaking) = short_line(places, site.id).and_then(|at| self.short_lines.get(&at))
        else {
            return false;
        };
        processes_of(site, records).all(|process| !leaking.contains(&process))
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

/// For each label of which it is not known which requests leak: at least and at most so many do.
///
/// What nobody could be found for counts for all labels that leak at its call site or its line (the innermost
/// frames), and, where it grows, for all labels that leak nowhere and may have made it. Where requests left something
/// behind and all of that is proved, what is not proved is no request's. Where none is known to leak, nothing shows that
/// owners can be told there: what leaks and may be any one's is undecided.
pub(super) fn leaking_ranges(
    (sites, verdicts): (&[Judged], &FxHashMap<LabelId, Verdict>),
    leaking: &Leaking,
    records: &[Record],
    (unknown, [ambiguous, unclaimed]): (&Unknown, [&FxHashSet<SiteId>; 2]),
    places: &Sites,
) -> Ranges {
    let mut known = known_leaks((sites, verdicts), leaking, records, (unknown, places));
    let none_leaks = known.is_empty();
    add_undecided(sites, &mut known, records, (unknown, places));
    let parts = sites.iter().flat_map(|site| &site.labels);
    let mut kept = parts.flat_map(|part| &part.retained);
    let associates = kept.any(|kept| kept.associated);
    let grows = sites.iter().filter(|site| grows_for_nobody(site));
    let of_nobody: Vec<(SiteId, Whose)> = grows
        .map(|site| match site.outside.leaks() && none_leaks {
            _ if ambiguous.contains(&site.id) => (site.id, Whose::OneOrAnother),
            true if unclaimed.contains(&site.id) => (site.id, Whose::Anyones),
            _ => (site.id, Whose::Nobodys),
        })
        .collect();
    let untellable = of_nobody.iter().any(|(_, whose)| *whose != Whose::Nobodys);
    if !associates && !untellable && known.values().all(Known::is_certain) {
        return Ranges::default();
    }
    let spans = spans_of(records);
    let all = ends(&spans);
    let mut untold = FxHashSet::default();
    for (site, whose) in of_nobody {
        let untellable = whose != Whose::Nobodys;
        if associates || untellable {
            let site = (site, whose == Whose::Anyones);
            let added = add_unknown_growth(site, &mut known, (&spans, &all), unknown);
            untold.extend(added.into_iter().filter(|_| untellable));
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

/// What is known of the labels that leak.
fn known_leaks(
    (sites, verdicts): (&[Judged], &FxHashMap<LabelId, Verdict>),
    leaking: &Leaking,
    records: &[Record],
    (unknown, places): (&Unknown, &Sites),
) -> FxHashMap<LabelId, Known> {
    let mut known: FxHashMap<LabelId, Known> = FxHashMap::default();
    // What is too little to have a say is undecided, as the rest is.
    let leaks = |part: &&JudgedLabel| {
        let endpoint = verdicts.get(&part.label);
        part.verdict.leaks() && endpoint.is_some_and(|verdict| verdict.leaks())
    };
    for site in sites {
        for part in site.labels.iter().filter(leaks) {
            let of_label = known.entry(part.label).or_default();
            if let Some(line) = line(places, site.id) {
                let at = of_label.lines.entry(line).or_default();
                at.most = at.most.max(blocks(part));
                at.associated |= part.retained.iter().any(|kept| kept.associated);
            }
            if let Some(line) = short_line(places, site.id) {
                let processes = of_label.short_lines.entry(line).or_default();
                processes.extend(processes_of(site, records));
            }
            of_label.add_leak(part, leaking, records);
            // What is another label's may be this one's.
            let others = site.labels.iter().filter(|other| other.label != part.label);
            let unsure = others.flat_map(|other| &other.retained);
            of_label.may_be(unsure.filter(|kept| kept.associated), records);
            of_label.is_unknown(unknown, site.id);
        }
    }
    known
}

/// Whose blocks are that grow at a call site and are no request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Nobody was found.
    Nobodys,
    /// One label's or another's.
    OneOrAnother,
    /// Any label's, or none's.
    Anyones,
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
        let is_open = |part: &&JudgedLabel| {
            is_early(part.verdict) || part.verdict.leaks() && !leaking.contains(&part.label)
        };
        for part in site.labels.iter().filter(is_open) {
            let of_label = known.entry(part.label).or_default();
            let leaks_here = line
                .as_ref()
                .is_some_and(|line| of_label.may_be_of(line, blocks(part)))
                || of_label.may_be_apart(site, (records, places));
            let leaks_nowhere = !leaking.contains(&part.label);
            if leaks_here || leaks_nowhere && part.verdict <= Verdict::TooFewRequests {
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
/// births or more, or had just ended; where it may be `anyones`, that goes for all labels together, and for one a leak's
/// few births are enough. Tells which ones.
fn add_unknown_growth(
    (site, anyones): (SiteId, bool),
    known: &mut FxHashMap<LabelId, Known>,
    (spans, all): (&FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>>, &Ends),
    unknown: &Unknown,
) -> Vec<LabelId> {
    let births = unknown.get(&site).map_or(&[][..], Vec::as_slice);
    if births.is_empty() {
        return Vec::new();
    }
    let count = |beside: &[bool]| beside.iter().filter(|is_beside| **is_beside).count();
    let is_half = |beside: &[bool]| count(beside) * 2 >= births.len();
    let mut of_all = vec![false; births.len()];
    let mut of_labels: Vec<(LabelId, Vec<bool>)> = Vec::new();
    for (label, spans) in spans {
        let of_label = beside(births, spans, all);
        let both = of_all.iter_mut().zip(&of_label);
        both.for_each(|(any, is_beside)| *any |= is_beside);
        of_labels.push((*label, of_label));
    }
    let mut added = Vec::new();
    for (label, of_label) in of_labels {
        let leaks = known.get(&label).is_some_and(|known| known.leaks);
        let may_own = match anyones {
            true => is_half(&of_all) && count(&of_label) as u64 >= LEAK_REQUESTS,
            false => is_half(&of_label),
        };
        if !leaks && may_own {
            let of_label = known.entry(label).or_default();
            of_label.is_unknown(unknown, site);
            // Nothing tells how long before it was asked for.
            for (process, born) in births.iter().filter(|_| anyones) {
                let after = of_label.after.entry(*process).or_default();
                *after = (*after).max(*born);
            }
            added.push(label);
        }
    }
    added
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
