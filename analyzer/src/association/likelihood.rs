//! What explains a call site's blocks, and how much better than the background.

use super::component::{Component, Given};
use super::counts::Counts;
use super::explained::Explained;
use super::fit::{FLOOR, Fit};
use super::kin::Causes;
use super::search::{GIVEN, Search};
use super::site::{Observation, Observed};
use super::sizes::{self, Size, size};
use crate::requests::label::LabelId;

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
        let explained = of_size.map_or(explained, |(_, explained)| explained);
        let shares = explained.shares_of(observation.hints).iter();
        let parts = shares.map(|(component, share)| share * search.ratio(*component, observation));
        (FLOOR + parts.sum::<f64>()).ln()
    };
    observed.all.iter().map(likelihood).sum::<f64>() - background.logarithm
}

/// What the labels that make a call site's blocks explain of one size must be so much better explained (as a logarithm)
/// by other shares than those of all sizes.
const SHARES: f64 = 5.0;

/// What explains the observations of a call site, and those of one size where that is another matter.
pub(super) fn causes(observed: &Observed, given: Given<'_>) -> Causes {
    let explained = explain(observed, given);
    let mut sizes = match explained.is_simple(given.groups) {
        true => Vec::new(),
        false => sizes::by_size(observed),
    };
    // Several at once of what no request makes are what it makes when it comes late.
    let is_nobodys = explained.undecided.is_none() && explained.labels(given.groups).is_empty();
    sizes.retain(|(size, _)| !is_nobodys || sizes::is_apart(*size, observed));
    let of_one = |(size, of_size): (Size, Observed)| {
        let explained = explain_size(&of_size, &explained, given)?;
        Some((size, explained))
    };
    let sizes = sizes.into_iter().filter_map(of_one).collect();
    (explained, sizes)
}

/// What is made in one size by one label, or by those that make all, in other parts. What is made by several is
/// explained no better than all, as a rule.
fn explain_size(of_size: &Observed, all: &Explained, given: Given<'_>) -> Option<Explained> {
    let own = Some(explain(of_size, given)).filter(|own| own.is_mostly_one(given.groups));
    let gain = |explained: &Explained| gain(of_size, &(explained.clone(), Vec::new()), given);
    let parts = parts(of_size, all, given);
    let parts = parts.filter(|parts| gain(parts) >= gain(all) + SHARES);
    match (own, parts) {
        (Some(own), Some(parts)) if gain(&own) >= gain(&parts) => Some(own),
        (own, parts) => parts.or(own),
    }
}

/// The parts of several labels of which is known that they make such blocks.
fn parts(observed: &Observed, all: &Explained, given: Given<'_>) -> Option<Explained> {
    if all.undecided.is_some() || all.labels(given.groups).len() < 2 || !all.explains_most() {
        return None;
    }
    let counts = Counts::of(observed);
    let search = Search {
        observed,
        counts: &counts,
        given,
    };
    let components = all.shares.iter().map(|(component, _)| *component);
    let components: Vec<Component> = components
        .filter(|component| component.key().is_some())
        .collect();
    let ratios = components.iter().map(|component| search.ratios(*component));
    let ratios = ratios.collect();
    Some(told(&Fit::of(components, ratios, &counts), None, observed))
}

/// What explains the observations of a call site. Of those whose worker was given its work, who gave it is another
/// question than whether the others were given any.
pub(super) fn explain(observed: &Observed, given: Given<'_>) -> Explained {
    let mut explained = explain_all(observed, given);
    let was_given = |seen: &&Observation| seen.hints.task.is_some();
    let count = observed.all.iter().filter(was_given).count();
    if (GIVEN..observed.all.len()).contains(&count) {
        let of_given = Observed {
            all: observed.all.iter().filter(was_given).cloned().collect(),
            ..Observed::default()
        };
        let of_given = explain_all(&of_given, given);
        if of_given.undecided.is_none() && !of_given.labels(given.groups).is_empty() {
            explained.given = of_given.shares;
        }
    }
    explained
}

fn explain_all(observed: &Observed, given: Given<'_>) -> Explained {
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
    told(&fit, undecided, observed)
}

/// What a fit tells.
fn told(fit: &Fit<'_>, undecided: Option<(LabelId, LabelId)>, observed: &Observed) -> Explained {
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
    let shares = fit
        .components
        .iter()
        .copied()
        .zip(fit.weights.iter().copied());
    Explained {
        shares: shares.collect(),
        given: Vec::new(),
        undecided,
        unproved_background: if unproved > 0.0 {
            background / unproved
        } else {
            0.0
        },
    }
}
