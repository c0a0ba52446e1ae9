//! What was seen at other moments: what blocks are compared with that another label may have made.
//!
//! Moments are those at which workers turned from one thing to the next (`moments`), so that an idle server doesn't
//! count.

use rustc_hash::{FxHashMap, FxHashSet};

use super::flight::Sweep;
use super::groups::Groups;
use super::moments::{Hint, hinted};
use super::near::{Near, Order, Side};
use super::site::Observation;
use super::stage::progress;
use crate::ledger::Finished;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// Moments of the rival's that an observation is compared with: one in so many, those at the nearest points of its
/// requests' lives, ...
const NEAREST: usize = 16;
/// ... and so many at least.
const LEAST: usize = 16;

/// By what a label made blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum By {
    /// Its request was in flight.
    Flight,
    /// Its request was this hint.
    Hint(Hint),
    /// Its request had just ended, or was to begin soon.
    Near(Side),
}

/// A request by which a label may have made blocks.
pub(super) struct Cause {
    pub(super) by: By,
    pub(super) label: LabelId,
    pub(super) request: RequestId,
    /// Where in the request's life that was: how far the request had come (0 to 1), or how far it was away.
    pub(super) come: f32,
    /// Ticks since its begin, since its end, or until its begin.
    pub(super) ticks: u64,
}

/// A moment of a rival's: how far its request had come then (0 to 1), the moment's place, and the request.
pub(super) type Place = (f32, u32, RequestId);

/// What was seen at a sample of moments in a process.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) seen: Vec<Observation>,
    order: Order,
    /// By whose they are, in order of how far the request had come.
    places: FxHashMap<(By, LabelId), Vec<Place>>,
}

/// A mean, its variance, and of how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) count: usize,
}

impl Mean {
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone) -> Mean {
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
    pub(super) fn and(self, value: f64) -> Mean {
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
pub(super) type Known<'k> = (&'k [Record], &'k Groups);

/// By what a request can have made the observation's blocks, while it was in flight or was hinted at.
pub(super) fn causes<'o>(
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
    pub(super) fn causes_near(&self, observation: &Observation, groups: &Groups) -> Vec<Cause> {
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

    pub(super) fn of(
        finished: &Finished,
        sweep: &Sweep,
        records: &[Record],
        groups: &Groups,
    ) -> Scene {
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
    pub(super) fn places(&self, by: By, label: LabelId) -> &[Place] {
        self.places.get(&(by, label)).map_or(&[], Vec::as_slice)
    }
}

/// What a statistic is along a rival's moments.
pub(super) struct Along<'p> {
    places: &'p [Place],
    /// Sums of it and of its square over all moments before each.
    sums: Vec<(f64, f64)>,
    /// Moments that something was compared with.
    compared: Vec<bool>,
}

impl<'p> Along<'p> {
    pub(super) fn new(places: &'p [Place], values: &[f64]) -> Along<'p> {
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
    pub(super) fn near(&mut self, come: f32) -> Mean {
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
    pub(super) fn requests(&self) -> usize {
        let compared = self.places.iter().zip(&self.compared);
        let requests = compared
            .filter(|(_, compared)| **compared)
            .map(|((.., request), _)| *request);
        requests.collect::<FxHashSet<RequestId>>().len()
    }
}
