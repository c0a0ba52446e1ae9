//! Which of the requests in flight blocks are made for, by how long these have been there: whoever takes jobs from a
//! queue works for those that have waited longest, and whoever prepares them for those that have just begun.
//!
//! Where what is in flight tells which label makes the blocks of a call site, the stages are seen at which its requests
//! are then. Of all such call sites together, they are a measure for the others: of many requests in flight few are at
//! the stage at which such work is done, and these few tell labels apart with a tenth of the blocks. The measure is
//! taken only where each label's stages follow from those of the other labels, so that they are the server's and not
//! the endpoint's.
//!
//! The model is a choice among those in flight: one at stage `s` is chosen in proportion to `w(s)`. Its weights are
//! those that make the known labels likeliest (minorisation and maximisation, as for the Bradley-Terry model: Hunter,
//! The Annals of Statistics 32, 2004).

use rustc_hash::FxHashMap;

use super::flight::{Means, Sweep};
use super::groups::Groups;
use super::site::{Observation, Observed};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// Stages that are told apart.
const STAGES: usize = 10;
/// So many observations at least tell the weights, ...
const LEAST: usize = 100;
/// ... which are taken to be as even as so many more would make them.
const PRIOR: f64 = 20.0;
/// So many of a label at least are looked at by themselves: ...
const OF_LABEL: usize = 20;
/// ... the weights of other labels must make each so much likelier, as a logarithm, or stages are the labels' own.
const TELLS: f64 = 0.3;
/// This part of all blocks is made at any stage: a thread waits for the processor.
pub(super) const EVEN: f64 = 0.1;
/// Rounds of maximisation.
const ROUNDS: usize = 30;

/// What a stage is.
#[derive(Clone, Copy, Debug)]
enum By {
    /// How far the request has come of all its time.
    Progress,
    /// How many in flight began before it.
    Place,
}

/// How likely blocks are made for requests at each stage.
#[derive(Clone, Debug)]
pub(super) struct Stages {
    by: By,
    weights: Weights,
    /// How likely blocks are made for each group by these, by process.
    pub(super) means: Vec<Means>,
}

type Weights = [f64; STAGES];

/// How many requests are at each stage: those that made the blocks, and all in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    own: [u32; STAGES],
    all: [u32; STAGES],
}

/// How far a request had come at a stamp, from 0 to 1.
pub(super) fn progress(record: &Record, stamp: u64) -> f32 {
    let lasted = record.end.unwrap_or(u64::MAX).saturating_sub(record.start);
    let passed = stamp.saturating_sub(record.start);
    (passed as f64 / lasted.max(1) as f64).min(1.0) as f32
}

impl By {
    /// The stages of requests in flight, given the oldest first.
    fn stages<'r>(
        self,
        requests: &'r [RequestId],
        stamp: u64,
        records: &'r [Record],
    ) -> impl Iterator<Item = (RequestId, usize)> + 'r {
        let stage = move |(place, request): (usize, &RequestId)| {
            let stage = match self {
                By::Progress => {
                    let come = progress(&records[*request as usize], stamp);
                    (come * STAGES as f32) as usize
                }
                By::Place => place,
            };
            (*request, stage.min(STAGES - 1))
        };
        requests.iter().enumerate().map(stage)
    }
}

impl Seen {
    /// How much likelier than chance the weights make it that one of its own is chosen, as a logarithm.
    fn told_by(&self, weights: &Weights) -> f64 {
        let even = [1.0; STAGES];
        (share(&self.own, &self.all, weights) / share(&self.own, &self.all, &even)).ln()
    }
}

fn sum(counts: &[u32; STAGES], weights: &Weights) -> f64 {
    let each = counts.iter().zip(weights);
    each.map(|(count, weight)| f64::from(*count) * weight).sum()
}

fn share(own: &[u32; STAGES], all: &[u32; STAGES], weights: &Weights) -> f64 {
    sum(own, weights) / sum(all, weights)
}

/// The weights that make it likeliest that each is made by one of its own.
fn fit<'s>(seen: impl Iterator<Item = &'s Seen>) -> Weights {
    let seen: Vec<&Seen> = seen.collect();
    let mut weights = [1.0; STAGES];
    for _ in 0..ROUNDS {
        let mut chosen = [PRIOR / STAGES as f64; STAGES];
        let mut offered = [PRIOR / STAGES as f64; STAGES];
        for one in &seen {
            let (own, all) = (sum(&one.own, &weights), sum(&one.all, &weights));
            for stage in 0..STAGES {
                chosen[stage] += f64::from(one.own[stage]) * weights[stage] / own;
                offered[stage] += f64::from(one.all[stage]) / all;
            }
        }
        for stage in 0..STAGES {
            weights[stage] = chosen[stage] / offered[stage];
        }
    }
    weights
}

