//! Shares by expectation maximisation, and which components are worth having.

use rustc_hash::{FxHashMap, FxHashSet};

use super::counts::Counts;
use super::flight::{Lag, Sweep};
use super::groups::{Groups, Key};
use super::kin::Causes;
use super::moments::{Hint, Moments};
use super::site::{Observation, Observed};
use super::sizes::size;
use super::{LEAD, LOSS};
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;

/// A cause that blocks may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Component {
    /// No request: as likely at any time.
    Time,
    /// No request: as likely as there is much in flight.
    Load,
    /// No request: as likely whenever anything is in flight.
    Busy,
    /// No request: as likely as many have just ended.
    Ended(Lag),
    /// A request of the key's that is in flight.
    Flight(Key),
    /// The same, where blocks come in a phase of the work: how much is in flight then says nothing, only which.
    Phase(Key),
    /// The request that is the hint.
    Hinted(Hint, Key),
    /// A request of the key's that ended so shortly before.
    After(Lag, Key),
}

/// So much better each observation must be explained, as a logarithm, by what is in flight then. A thread that touches
/// no connection has coarse times, and moves on while others wait for the processor.
const FEIGNED: f64 = 0.02;
/// What comes as a clock ticks is a label's where it explains this part of it.
const IN_STEP: f64 = 0.95;
/// So many observations are independent each time that what is in flight is renewed.
const RENEWED: f64 = 2.0;
/// The background's share at most where what is in flight explains all.
const MOST_LEFT: f64 = 0.05;
/// The background's share at most where a label explains most of something.
const MOSTLY: f64 = 0.3;

impl Explained {
    /// Labels that explain any of it, each once.
    pub(super) fn labels(&self, groups: &Groups) -> Vec<LabelId> {
        let keys = self
            .shares
            .iter()
            .filter_map(|(component, _)| component.key());
        let mut labels: Vec<LabelId> = keys.map(|key| groups.label_of(key)).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether one label explains most of it, and no other any.
    pub(super) fn is_mostly_one(&self, groups: &Groups) -> bool {
        let background = self
            .shares
            .iter()
            .filter(|(component, _)| component.key().is_none());
        let background: f64 = background.map(|(_, share)| share).sum();
        background <= MOSTLY && self.labels(groups).len() == 1
    }

    /// Whether one label explains it all.
    pub(super) fn is_simple(&self, groups: &Groups) -> bool {
        let all = self
            .shares
            .iter()
            .all(|(component, _)| component.key().is_some());
        all && self.labels(groups).len() == 1
    }
}

impl Component {
    /// Whether more of it in flight makes more blocks.
    fn is_by_flight(self) -> bool {
        matches!(
            self,
            Component::Load | Component::Flight(_) | Component::Phase(_)
        )
    }

    pub(super) fn key(self) -> Option<Key> {
        match self {
            Component::Time | Component::Load | Component::Busy | Component::Ended(_) => None,
            Component::Flight(key)
            | Component::Phase(key)
            | Component::Hinted(_, key)
            | Component::After(_, key) => Some(key),
        }
    }
}

/// What explains a call site's blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Explained {
    /// The components, and the share of each.
    pub(super) shares: Vec<(Component, f64)>,
    /// Two labels of which either explains the blocks that no chosen one does.
    pub(super) undecided: Option<(LabelId, LabelId)>,
    /// Of the observations without proof, the part that the background explains.
    pub(super) unproved_background: f64,
}

/// What is known of all requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'s> {
    /// Labels and statuses.
    pub(super) groups: &'s Groups,
    /// What was in flight, by process.
    pub(super) sweeps: &'s [Sweep],
    /// What hints there were, by process.
    pub(super) moments: &'s [Moments],
    /// What a component must explain to be chosen, see [`super::needed_gain`].
    pub(super) needed: f64,
}

/// Everything that ratios come from.
pub(super) struct Ratios<'r> {
    pub(super) groups: &'r Groups,
    pub(super) sweep: &'r Sweep,
    pub(super) moments: &'r Moments,
}

