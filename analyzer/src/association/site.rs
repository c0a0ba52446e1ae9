//! What is looked at of a call site.

use rustc_hash::{FxHashMap, FxHashSet};

use super::flight::{Around, LAGS};
use super::groups::GroupId;
use super::parts::Parts;
use crate::ledger::holding::Hints;
use crate::ledger::{Finished, FinishedSite, Loose};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::SiteId;

/// Blocks made at one moment by one worker.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) process: u32,
    /// Stamp.
    pub(super) born: u64,
    /// Stamp of the last that is one with it.
    pub(super) last: u64,
    /// What was made at the call site before this, in this process, has been freed.
    pub(super) since: u64,
    pub(super) hints: Hints,
    /// They are proved to be the request's that is the hint `last`.
    pub(super) proved: bool,
    /// So they are because they were made after its answer, where a worker may do anything.
    pub(super) in_tail: bool,
    pub(super) amount: Amount,
    /// Blocks of this observation, and of those that are one with it.
    pub(super) blocks: u64,
    /// How many requests of each group were in flight.
    pub(super) flight: Vec<(GroupId, u32)>,
    /// Those requests, the oldest first.
    pub(super) requests: Vec<RequestId>,
    /// How many of each group had ended shortly before, by how shortly.
    pub(super) ended: [Vec<(GroupId, u32)>; LAGS],
    /// The same as long as the same requests are in flight.
    pub(super) epoch: usize,
}

/// A call site's observations.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) all: Vec<Observation>,
    /// They came as a clock ticks, all of them.
    pub(super) ticks: bool,
}

/// So many intervals tell a clock, of which this part is ...
const INTERVALS: usize = 8;
const EVEN: f64 = 0.8;
/// ... as long as their median, give or take this part of it. Of what comes by chance a third is.
const NEARLY: f64 = 0.5;
/// What comes within this part of the mean interval is one tick's.
const TICK: u64 = 10;

/// Whether these births, sorted by process and stamp, come at even intervals, as those of a timer's work do.
fn ticks(all: &[Observation]) -> bool {
    let mut intervals: Vec<u64> = Vec::new();
    for of_process in all.chunk_by(|one, next| one.process == next.process) {
        let (first, last) = (of_process[0].born, of_process[of_process.len() - 1].born);
        let least = (last - first) / of_process.len() as u64 / TICK;
        let mut before = first;
        for seen in of_process {
            if seen.born - before > least {
                intervals.push(seen.born - before);
                before = seen.born;
            }
        }
    }
    intervals.sort_unstable();
    let Some(median) = intervals
        .get(intervals.len() / 2)
        .map(|median| *median as f64)
    else {
        return false;
    };
    let even = |interval: &&u64| (**interval as f64 - median).abs() <= NEARLY * median;
    let count = intervals.iter().filter(even).count();
    intervals.len() >= INTERVALS && count as f64 >= EVEN * intervals.len() as f64
}

/// So many blocks outside requests at least make proofs of a call site doubtful, if they are also this part of
/// all (one in so many).
const DOUBTFUL: usize = 3;
const DOUBTFUL_PART: usize = 50;

/// Why proofs at a call site are looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// It has blocks without proof, too.
    pub(super) mixed: bool,
    /// Nearly all were made after an answer, where a worker may do anything.
    pub(super) tail: bool,
}

/// Call sites of proved blocks whose proofs may be none.
pub(super) fn doubtful(
    processes: &[&mut Finished],
    by_site: &FxHashMap<SiteId, Vec<(usize, usize)>>,
) -> FxHashMap<SiteId, Doubt> {
    #[derive(Default)]
    struct Counts {
        proved: usize,
        others: usize,
        blocks: u64,
        tail_blocks: u64,
    }
    let mut counts: FxHashMap<SiteId, Counts> = FxHashMap::default();
    for site in processes.iter().flat_map(|finished| &finished.sites) {
        let counts = counts.entry(site.id).or_default();
        counts.proved += site.retained.len();
        counts.others += site.outside_births.len();
        counts.blocks += site.retained.iter().map(|kept| kept.blocks).sum::<u64>();
        counts.tail_blocks += site
            .retained
            .iter()
            .map(|kept| kept.tail_blocks)
            .sum::<u64>();
    }
    for (site, places) in by_site {
        let is_first = |(process, at): &&(usize, usize)| !processes[*process].loose[*at].is_further;
        counts.entry(*site).or_default().others += places.iter().filter(is_first).count();
    }
    let doubt = |counts: &Counts| Doubt {
        mixed: counts.others >= DOUBTFUL
            && counts.others * DOUBTFUL_PART >= counts.proved + counts.others,
        tail: counts.tail_blocks * 10 >= counts.blocks * 9,
    };
    counts
        .into_iter()
        .filter(|(_, counts)| counts.proved > 0)
        .map(|(site, counts)| (site, doubt(&counts)))
        .filter(|(_, doubt)| *doubt != Doubt::default())
        .collect()
}

