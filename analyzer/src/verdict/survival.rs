//! Do the requests of a group leak at a call site? By survival: how long do survivors there live that are freed,
//! and has what is left outlived that?
//!
//! A retained holding is *mature* when it has outlived the 98th percentile of the lives of what was freed at its
//! call site (twice that where its own group has frees), counted in requests, in visits of the site, in keepings
//! of its group and in time; and, where most of what lived died at once, when it was there already or is twice as
//! old as what died. Mature ones are a leak where there are more than a tail of long lives can hold, or where they
//! have been exposed so long that such a tail would have lost many, and where the keeping goes on: in the process
//! that keeps, and over the requests of all of them (the first requests of a server whose workers are replaced may be
//! all that some of those served). It is over for sure by the latter only where no process shows a leak by itself.
//!
//! The keeping has died down where its places among the requests lie early (Laplace's test), or where the last is so
//! early that an even rate would have gone on (a table that is filled at once and then full), unless it also began
//! late. A test of one in a hundred makes a leak undecided, one of one in a thousand makes it bounded.

pub(crate) mod chance;
mod collections;
#[cfg(test)]
mod garbage;
mod lesser;
mod mature;
#[cfg(test)]
mod pace;
mod process;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod workers;
#[cfg(test)]
mod young;

pub(super) use chance::{LEVEL, SUSPICIOUS};
use chance::{at_least, at_most, trend};
pub(super) use lesser::is_no_chance;
pub use mature::FALLING;
use mature::Mature;
pub use process::{InProcess, Kept};

use super::GroupEvidence;
use crate::analysis::Verdict;
use crate::ledger::{Age, Judged, Lives, MEASURES};
use crate::requests::record::RequestId;
use crate::sites::runtimes::Runtime;

/// A leak needs so many requests with mature survivors.
pub const LEAK_REQUESTS: u64 = 3;
/// The same where its group has frees.
pub const LEAK_REQUESTS_AMONG_FREES: u64 = 5;
/// A typical life: this part of the freed ones is shorter.
pub const TYPICAL: f64 = 0.98;
/// The measure of ages that is no count. A program starts slowly: the longest life in time may tell of that alone.
const TIME: usize = MEASURES - 1;
/// A leak is sure with so many times as many mature ones as it needs where its group has frees, ...
pub const SURE: u64 = 2;
/// ... with so many where it has none, as pools and tables of connections, threads or keys often come to so many, ...
pub const SURE_WITHOUT_FREES: u64 = 32;
/// ... and a trend above this (by chance below: one in ten).
pub const DOUBTFUL: f64 = -1.28;
/// Of processes that serve one request each one in so many may still run.
const ALONE: usize = 8;
/// A tail holds this part of all at most.
const TAIL: f64 = 0.05;
/// What lives in a tail lives so many typical lives more, on average.
const RESIDUAL: f64 = 4.0;
/// A warm-up is told from a leak after so many requests.
pub const WARM_UP_REQUESTS: u64 = 8;

/// Where this part of what a group keeps, or more, has stayed, the youngest will stay, too.
const ALL_STAY: f64 = 0.9;

/// Of a group's requests at least this part (one in so many) must have ended before the collection that tells of them.
const TOLD: u64 = 2;

/// A group at a call site, over all processes.
#[derive(Clone, Debug, Default)]
pub struct Group<'g> {
    /// By process.
    pub processes: Vec<InProcess<'g>>,
    /// Its requests in all processes, also those in which the site has no part, in order; empty: as in `processes`.
    pub everywhere: &'g [RequestId],
    /// Lives of what was freed at the site, of all groups, by measure.
    pub freed: [Lives; MEASURES],
    /// The runtime whose collector the site's blocks may wait for.
    pub runtime: Option<Runtime>,
    /// Live bytes at the site have stopped growing.
    pub steady: bool,
    /// Its places are moments, no requests: what a thread makes by itself comes more slowly where the processor is
    /// shared with others, and so a falling trend bounds nothing.
    pub by_time: bool,
    /// What was freed was not noted: a ring that is full holds the newest.
    pub unwatched: bool,
    /// Only a sample of the blocks was recorded: some of its requests kept what is not there.
    pub sampled: bool,
    /// Survivors of its requests, freed or not.
    pub survivors: u64,
    /// So many requests can be the newest of their kind: as many as there were at once.
    pub newest: u64,
    /// Of most of its requests what they keep had not come yet when serving ended.
    pub is_late: bool,
}