impl Ratios<'_> {
    /// How many of the key's requests were in flight.
    fn of_key(&self, key: Key, observation: &Observation) -> u32 {
        let flight = observation.flight.iter();
        let of_key = flight.filter(|(group, _)| self.groups.contains(key, *group));
        of_key.map(|(_, count)| count).sum()
    }

    /// How much more likely the observation's circumstances are if the component made its blocks.
    pub(super) fn of(&self, component: Component, observation: &Observation) -> f64 {
        let born = observation.around();
        match component {
            Component::Time => 1.0,
            Component::Load => {
                f64::from(observation.in_flight()) / self.sweep.mean_of_all(born).max(TINY)
            }
            Component::Busy => match observation.in_flight() {
                0 => 0.0,
                _ => 1.0 / self.sweep.busy(born).max(TINY),
            },
            Component::Ended(lag) => {
                let all: u32 = observation.ended[lag as usize]
                    .iter()
                    .map(|(_, count)| count)
                    .sum();
                f64::from(all) / self.sweep.mean_of_all_ended(born, lag).max(TINY)
            }
            Component::Flight(key) => match self.of_key(key, observation) {
                0 => 0.0,
                // It is in flight now: on average there is more than nothing.
                count => f64::from(count) / self.sweep.mean(born, key, self.groups).max(TINY),
            },
            Component::Phase(key) => match self.of_key(key, observation) {
                0 => 0.0,
                count => {
                    let share = f64::from(count) / f64::from(observation.in_flight());
                    share / self.sweep.mean_share(born, key, self.groups).max(TINY)
                }
            },
            Component::After(lag, key) => {
                let ended = observation.ended[lag as usize].iter();
                let of_key = ended.filter(|(group, _)| self.groups.contains(key, *group));
                let count: u32 = of_key.map(|(_, count)| count).sum();
                match count {
                    0 => 0.0,
                    count => {
                        f64::from(count)
                            / self.sweep.mean_ended(born, lag, key, self.groups).max(TINY)
                    }
                }
            }
            Component::Hinted(hint, key) => {
                let hinted = hinted(observation, hint).and_then(|id| self.groups.of_request(id));
                match hinted.is_some_and(|group| self.groups.contains(key, group)) {
                    true => {
                        let share = self
                            .moments
                            .share(hint, observation.hints, key, self.groups);
                        // What a request's task or thread does while that is in flight comes then alone.
                        let within = hint == Hint::Task && self.of_key(key, observation) > 0;
                        let time = match within {
                            true => self.of(Component::Load, observation),
                            false => 1.0,
                        };
                        time / share.max(TINY)
                    }
                    false => 0.0,
                }
            }
        }
    }
}

/// No mean and no share is taken for less.
const TINY: f64 = 1e-3;
/// What no component explains still has this likelihood: observations come at the wrong time, too.
const FLOOR: f64 = 1e-4;

pub(super) fn hinted(observation: &Observation, hint: Hint) -> Option<u32> {
    match hint {
        Hint::Last => observation.hints.last,
        Hint::Next => observation.hints.next,
        Hint::Task => observation.hints.task,
    }
}

/// A fit of some components.
struct Fit<'c> {
    counts: &'c Counts,
    components: Vec<Component>,
    /// By component, then observation.
    ratios: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// Of the likelihood of when blocks were made.
    moments: f64,
    /// Of that, and of how many there were then.
    logarithm: f64,
}

/// Rounds of expectation maximisation.
const ROUNDS: usize = 40;

