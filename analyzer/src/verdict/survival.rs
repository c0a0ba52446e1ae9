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

use super::GroupEvidence;
use super::told::{Collection, Told};
use crate::analysis::Verdict;
use crate::ledger::{Age, GroupLives, Judged, Lives, MEASURES, MassDeath};
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
/// The keeping has died down where the trend is below this (Laplace's test; by chance: one in a hundred).
pub const FALLING: f64 = -2.33;
/// The probability of that.
const FALLS: f64 = 0.01;
/// It has for sure where the trend is below this (by chance: one in a thousand).
const FALLEN: f64 = -3.09;
/// A leak is sure with so many times as many mature ones as it needs where its group has frees, ...
pub const SURE: u64 = 2;
/// ... with so many where it has none, as pools and tables of connections, threads or keys often come to so many, ...
pub const SURE_WITHOUT_FREES: u64 = 32;
/// ... and a trend above this (by chance below: one in ten).
pub const DOUBTFUL: f64 = -1.28;
/// What has not died in the last mass death is mature when it is so many times as old as what did.
const AGAIN: u64 = 2;
/// Where a group has frees, a process tells of it if one in so many of its requests are old enough.
const WATCHED: usize = 4;
/// Of processes that serve one request each one in so many may still run.
const ALONE: usize = 8;
/// Of what was kept evenly one in so many is from the first half, at least.
const EARLY: usize = 4;
/// A tail holds this part of all at most.
const TAIL: f64 = 0.05;
/// By chance: one in a thousand.
pub(super) const LEVEL: f64 = 1e-3;
/// What is less likely by chance than this can't be called harmless: one in twenty.
pub(super) const SUSPICIOUS: f64 = 0.05;
/// What lives in a tail lives so many typical lives more, on average.
const RESIDUAL: f64 = 4.0;
/// A warm-up is told from a leak after so many requests.
pub const WARM_UP_REQUESTS: u64 = 8;

/// Of a group's requests at least this part (one in so many) must have ended before the collection that tells of them.
const TOLD: u64 = 2;

/// What a request of the group retained.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The request.
    pub request: RequestId,
    /// The place of the request among those of its process that ended.
    pub order: u64,
    /// How old its holding is, by measure; `None`: not known.
    pub age: [Option<u64>; MEASURES],
    /// The process's requests of the group up to here kept nothing.
    pub first: bool,
    /// What the process's collector has told of it.
    pub judged: Judged,
}

/// A group's requests in one process.
#[derive(Clone, Debug, Default)]
pub struct InProcess<'g> {
    /// The places of its requests among those of the process that ended, sorted.
    pub orders: Vec<u64>,
    /// Of these, those of which the process's collector has told nothing yet.
    pub untold: &'g [u64],
    /// How many requests ended in the process.
    pub ended: u64,
    /// It has ended itself, while others went on serving.
    pub gone: bool,
    /// Those that retained something, by their places.
    pub kept: Vec<Kept>,
    /// Its lives there.
    pub lives: Option<&'g GroupLives>,
    /// The last mass death at the site.
    pub mass_death: Option<MassDeath>,
    /// The last collection of everything by a runtime that the site's blocks may wait for.
    pub collection: Option<Collection>,
    /// Where what it kept is its own by association: lives of what was freed at the site and is nobody's for sure.
    pub unowned: Option<&'g [Lives; MEASURES]>,
}

impl InProcess<'_> {
    /// How many requests have ended since the one in this place.
    fn age(&self, order: u64) -> u64 {
        self.ended.saturating_sub(1).saturating_sub(order)
    }

    /// Whether the requests in the places before this one are enough of all to tell if the keeping goes on.
    fn is_watched(&self, until: u64) -> bool {
        let old = self.orders.partition_point(|order| *order < until);
        old * WATCHED >= self.orders.len()
    }

    /// Requests in the places before this one are old enough for what they kept to be mature. Ages fall from one
    /// to the next in every measure: what is kept after the first that is too young is so, too.
    fn old_until(&self, limits: [u64; MEASURES]) -> u64 {
        let by_requests = match limits[0] {
            0 => u64::MAX,
            limit => self.ended.saturating_sub(1).saturating_sub(limit),
        };
        let outlived = |kept: &&Kept| {
            let mut ages = kept.age.iter().zip(limits);
            ages.all(|(age, limit)| limit == 0 || age.is_none_or(|age| age > limit))
        };
        let young = self.kept.iter().find(|kept| !outlived(kept));
        let by_kept = young.map_or(u64::MAX, |kept| kept.order);
        // What has come since may be waiting for the next, if it is not much older than what died became.
        let by_death = self.mass_death.map_or(u64::MAX, |mass| {
            let limit = AGAIN * mass.life;
            let overdue = self.ended.saturating_sub(1).saturating_sub(limit);
            mass.order.max(overdue)
        });
        by_requests.min(by_kept).min(by_death)
    }
}

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
    /// Survivors of its requests, freed or not.
    pub survivors: u64,
    /// So many requests can be the newest of their kind: as many as there were at once.
    pub newest: u64,
}

