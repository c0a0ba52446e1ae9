//! Whether another label could have made what one label explains, and look just like it.
//!
//! That a label was in flight (or touched last or next) when blocks were made tells whose they are only where that
//! is chance if others made them. It isn't where traffic has an order: a client that asks for its endpoints in turn
//! has each endpoint's work done while the same others are in flight, and every label explains the blocks of each.
//! So a label *stands* only if no rival could have made the blocks. A rival is a label of which a request was in
//! flight (or hinted at) when most of them were made. If its requests made them, any of its requests might have
//! shown the label beside it at the same point of its life: what *is* seen beside its other requests there is the
//! measure. The label stands where it comes with the blocks clearly more often than that (a two-sample z-test).
//! Blocks without the rival are nobody's, by that explanation, and measured against any moment. Moments are in `scene`.
//!
//! A label that was in flight, or had just ended, has rivals that had just ended or were to begin, too: work may be left
//! to be done, or be done ahead. Against these it also stands where blocks follow it more closely in time (`closer`).

use rustc_hash::{FxHashMap, FxHashSet};

use super::closer;
use super::flight::Sweep;
use super::groups::Groups;
use super::moments::Hint;
use super::scene::{Along, By, Cause, Known, Mean, Scene, causes};
use super::site::{Observation, Observed};
use crate::ledger::Finished;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// A label stands against a rival with so many standard deviations (by chance: one in 160).
const STANDS: f64 = 2.5;
/// ... and one status of it with so many: a part of a label's requests is easily like another label's.
const OF_STATUS: f64 = 4.0;
/// It comes with the blocks more often by this part, ...
const BY_FLIGHT: f64 = 0.03;
/// ... or by this, where both are hinted at: what a worker touches last and next has an order more often than what
/// is in flight.
const BY_HINTS: f64 = 1.0;
/// What a request left behind after its end is not told where another label was in flight at this part of all blocks.
const AFTER: f64 = 0.98;
/// A rival can have made this part of the blocks at least.
const MOST: f64 = 0.5;
/// Blocks that only the rival was near are this part at most, where times tell that blocks don't follow it.
const MISSED: f64 = 0.03;
/// Observations that are looked at of a call site.
const LOOKED: usize = 1_000;

/// Who may have made blocks instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Rival {
    /// Requests of one label.
    Label(By, LabelId),
    /// Whichever request this hint names.
    Hinted(Hint),
}

impl Rival {
    fn is_by_hint(self) -> bool {
        matches!(self, Rival::Label(By::Hint(_), _) | Rival::Hinted(_))
    }

    fn is_by_flight(self) -> bool {
        matches!(self, Rival::Label(By::Flight, _))
    }

    /// Whether it can have made blocks by that cause.
    fn is(self, by: By, label: LabelId) -> bool {
        match self {
            Rival::Label(own, only) => (own, only) == (by, label),
            Rival::Hinted(hint) => by == By::Hint(hint),
        }
    }
}

/// The scenes of all processes.
#[derive(Debug, Default)]
pub(super) struct Scenes {
    by_process: Vec<Scene>,
}

/// What a statistic is at the moments of a process: each, and all together.
struct Values {
    each: Vec<f64>,
    all: Mean,
}

/// A label that explains blocks, and what tells that it does.
pub(super) struct Claim<'c> {
    /// The label.
    pub(super) label: LabelId,
    /// By what it explains them.
    pub(super) by: By,
    /// It is one status of the label.
    pub(super) is_of_status: bool,
    /// Others that make blocks at the call site, too.
    pub(super) beside: &'c [LabelId],
    /// For each observation, how much of it is to be explained.
    pub(super) weights: &'c [f64],
    /// Which part of the observations are independent.
    pub(super) independent: f64,
    /// How much more likely something is if the label made it.
    pub(super) ratio: &'c dyn Fn(&Observation) -> f64,
}

/// An observation that is looked at.
struct Looked<'o> {
    observation: &'o Observation,
    weight: f64,
    /// Who may have made it.
    causes: Vec<Cause>,
}

