//! Shares of components by expectation maximisation.

use super::component::Component;
use super::counts::Counts;

/// What no component explains still has this likelihood: observations come at the wrong time, too.
pub(super) const FLOOR: f64 = 1e-4;

/// A fit of some components.
#[derive(Clone)]
pub(super) struct Fit<'c> {
    pub(super) counts: &'c Counts,
    pub(super) components: Vec<Component>,
    /// By component, then observation.
    pub(super) ratios: Vec<Vec<f64>>,
    pub(super) weights: Vec<f64>,
    /// Of the likelihood of when blocks were made.
    pub(super) moments: f64,
    /// Of that, and of how many there were then.
    pub(super) logarithm: f64,
}

/// Rounds of expectation maximisation.
const ROUNDS: usize = 40;

impl<'c> Fit<'c> {
    pub(super) fn of(
        components: Vec<Component>,
        ratios: Vec<Vec<f64>>,
        counts: &'c Counts,
    ) -> Fit<'c> {
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
    pub(super) fn gain_over(&self, fewer: &Fit<'_>) -> f64 {
        let moments = self.moments - fewer.moments;
        (self.logarithm - fewer.logarithm).min(2.0 * moments)
    }

    /// How much of what the counts tell another component of this kind would explain.
    pub(super) fn counts_with(&self, component: Component, ratios: &[f64]) -> f64 {
        let all = self.components.iter().zip(&self.ratios);
        let known = all.filter(|(component, _)| component.is_by_flight());
        let known = known.map(|(_, ratios)| ratios.as_slice());
        match component.is_by_flight() {
            true => self.counts.explained_by(known.chain([ratios])),
            false => self.counts.explained_by(known),
        }
    }

    /// The part that no request explains.
    pub(super) fn background(&self) -> f64 {
        let all = self.components.iter().zip(&self.weights);
        let keyed = all.filter(|(component, _)| component.key().is_some());
        let keyed: Vec<f64> = keyed.map(|(_, weight)| *weight).collect();
        match keyed.is_empty() {
            true => 1.0,
            false => 1.0 - keyed.iter().sum::<f64>(),
        }
    }

    /// Of each observation, the part that no request explains.
    pub(super) fn unexplained(&self) -> Vec<f64> {
        let likelihoods = self.likelihoods(self.ratios.first().map_or(0, Vec::len));
        let background = |(at, likelihood): (usize, &f64)| {
            let all = self.components.iter().zip(&self.weights).zip(&self.ratios);
            let nobody = all.filter(|((component, _), _)| component.key().is_none());
            let parts = nobody.map(|((_, weight), ratios)| weight * ratios[at]);
            (parts.sum::<f64>() + FLOOR) / likelihood
        };
        likelihoods.iter().enumerate().map(background).collect()
    }

    pub(super) fn likelihoods(&self, count: usize) -> Vec<f64> {
        let mut all = vec![FLOOR; count];
        for (weight, ratios) in self.weights.iter().zip(&self.ratios) {
            for (likelihood, ratio) in all.iter_mut().zip(ratios) {
                *likelihood += weight * ratio;
            }
        }
        all
    }

    pub(super) fn with(&self, component: Component, ratios: Vec<f64>) -> Fit<'c> {
        let (mut components, mut all) = (self.components.clone(), self.ratios.clone());
        components.push(component);
        all.push(ratios);
        Fit::of(components, all, self.counts)
    }

    pub(super) fn without(&self, at: usize) -> Fit<'c> {
        let (mut components, mut all) = (self.components.clone(), self.ratios.clone());
        components.remove(at);
        all.remove(at);
        Fit::of(components, all, self.counts)
    }
}