impl<'g> Group<'g> {
    /// Another group at the same site: the two are judged as one, by what both kept.
    pub fn absorb(&mut self, other: Group<'g>) {
        self.survivors += other.survivors;
        self.is_late |= other.is_late;
        self.everywhere = &[];
        for (process, more) in self.processes.iter_mut().zip(other.processes) {
            process.orders.extend(more.orders);
            process.orders.sort_unstable();
            process.kept.extend(more.kept);
            process.kept.sort_unstable_by_key(|kept| kept.order);
            for (place, kept) in process.kept.iter_mut().enumerate() {
                kept.first = place == 0;
            }
            process.lives = None;
            process.unowned = process.unowned.or(more.unowned);
        }
    }

    /// Whether what is kept goes with the process of each request, as a rule: those serve one, and end.
    pub fn goes_with_its_process(&self) -> bool {
        let goes = |process: &InProcess<'_>| process.gone && process.ended == 1;
        let (gone, stay): (Vec<_>, Vec<_>) = self.processes.iter().partition(|one| goes(one));
        let stay = stay.iter().filter(|process| !process.orders.is_empty());
        gone.len() as u64 >= WARM_UP_REQUESTS && stay.count() * ALONE <= gone.len()
    }

    /// How many requests it has.
    fn requests(&self) -> u64 {
        let each = self.processes.iter().map(|process| process.orders.len());
        each.sum::<usize>().max(self.everywhere.len()) as u64
    }

    /// Whether all that it kept is of the first quarter of its requests in all processes.
    fn is_early_everywhere(&self) -> bool {
        let quarter = self.everywhere.get(self.everywhere.len() / 4);
        quarter.is_some_and(|quarter| {
            let mut kept = self.processes.iter().flat_map(|process| &process.kept);
            kept.all(|kept| kept.request < *quarter)
        })
    }

    fn has_frees(&self) -> bool {
        self.own_freed() > 0
    }

    /// Whether a process that keeps something tells what becomes of it: else nothing there is old enough.
    fn is_watched(&self) -> bool {
        let limits = self.limits();
        let mut keeping = self.processes.iter().filter(|one| !one.kept.is_empty());
        keeping.any(|process| process.is_watched(process.old_until(limits)))
    }

    /// How many of its survivors were freed, or may have been its own.
    fn own_freed(&self) -> u64 {
        let own = |process: &InProcess<'_>| process.lives.map_or(0, |lives| lives.freed[0].count());
        let unowned = |process: &InProcess<'_>| process.unowned.map_or(0, |lives| lives[0].count());
        let processes = self.processes.iter();
        processes
            .map(|process| own(process) + unowned(process))
            .sum()
    }

    /// Lives of what was freed of its survivors, by measure.
    fn own_lives(&self) -> [Lives; MEASURES] {
        let mut own: [Lives; MEASURES] = Default::default();
        for lives in self.processes.iter().filter_map(|process| process.lives) {
            let each = own.iter_mut().zip(&lives.freed);
            each.for_each(|(own, freed)| own.merge(freed));
        }
        own
    }

    /// The limits of ages that count as mature, by measure; 0: none.
    fn limits(&self) -> [u64; MEASURES] {
        let own = self.has_frees();
        let times = if own { 2 } else { 1 };
        // What other groups freed at the site, and much more often, hides how long this one's live.
        let of_own = self.own_lives();
        let mut limits = [0; MEASURES];
        for ((limit, freed), own) in limits.iter_mut().zip(&self.freed).zip(&of_own) {
            *limit = times * freed.percentile(TYPICAL).max(own.percentile(TYPICAL));
        }
        let all = self.freed[TIME].percentile_but_longest(TYPICAL);
        limits[TIME] = times * all.max(of_own[TIME].percentile_but_longest(TYPICAL));
        // Keepings are the group's own.
        if !own {
            limits[2] = 0;
        }
        limits
    }