impl Claim<'_> {
    /// Whether that is how it explains blocks.
    fn is_by(&self, cause: &Cause) -> bool {
        (cause.by, cause.label) == (self.by, self.label)
    }

    /// Whether the rival may have made blocks by that.
    fn may_be(&self, rival: Rival, cause: &Cause) -> bool {
        rival.is(cause.by, cause.label) && self.is_other(cause.label)
    }

    fn is_other(&self, label: LabelId) -> bool {
        label != self.label && !self.beside.contains(&label)
    }

    /// Who can have made so much of the blocks, those that can have made most first: they are the likeliest not to
    /// be told apart.
    fn rivals(&self, looked: &[Looked<'_>], least: f64) -> Vec<(Rival, f64)> {
        let mut with: FxHashMap<Rival, f64> = FxHashMap::default();
        for Looked { causes, weight, .. } in looked {
            let mut rivals: FxHashSet<Rival> = FxHashSet::default();
            for cause in causes {
                if self.is_other(cause.label) {
                    rivals.insert(Rival::Label(cause.by, cause.label));
                    if let By::Hint(hint) = cause.by {
                        rivals.insert(Rival::Hinted(hint));
                    }
                }
            }
            // What the hint names is what the claim says.
            if let By::Hint(hint) = self.by {
                rivals.remove(&Rival::Hinted(hint));
            }
            for rival in rivals {
                *with.entry(rival).or_default() += weight;
            }
        }
        let mut rivals: Vec<(Rival, f64)> = with
            .into_iter()
            .filter(|(_, with)| *with >= least)
            .collect();
        rivals.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        rivals
    }
}

impl Scenes {
    pub(super) fn of(
        processes: &[&mut Finished],
        sweeps: &[Sweep],
        records: &[Record],
        groups: &Groups,
    ) -> Scenes {
        let each = processes.iter().zip(sweeps);
        let scene = |(finished, sweep): (&&mut Finished, &Sweep)| match finished.loose.is_empty() {
            true => Scene::default(),
            false => Scene::of(finished, sweep, records, groups),
        };
        Scenes {
            by_process: each.map(scene).collect(),
        }
    }

    /// A label that could have made what another one explains; `None` where that one stands.
    pub(super) fn rival(
        &self,
        observed: &Observed,
        claim: &Claim<'_>,
        known: Known<'_>,
    ) -> Option<LabelId> {
        let looked = self.looked(observed, claim, known);
        let weight: f64 = looked.iter().map(|looked| looked.weight).sum();
        if weight <= 0.0 {
            return None;
        }
        let rivals = claim.rivals(&looked, MOST * weight);
        if rivals.is_empty() {
            return None;
        }
        // Always beside the blocks, and by nature nearer to them.
        let in_flight =
            |(rival, with): &(Rival, f64)| rival.is_by_flight() && *with >= AFTER * weight;
        if matches!(claim.by, By::Near(_))
            && let Some((Rival::Label(_, label), _)) = rivals.iter().find(|rival| in_flight(rival))
        {
            return Some(*label);
        }
        let values: Vec<Values> = self
            .by_process
            .iter()
            .map(|scene| {
                let each: Vec<f64> = scene.seen.iter().map(claim.ratio).collect();
                let all = Mean::of(each.iter().copied());
                Values { each, all }
            })
            .collect();
        let stands = |(rival, _): &(Rival, f64)| {
            self.stands(&looked, *rival, (claim, &values)) || is_closer(&looked, *rival, claim)
        };
        let (untold, _) = rivals.into_iter().find(|rival| !stands(rival))?;
        // Whose label stands for it: that of the first.
        let mut causes = looked.iter().flat_map(|looked| &looked.causes);
        let other = causes.find(|cause| claim.may_be(untold, cause));
        other.map(|cause| cause.label)
    }

