//! How often a hint names a label by chance: from a sample of what workers did.

use super::groups::{GroupId, Groups, Key};
use super::site::Observation;
use crate::ledger::holding::Hints;
use crate::ledger::holding::Moment;
use crate::requests::record::Record;

/// Which hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Hint {
    Last,
    Next,
    Task,
}

/// The request that the hint names.
pub(super) fn hinted(observation: &Observation, hint: Hint) -> Option<u32> {
    match hint {
        Hint::Last => observation.hints.last,
        Hint::Next => observation.hints.next,
        Hint::Task => observation.hints.task,
    }
}

/// Kinds of moments: with and without what was touched last, which had been answered or not, and next.
const KINDS: usize = 6;

/// The shares of a process.
#[derive(Debug, Default)]
pub(super) struct Moments {
    last: [Vec<f64>; KINDS],
    next: [Vec<f64>; KINDS],
    task: Vec<f64>,
}

/// Of which kind a moment with these hints is.
fn kind(hints: Hints) -> usize {
    let last = usize::from(hints.last.is_some()) + usize::from(hints.answered);
    2 * last.min(2) + usize::from(hints.next.is_some())
}

/// The sample counts as if it had so many moments more, with each label's share of the requests.
const PRIOR: f64 = 2.0;

impl Moments {
    pub(super) fn of(moments: &[Moment], records: &[Record], groups: &Groups) -> Moments {
        let shares: Vec<f64> = (0..groups.count() as GroupId)
            .map(|group| groups.share(group))
            .collect();
        let real = |request: u32| {
            let record = records.get(request as usize);
            record.is_some_and(|record| !record.void)
        };
        let by_kind = |of: fn(&Hints) -> Option<u32>| {
            std::array::from_fn(|wanted| {
                let mut counts: Vec<f64> = shares.iter().map(|share| share * PRIOR).collect();
                let mut total = PRIOR;
                for moment in moments.iter().filter(|moment| kind(moment.hints) == wanted) {
                    let request = of(&moment.hints).filter(|request| real(*request));
                    if let Some(group) = request.and_then(|request| groups.of_request(request)) {
                        counts[group as usize] += 1.0;
                        total += 1.0;
                    }
                }
                counts.iter().map(|count| count / total).collect()
            })
        };
        Moments {
            last: by_kind(|hints| hints.last),
            next: by_kind(|hints| hints.next),
            task: shares,
        }
    }

    /// The share of such moments whose hint names one of the key's requests.
    pub(super) fn share(&self, hint: Hint, hints: Hints, key: Key, groups: &Groups) -> f64 {
        let of_groups = match hint {
            Hint::Last => &self.last[kind(hints)],
            Hint::Next => &self.next[kind(hints)],
            Hint::Task => &self.task,
        };
        let members = groups.members(key).iter();
        members.map(|group| of_groups[*group as usize]).sum()
    }
}
