//! Which requests of a label were in flight when something was made, or had just ended.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::trace::ProcessId;

/// When requests ended, sorted, by process.
pub(super) type Ends = FxHashMap<ProcessId, Vec<u64>>;

/// A request of the label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) request: RequestId,
    pub(super) status: Option<u32>,
    pub(super) count: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The requests of each label in each process.
pub(super) fn spans_of(records: &[Record]) -> FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>> {
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

/// When the requests of all labels ended.
pub(super) fn ends(spans: &FxHashMap<LabelId, FxHashMap<ProcessId, Vec<Span>>>) -> Ends {
    let mut all = Ends::default();
    for (process, spans) in spans.values().flatten() {
        let ends = spans.iter().map(|span| span.end);
        all.entry(*process).or_default().extend(ends);
    }
    all.values_mut().for_each(|ends| ends.sort_unstable());
    all
}

/// When requests of a label were in flight in a process.
struct Passed {
    reach: Vec<(u64, u64)>,
    ends: Vec<u64>,
    /// How long the longest that ended took.
    longest: u64,
}

impl Passed {
    fn of(spans: &[Span]) -> Passed {
        let mut ends: Vec<u64> = spans.iter().map(|span| span.end).collect();
        ends.sort_unstable();
        let ended = spans.iter().filter(|span| span.end < u64::MAX);
        let took = ended.map(|span| span.end.saturating_sub(span.start));
        Passed {
            reach: reach(spans),
            ends,
            longest: took.max().unwrap_or(0),
        }
    }

    /// Whether a request was in flight at `stamp`, or had just ended, the last one of `all`: what it leaves to others to
    /// do is done soon, in no more time than a request may take.
    fn is_beside(&self, stamp: u64, all: &[u64]) -> bool {
        let flies = begun_by(&self.reach, stamp).is_some_and(|last| last >= stamp);
        let ended = || last_before(&self.ends, stamp);
        flies
            || ended().is_some_and(|last| {
                stamp - last <= self.longest && Some(last) == last_before(all, stamp)
            })
    }
}

/// At which of the births a request was in flight, or had just ended. `all`: the ends of all labels' requests.
pub(super) fn beside(
    births: &[(ProcessId, u64)],
    spans: &FxHashMap<ProcessId, Vec<Span>>,
    all: &Ends,
) -> Vec<bool> {
    let passed = spans.iter();
    let passed = passed.map(|(process, spans)| (*process, Passed::of(spans)));
    let passed: FxHashMap<ProcessId, Passed> = passed.collect();
    let beside = births.iter().map(|(process, born)| {
        let ends = all.get(process).map_or(&[][..], Vec::as_slice);
        let passed = passed.get(process);
        passed.is_some_and(|passed| passed.is_beside(*born, ends))
    });
    beside.collect()
}

/// The last of these ends before `stamp`.
fn last_before(ends: &[u64], stamp: u64) -> Option<u64> {
    let before = ends.partition_point(|end| *end < stamp);
    before.checked_sub(1).map(|last| ends[last])
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

/// When a request of these may have made what was made at each of `births`: then, or as the last before ended (it may
/// have left work to others).
pub(super) fn made_by(births: &[u64], spans: &[Span]) -> Vec<u64> {
    let mut ends: Vec<u64> = spans.iter().map(|span| span.end).collect();
    ends.sort_unstable();
    let of = |born: &u64| [Some(*born), last_before(&ends, *born)];
    births.iter().flat_map(of).flatten().collect()
}

/// So many requests beside the told ones are needed at least, that one was in flight at each birth: each time the
/// one that lasts longest (a greedy cover of points by intervals is a smallest one).
pub(super) fn fewest(births: &[u64], spans: &[Span], told: &FxHashSet<RequestId>) -> u64 {
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

/// So many requests beside the told ones were in flight at any of the births, or had begun before `after`, when
/// something was made that a request leaves to be done.
pub(super) fn candidates(
    births: &[u64],
    spans: &[Span],
    (told, after): (&FxHashSet<RequestId>, u64),
) -> u64 {
    let meets = |span: &&Span| {
        let first = births.partition_point(|birth| *birth < span.start);
        span.start < after || births.get(first).is_some_and(|birth| *birth <= span.end)
    };
    let untold = spans.iter().filter(|span| !told.contains(&span.request));
    untold.filter(meets).map(|span| span.count).sum()
}