impl<'g> Group<'g> {
    /// Another group at the same site: the two are judged as one, by what both kept.
    pub fn absorb(&mut self, other: Group<'g>) {
        self.survivors += other.survivors;
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

    /// The limits of ages that count as mature, by measure; 0: none.
    fn limits(&self) -> [u64; MEASURES] {
        let own = self.has_frees();
        let times = if own { 2 } else { 1 };
        let mut limits = [0; MEASURES];
        for (limit, freed) in limits.iter_mut().zip(&self.freed) {
            *limit = times * freed.percentile(TYPICAL);
        }
        limits[TIME] = times * self.freed[TIME].percentile_but_longest(TYPICAL);
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
        let evidence = GroupEvidence {
            requests,
            retaining,
            mature: found.count,
            most_of_one: found.most_of_one,
            needs,
            typical: (self.freed[0].count() > 0).then_some(typical),
            trend: found.shown_trend(needs),
            freed: self.freed[0].count(),
            alone: verdict == Verdict::Bounded && self.goes_with_its_process(),
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
            found.add(&places, requests, several);
            let all = self.everywhere.len();
            if all > 0 && limits[0] == 0 {
                let places = told.map(|kept| {
                    let place = self.everywhere.partition_point(|one| *one < kept.request);
                    (place as f64 + 0.5) / all as f64
                });
                found.everywhere.extend(places);
            }
        }
        found.trend = trend(&found.positions);
        found
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
        let more = at_least(kept + late, births, TAIL) < level && kept > 2 * late;
        more || at_most(late, found.exposure / (RESIDUAL * typical)) < level
    }

    /// It is no leak for sure.
    fn lesser(&self, found: &Mature, retaining: u64, needs: u64, limit: u64) -> Verdict {
        let mature = found.count;
        if self.survivors == 0 {
            return Verdict::Clean;
        }
        if self.goes_with_its_process() {
            return Verdict::Bounded;
        }
        if retaining == 0 {
            return Verdict::FreedLater;
        }
        let requests = self.requests();
        let early = self.processes.iter().all(|process| {
            let quarter = process
                .orders
                .get(process.orders.len() / 4)
                .copied()
                .unwrap_or(0);
            process.kept.iter().all(|kept| kept.order < quarter)
        });
        if (early || self.is_early_everywhere()) && requests >= WARM_UP_REQUESTS {
            return Verdict::WarmUp;
        }
        let over = match self.by_time {
            true => found.stopped(LEVEL),
            false => found.has_fallen(needs),
        };
        if over {
            return Verdict::Bounded;
        }
        let own = self.has_frees();
        match mature {
            0 if retaining <= self.newest && self.freed[0].count() > 0 => Verdict::FreedLater,
            // Of what others kept some was freed: that tells nothing of its own.
            _ if !own => Verdict::TooFewRequests,
            0 if self.steady => Verdict::Bounded,
            0 if self.own_freed() < retaining || !self.is_watched() => Verdict::TooFewRequests,
            0 => Verdict::FreedLater,
            _ if self.steady && !self.is_more_than_a_tail(found, limit, SUSPICIOUS) => {
                Verdict::Bounded
            }
            _ => Verdict::TooFewRequests,
        }
    }

    /// How many more requests could tell.
    fn needed(&self, found: &Mature, requests: u64, retaining: u64, needs: u64, limit: u64) -> u64 {
        let each = requests.div_ceil(retaining.max(1));
        let missing = needs.saturating_sub(found.count);
        let for_warm_up = WARM_UP_REQUESTS.saturating_sub(requests);
        // There are enough, and whether they go on is not clear: half as many requests again show a tendency.
        let for_trend = if missing == 0 { requests / 2 } else { 0 };
        (missing * each + limit)
            .max(for_warm_up)
            .max(for_trend)
            .max(1)
    }
}

impl<'g> Group<'g> {
    /// Judges it. A leak by all that was kept is one only by what the runtime's collector has told of. That nothing is
    /// mature tells nothing where things were kept for long: those may have waited since, or be in use.
    fn by_collections(&self, runtime: Runtime) -> (Verdict, GroupEvidence) {
        let (verdict, evidence) = self.judge_all();
        let is_old = match verdict {
            Verdict::Leak => true,
            Verdict::FreedLater | Verdict::TooFewRequests => self.kept_long() >= LEAK_REQUESTS,
            _ => false,
        };
        if !is_old {
            return (verdict, evidence);
        }
        let group = self.until_collections();
        let (told, all) = (group.of_processes(), self.of_processes());
        let ran = self.processes.iter().any(|one| one.collection.is_some());
        let told_of = |is_judged| {
            Some(Told {
                runtime,
                requests: ran.then_some(told),
                is_judged,
            })
        };
        if verdict == Verdict::Leak
            && told * TOLD >= all
            && let (Verdict::Leak, of_told) = group.judge_all()
        {
            let evidence = GroupEvidence {
                told: told_of(true),
                ..of_told
            };
            return (verdict, evidence);
        }
        let evidence = GroupEvidence {
            told: told_of(false),
            needed: None,
            ..evidence
        };
        (Verdict::TooFewRequests, evidence)
    }