impl<'c> Fit<'c> {
    fn of(components: Vec<Component>, ratios: Vec<Vec<f64>>, counts: &'c Counts) -> Fit<'c> {
        let count = ratios.first().map_or(0, Vec::len);
        let mut fit = Fit {
            counts,
            weights: vec![1.0 / components.len().max(1) as f64; components.len()],
            components,
            ratios,
            moments: 0.0,
            logarithm: 0.0,
        };
        let mut likelihoods = fit.likelihoods(count);
        for _ in 0..ROUNDS {
            for (component, weight) in fit.weights.iter_mut().enumerate() {
                let of = fit.ratios[component].iter().zip(&likelihoods);
                let parts = of.map(|(ratio, likelihood)| *weight * ratio / likelihood);
                *weight = parts.sum::<f64>() / count.max(1) as f64;
            }
            let next = fit.likelihoods(count);
            let moved = next
                .iter()
                .zip(&likelihoods)
                .any(|(new, old)| (new / old - 1.0).abs() > 1e-4);
            likelihoods = next;
            if !moved {
                break;
            }
        }
        fit.moments = likelihoods.iter().map(|likelihood| likelihood.ln()).sum();
        let in_flight = fit.components.iter().zip(&fit.ratios);
        let in_flight = in_flight.filter(|(component, _)| component.is_by_flight());
        fit.logarithm =
            fit.moments + counts.explained_by(in_flight.map(|(_, ratios)| ratios.as_slice()));
        fit
    }

    /// How much more it explains. The counts count as much as the moments at most: by themselves they may be a long
    /// moment's.
    fn gain_over(&self, fewer: &Fit<'_>) -> f64 {
        let moments = self.moments - fewer.moments;
        (self.logarithm - fewer.logarithm).min(2.0 * moments)
    }

    /// How much of what the counts tell another component of this kind would explain.
    fn counts_with(&self, component: Component, ratios: &[f64]) -> f64 {
        let all = self.components.iter().zip(&self.ratios);
        let known = all.filter(|(component, _)| component.is_by_flight());
        let known = known.map(|(_, ratios)| ratios.as_slice());
        match component.is_by_flight() {
            true => self.counts.explained_by(known.chain([ratios])),
            false => self.counts.explained_by(known),
        }
    }

    /// The part that no request explains.
    fn background(&self) -> f64 {
        let all = self.components.iter().zip(&self.weights);
        let keyed = all.filter(|(component, _)| component.key().is_some());
        let keyed: Vec<f64> = keyed.map(|(_, weight)| *weight).collect();
        match keyed.is_empty() {
            true => 1.0,
            false => 1.0 - keyed.iter().sum::<f64>(),
        }
    }

    fn likelihoods(&self, count: usize) -> Vec<f64> {
        let mut all = vec![FLOOR; count];
        for (weight, ratios) in self.weights.iter().zip(&self.ratios) {
            for (likelihood, ratio) in all.iter_mut().zip(ratios) {
                *likelihood += weight * ratio;
            }
        }
        all
    }

    fn with(&self, component: Component, ratios: Vec<f64>) -> Fit<'c> {
        let (mut components, mut all) = (self.components.clone(), self.ratios.clone());
        components.push(component);
        all.push(ratios);
        Fit::of(components, all, self.counts)
    }

    fn without(&self, at: usize) -> Fit<'c> {
        let (mut components, mut all) = (self.components.clone(), self.ratios.clone());
        components.remove(at);
        all.remove(at);
        Fit::of(components, all, self.counts)
    }
}

/// Components that are refitted in each round, of all that there are.
const TRIED: usize = 8;
/// Components that are tried two by two.
const PAIRED: usize = 6;
/// Components that are chosen, at most.
const MOST_CHOSEN: usize = 12;

struct Search<'s> {
    observed: &'s Observed,
    counts: &'s Counts,
    given: Given<'s>,
}

impl<'s> Search<'s> {
    fn ratio(&self, component: Component, observation: &Observation) -> f64 {
        let process = observation.process as usize;
        let ratios = Ratios {
            groups: self.given.groups,
            sweep: &self.given.sweeps[process],
            moments: &self.given.moments[process],
        };
        ratios.of(component, observation)
    }

    fn ratios(&self, component: Component) -> Vec<f64> {
        let all = self.observed.all.iter();
        all.map(|observation| self.ratio(component, observation))
            .collect()
    }

