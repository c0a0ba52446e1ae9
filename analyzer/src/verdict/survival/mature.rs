//! What of a group has outlived what was freed, and whether its keeping goes on.

use std::cmp::Ordering;

use super::chance::{Chances, LEVEL, SUSPICIOUS, at_least, trend};
use super::process::InProcess;
use crate::ledger::Lives;

/// The keeping has died down where the trend is below this (Laplace's test; by chance: one in a hundred).
pub const FALLING: f64 = -2.33;
/// The probability of that.
const FALLS: f64 = 0.01;
/// It has for sure where the trend is below this (by chance: one in a thousand).
const FALLEN: f64 = -3.09;
/// Of what was kept evenly one in so many is from the first half, at least.
const EARLY: usize = 4;
/// Among many requests a trend is sure that is small. The keeping goes on, whatever the trend, where the last quarter
/// keeps this part of what the first one does, or more, ...
const GOES_ON: f64 = 0.75;
/// ... and has died down only where the last quarter keeps less than this part, by chance once in twenty, ...
const DIES: f64 = 0.5;
/// ... and has kept one in so many of that, or fewer.
const DYING: u64 = 4;
/// Where the last quarter begins.
const LAST_QUARTER: f64 = 0.75;
/// What was kept from here on shows that it has not stopped: many a load keeps nothing as it ends.
const LATELY: f64 = 0.9;

/// The mature ones, and what they are compared with.
#[derive(Debug, Default)]
pub(super) struct Mature {
    /// How many there are, without the first of each process where there are several.
    pub(super) count: u64,
    /// Their places among the group's requests that are old enough (or those of them after the first), from 0 to 1.
    pub(super) positions: Vec<f64>,
    /// Whether the keeping would go on at an even rate and begin so late, or end so early.
    pub(super) begins: Chances,
    pub(super) ends: Chances,
    /// Their places among the group's requests in all processes, where those are told.
    pub(super) everywhere: Vec<f64>,
    /// How many one process has at most.
    pub(super) most_of_one: u64,
    /// A process that has not ended shows by itself that its keeping goes on, whenever it was that it served most.
    pub(super) one_goes_on: bool,
    /// Births that are old enough.
    pub(super) births: u64,
    /// Some of them were nobody's for sure.
    pub(super) unowned: bool,
    /// Of them, those that died older than what is mature, and in how many more requests, in all.
    pub(super) late: u64,
    pub(super) excess: u64,
    /// Requests for which mature ones have been watched.
    pub(super) exposure: f64,
}

impl Mature {
    /// Adds the places of a process, sorted, among so many requests. Where there are several processes, each may
    /// begin with one that makes something for all: the others are seen from there. Gives what was added.
    pub(super) fn add(&mut self, places: &[usize], requests: usize, several: bool) -> &[f64] {
        let (from, places) = match places {
            [first, others @ ..] if several => (first + 1, others),
            all => (0, all),
        };
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return &[];
        };
        // Those that ended in another process are no places of this one.
        let whole = requests.max(last + 1).saturating_sub(from);
        if whole < 2 {
            return &[];
        }
        let part = |place: usize| place.saturating_sub(from) as f64 / whole as f64;
        let half = 0.5 / whole as f64;
        let all = places.len() as f64;
        self.begins.add(all * (1.0 - part(*first)).ln());
        self.ends.add(all * part(*last + 1).ln());
        let before = self.positions.len();
        self.positions
            .extend(places.iter().map(|place| part(*place) + half));
        &self.positions[before..]
    }

    /// It began with the first requests, and an even rate would hardly have ended so early.
    pub(super) fn ends_early(&self, level: f64) -> bool {
        self.ends.by_chance() < level && self.begins.by_chance() >= level
    }

    /// It has ended, for sure: a table is full.
    fn has_stopped(&self) -> bool {
        self.ends_early(LEVEL) && dies(&self.positions)
    }

    /// Adds what died of what was born in the process before `until`.
    pub(super) fn dead(&mut self, process: &InProcess<'_>, until: u64, limit: u64) {
        let mut add = |births, freed: &Lives| {
            self.births += births;
            if limit > 0 {
                let (late, excess) = freed.above(limit);
                self.late += late;
                self.excess += excess;
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

    /// What is left is mostly from the second half: the rest may have been freed.
    pub(super) fn is_late(&self) -> bool {
        let early = self.positions.iter().filter(|place| **place < 0.5);
        early.count() * EARLY < self.positions.len()
    }

    /// The places whose trend tells: those in each process, and over all processes, unless one of these shows by
    /// itself that it goes on.
    fn sequences(&self) -> impl Iterator<Item = &[f64]> {
        let everywhere = (!self.one_goes_on).then_some(&self.everywhere[..]);
        std::iter::once(&self.positions[..]).chain(everywhere)
    }

    /// The keeping may have died down.
    pub(super) fn falls(&self) -> bool {
        let may = |places| trend(places).is_some_and(|trend| trend <= FALLING) && !goes_on(places);
        let none_lately = self.positions.iter().all(|place| *place < LATELY);
        none_lately && self.ends_early(FALLS) || self.sequences().any(may)
    }

    /// It has, for sure. Over all processes only where none has `needs` by itself.
    pub(super) fn has_fallen(&self, needs: u64) -> bool {
        let few = self.most_of_one < needs;
        let has = |places| trend(places).is_some_and(|trend| trend <= FALLEN) && dies(places);
        let mut sequences = self.sequences().take(1 + usize::from(few));
        self.has_stopped() || sequences.any(has)
    }

    /// The lower of the trends.
    pub(super) fn shown_trend(&self) -> Option<f64> {
        self.sequences().filter_map(trend).reduce(f64::min)
    }

    /// What the last quarter of the requests kept, in percent of the first quarter's, of the places with that trend.
    pub(super) fn pace(&self) -> Option<u64> {
        let lowest = self.sequences().filter(|places| trend(places).is_some());
        let lowest =
            lowest.min_by(|a, b| trend(a).partial_cmp(&trend(b)).unwrap_or(Ordering::Equal))?;
        let (first, last) = quarters(lowest);
        (first > 0).then(|| 100 * last / first)
    }
}

/// How many of the places lie in the first quarter, and how many in the last.
fn quarters(places: &[f64]) -> (u64, u64) {
    let count = |is_in: fn(&f64) -> bool| places.iter().filter(|place| is_in(place)).count() as u64;
    (
        count(|place| *place < 1.0 - LAST_QUARTER),
        count(|place| *place >= LAST_QUARTER),
    )
}

/// Whether the last quarter keeps nearly as much as the first one, for sure.
fn goes_on(places: &[f64]) -> bool {
    let (first, last) = quarters(places);
    at_least(last, first + last, GOES_ON / (1.0 + GOES_ON)) < FALLS
}

/// Whether the last quarter keeps much less than the first one, for sure.
fn dies(places: &[f64]) -> bool {
    let (first, last) = quarters(places);
    last * DYING <= first && at_least(first, first + last, 1.0 / (1.0 + DIES)) < SUSPICIOUS
}