    /// How many of its requests there are in the processes that have a part in the site.
    fn of_processes(&self) -> u64 {
        let processes = self.processes.iter();
        processes.map(|process| process.orders.len() as u64).sum()
    }

    /// How many requests kept something that is older than what is freed became, or than half of all requests are.
    fn kept_long(&self) -> u64 {
        let [limit, ..] = self.limits();
        let kept = self.processes.iter().map(|process| {
            let limit = limit.min(process.ended / 2);
            let kept = process.kept.iter();
            kept.filter(|kept| process.age(kept.order) > limit).count() as u64
        });
        kept.sum()
    }

    /// The group as it stood when the last collections began.
    fn until_collections(&self) -> Group<'g> {
        let mut told = self.clone();
        told.everywhere = &[];
        told.processes
            .iter_mut()
            .for_each(InProcess::until_collection);
        told
    }
}

impl InProcess<'_> {
    fn until_collection(&mut self) {
        let Some(Collection { order, ago }) = self.collection else {
            self.orders.clear();
            self.kept.clear();
            return;
        };
        let later = self.ended.saturating_sub(order);
        self.ended = self.ended.min(order);
        self.orders.retain(|one| *one < order);
        self.kept.retain(|kept| kept.order < order);
        for kept in &mut self.kept {
            let [requests, .., time] = kept.age;
            kept.age = [None; MEASURES];
            kept.age[0] = requests.map(|age| age.saturating_sub(later));
            kept.age[MEASURES - 1] = time.map(|age| age.saturating_sub(ago));
        }
    }
}

/// The mature ones, and what they are compared with.
#[derive(Debug, Default)]
struct Mature {
    /// How many there are, without the first of each process where there are several.
    count: u64,
    /// Their places among the group's requests that are old enough (or those of them after the first), from 0 to 1.
    positions: Vec<f64>,
    trend: Option<f64>,
    /// Whether the keeping would go on at an even rate and begin so late, or end so early.
    begins: Chances,
    ends: Chances,
    /// Their places among the group's requests in all processes, where those are told.
    everywhere: Vec<f64>,
    /// How many one process has at most.
    most_of_one: u64,
    /// Births that are old enough.
    births: u64,
    /// Some of them were nobody's for sure.
    unowned: bool,
    /// Of them, those that died older than what is mature.
    late: u64,
    /// Requests for which mature ones have been watched.
    exposure: f64,
}

/// Probabilities of independent findings, taken together (R. A. Fisher, "Statistical Methods for Research Workers",
/// 1925): minus the sum of their logarithms has a gamma distribution.
#[derive(Clone, Copy, Debug, Default)]
struct Chances {
    sum: f64,
    findings: u64,
}

impl Chances {
    /// One more, by its logarithm.
    fn add(&mut self, logarithm: f64) {
        self.sum -= logarithm;
        self.findings += 1;
    }

    /// The probability that chance alone finds all this.
    fn by_chance(self) -> f64 {
        match self.findings {
            0 => 1.0,
            findings => at_most(findings - 1, self.sum),
        }
    }
}