    /// All components of labels that any observation speaks for.
    fn candidates(&self, after: bool) -> Vec<Component> {
        let mut keys: FxHashMap<Component, ()> = FxHashMap::default();
        let mut add = |group, of: &dyn Fn(Key) -> Component| {
            let label = self.given.groups.label(group);
            keys.insert(of(Key::Label(label)), ());
            if self.given.groups.has_statuses(label) {
                keys.insert(of(Key::Group(group)), ());
            }
        };
        for observation in &self.observed.all {
            for (group, _) in &observation.flight {
                add(*group, &Component::Flight);
                add(*group, &Component::Phase);
            }
            for lag in Lag::ALL.into_iter().filter(|_| after) {
                for (group, _) in &observation.ended[lag as usize] {
                    add(*group, &|key| Component::After(lag, key));
                }
            }
            for hint in [Hint::Last, Hint::Next, Hint::Task] {
                let request = hinted(observation, hint);
                if let Some(group) = request.and_then(|id| self.given.groups.of_request(id)) {
                    add(group, &|key| Component::Hinted(hint, key));
                }
            }
        }
        let mut all: Vec<Component> = keys.into_keys().collect();
        all.sort_unstable();
        all
    }

    /// About how much the component adds to the logarithm of the likelihood.
    fn score(ratios: &[f64], likelihoods: &[f64]) -> f64 {
        let with = |share: f64| {
            let each = ratios.iter().zip(likelihoods);
            each.map(|(ratio, likelihood)| (1.0 + share * (ratio / likelihood - 1.0)).ln())
                .sum::<f64>()
        };
        [0.1, 0.5, 0.95]
            .into_iter()
            .map(with)
            .fold(f64::MIN, f64::max)
    }

    /// What explains them. What comes as a clock ticks is no request's: a thread or a loop that does it has its time
    /// while others wait, and so while some labels are in flight more than others.
    fn run(&self) -> (Fit<'s>, Option<(LabelId, LabelId)>) {
        let (fit, undecided) = self.search();
        match self.observed.ticks && !self.is_in_step(&fit) {
            true => (self.background(false), None),
            false => (fit, undecided),
        }
    }

    /// Whether one label alone explains nearly all: then that comes as a clock ticks.
    fn is_in_step(&self, fit: &Fit<'_>) -> bool {
        let keyed = fit.components.iter().zip(&fit.ratios);
        let keyed = keyed.filter_map(|(component, ratios)| Some((component.key()?, ratios)));
        let mut by_label: FxHashMap<LabelId, Vec<bool>> = FxHashMap::default();
        for (key, ratios) in keyed {
            let explained = by_label
                .entry(self.given.groups.label_of(key))
                .or_insert_with(|| vec![false; ratios.len()]);
            let each = explained.iter_mut().zip(ratios);
            each.for_each(|(explained, ratio)| *explained |= *ratio > 0.0);
        }
        let all = self.observed.all.len() as f64;
        let count = |explained: &Vec<bool>| explained.iter().filter(|one| **one).count();
        by_label.is_empty()
            || by_label
                .values()
                .any(|one| count(one) as f64 >= IN_STEP * all)
    }