    /// Judges it. Where a collector of cyclic garbage runs, a leak is one in what that has told to be in use: the
    /// rest may be garbage that waits for it. Only where none was ever freed at the site, nor by the first full run
    /// after the serving, is what waits taken for a leak, too: of garbage some would have gone.
    pub fn judge(&self) -> (Verdict, GroupEvidence) {
        if let Some(runtime) = self.runtime {
            return self.by_collections(runtime);
        }
        let (verdict, evidence) = self.judge_all();
        let waiting = self.kept(|judged| judged != Judged::InUse);
        if waiting == 0 || verdict != Verdict::Leak {
            return (verdict, evidence);
        }
        let collected = self.kept(|judged| judged == Judged::Freed);
        let (told, of_told) = self.told().judge_all();
        match told {
            Verdict::Leak => (told, GroupEvidence { waiting, ..of_told }),
            _ if self.freed[0].count() == 0 && collected == 0 => {
                let evidence = GroupEvidence {
                    waiting,
                    is_untold: true,
                    ..evidence
                };
                (verdict, evidence)
            }
            _ => {
                let evidence = GroupEvidence {
                    waiting,
                    collected,
                    is_untold: true,
                    needed: None,
                    ..evidence
                };
                (Verdict::TooFewRequests, evidence)
            }
        }
    }

    /// How many of its requests kept something of which the collector has told this.
    fn kept(&self, is_meant: impl Fn(Judged) -> bool) -> u64 {
        let kept = self.processes.iter().flat_map(|process| &process.kept);
        kept.filter(|kept| is_meant(kept.judged)).count() as u64
    }

