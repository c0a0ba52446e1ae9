//! Which components are worth having, by forward selection.

mod given;
mod tell;

use rustc_hash::{FxHashMap, FxHashSet};

use super::component::{Component, Given, Ratios};
use super::counts::Counts;
use super::fit::Fit;
use super::flight::Lag;
use super::groups::Key;
use super::independent;
use super::moments::{Hint, hinted};
use super::site::{Observation, Observed};
use crate::requests::label::LabelId;

/// The background's share at most where what is in flight explains all.
const MOST_LEFT: f64 = 0.05;
/// It must beat the best of any other label by so much, or both are undecided.
const LEAD: f64 = 5.0;
/// The background is dropped where that costs less than this.
const LOSS: f64 = 2.0;
/// What comes as a clock ticks is a label's where it explains this part of it.
const IN_STEP: f64 = 0.95;
/// It must explain more than any other label, by this part of what it explains, too: where traffic has an order,
/// labels go together, and small differences are the model's.
const PART: f64 = 0.2;
/// Who gave the work explains this part of what all that is known does, or wakers are no givers here: a thread may be
/// woken by one that has touched another's connection since it served the giver's.
const TRUSTED: f64 = 0.5;
/// So many workers of which is known who gave them their work tell.
pub(super) const GIVEN: usize = 10;
/// Components that are refitted in each round, of all that there are.
const TRIED: usize = 8;
/// Components that are tried two by two.
const PAIRED: usize = 6;
/// Components that are chosen, at most.
const MOST_CHOSEN: usize = 12;

pub(super) struct Search<'s> {
    pub(super) observed: &'s Observed,
    pub(super) counts: &'s Counts,
    pub(super) given: Given<'s>,
}

impl<'s> Search<'s> {
    pub(super) fn ratio(&self, component: Component, observation: &Observation) -> f64 {
        let process = observation.process as usize;
        let ratios = Ratios {
            groups: self.given.groups,
            sweep: &self.given.sweeps[process],
            moments: &self.given.moments[process],
            stages: self.given.stages,
            records: self.given.records,
        };
        ratios.of(component, observation)
    }

    pub(super) fn ratios(&self, component: Component) -> Vec<f64> {
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
                if self.given.stages.is_some() {
                    add(*group, &Component::Stage);
                }
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
    pub(super) fn run(&self) -> (Fit<'s>, Option<(LabelId, LabelId)>) {
        let (fit, undecided) = self.search();
        match self.observed.ticks && !self.observed.is_mostly_proved() && !self.is_in_step(&fit) {
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
        let candidates: Vec<(Component, Vec<f64>)> = self
            .candidates(after)
            .into_iter()
            .map(|component| (component, self.ratios(component)))
            .collect();
        let of_all = self.choose_of(after, &candidates);
        let Some(narrow) = self.narrowed(&candidates) else {
            return of_all;
        };
        let of_given = self.choose_of(after, &narrow);
        let is_given = |component: &Component| component.hint() == Some(Hint::Task);
        let is_right = of_given.0.logarithm >= TRUSTED * of_all.0.logarithm;
        match is_right && of_given.0.components.iter().any(is_given) {
            true => of_given,
            false => of_all,
        }
    }

    fn choose_of(
        &self,
        after: bool,
        candidates: &[(Component, Vec<f64>)],
    ) -> (Fit<'s>, Option<(LabelId, LabelId)>) {
        let mut fit = self.background(after);
        let mut undecided = None;
        // A hint at few requests can't be chosen, and would keep others from it.
        let telling: Vec<(Component, Vec<f64>)> = candidates
            .iter()
            .filter(|(component, ratios)| self.can_tell(*component, ratios))
            .cloned()
            .collect();
        while fit.components.len() < MOST_CHOSEN {
            let fits = self.best_fits(&fit, &telling);
            let Some(best) = fits.first() else {
                break;
            };
            if !self.is_gained(best, &fit) {
                // Two that share the site may be told only together.
                match self.best_pair(&fit, &telling) {
                    Some(pair) => fit = pair,
                    None => break,
                }
                continue;
            }
            if let Some(rival) = self.rival(best, &fit) {
                undecided = self.newest(best).zip(Some(rival));
                break;
            }
            let lead = LEAD.max(PART * (best.logarithm - fit.logarithm));
            let mut near = fits.iter().skip(1);
            let near = near.find(|other| {
                best.logarithm - other.logarithm < lead && !self.need_each_other(best, other, lead)
            });
            if let Some(rival) = near {
                undecided = self.newest(best).zip(self.newest(rival));
                break;
            }
            fit = best.clone();
        }
        let fit = self.with_siblings(fit, candidates);
        (self.without_background(fit), undecided)
    }

    /// The label of the component that was added last.
    fn newest(&self, fit: &Fit<'_>) -> Option<LabelId> {
        fit.components
            .last()
            .and_then(|component| self.label_of(*component))
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
            if is_sibling
                && !fit.components.contains(component)
                && self.can_follow(*component, ratios)
            {
                let more = fit.with(*component, ratios.clone());
                if more.logarithm - fit.logarithm >= LOSS {
                    fit = more;
                }
            }
        }
        fit
    }

    fn label_of(&self, component: Component) -> Option<LabelId> {
        component.key().map(|key| self.given.groups.label_of(key))
    }

    /// About how much each candidate would add, and its place; the most first.
    fn scored(&self, fit: &Fit<'s>, candidates: &[(Component, Vec<f64>)]) -> Vec<(f64, usize)> {
        let likelihoods = fit.likelihoods(self.observed.all.len());
        let others = (0..).zip(candidates);
        let others = others.filter(|(_, (component, _))| !fit.components.contains(component));
        let score = |(at, (component, ratios)): (usize, &(Component, Vec<f64>))| {
            let counts = fit.counts_with(*component, ratios);
            (Search::score(ratios, &likelihoods) + counts, at)
        };
        let mut scored: Vec<(f64, usize)> = others.map(score).collect();
        scored.sort_by(|left, right| right.0.total_cmp(&left.0));
        scored
    }

    /// Fits with one component more, the best of each label, the best first.
    fn best_fits(&self, fit: &Fit<'s>, candidates: &[(Component, Vec<f64>)]) -> Vec<Fit<'s>> {
        let scored = self.scored(fit, candidates);
        let label_of = |at: usize| self.label_of(candidates[at].0);
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
        let mut known: FxHashSet<Option<LabelId>> = FxHashSet::default();
        fits.retain(|fit| known.insert(self.newest(fit)));
        fits
    }

    /// The fit with two labels more, if it is much better than this one and than that with any other two.
    fn best_pair(&self, fit: &Fit<'s>, candidates: &[(Component, Vec<f64>)]) -> Option<Fit<'s>> {
        let mut scored = self.scored(fit, candidates);
        scored.truncate(PAIRED);
        let label_of = |at: usize| self.label_of(candidates[at].0);
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
        let lead = PART * (best.logarithm - fit.logarithm);
        let lead = self.given.needed.max(lead);
        let leads = rival.is_none_or(|(rival, _)| best.logarithm - rival.logarithm >= lead);
        let independent = independent::independent_pair(self.observed, self.given, &best);
        let gained = best.gain_over(fit) * independent >= self.needed(&best) + LEAD;
        (leads && gained && self.both_stand(&best, fit)).then_some(best)
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