    /// What no request makes.
    fn background(&self, after: bool) -> Fit<'s> {
        let mut background = vec![Component::Time, Component::Load, Component::Busy];
        if after {
            background.extend(Lag::ALL.map(Component::Ended));
        }
        let ratios = background
            .iter()
            .map(|component| self.ratios(*component))
            .collect();
        Fit::of(background, ratios, self.counts)
    }

    /// A request that has ended is thought of only where those in flight leave a part to the background, and where
    /// that explains clearly more: where requests take turns, one's end is another's begin.
    fn search(&self) -> (Fit<'s>, Option<(LabelId, LabelId)>) {
        let in_flight = self.choose(false);
        let background = in_flight.0.background();
        if background < MOST_LEFT || background == 1.0 && in_flight.1.is_some() {
            return in_flight;
        }
        let ended = self.choose(true);
        match ended.0.logarithm - in_flight.0.logarithm >= LEAD || background == 1.0 {
            true => ended,
            false => in_flight,
        }
    }

    fn choose(&self, after: bool) -> (Fit<'s>, Option<(LabelId, LabelId)>) {
        let mut fit = self.background(after);
        let candidates: Vec<(Component, Vec<f64>)> = self
            .candidates(after)
            .into_iter()
            .map(|component| (component, self.ratios(component)))
            .collect();
        let mut undecided = None;
        while fit.components.len() < MOST_CHOSEN {
            let Some((best, rival)) = self.best_two(&fit, &candidates) else {
                break;
            };
            let gain = best.gain_over(&fit) * self.independent(&best);
            if gain < self.given.needed || self.is_feigned(&best, &fit) {
                // Two that share the site may be told only together.
                match self.best_pair(&fit, &candidates) {
                    Some(pair) => fit = pair,
                    None => break,
                }
                continue;
            }
            let rival = rival.filter(|rival| best.logarithm - rival.logarithm < LEAD);
            if let Some(rival) = rival.filter(|rival| !self.need_each_other(&best, rival)) {
                undecided = self.newest(&best).zip(self.newest(&rival));
                break;
            }
            fit = best;
        }
        let fit = self.with_siblings(fit, &candidates);
        (self.without_background(fit), undecided)
    }

    /// Whether the newest component explains each observation so little better that the times may feign it: a label
    /// that is nearly always in flight is so nearly always, whoever makes the blocks.
    fn is_feigned(&self, more: &Fit<'_>, fewer: &Fit<'_>) -> bool {
        let by_time = more
            .components
            .last()
            .is_some_and(|newest| matches!(newest, Component::Flight(_) | Component::Phase(_)));
        let share = more.weights.last().copied().unwrap_or(0.0);
        let explained = share * self.observed.all.len() as f64;
        by_time && more.moments - fewer.moments < FEIGNED * explained
    }

    /// The label of the component that was added last.
    fn newest(&self, fit: &Fit<'_>) -> Option<LabelId> {
        let key = fit.components.last().and_then(|component| component.key());
        key.map(|key| self.given.groups.label_of(key))
    }

    /// Observations that one request explains are one: which part of those that the newest component explains can each
    /// have a request of its own.
    fn independent(&self, fit: &Fit<'_>) -> f64 {
        let (Some(component), Some(ratios)) = (fit.components.last(), fit.ratios.last()) else {
            return 1.0;
        };
        let Some(key) = component.key() else {
            return 1.0;
        };
        let of_key = |request: &RequestId| {
            let group = self.given.groups.of_request(*request);
            group.is_some_and(|group| self.given.groups.contains(key, group))
        };
        let mut used: FxHashSet<RequestId> = FxHashSet::default();
        for (seen, _) in self
            .observed
            .all
            .iter()
            .zip(ratios)
            .filter(|(_, ratio)| **ratio > 0.0)
        {
            let own = match component {
                Component::Hinted(hint, _) => hinted(seen, *hint),
                Component::After(..) => Some(RequestId::MAX - seen.epoch as RequestId),
                _ => seen
                    .requests
                    .iter()
                    .copied()
                    .filter(of_key)
                    .find(|request| !used.contains(request)),
            };
            used.extend(own);
        }
        let explained = fit.weights.last().copied().unwrap_or(0.0) * self.observed.all.len() as f64;
        let most = match component {
            Component::After(lag, key) => self.ends(*lag, *key, used.len()),
            _ => used.len(),
        };
        (most as f64 / explained.max(1.0)).min(1.0) * self.renewed(*component)
    }

    /// Where only the newest blocks are left, they tell of a short time, in which a label may be in flight more than
    /// on average by chance: no more of them are independent than [`RENEWED`] times as many as what is in flight was renewed then.
    fn renewed(&self, component: Component) -> f64 {
        let mut spans: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        let left = self.observed.all.iter().filter(|seen| seen.since > 0);
        for seen in left.clone() {
            let span = spans.entry(seen.process).or_insert((u64::MAX, 0));
            *span = (span.0.min(seen.born), span.1.max(seen.born));
        }
        // A hint is of one moment.
        if spans.is_empty() || matches!(component, Component::Hinted(..)) {
            return 1.0;
        }
        let renewed = spans.into_iter().map(|(process, (from, to))| {
            1.0 + self.given.sweeps[process as usize].renewed(from, to)
        });
        (RENEWED * renewed.sum::<f64>() / left.count() as f64).min(1.0)
    }

    /// How many of the key's requests ended while the observations came, or shortly before: so many at most.
    fn ends(&self, lag: Lag, key: Key, most: usize) -> usize {
        let mut spans: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        for seen in &self.observed.all {
            let span = spans.entry(seen.process).or_insert((u64::MAX, 0));
            *span = (span.0.min(seen.born), span.1.max(seen.born));
        }
        let ends = spans.into_iter().map(|(process, span)| {
            let sweep = &self.given.sweeps[process as usize];
            sweep
                .ends(lag, key, self.given.groups, span)
                .take(most)
                .count()
        });
        ends.sum::<usize>().min(most)
    }

    /// Whether both explain something that the other does not: they share the call site.
    fn need_each_other(&self, one: &Fit<'_>, other: &Fit<'_>) -> bool {
        let added = other.components.last().zip(other.ratios.last());
        added.is_some_and(|(component, ratios)| {
            let both = one.with(*component, ratios.clone());
            both.gain_over(one) * self.renewed(*component) >= self.given.needed
        })
    }

    /// A label that was chosen may have made, in another way, what is left.
    fn with_siblings(&self, mut fit: Fit<'s>, candidates: &[(Component, Vec<f64>)]) -> Fit<'s> {
        let chosen: Vec<Key> = fit
            .components
            .iter()
            .filter_map(|component| component.key())
            .collect();
        for (component, ratios) in candidates {
            let is_sibling = component.key().is_some_and(|key| chosen.contains(&key));
            if is_sibling && !fit.components.contains(component) {
                let more = fit.with(*component, ratios.clone());
                if more.logarithm - fit.logarithm >= LOSS {
                    fit = more;
                }
            }
        }
        fit
    }

    /// The fit with the component that adds most, and the best with one of another label.
    fn best_two(
        &self,
        fit: &Fit<'s>,
        candidates: &[(Component, Vec<f64>)],
    ) -> Option<(Fit<'s>, Option<Fit<'s>>)> {
        let likelihoods = fit.likelihoods(self.observed.all.len());
        let mut scored: Vec<(f64, usize)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, (component, _))| !fit.components.contains(component))
            .map(|(at, (component, ratios))| {
                let counts = fit.counts_with(*component, ratios);
                (Search::score(ratios, &likelihoods) + counts, at)
            })
            .collect();
        scored.sort_by(|left, right| right.0.total_cmp(&left.0));
        let label_of = |at: usize| {
            candidates[at]
                .0
                .key()
                .map(|key| self.given.groups.label_of(key))
        };
        // The best of other labels are tried, too, however many components the first one has.
        let first = scored.first().and_then(|(_, at)| label_of(*at));
        let others = scored
            .iter()
            .filter(|(_, at)| label_of(*at) != first)
            .take(TRIED / 2);
        let tried = scored.iter().take(TRIED).chain(others);
        let mut fits: Vec<Fit<'_>> = tried
            .map(|(_, at)| fit.with(candidates[*at].0, candidates[*at].1.clone()))
            .collect();
        fits.sort_by(|left, right| right.logarithm.total_cmp(&left.logarithm));
        let mut fits = fits.into_iter();
        let best = fits.next()?;
        let rival = fits.find(|other| self.newest(other) != self.newest(&best));
        Some((best, rival))
    }

    /// The fit with two labels more, if it is much better than this one and than that with any other two.
    fn best_pair(&self, fit: &Fit<'s>, candidates: &[(Component, Vec<f64>)]) -> Option<Fit<'s>> {
        let likelihoods = fit.likelihoods(self.observed.all.len());
        let mut scored: Vec<(f64, usize)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, (component, _))| !fit.components.contains(component))
            .map(|(at, (component, ratios))| {
                let counts = fit.counts_with(*component, ratios);
                (Search::score(ratios, &likelihoods) + counts, at)
            })
            .collect();
        scored.sort_by(|left, right| right.0.total_cmp(&left.0));
        scored.truncate(PAIRED);
        let label_of = |at: usize| {
            candidates[at]
                .0
                .key()
                .map(|key| self.given.groups.label_of(key))
        };
        let mut pairs: Vec<(Fit<'_>, [Option<LabelId>; 2])> = Vec::new();
        for (place, (_, one)) in scored.iter().enumerate() {
            for (_, other) in &scored[place + 1..] {
                let mut labels = [label_of(*one), label_of(*other)];
                labels.sort_unstable();
                if labels[0] != labels[1] {
                    let (one, other) = (&candidates[*one], &candidates[*other]);
                    let with = fit
                        .with(one.0, one.1.clone())
                        .with(other.0, other.1.clone());
                    pairs.push((with, labels));
                }
            }
        }
        pairs.sort_by(|left, right| right.0.logarithm.total_cmp(&left.0.logarithm));
        let mut pairs = pairs.into_iter();
        let (best, labels) = pairs.next()?;
        let rival = pairs.find(|(_, others)| *others != labels);
        let leads =
            rival.is_none_or(|(rival, _)| best.logarithm - rival.logarithm >= self.given.needed);
        let newest = best.components.last().copied();
        let renewed = newest.map_or(1.0, |component| self.renewed(component));
        (leads && best.gain_over(fit) * renewed >= self.given.needed + LEAD).then_some(best)
    }

    fn without_background(&self, mut fit: Fit<'s>) -> Fit<'s> {
        let ended = Lag::ALL.map(Component::Ended);
        for component in
            ended
                .into_iter()
                .chain([Component::Busy, Component::Load, Component::Time])
        {
            let at = fit.components.iter().position(|other| *other == component);
            if let Some(at) = at.filter(|_| fit.components.len() > 1) {
                let fewer = fit.without(at);
                if fit.logarithm - fewer.logarithm < LOSS {
                    fit = fewer;
                }
            }
        }
        fit
    }
}

