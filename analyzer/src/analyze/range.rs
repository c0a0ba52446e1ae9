//! How many requests of a label leak, where it is not known which ones.

mod known;
mod spans;

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use super::ways::{line, processes_of, short_line};
use crate::analysis::Verdict;
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sites::{Memory, SiteId, Sites};
use crate::trace::ProcessId;
use crate::verdict::LEAK_REQUESTS;
pub(super) use known::Leaking;
use known::{Known, Unknown};
use spans::{Ends, Span, beside, ends, spans_of};

/// How many of each label's requests leak, where that is not certain.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// At least and at most.
    pub(super) of_labels: FxHashMap<LabelId, [u64; 2]>,
    /// Labels that leak nowhere, but may have made what grows and is one label's or another's, or any one's or none's.
    pub(super) untold: FxHashSet<LabelId>,
}

/// For each label of which it is not known which requests leak: at least and at most so many do.
///
/// What nobody could be found for counts for all labels that leak at its call site or its line (the innermost
/// frames), and, where it grows, for all labels that leak nowhere and may have made it. Where requests left something
/// behind and all of that is proved, what is not proved is no request's. What leaks and may be any one's is undecided where
/// labels that are known to leak keep less: nothing shows that the owners of so much can be told there.
pub(super) fn leaking_ranges(
    (sites, verdicts): (&[Judged], &FxHashMap<LabelId, Verdict>),
    leaking: &Leaking,
    records: &[Record],
    (unknown, [ambiguous, unclaimed]): (&Unknown, [&FxHashSet<SiteId>; 2]),
    places: &Sites,
) -> Ranges {
    let mut known = known_leaks((sites, verdicts), leaking, records, (unknown, places));
    let told: u64 = known.values().map(|known| known.bytes).sum();
    add_undecided(sites, &mut known, records, (unknown, places));
    let parts = sites.iter().flat_map(|site| &site.labels);
    let mut kept = parts.flat_map(|part| &part.retained);
    let associates = kept.any(|kept| kept.associated);
    let grows = sites.iter().filter(|site| grows_for_nobody(site));
    let of_nobody: Vec<(SiteId, Whose)> = grows
        .map(
            |site| match site.outside.leaks() && told < site.outside_grown().bytes {
                _ if ambiguous.contains(&site.id) => (site.id, Whose::OneOrAnother),
                true if unclaimed.contains(&site.id) => (site.id, Whose::Anyones),
                _ => (site.id, Whose::Nobodys),
            },
        )
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
            if places.memory(site.id) != Memory::Stack {
                let kept = part.retained.iter().map(|kept| kept.bytes);
                of_label.bytes += kept.sum::<u64>();
            }
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

#[cfg(test)]
mod tests;