    /// What is looked at, with who may have made it.
    fn looked<'o>(
        &self,
        observed: &'o Observed,
        claim: &Claim<'_>,
        known: Known<'_>,
    ) -> Vec<Looked<'o>> {
        let with_causes = |(observation, weight): (&'o Observation, f64)| {
            let mut all: Vec<Cause> = causes(observation, known).collect();
            if !matches!(claim.by, By::Hint(_)) {
                let scene = &self.by_process[observation.process as usize];
                all.extend(scene.causes_near(observation, known.1));
            }
            Looked {
                observation,
                weight,
                causes: all,
            }
        };
        let looked = looked(observed, claim.weights);
        looked.into_iter().map(with_causes).collect()
    }

    /// Whether the claim's ratio is clearly higher at the observations than at like moments of the rival's.
    fn stands(
        &self,
        looked: &[Looked<'_>],
        rival: Rival,
        (claim, values): (&Claim<'_>, &[Values]),
    ) -> bool {
        let mut mean = 0.0;
        let (mut apart, mut variance, mut weights, mut squares) = (0.0, 0.0, 0.0, 0.0);
        let mut compared: FxHashMap<(usize, By, LabelId), Along<'_>> = FxHashMap::default();
        for Looked {
            observation,
            weight,
            causes,
        } in looked
        {
            let process = observation.process as usize;
            let own = causes.iter().filter(|cause| claim.may_be(rival, cause));
            let ratio = (claim.ratio)(observation);
            let chance = match pick(own, observation.born) {
                None => values[process].all,
                Some(cause) => {
                    let of_cause = (process, cause.by, cause.label);
                    let along = compared.entry(of_cause).or_insert_with(|| {
                        let places = self.by_process[process].places(cause.by, cause.label);
                        Along::new(places, &values[process].each)
                    });
                    along.near(cause.come)
                }
            };
            let chance = chance.and(ratio);
            mean += weight * chance.mean;
            apart += weight * (ratio - chance.mean);
            variance += weight * chance.variance;
            weights += weight;
            squares += weight * weight;
        }
        let independent = (weights * weights / squares * claim.independent).max(1.0);
        let compared: usize = compared.values().map(Along::requests).sum();
        let compared = (compared as f64).max(1.0);
        let error = variance / weights * (1.0 / independent + 1.0 / compared);
        let z = (apart / weights) / error.sqrt().max(f64::MIN_POSITIVE);
        let by_hints = matches!(claim.by, By::Hint(_)) && rival.is_by_hint();
        let more = if by_hints { BY_HINTS } else { BY_FLIGHT };
        let least = if claim.is_of_status {
            OF_STATUS
        } else {
            STANDS
        };
        z >= least && apart >= more * mean
    }
}

/// Whether blocks follow the claim's requests more closely than the rival's, of which one is known by its end or its begin.
fn is_closer(looked: &[Looked<'_>], rival: Rival, claim: &Claim<'_>) -> bool {
    let is_near = |by: By| matches!(by, By::Near(_));
    match rival {
        Rival::Label(by, _) if is_near(by) || is_near(claim.by) => {}
        _ => return false,
    }
    let mut requests: FxHashSet<RequestId> = FxHashSet::default();
    let (mut pairs, mut missed, mut all) = (Vec::new(), 0.0, 0.0);
    for Looked { causes, weight, .. } in looked {
        let own = causes.iter().find(|cause| claim.is_by(cause));
        let other = causes.iter().find(|cause| claim.may_be(rival, cause));
        all += weight;
        match (own, other) {
            (Some(own), Some(other)) if requests.insert(own.request) => {
                pairs.push((own.ticks, other.ticks));
            }
            (None, Some(_)) => missed += weight,
            _ => {}
        }
    }
    let clearly = if is_near(claim.by) { STANDS } else { 0.0 };
    missed <= MISSED * all && closer::follows(&pairs, clearly)
}

/// One of them, which one by the stamp.
fn pick<T: Copy>(all: impl Iterator<Item = T>, stamp: u64) -> Option<T> {
    let all: Vec<T> = all.collect();
    let mixed = stamp.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    match all.len() {
        0 => None,
        several => Some(all[mixed as usize % several]),
    }
}

/// Observations that have a weight, evenly over all.
fn looked<'o>(observed: &'o Observed, weights: &[f64]) -> Vec<(&'o Observation, f64)> {
    let all = observed.all.iter().zip(weights.iter().copied());
    let all: Vec<(&Observation, f64)> = all.filter(|(_, weight)| *weight > 0.01).collect();
    let step = all.len().div_ceil(LOOKED).max(1);
    all.into_iter().step_by(step).collect()
}