/// How much more likely the causes make the observations, as a logarithm, than the background that fits them best.
pub(super) fn gain(observed: &Observed, (explained, by_size): &Causes, given: Given<'_>) -> f64 {
    let counts = Counts::default();
    let search = Search {
        observed,
        counts: &counts,
        given,
    };
    let background = [Component::Time, Component::Load, Component::Busy];
    let ratios = background.map(|component| search.ratios(component));
    let background = Fit::of(background.to_vec(), ratios.to_vec(), &counts);
    let likelihood = |observation: &Observation| {
        let wanted = size(observation.amount);
        let of_size = by_size.iter().find(|(size, _)| *size == wanted);
        let shares = &of_size.map_or(explained, |(_, explained)| explained).shares;
        let parts = shares
            .iter()
            .map(|(component, share)| share * search.ratio(*component, observation));
        (FLOOR + parts.sum::<f64>()).ln()
    };
    observed.all.iter().map(likelihood).sum::<f64>() - background.logarithm
}

/// What explains the observations of a call site.
pub(super) fn explain(observed: &Observed, given: Given<'_>) -> Explained {
    if observed.all.is_empty() {
        return Explained::default();
    }
    let counts = Counts::of(observed);
    let search = Search {
        observed,
        counts: &counts,
        given,
    };
    let (fit, undecided) = search.run();
    let likelihoods = fit.likelihoods(observed.all.len());
    let (mut background, mut unproved) = (0.0, 0.0);
    for (index, likelihood) in likelihoods.iter().enumerate() {
        if observed.all[index].proved {
            continue;
        }
        unproved += 1.0;
        for (at, component) in fit.components.iter().enumerate() {
            if component.key().is_none() {
                background += fit.weights[at] * fit.ratios[at][index] / likelihood;
            }
        }
    }
    Explained {
        shares: fit.components.into_iter().zip(fit.weights).collect(),
        undecided,
        unproved_background: if unproved > 0.0 {
            background / unproved
        } else {
            0.0
        },
    }
}
