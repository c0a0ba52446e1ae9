//! Whether a component, or two, explain more than chance would, and than others do.

use rustc_hash::FxHashSet;

use super::super::component::Component;
use super::super::fit::Fit;
use super::super::groups::Key;
use super::super::independent;
use super::super::moments::hinted;
use super::super::near::Side;
use super::super::rivals::Claim;
use super::super::scene::By;
use super::Search;
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;

/// So much better each observation must be explained, as a logarithm, by what is in flight then. A thread that touches
/// no connection has coarse times, and moves on while others wait for the processor.
const FEIGNED: f64 = 0.02;
/// What leaves more than this to the background must explain twice as much: for reasons that are not theirs, some labels
/// are in flight a little more than others when work is done that is no request's.
const MOST_OF_NOBODY: f64 = 0.6;

impl<'s> Search<'s> {
    /// Whether a component by a hint names so many requests that it can explain more than chance would: the many blocks
    /// of what one request began say no more than one does.
    pub(super) fn can_tell(&self, component: Component, ratios: &[f64]) -> bool {
        self.tells_with(component, ratios, FxHashSet::default())
    }

    /// The same of what a chosen label may have made in another way: requests of it that are proved to make such blocks
    /// count, too.
    pub(super) fn can_follow(&self, component: Component, ratios: &[f64]) -> bool {
        let of_key = |request: &RequestId| {
            component
                .key()
                .is_some_and(|key| self.given.groups.has(key, *request))
        };
        let proved = self.observed.all.iter().filter(|seen| seen.proved);
        let proved = proved.filter_map(|seen| seen.hints.last).filter(of_key);
        self.tells_with(component, ratios, proved.collect())
    }

    fn tells_with(
        &self,
        component: Component,
        ratios: &[f64],
        mut requests: FxHashSet<RequestId>,
    ) -> bool {
        let Some(hint) = component.hint() else {
            return true;
        };
        let explained = self.observed.all.iter().zip(ratios);
        let explained = explained.filter(|(_, ratio)| **ratio > 0.0);
        requests.extend(explained.filter_map(|(seen, _)| hinted(seen, hint)));
        let most = ratios.iter().fold(1.0, |most: f64, ratio| most.max(*ratio));
        requests.len() as f64 * most.ln() >= self.given.needed
    }

    /// Whether the newest component explains more than chance would.
    pub(super) fn is_gained(&self, more: &Fit<'_>, fewer: &Fit<'_>) -> bool {
        let independent = independent::independent(self.observed, self.given, more);
        more.gain_over(fewer) * independent >= self.needed(more) && !self.is_feigned(more, fewer)
    }

    /// What the labels of the fit must explain.
    pub(super) fn needed(&self, fit: &Fit<'_>) -> f64 {
        match fit.background() > MOST_OF_NOBODY {
            true => 2.0 * self.given.needed,
            false => self.given.needed,
        }
    }

    /// Whether the newest component explains each observation so little better that the times may feign it: a label
    /// that is nearly always in flight is so nearly always, whoever makes the blocks.
    pub(super) fn is_feigned(&self, more: &Fit<'_>, fewer: &Fit<'_>) -> bool {
        let newest = more.components.last();
        let by_time = newest.is_some_and(|newest| {
            matches!(
                newest,
                Component::Flight(_) | Component::Phase(_) | Component::Stage(_)
            )
        });
        let share = more.weights.last().copied().unwrap_or(0.0);
        let explained = share * self.observed.all.len() as f64;
        by_time && more.moments - fewer.moments < FEIGNED * explained
    }

    /// A label that could have made what the newest component explains beside those of `fewer`; see
    /// [`super::rivals`].
    pub(super) fn rival(&self, more: &Fit<'_>, fewer: &Fit<'_>) -> Option<LabelId> {
        let component = *more.components.last()?;
        let rival = self.rival_of(component, more, fewer)?;
        // What is in flight at any stage has less variance, and may tell where the stage doesn't.
        match component {
            Component::Stage(key) => self.rival_of(Component::Phase(key), more, fewer),
            _ => Some(rival),
        }
    }

    /// The same of a component by which the newest label explains them.
    fn rival_of(&self, component: Component, more: &Fit<'_>, fewer: &Fit<'_>) -> Option<LabelId> {
        let label = self.newest(more)?;
        let beside = fewer
            .components
            .iter()
            .filter_map(|component| component.key());
        let beside: Vec<LabelId> = beside.map(|key| self.given.groups.label_of(key)).collect();
        let weights = fewer.unexplained();
        let independent = independent::independent(self.observed, self.given, more);
        let claim = Claim {
            label,
            by: match component {
                Component::After(..) => By::Near(Side::Before),
                _ => component.hint().map_or(By::Flight, By::Hint),
            },
            is_of_status: matches!(component.key(), Some(Key::Group(_))),
            beside: &beside,
            weights: &weights,
            independent,
            ratio: &|observation| self.ratio(component, observation),
        };
        let known = (self.given.records, self.given.groups);
        self.given.scenes.rival(self.observed, &claim, known)
    }

    /// Whether each explains so much that the other does not: they share the call site.
    pub(super) fn need_each_other(&self, one: &Fit<'_>, other: &Fit<'_>, least: f64) -> bool {
        let adds = |one: &Fit<'_>, other: &Fit<'_>| {
            let added = other.components.last().zip(other.ratios.last());
            added.is_some_and(|(component, ratios)| {
                let both = one.with(*component, ratios.clone());
                let renewed = independent::renewed(self.observed, self.given, *component);
                both.gain_over(one) * renewed >= self.given.needed.max(least)
            })
        };
        adds(one, other) && adds(other, one)
    }

    /// Whether neither of the two newest labels has a rival.
    pub(super) fn both_stand(&self, pair: &Fit<'_>, fewer: &Fit<'s>) -> bool {
        let newest = pair.components.len().saturating_sub(2);
        let two = pair.components.iter().zip(&pair.ratios).skip(newest);
        let two: Vec<(&Component, &Vec<f64>)> = two.collect();
        let in_order = [[0, 1], [1, 0]];
        in_order.iter().all(|[first, second]| {
            let fewer = fewer.with(*two[*first].0, two[*first].1.clone());
            let both = fewer.with(*two[*second].0, two[*second].1.clone());
            self.rival(&both, &fewer).is_none()
        })
    }
}