impl Stages {
    /// The weights of requests in flight, which are given the oldest first.
    pub(super) fn weighed<'r>(
        &'r self,
        requests: &'r [RequestId],
        stamp: u64,
        records: &'r [Record],
    ) -> impl Iterator<Item = (RequestId, f64)> + 'r {
        let stages = self.by.stages(requests, stamp, records);
        stages.map(|(request, stage)| (request, self.weights[stage]))
    }

    /// Those of call sites that labels in flight explain; `None` where they are too few, or one label's don't follow
    /// from the others'.
    pub(super) fn of(
        explained: &[(&Observed, Vec<LabelId>)],
        sweeps: &[Sweep],
        records: &[Record],
        groups: &Groups,
    ) -> Option<Stages> {
        let of = |by| Stages::by(by, explained, records, groups);
        let both = [By::Progress, By::Place].into_iter().filter_map(of);
        let (mut stages, _) = both.max_by(|one, other| one.1.total_cmp(&other.1))?;
        let weights = |requests: &[RequestId], stamp| {
            let weighed = stages.weighed(requests, stamp, records);
            weighed.map(|(_, weight)| weight).collect()
        };
        let means = sweeps
            .iter()
            .map(|sweep| sweep.weighed(groups, weights))
            .collect();
        stages.means = means;
        Some(stages)
    }

    /// The same, and how much likelier they make the blocks, each.
    fn by(
        by: By,
        explained: &[(&Observed, Vec<LabelId>)],
        records: &[Record],
        groups: &Groups,
    ) -> Option<(Stages, f64)> {
        let mut by_labels: FxHashMap<&[LabelId], Vec<Seen>> = FxHashMap::default();
        for (observed, labels) in explained {
            let seen = |one: &Observation| {
                let mut seen = Seen::default();
                for (request, stage) in by.stages(&one.requests, one.born, records) {
                    let label = groups.of_request(request).map(|group| groups.label(group));
                    seen.all[stage] += 1;
                    seen.own[stage] +=
                        u32::from(label.is_some_and(|label| labels.contains(&label)));
                }
                seen
            };
            let unproved = observed.all.iter().filter(|one| !one.proved);
            let seen = unproved.map(seen).filter(|seen| seen.own != [0; STAGES]);
            by_labels.entry(labels).or_default().extend(seen);
        }
        by_labels.retain(|_, seen| seen.len() >= OF_LABEL);
        let told = |(labels, seen): (&&[LabelId], &Vec<Seen>)| {
            let others = by_labels.iter().filter(|(other, _)| *other != labels);
            let weights = fit(others.flat_map(|(_, seen)| seen));
            mean_told(seen, &weights)
        };
        let least = by_labels.iter().map(told).fold(f64::INFINITY, f64::min);
        let all: Vec<Seen> = by_labels.values().flatten().copied().collect();
        if by_labels.len() < 2 || all.len() < LEAST || least < TELLS {
            return None;
        }
        let weights = fit(all.iter());
        let told = mean_told(&all, &weights);
        let means = Vec::new();
        Some((Stages { by, weights, means }, told))
    }
}

fn mean_told(seen: &[Seen], weights: &Weights) -> f64 {
    let each = seen.iter().map(|seen| seen.told_by(weights));
    each.sum::<f64>() / seen.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests at stages, of which the first one's label makes the blocks.
    fn seen(stages: &[usize]) -> Seen {
        let mut seen = Seen::default();
        seen.own[stages[0]] += 1;
        stages.iter().for_each(|stage| seen.all[*stage] += 1);
        seen
    }

    #[test]
    fn weights_are_those_that_make_the_choices_likeliest() {
        // Of stages 0 and 1 the first is chosen three times in four; what is alone tells nothing.
        let choices = [[0, 1], [0, 1], [0, 1], [1, 0]];
        let many = choices.iter().cycle().take(4_000).map(|two| seen(two));
        let alone = std::iter::repeat_n(seen(&[1]), 4_000);
        let weights = fit(many.chain(alone).collect::<Vec<Seen>>().iter());
        let ratio = weights[0] / weights[1];
        assert!((ratio - 3.0).abs() < 0.1, "{weights:?}");
        let told = seen(&[0, 1]).told_by(&weights);
        assert!((told - 1.5_f64.ln()).abs() < 0.01, "{told}");
        assert_eq!(seen(&[1]).told_by(&weights), 0.0);
    }
}