/// A label's requests come to a call site as a rule where this part of them (in percent) does.
const REGULAR: u64 = 50;

/// Whether the requests of some label leave blocks at the site as a rule, and as many each: what another work
/// leaves beside them comes now and then.
pub(super) fn is_regular(
    site: SiteId,
    (parts, processes): (&Parts, &[&mut Finished]),
    records: &[Record],
) -> bool {
    let kept = parts
        .of_site(site, processes)
        .flat_map(|(_, part)| &part.retained);
    let mut by_label: FxHashMap<LabelId, Vec<u64>> = FxHashMap::default();
    for kept in kept {
        if let Some(label) = records
            .get(kept.request as usize)
            .and_then(|record| record.label)
        {
            by_label.entry(label).or_default().push(kept.blocks);
        }
    }
    by_label.into_iter().any(|(label, blocks)| {
        let all = parts.requests(label);
        let first = blocks.first().copied().unwrap_or(0);
        let alike = blocks.iter().filter(|blocks| **blocks == first).count();
        blocks.len() as u64 * 100 >= all * REGULAR && alike * 10 >= blocks.len() * 9
    })
}

impl Observed {
    /// Of `site`, whose loose blocks are at `places`; `most` are looked at, evenly over all.
    pub(super) fn of(
        site: SiteId,
        (parts, processes): (&Parts, &[&mut Finished]),
        places: &[(usize, usize)],
        (most, pauses): (usize, &[u64]),
    ) -> Observed {
        let (mut all, mut strewn) = (Vec::new(), Vec::new());
        for (process, at) in places {
            let loose: &Loose = &processes[*process].loose[*at];
            let first = Observation {
                amount: loose.served,
                blocks: loose.served.blocks,
                ..Observation::of(*process, loose.born, loose.hints)
            };
            all.push(first);
            strewn.extend(further(all.last_mut(), loose, pauses[*process]));
        }
        for (process, part) in parts.of_site(site, processes) {
            let births = part.outside_births.iter();
            all.extend(births.map(|born| Observation::of(process, *born, Hints::default())));
            // What is proved tells who else comes here.
            for kept in &part.retained {
                let in_tail = kept.tail_blocks == kept.blocks;
                let hints = Hints {
                    last: Some(kept.request),
                    answered: in_tail,
                    ..Hints::default()
                };
                all.push(Observation {
                    proved: true,
                    in_tail,
                    amount: kept.amount(),
                    blocks: kept.blocks,
                    ..Observation::of(process, kept.born, hints)
                });
            }
        }
        for (process, since) in seen_since(parts.of_site(site, processes), &all) {
            let own = all.iter_mut().filter(|seen| seen.process == process);
            own.for_each(|seen| seen.since = since);
        }
        all.sort_by_key(|observation| (observation.process, observation.born));
        let ticks = ticks(&all);
        all.append(&mut strewn);
        all.sort_by_key(|observation| (observation.process, observation.born));
        Observed {
            ticks,
            all: thinned(all, most),
        }
    }
}

/// More than these are not made of one.
const FURTHER: u64 = 64;

/// What a thread makes while nothing begins or ends is told as one, by its first and its last. Where it takes longer
/// than a piece of work does, it is several: else there would be too little of what comes in a long quiet.
fn further(
    first: Option<&mut Observation>,
    loose: &Loose,
    pause: u64,
) -> impl Iterator<Item = Observation> {
    let span = loose.last.saturating_sub(loose.born);
    let most = (span / (2 * pause + 1)).min(FURTHER);
    let more = loose.served.blocks.saturating_sub(1).min(most);
    let each = loose.served.blocks / (more + 1);
    let first = first.map(|first| {
        first.blocks -= more * each;
        first.clone()
    });
    (1..=more).filter_map(move |place| {
        let since = u128::from(span) * u128::from(place) / u128::from(more);
        let first = first.as_ref()?;
        Some(Observation {
            blocks: each,
            amount: first.amount,
            ..Observation::of(
                first.process as usize,
                first.born + since as u64,
                first.hints,
            )
        })
    })
}

