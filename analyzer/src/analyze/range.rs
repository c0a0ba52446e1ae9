//! How many requests of a label leak, where it is not known which ones.

use rustc_hash::{FxHashMap, FxHashSet};

use super::result::Leaking;
use super::sites::Judged;
use crate::ledger::Certain;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;
use crate::trace::ProcessId;

/// What is known of a label's leaking requests.
#[derive(Debug, Default)]
struct Known {
    told: FxHashSet<RequestId>,
    /// Births of blocks that are one or another request's.
    births: FxHashMap<ProcessId, Vec<u64>>,
    /// Births of blocks that may be one of its requests', too.
    maybe: FxHashMap<ProcessId, Vec<u64>>,
    /// The last birth of such blocks as a request may have made when it had ended.
    after: FxHashMap<ProcessId, u64>,
    /// Births of blocks whose owner could not be told.
    unknown: FxHashMap<ProcessId, Vec<u64>>,
}

/// For each label with such blocks: at least and at most so many requests leak.
pub(super) fn leaking_ranges(
    sites: &[Judged],
    leaking: &Leaking,
    records: &[Record],
    unknown: &FxHashMap<SiteId, Vec<(ProcessId, u64)>>,
) -> FxHashMap<LabelId, [u64; 2]> {
    let mut known: FxHashMap<LabelId, Known> = FxHashMap::default();
    for site in sites {
        for part in site.labels.iter().filter(|part| part.verdict.leaks()) {
            let of_label = known.entry(part.label).or_default();
            for kept in part.retained.iter().filter(|kept| kept.is_used()) {
                let record = records.get(kept.request as usize);
                let process = record.map_or(0, |record| record.process);
                let ended = record.and_then(|record| record.end);
                if kept.certain != Certain::Request && ended.is_some_and(|end| end < kept.last) {
                    let after = of_label.after.entry(process).or_default();
                    *after = (*after).max(kept.last);
                }
                let births = match kept.certain {
                    Certain::Request if leaking.contains_key(&kept.request) => {
                        of_label.told.insert(kept.request);
                        continue;
                    }
                    Certain::Request => continue,
                    Certain::Label => &mut of_label.births,
                    Certain::Neither => &mut of_label.maybe,
                };
                births.entry(process).or_default().push(kept.born);
                of_label.maybe.entry(process).or_default().push(kept.last);
            }
            // What is another label's may be this one's.
            let others = site.labels.iter().filter(|other| other.label != part.label);
            let unsure = others.flat_map(|other| &other.retained);
            for kept in unsure.filter(|kept| kept.associated) {
                let process = records
                    .get(kept.request as usize)
                    .map_or(0, |record| record.process);
                let maybe = of_label.maybe.entry(process).or_default();
                maybe.extend([kept.born, kept.last]);
            }
            for (process, born) in unknown.get(&site.id).into_iter().flatten() {
                of_label.unknown.entry(*process).or_default().push(*born);
            }
        }
    }
    known.retain(|_, known| {
        !(known.births.is_empty() && known.maybe.is_empty() && known.unknown.is_empty())
    });
    if known.is_empty() {
        return FxHashMap::default();
    }
    let mut spans: FxHashMap<(LabelId, ProcessId), Vec<Span>> = FxHashMap::default();
    for (request, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
        let Some(label) = record.label.filter(|label| known.contains_key(label)) else {
            continue;
        };
        spans
            .entry((label, record.process))
            .or_default()
            .push(Span {
                request,
                count: u64::from(record.count),
                start: record.start,
                end: record.end.unwrap_or(u64::MAX),
            });
    }
    let range = |(label, mut known): (LabelId, Known)| {
        let told: u64 = known.told.len() as u64;
        let (mut least, mut most) = (told, told);
        let mut processes: Vec<ProcessId> = known
            .births
            .keys()
            .chain(known.maybe.keys())
            .chain(known.unknown.keys())
            .copied()
            .collect();
        processes.sort_unstable();
        processes.dedup();
        for process in processes {
            let mut births = known.births.remove(&process).unwrap_or_default();
            births.sort_unstable();
            let spans = spans.remove(&(label, process)).unwrap_or_default();
            least += fewest(&births, &spans, &known.told);
            births.extend(known.maybe.remove(&process).unwrap_or_default());
            let unknown = known.unknown.remove(&process).unwrap_or_default();
            births.extend(made_by(&unknown, &spans));
            births.sort_unstable();
            let begun = spans.iter().filter(|span| {
                let after = known.after.get(&process);
                after.is_some_and(|after| span.start < *after)
                    && !known.told.contains(&span.request)
            });
            let begun: u64 = begun.map(|span| span.count).sum();
            most += candidates(&births, &spans, &known.told).max(begun);
        }
        (label, [least, most])
    };
    known.into_iter().map(range).collect()
}

/// A request of the label.
#[derive(Clone, Copy, Debug)]
struct Span {
    request: RequestId,
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

/// When a request of these may have made what was made at each of `births`: then, or where none was in flight, as the
/// last before ended (it may have left work to others).
fn made_by(births: &[u64], spans: &[Span]) -> Vec<u64> {
    let mut ends: Vec<(u64, u64)> = spans.iter().map(|span| (span.start, span.end)).collect();
    ends.sort_unstable();
    let mut last = 0;
    for (_, end) in &mut ends {
        last = last.max(*end);
        *end = last;
    }
    let of = |born: &u64| {
        let begun = ends.partition_point(|(start, _)| start <= born);
        let (_, last) = ends.get(begun.checked_sub(1)?)?;
        Some(*born.min(last))
    };
    births.iter().filter_map(of).collect()
}

/// So many requests beside the told ones were in flight at any of the births.
fn candidates(births: &[u64], spans: &[Span], told: &FxHashSet<RequestId>) -> u64 {
    let meets = |span: &&Span| {
        let first = births.partition_point(|birth| *birth < span.start);
        births.get(first).is_some_and(|birth| *birth <= span.end)
    };
    let untold = spans.iter().filter(|span| !told.contains(&span.request));
    untold.filter(meets).map(|span| span.count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_in_flight_made_may_be_of_the_last_before() {
        let span = |request, start, end| Span {
            request,
            count: 1,
            start,
            end,
        };
        let spans = [span(1, 30, 40), span(0, 10, 20), span(2, 32, 50)];
        let births = made_by(&[5, 15, 25, 33, 60], &spans);
        assert_eq!(births, [15, 20, 33, 50]);
        let none = FxHashSet::default();
        assert_eq!(candidates(&[20], &spans, &none), 1);
        assert_eq!(candidates(&births, &spans, &none), 3);
        assert_eq!(candidates(&births, &spans, &FxHashSet::from_iter([2])), 2);
        assert_eq!(fewest(&[15, 33, 35], &spans, &none), 2);
    }
}
