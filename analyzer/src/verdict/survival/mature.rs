//! What of a group has outlived what was freed, and whether its keeping goes on.

use super::chance::{Chances, LEVEL, trend};
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

/// The mature ones, and what they are compared with.
#[derive(Debug, Default)]
pub(super) struct Mature {
    /// How many there are, without the first of each process where there are several.
    pub(super) count: u64,
    /// Their places among the group's requests that are old enough (or those of them after the first), from 0 to 1.
    pub(super) positions: Vec<f64>,
    pub(super) trend: Option<f64>,
    /// Whether the keeping would go on at an even rate and begin so late, or end so early.
    pub(super) begins: Chances,
    pub(super) ends: Chances,
    /// Their places among the group's requests in all processes, where those are told.
    pub(super) everywhere: Vec<f64>,
    /// How many one process has at most.
    pub(super) most_of_one: u64,
    /// Births that are old enough.
    pub(super) births: u64,
    /// Some of them were nobody's for sure.
    pub(super) unowned: bool,
    /// Of them, those that died older than what is mature.
    pub(super) late: u64,
    /// Requests for which mature ones have been watched.
    pub(super) exposure: f64,
}

impl Mature {
    /// Adds the places of a process, sorted, among so many requests. Where there are several processes, each may
    /// begin with one that makes something for all: the others are seen from there.
    pub(super) fn add(&mut self, places: &[usize], requests: usize, several: bool) {
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
    pub(super) fn stopped(&self, level: f64) -> bool {
        self.ends.by_chance() < level && self.begins.by_chance() >= level
    }

    /// Adds what died of what was born in the process before `until`.
    pub(super) fn dead(&mut self, process: &InProcess<'_>, until: u64, limit: u64) {
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
    pub(super) fn trend_everywhere(&self, needs: u64) -> Option<f64> {
        trend(&self.everywhere).filter(|_| self.most_of_one < needs)
    }

    /// What is left is mostly from the second half: the rest may have been freed.
    pub(super) fn is_late(&self) -> bool {
        let early = self.positions.iter().filter(|place| **place < 0.5);
        early.count() * EARLY < self.positions.len()
    }

    /// The keeping may have died down: also where a process shows a leak by itself, and the others none.
    pub(super) fn falls(&self) -> bool {
        let trends = self.trend.into_iter().chain(trend(&self.everywhere));
        self.stopped(FALLS)
            || trends
                .reduce(f64::min)
                .is_some_and(|trend| trend <= FALLING)
    }

    /// It has, for sure.
    pub(super) fn has_fallen(&self, needs: u64) -> bool {
        let trend = self.shown_trend(needs);
        self.stopped(LEVEL) || trend.is_some_and(|trend| trend <= FALLEN)
    }

    /// The lower of the trends.
    pub(super) fn shown_trend(&self, needs: u64) -> Option<f64> {
        let trends = self.trend.into_iter().chain(self.trend_everywhere(needs));
        trends.reduce(f64::min)
    }
}