/// Where survivors of the call site were freed, and so only the newest may be left: since when there are any, by
/// process.
fn seen_since<'p>(
    parts: impl Iterator<Item = (usize, &'p FinishedSite)>,
    all: &[Observation],
) -> FxHashMap<u32, u64> {
    let with_frees: FxHashSet<u32> = parts
        .filter(|(_, part)| part.has_frees())
        .map(|(process, _)| process as u32)
        .collect();
    let mut since: FxHashMap<u32, u64> = FxHashMap::default();
    for seen in all.iter().filter(|seen| with_frees.contains(&seen.process)) {
        let first = since.entry(seen.process).or_insert(u64::MAX);
        *first = (*first).min(seen.born);
    }
    since
}

impl Observed {
    /// Since when blocks can be seen, by process.
    pub(super) fn since(&self) -> FxHashMap<u32, u64> {
        let mut since: FxHashMap<u32, u64> = FxHashMap::default();
        for seen in &self.all {
            let first = since.entry(seen.process).or_insert(u64::MAX);
            *first = (*first).min(seen.since);
        }
        since
    }

    /// Whether most are proved to be made for an answer: then requests make them, however evenly they come.
    pub(super) fn is_mostly_proved(&self) -> bool {
        let proved = |seen: &&Observation| seen.proved && !seen.in_tail;
        2 * self.all.iter().filter(proved).count() > self.all.len()
    }

    /// Blocks that were looked at.
    pub(super) fn blocks(&self) -> u64 {
        self.all.iter().map(|observation| observation.blocks).sum()
    }

    /// Those of several sites.
    pub(super) fn of_all<'o>(
        sites: impl Iterator<Item = &'o Observed>,
        pauses: &[u64],
    ) -> Observed {
        let mut all: Vec<Observation> = sites.flat_map(|site| site.all.iter().cloned()).collect();
        all.sort_by_key(|observation| (observation.process, observation.born));
        let mut observed = Observed {
            ticks: ticks(&all),
            all,
        };
        observed.merge_bursts(pauses);
        observed
    }

    /// Blocks of the same circumstances may be one request's, or one job's: they are one observation, where one comes
    /// soon after the other. What comes now and then in a long quiet is several: else there would be too few
    /// observations of quiet. `pauses`: how soon, by process.
    pub(super) fn merge_bursts(&mut self, pauses: &[u64]) {
        self.all.dedup_by(|later, kept| {
            let same = (later.process, later.hints, later.proved, later.epoch)
                == (kept.process, kept.hints, kept.proved, kept.epoch);
            // Of several call sites, one may have ended later than the other began.
            let soon = later.born.saturating_sub(kept.last) <= pauses[kept.process as usize];
            if same && soon {
                kept.blocks += later.blocks;
                kept.last = kept.last.max(later.last);
            }
            same && soon
        });
    }
}

impl Observation {
    /// When it was made, and since when such as it can be seen.
    pub(super) fn around(&self) -> Around {
        Around {
            stamp: self.born,
            since: self.since,
        }
    }

    /// How many requests were in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.flight.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn of(process: usize, born: u64, hints: Hints) -> Observation {
        Observation {
            process: process as u32,
            born,
            last: born,
            since: 0,
            hints,
            proved: false,
            in_tail: false,
            amount: Amount::one(0),
            blocks: 1,
            requests: Vec::new(),
            ended: Default::default(),
            flight: Vec::new(),
            epoch: 0,
        }
    }
}

/// At most `most` of them, evenly spread.
fn thinned(mut all: Vec<Observation>, most: usize) -> Vec<Observation> {
    let count = all.len();
    if count <= most {
        return all;
    }
    let mut index = 0;
    all.retain(|_| {
        let kept = index * most / count != (index + 1) * most / count;
        index += 1;
        kept
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_after_answers_proves_nothing_against_a_clock() {
        let is_mostly_proved = |seen: [(bool, bool); 3]| {
            let observation = |(proved, in_tail)| Observation {
                proved,
                in_tail,
                ..Observation::of(0, 1, Hints::default())
            };
            let all = seen.map(observation).into();
            Observed { all, ticks: true }.is_mostly_proved()
        };
        let (unproved, proved, tidying) = ((false, false), (true, false), (true, true));
        assert!(is_mostly_proved([proved, proved, unproved]));
        assert!(!is_mostly_proved([proved, unproved, unproved]));
        assert!(!is_mostly_proved([proved, tidying, tidying]));
    }
}