impl Mature {
    /// Adds the places of a process, sorted, among so many requests. Where there are several processes, each may
    /// begin with one that makes something for all: the others are seen from there.
    fn add(&mut self, places: &[usize], requests: usize, several: bool) {
        let (from, places) = match places {
            [first, others @ ..] if several => (first + 1, others),
            all => (0, all),
        };
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return;
        };
        // Those that ended in another process are no places of this one.
        let whole = requests.max(last + 1).saturating_sub(from);
        if whole < 2 {
            return;
        }
        let part = |place: usize| place.saturating_sub(from) as f64 / whole as f64;
        let half = 0.5 / whole as f64;
        let all = places.len() as f64;
        self.begins.add(all * (1.0 - part(*first)).ln());
        self.ends.add(all * part(*last + 1).ln());
        self.positions
            .extend(places.iter().map(|place| part(*place) + half));
    }

    /// It began with the first requests, and it ended long ago: a table is full.
    fn stopped(&self, level: f64) -> bool {
        self.ends.by_chance() < level && self.begins.by_chance() >= level
    }

    /// Adds what died of what was born in the process before `until`.
    fn dead(&mut self, process: &InProcess<'_>, until: u64, limit: u64) {
        let mut add = |births, freed: &Lives| {
            self.births += births;
            if limit > 0 {
                let (late, excess) = freed.above(limit);
                self.late += late;
                self.exposure += excess as f64;
            }
        };
        if let Some(lives) = process.lives {
            add(lives.births.sum_before(until), &lives.freed[0]);
        }
        if let Some(unowned) = process.unowned {
            add(unowned[0].count(), &unowned[0]);
            self.unowned = true;
        }
    }

    /// The trend over all processes, where none has enough by itself.
    fn trend_everywhere(&self, needs: u64) -> Option<f64> {
        trend(&self.everywhere).filter(|_| self.most_of_one < needs)
    }

    /// What is left is mostly from the second half: the rest may have been freed.
    fn is_late(&self) -> bool {
        let early = self.positions.iter().filter(|place| **place < 0.5);
        early.count() * EARLY < self.positions.len()
    }

    /// The keeping may have died down: also where a process shows a leak by itself, and the others none.
    fn falls(&self) -> bool {
        let trends = self.trend.into_iter().chain(trend(&self.everywhere));
        self.stopped(FALLS)
            || trends
                .reduce(f64::min)
                .is_some_and(|trend| trend <= FALLING)
    }

    /// It has, for sure.
    fn has_fallen(&self, needs: u64) -> bool {
        let trend = self.shown_trend(needs);
        self.stopped(LEVEL) || trend.is_some_and(|trend| trend <= FALLEN)
    }

    /// The lower of the trends.
    fn shown_trend(&self, needs: u64) -> Option<f64> {
        let trends = self.trend.into_iter().chain(self.trend_everywhere(needs));
        trends.reduce(f64::min)
    }
}

/// Laplace's test of places from 0 to 1: below 0 where there are more early ones.
fn trend(places: &[f64]) -> Option<f64> {
    let count = places.len() as f64;
    let mean = places.iter().sum::<f64>() / count.max(1.0);
    (count > 0.0).then(|| (12.0 * count).sqrt() * (mean - 0.5))
}

/// The logarithm of the gamma function (C. Lanczos, "A precision approximation of the gamma function", SIAM J.
/// Numer. Anal. 1, 1964, with g = 7).
fn ln_gamma(x: f64) -> f64 {
    const G: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let series = (1..9).fold(G[0], |sum, at| sum + G[at] / (x + at as f64));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// The probability of at least `count` of `all`, each with probability `part`.
fn at_least(count: u64, all: u64, part: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if count > all {
        return 0.0;
    }
    let n = all as f64;
    // The largest terms come first: the sum is cut where they vanish.
    let mut sum = 0.0;
    for k in count..=all {
        let k = k as f64;
        let logarithm = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
            + k * part.ln()
            + (n - k) * (1.0 - part).ln();
        let term = logarithm.exp();
        sum += term;
        if k > n * part && term < sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

/// The probability of at most `count` where `mean` are expected (Poisson).
fn at_most(count: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let term = |k: u64| (k as f64 * mean.ln() - mean - ln_gamma(k as f64 + 1.0)).exp();
    (0..=count).map(term).sum::<f64>().min(1.0)
}

/// How old a holding is now, born at `birth`.
pub fn age(now: Age, birth: Age) -> [Option<u64>; MEASURES] {
    now.since(birth).all().map(Some)
}

#[cfg(test)]
mod garbage;
#[cfg(test)]
mod workers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities() {
        assert!((at_least(1, 1, 0.05) - 0.05).abs() < 1e-9);
        assert!((at_least(2, 2, 0.05) - 0.0025).abs() < 1e-9);
        assert!((at_least(3, 10, 0.5) - 0.945_312_5).abs() < 1e-9);
        assert!((at_most(0, 2.0) - (-2.0_f64).exp()).abs() < 1e-9);
        assert!((at_most(2, 2.0) - 5.0 * (-2.0_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn findings_are_taken_together() {
        let chance = |findings: &[f64]| {
            let mut chances = Chances::default();
            findings.iter().for_each(|p| chances.add(p.ln()));
            chances.by_chance()
        };
        assert_eq!(chance(&[]), 1.0);
        assert!((chance(&[0.02]) - 0.02).abs() < 1e-9);
        // P(xy <= 0.01) = 0.01 (1 - ln 0.01).
        assert!((chance(&[0.1, 0.1]) - 0.01 * (1.0 - 0.01_f64.ln())).abs() < 1e-9);
        assert!(chance(&[0.5; 20]) > 0.5);
    }
}
