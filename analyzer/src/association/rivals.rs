//! Whether another label could have made what one label explains, and look just like it.
//!
//! That a label was in flight (or touched last or next) when blocks were made tells whose they are only where that
//! is chance if others made them. It isn't where traffic has an order: a client that asks for its endpoints in turn
//! has each endpoint's work done while the same others are in flight, and every label explains the blocks of each.
//! So a label *stands* only if no rival could have made the blocks. A rival is a label of which a request was in
//! flight (or hinted at) when most of them were made. If its requests made them, any of its requests might have
//! shown the label beside it at the same point of its life: what *is* seen beside its other requests there is the
//! measure. The label stands where it comes with the blocks clearly more often than that (a two-sample z-test).
//! Blocks without the rival are nobody's, by that explanation, and measured against any moment.
//!
//! Moments are those at which workers turned from one thing to the next (`moments`), so that an idle server doesn't
//! count.

use rustc_hash::{FxHashMap, FxHashSet};

use super::closer;
use super::flight::Sweep;
use super::groups::Groups;
use super::moments::{Hint, hinted};
use super::near::{Near, Order, Side};
use super::site::{Observation, Observed};
use super::stage::progress;
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
/// Moments of the rival's that an observation is compared with: one in so many, those at the nearest points of its
/// requests' lives, ...
const NEAREST: usize = 16;
/// ... and so many at least.
const LEAST: usize = 16;

/// What a rival made blocks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum By {
    /// Its request was in flight.
    Flight,
    /// Its request was this hint.
    Hint(Hint),
    /// Its request had just ended, or was to begin soon.
    Near(Side),
}

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

/// A request by which a label may have made blocks.
struct Cause {
    by: By,
    label: LabelId,
    request: RequestId,
    /// Where in the request's life that was: how far the request had come (0 to 1), or how far it was away.
    come: f32,
    /// Ticks since its begin, since its end, or until its begin.
    ticks: u64,
}

/// A moment of a rival's: how far its request had come then (0 to 1), the moment's place, and the request.
type Place = (f32, u32, RequestId);

/// What was seen at a sample of moments in a process.
#[derive(Debug, Default)]
pub(super) struct Scene {
    seen: Vec<Observation>,
    order: Order,
    /// By whose they are, in order of how far the request had come.
    places: FxHashMap<(By, LabelId), Vec<Place>>,
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

/// A mean, its variance, and of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    mean: f64,
    variance: f64,
    count: usize,
}

impl Mean {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Mean {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count.max(1) as f64;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>();
        Mean {
            mean,
            variance: variance / count.max(1) as f64,
            count,
        }
    }

    /// With one more value: few moments that happen to be alike prove nothing.
    fn and(self, value: f64) -> Mean {
        let count = self.count as f64;
        let apart = value - self.mean;
        Mean {
            mean: self.mean + apart / (count + 1.0),
            variance: (self.variance * count + apart * apart * count / (count + 1.0))
                / (count + 1.0),
            count: self.count + 1,
        }
    }
}

/// All requests, and their labels.
type Known<'k> = (&'k [Record], &'k Groups);

/// By what a request can have made the observation's blocks, while it was in flight or was hinted at.
fn causes<'o>(
    observation: &'o Observation,
    (records, groups): Known<'o>,
) -> impl Iterator<Item = Cause> + 'o {
    // What is proved is nobody else's.
    let all = observation.requests.iter().filter(|_| !observation.proved);
    let flying = all.map(|request| (By::Flight, *request));
    let hints = [Hint::Last, Hint::Next, Hint::Task].into_iter();
    let hints = hints.filter_map(|hint| Some((By::Hint(hint), hinted(observation, hint)?)));
    flying.chain(hints).filter_map(move |(by, request)| {
        let group = groups.of_request(request)?;
        Some(Cause {
            by,
            label: groups.label(group),
            request,
            come: progress(&records[request as usize], observation.born),
            ticks: observation
                .born
                .saturating_sub(records[request as usize].start),
        })
    })
}

