//! How many of a call site's observations are independent: no more of them tell anything.

use rustc_hash::{FxHashMap, FxHashSet};

use super::component::{Component, Given};
use super::fit::Fit;
use super::flight::Lag;
use super::groups::Key;
use super::moments::hinted;
use super::site::Observed;
use crate::requests::record::RequestId;

/// So many observations are independent each time that what is in flight is renewed.
const RENEWED: f64 = 2.0;

/// Observations that one request explains are one: which part of those that the newest component explains can each
/// have a request of its own.
pub(super) fn independent(observed: &Observed, given: Given<'_>, fit: &Fit<'_>) -> f64 {
    match fit.components.len().checked_sub(1) {
        Some(newest) => of_component(observed, given, fit, newest),
        None => 1.0,
    }
}

/// The same of the two newest components: the lesser part, as each must explain what the other one doesn't.
pub(super) fn independent_pair(observed: &Observed, given: Given<'_>, fit: &Fit<'_>) -> f64 {
    let all = fit.components.len();
    let newest = all.saturating_sub(2)..all;
    let each = newest.map(|at| of_component(observed, given, fit, at));
    each.fold(1.0, f64::min)
}

/// The same of the component at this place.
fn of_component(observed: &Observed, given: Given<'_>, fit: &Fit<'_>, at: usize) -> f64 {
    let (component, ratios) = (&fit.components[at], &fit.ratios[at]);
    let Some(key) = component.key() else {
        return 1.0;
    };
    let of_key = |request: &RequestId| given.groups.has(key, *request);
    let mut used: FxHashSet<RequestId> = FxHashSet::default();
    for (seen, _) in observed
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
    let explained = fit.weights[at] * observed.all.len() as f64;
    let most = match component {
        Component::After(lag, key) => ends(observed, given, *lag, *key, used.len()),
        _ => used.len(),
    };
    (most as f64 / explained.max(1.0)).min(1.0) * renewed(observed, given, *component)
}

/// Where only the newest blocks are left, they tell of a short time, in which a label may be in flight more than
/// on average by chance: no more of them are independent than [`RENEWED`] times as many as what is in flight was renewed then.
pub(super) fn renewed(observed: &Observed, given: Given<'_>, component: Component) -> f64 {
    let mut spans: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
    let left = observed.all.iter().filter(|seen| seen.since > 0);
    for seen in left.clone() {
        let span = spans.entry(seen.process).or_insert((u64::MAX, 0));
        *span = (span.0.min(seen.born), span.1.max(seen.born));
    }
    // A hint is of one moment.
    if spans.is_empty() || matches!(component, Component::Hinted(..)) {
        return 1.0;
    }
    let renewed = spans
        .into_iter()
        .map(|(process, (from, to))| 1.0 + given.sweeps[process as usize].renewed(from, to));
    (RENEWED * renewed.sum::<f64>() / left.count() as f64).min(1.0)
}

/// How many of the key's requests ended while the observations came, or shortly before: so many at most.
fn ends(observed: &Observed, given: Given<'_>, lag: Lag, key: Key, most: usize) -> usize {
    let mut spans: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
    for seen in &observed.all {
        let span = spans.entry(seen.process).or_insert((u64::MAX, 0));
        *span = (span.0.min(seen.born), span.1.max(seen.born));
    }
    let ends = spans.into_iter().map(|(process, span)| {
        let sweep = &given.sweeps[process as usize];
        sweep.ends(lag, key, given.groups, span).take(most).count()
    });
    ends.sum::<usize>().min(most)
}