    /// What is left without those of its requests of which the collector has told nothing.
    fn told(&self) -> Group<'g> {
        let mut told = self.clone();
        told.everywhere = &[];
        for process in &mut told.processes {
            let untold = process.untold;
            let kept = std::mem::take(&mut process.kept);
            let (waits, kept): (Vec<Kept>, Vec<Kept>) = kept
                .into_iter()
                .partition(|kept| kept.judged != Judged::InUse);
            process.kept = kept;
            process.orders.retain(|order| {
                let waits = waits.binary_search_by_key(order, |kept| kept.order).is_ok();
                let kept = process.kept.binary_search_by_key(order, |kept| kept.order);
                kept.is_ok() || !waits && untold.binary_search(order).is_err()
            });
            if let Some(first) = process.kept.first_mut() {
                first.first = true;
            }
        }
        told
    }

    fn judge_all(&self) -> (Verdict, GroupEvidence) {
        let limits = self.limits();
        let typical = self.freed[0].percentile(TYPICAL);
        let found = self.mature(limits);
        let requests = self.requests();
        let retaining: u64 = self
            .processes
            .iter()
            .map(|process| process.kept.len() as u64)
            .sum();
        let needs = match self.has_frees() && typical > 0 {
            true => LEAK_REQUESTS_AMONG_FREES,
            false => LEAK_REQUESTS,
        };
        let goes_on = !(found.falls() || self.unwatched && found.is_late());
        let leaks =
            found.count >= needs && goes_on && self.is_more_than_a_tail(&found, limits[0], LEVEL);
        let verdict = match leaks {
            true => Verdict::Leak,
            false => self.lesser(&found, retaining, needs, limits[0]),
        };
        // How it goes on is not seen.
        let verdict = match verdict {
            Verdict::Leak | Verdict::Bounded | Verdict::WarmUp if self.is_late => {
                Verdict::TooFewRequests
            }
            verdict => verdict,
        };
        let evidence = GroupEvidence {
            requests,
            retaining,
            sampled: self.sampled,
            mature: found.count,
            most_of_one: found.most_of_one,
            needs,
            typical: (self.freed[0].count() > 0).then_some(typical),
            trend: found.shown_trend(),
            pace: found.pace(),
            freed: self.freed[0].count(),
            alone: verdict == Verdict::Bounded && self.goes_with_its_process(),
            is_late: self.is_late,
            needed: (verdict == Verdict::TooFewRequests)
                .then(|| self.needed(&found, requests, retaining, needs, limits[0])),
            ..GroupEvidence::default()
        };
        (verdict, evidence)
    }

    fn mature(&self, limits: [u64; MEASURES]) -> Mature {
        let mut found = Mature::default();
        let keeping = self.processes.iter();
        let keeping = keeping.filter(|process| !process.kept.is_empty());
        let several = keeping.count() > 1;
        // Where nothing of its own is freed, all that it keeps tells whether the keeping goes on.
        let own = self.has_frees();
        for process in &self.processes {
            let until = match (process.old_until(limits), own) {
                (until, true) if !process.is_watched(until) => 0,
                (until, _) => until,
            };
            found.dead(process, until, limits[0]);
            // Nothing has come after the last one: a program that is stopped right then may not have tidied up.
            let old = |kept: &&Kept| kept.order < until && process.age(kept.order) > 0;
            let mature = process.kept.iter().filter(old);
            for kept in mature.filter(|kept| !(several && kept.first)) {
                found.count += 1;
                let age = process.age(kept.order);
                found.exposure += age.saturating_sub(limits[0]) as f64;
            }
            let told = process.kept.iter();
            let told = told.filter(|kept| !own || kept.order < until);
            let place = |kept: &Kept| process.orders.partition_point(|order| *order < kept.order);
            let places: Vec<usize> = told.clone().map(place).collect();
            let requests = match own {
                true => process.orders.partition_point(|order| *order < until),
                false => process.orders.len(),
            };
            found.most_of_one = found.most_of_one.max(places.len() as u64);
            let own = found.add(&places, requests, several);
            found.one_goes_on |= !process.gone && goes_on_by_itself(own);
            let all = self.everywhere.len();
            if all > 0 && limits[0] == 0 {
                let places = told.map(|kept| {
                    let place = self.everywhere.partition_point(|one| *one < kept.request);
                    (place as f64 + 0.5) / all as f64
                });
                found.everywhere.extend(places);
            }
        }
        found
    }

    /// Requests of a leak that may not leak: what they keep is young, and of what was older some was freed.
    pub fn may_go(&self) -> impl Iterator<Item = RequestId> + '_ {
        let limits = self.limits();
        let found = self.mature(limits);
        let some_go = self.has_frees() && (found.count as f64) < ALL_STAY * found.births as f64;
        let processes = self.processes.iter().filter(move |_| some_go);
        processes.flat_map(move |process| {
            let until = process.old_until(limits);
            let young = process.kept.iter().filter(move |kept| kept.order >= until);
            young.map(|kept| kept.request)
        })
    }

    /// Whether mature ones are more than a tail of long lives holds, or would have died by now: by chance no more
    /// often than `level`.
    fn is_more_than_a_tail(&self, found: &Mature, limit: u64, level: f64) -> bool {
        if limit == 0 {
            return true;
        }
        let (kept, late) = (found.count, found.late);
        let births = match found.unowned {
            // What died is counted, what lives is what was kept.
            true => found.births + kept,
            false => found.births.max(kept + late),
        };
        let typical = self.freed[0].percentile(TYPICAL).max(1) as f64;
        // Those that died late may be all the group's own, a few among many of others: then it lives as long as they.
        let residual = match found.unowned && late > 0 {
            true => (RESIDUAL * typical).max(found.excess as f64 / late as f64),
            false => RESIDUAL * typical,
        };
        let more = at_least(kept + late, births, TAIL) < level && kept > 2 * late;
        more || at_most(late, found.exposure / residual) < level
    }
}

/// Whether a process with these places shows by itself that the keeping goes on.
fn goes_on_by_itself(places: &[f64]) -> bool {
    places.len() as u64 >= LEAK_REQUESTS_AMONG_FREES
        && trend(places).is_some_and(|trend| trend > FALLING)
}

/// How old a holding is now, born at `birth`.
pub fn age(now: Age, birth: Age) -> [Option<u64>; MEASURES] {
    now.since(birth).all().map(Some)
}