impl Scene {
    /// By what requests can have made the observation's blocks that were not in flight: shortly after them, or before.
    fn causes_near(&self, observation: &Observation, groups: &Groups) -> Vec<Cause> {
        if observation.proved {
            return Vec::new();
        }
        let near = self.order.near(observation.born, groups).into_iter();
        let cause = |near: Near| Cause {
            by: By::Near(near.side),
            label: near.label,
            request: near.request,
            come: near.far,
            ticks: near.ticks,
        };
        near.map(cause).collect()
    }

    fn of(finished: &Finished, sweep: &Sweep, records: &[Record], groups: &Groups) -> Scene {
        let process = sweep.process() as usize;
        let moments = finished.moments.iter();
        let mut seen: Vec<Observation> = moments
            .map(|moment| Observation::of(process, moment.stamp, moment.hints))
            .collect();
        seen.sort_by_key(|moment| moment.born);
        sweep.look(&mut seen.iter_mut().collect::<Vec<_>>(), groups);
        let mut scene = Scene {
            seen,
            order: Order::of(sweep),
            places: FxHashMap::default(),
        };
        let mut places: FxHashMap<(By, LabelId), Vec<Place>> = FxHashMap::default();
        for (at, moment) in (0..).zip(&scene.seen) {
            let near = scene.causes_near(moment, groups);
            for cause in causes(moment, (records, groups)).chain(near) {
                places.entry((cause.by, cause.label)).or_default().push((
                    cause.come,
                    at,
                    cause.request,
                ));
            }
        }
        for of_label in places.values_mut() {
            of_label.sort_by(|left, right| left.0.total_cmp(&right.0));
        }
        scene.places = places;
        scene
    }

    /// The moments of a label's requests, in order of how far these had come.
    fn places(&self, by: By, label: LabelId) -> &[Place] {
        self.places.get(&(by, label)).map_or(&[], Vec::as_slice)
    }
}

/// What a statistic is along a rival's moments.
struct Along<'p> {
    places: &'p [Place],
    /// Sums of it and of its square over all moments before each.
    sums: Vec<(f64, f64)>,
    /// Moments that something was compared with.
    compared: Vec<bool>,
}

impl<'p> Along<'p> {
    fn new(places: &'p [Place], values: &[f64]) -> Along<'p> {
        let mut sum = (0.0, 0.0);
        let mut sums = vec![sum];
        for (_, at, _) in places {
            let value = values[*at as usize];
            sum = (sum.0 + value, sum.1 + value * value);
            sums.push(sum);
        }
        Along {
            places,
            sums,
            compared: vec![false; places.len()],
        }
    }

    /// The mean at about this point of the requests' lives.
    fn near(&mut self, come: f32) -> Mean {
        let all = self.places.len();
        let wanted = (all / NEAREST).max(LEAST).min(all);
        let first = self.first_of(wanted, come);
        let end = first + wanted;
        self.compared[first..end].fill(true);
        let (from, to) = (self.sums[first], self.sums[end]);
        let count = wanted.max(1) as f64;
        let mean = (to.0 - from.0) / count;
        Mean {
            mean,
            variance: ((to.1 - from.1) / count - mean * mean).max(0.0),
            count: wanted,
        }
    }

    /// Where so many moments begin that are the nearest to this point.
    fn first_of(&self, wanted: usize, come: f32) -> usize {
        let (mut first, mut last) = (0, self.places.len() - wanted);
        while first < last {
            let middle = first.midpoint(last);
            let nearer = self.places[middle + wanted].0 - come < come - self.places[middle].0;
            match nearer {
                true => first = middle + 1,
                false => last = middle,
            }
        }
        first
    }

    /// How many requests something was compared with.
    fn requests(&self) -> usize {
        let compared = self.places.iter().zip(&self.compared);
        let requests = compared
            .filter(|(_, compared)| **compared)
            .map(|((.., request), _)| *request);
        requests.collect::<FxHashSet<RequestId>>().len()
    }
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
