//! Call sites of two traces: which are the same, and what became of each.

use std::collections::BTreeMap;

use super::judge::{EXPECTED, judge};
use super::row::{SiteRow, lost};
use super::side::{Lost, Of};
use super::state::State;
use crate::analysis::Verdict;
use crate::figures::{bytes, duration};
use crate::report::outline::{Outline, OutlineSite, OutsidePart, Part, StatusPart};
use crate::sample::Amount;

/// Two call sites that leak, one of each trace, are taken for one whose callers have changed if they have the same
/// innermost function of the program and so many of their functions (of 10) in common.
const ALIKE: usize = 6;
/// A change of what is left outside of requests by less than this factor is none: traffic is not the same.
const OUTSIDE_CHANGE: f64 = 1.5;

/// A call site in both traces, or in one.
struct Pair<'o> {
    before: Option<&'o OutlineSite>,
    after: Option<&'o OutlineSite>,
    likeness: Option<(usize, usize)>,
}

/// What became of all that leak in either, or can't be told.
pub(super) fn rows<'o>(before: &'o Outline, after: &'o Outline) -> Vec<SiteRow<'o>> {
    let mut rows = Vec::new();
    for pair in pairs(before, after) {
        for label in labels(&pair) {
            of_label(before, after, &pair, label, &mut rows);
        }
        outside(before, after, &pair, &mut rows);
    }
    rows
}

fn pairs<'o>(before: &'o Outline, after: &'o Outline) -> Vec<Pair<'o>> {
    let by_name = |of: &'o Outline| -> BTreeMap<&'o str, &'o OutlineSite> {
        let sites = of.sites.iter();
        sites
            .map(|site| (site.functions.fingerprint.as_str(), site))
            .collect()
    };
    let (old, mut new) = (by_name(before), by_name(after));
    let (mut pairs, mut left) = (Vec::new(), Vec::new());
    for (name, site) in old {
        match new.remove(name) {
            Some(same) => pairs.push(Pair {
                before: Some(site),
                after: Some(same),
                likeness: None,
            }),
            None => left.push(site),
        }
    }
    let mut alone: Vec<&OutlineSite> = new.into_values().collect();
    for site in left {
        let like = alike(site, &alone);
        pairs.push(Pair {
            before: Some(site),
            after: like.map(|(at, _)| alone.swap_remove(at)),
            likeness: like.map(|(_, likeness)| likeness),
        });
    }
    pairs.extend(alone.into_iter().map(|site| Pair {
        before: None,
        after: Some(site),
        likeness: None,
    }));
    pairs
}

/// Of `others`, the one that is most like `site`, if it is much like it and no other is as much.
fn alike(site: &OutlineSite, others: &[&OutlineSite]) -> Option<(usize, (usize, usize))> {
    if !site.verdict.leaks() {
        return None;
    }
    let mut found: Vec<(usize, usize, usize)> = Vec::new();
    for (at, other) in others.iter().enumerate() {
        let names = &site.functions.names;
        let all = names.len().max(other.functions.names.len());
        let nameless = site.functions.nameless + other.functions.nameless > 0;
        if !other.verdict.leaks() || site.head.whole != other.head.whole || nameless {
            continue;
        }
        let common = site.functions.in_common(&other.functions);
        if common * 10 >= all * ALIKE {
            found.push((common, all, at));
        }
    }
    found.sort_unstable();
    match found[..] {
        [.., (second, _, _), (first, _, _)] if second == first => None,
        [.., (common, all, at)] => Some((at, (common, all))),
        [] => None,
    }
}

fn labels<'o>(pair: &Pair<'o>) -> Vec<&'o str> {
    let sides = [pair.before, pair.after].into_iter().flatten();
    let parts = sides.flat_map(|site: &'o OutlineSite| &site.parts);
    let told = |part: &&Part| part.verdict.leaks() || part.verdict == Verdict::TooFewRequests;
    let mut labels: Vec<&str> = parts.filter(told).map(|part| part.label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn of_label<'o>(
    before: &'o Outline,
    after: &'o Outline,
    pair: &Pair<'o>,
    label: &'o str,
    rows: &mut Vec<SiteRow<'o>>,
) {
    let old = side(before, pair.before, label);
    let new = side(after, pair.after, label);
    let leaks = |of: &Of| of.part.as_ref().is_some_and(|part| part.verdict.leaks());
    // Of a call site that can't be told, the endpoint's row says so.
    if !leaks(&old) && !leaks(&new) {
        return;
    }
    let (state, reason) = match nameless(pair) {
        true => (State::NotComparable, NAMELESS.to_owned()),
        false => judge(&old, &new),
    };
    rows.push(SiteRow {
        label: Some(label),
        state,
        reason,
        before: pair.before.filter(|site| site.part(label).is_some()),
        after: pair.after.filter(|site| site.part(label).is_some()),
        likeness: pair.likeness,
    });
}

pub(super) const NAMELESS: &str =
    "its functions have no names, and addresses differ from build to build; keep symbols";

/// Whether it is alone only because the builds differ.
fn nameless(pair: &Pair<'_>) -> bool {
    let alone = match (pair.before, pair.after) {
        (Some(site), None) | (None, Some(site)) => site,
        _ => return false,
    };
    alone.functions.nameless > 0
}

/// What the label's requests left at the site: nothing, where they were not seen to leave anything, unless it can't be
/// told yet what is left there (it waits for a collector).
fn side(outline: &Outline, site: Option<&OutlineSite>, label: &str) -> Of {
    let part = site.and_then(|site| site.part(label)).cloned();
    let is_open = site.is_some_and(OutlineSite::is_open);
    let part = part.or_else(|| {
        let nothing = nothing(outline.endpoint(label)?);
        Some(match is_open {
            true => Part {
                verdict: Verdict::TooFewRequests,
                ..nothing
            },
            false => nothing,
        })
    });
    Of {
        error: outline.error(part.as_ref().map_or(0, |part| part.leaked.bytes)),
        part,
        lost: lost(outline),
    }
}

fn nothing(endpoint: &Part) -> Part {
    Part {
        verdict: Verdict::Clean,
        leaking: [0, 0],
        leaked: Amount::default(),
        associated_bytes: 0,
        statuses: endpoint
            .statuses
            .iter()
            .map(|of| StatusPart {
                status: of.status,
                requests: of.requests,
                ..StatusPart::default()
            })
            .collect(),
        ..endpoint.clone()
    }
}

fn outside<'o>(
    before: &'o Outline,
    after: &'o Outline,
    pair: &Pair<'o>,
    rows: &mut Vec<SiteRow<'o>>,
) {
    let part = |site: Option<&OutlineSite>| site.and_then(|site| site.outside);
    let (old, new) = (part(pair.before), part(pair.after));
    let leaks = |part: Option<OutsidePart>| part.is_some_and(|part| part.verdict.leaks());
    if !leaks(old) && !leaks(new) {
        return;
    }
    let (state, reason) = match nameless(pair) {
        true => (State::NotComparable, NAMELESS.to_owned()),
        false => judge_outside((before, old), (after, new)),
    };
    rows.push(SiteRow {
        label: None,
        state,
        reason,
        before: pair.before.filter(|_| old.is_some()),
        after: pair.after.filter(|_| new.is_some()),
        likeness: pair.likeness,
    });
}

/// What belongs to no request comes with time, with requests, or once: only what grows or shrinks by all of these has
/// changed.
fn judge_outside(
    (before, old): (&Outline, Option<OutsidePart>),
    (after, new): (&Outline, Option<OutsidePart>),
) -> (State, String) {
    let text = format!(
        "outside of requests: {} in {}, {} in {}",
        bytes(old.map_or(0, |part| part.grown.bytes)),
        duration(before.duration_ns),
        bytes(new.map_or(0, |part| part.grown.bytes)),
        duration(after.duration_ns)
    );
    let undecided = |part: Option<OutsidePart>| {
        part.is_some_and(|part| part.verdict == Verdict::TooFewRequests)
    };
    if undecided(old) || undecided(new) {
        return (State::NotComparable, format!("too short to tell; {text}"));
    }
    let times = [
        ratio(after.duration_ns, before.duration_ns),
        ratio(after.requests, before.requests),
    ];
    let leaks = |part: Option<OutsidePart>| part.filter(|part| part.verdict.leaks());
    match (leaks(old), leaks(new)) {
        (Some(old), None) => gone(&old, times, lost(after), State::Fixed, text),
        (None, Some(new)) => gone(&new, times.map(f64::recip), lost(before), State::New, text),
        (Some(old), Some(new)) => changed(ratio(new.grown.bytes, old.grown.bytes), times, text),
        (None, None) => (State::Same, text),
    }
}

/// Both leak: the other has `grown` times as much, is `times` as long, and has `times` as many requests.
fn changed(grown: f64, times: [f64; 2], text: String) -> (State, String) {
    let by = times.map(|times| grown / times);
    let is_same = |by: &f64| (OUTSIDE_CHANGE.recip()..=OUTSIDE_CHANGE).contains(by);
    let mut all = by.iter().chain([&grown]);
    match () {
        () if by.iter().all(is_same) || is_same(&grown) => (State::Same, text),
        () if all.clone().all(|by| *by > OUTSIDE_CHANGE) => (State::Worse, text),
        () if all.all(|by| *by < OUTSIDE_CHANGE.recip()) => (State::Better, text),
        () => (
            State::NotComparable,
            format!("it changed otherwise per request, per second and as an amount; {text}"),
        ),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part.max(1) as f64 / whole.max(1) as f64
}

/// One side leaks; the other is `times` as long, and has `times` as many requests.
fn gone(
    leaky: &OutsidePart,
    times: [f64; 2],
    lost: Lost,
    state: State,
    text: String,
) -> (State, String) {
    let expected = times.map(|times| leaky.grown.blocks as f64 * times);
    match expected.iter().all(|expected| *expected >= EXPECTED) && lost.events == 0 {
        true => (state, text),
        false => (
            State::NotComparable,
            format!("too little was seen to tell; {text}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What became of a call site outside of requests, by how many times as much, as long, and as many requests.
    fn state(grown: f64, duration: f64, requests: f64) -> State {
        changed(grown, [duration, requests], String::new()).0
    }

    #[test]
    fn what_came_once_is_the_same_however_long_it_served() {
        assert_eq!(state(1.0, 10.0, 10.0), State::Same);
        assert_eq!(state(1.2, 0.1, 0.1), State::Same);
    }

    #[test]
    fn what_comes_with_time_or_requests_is_compared_by_both() {
        assert_eq!(state(10.0, 10.0, 9.0), State::Same);
        assert_eq!(state(3.0, 1.0, 1.2), State::Worse);
        assert_eq!(state(0.3, 1.0, 0.9), State::Better);
        assert_eq!(state(30.0, 10.0, 10.0), State::Worse);
        assert_eq!(state(0.01, 0.1, 0.1), State::Better);
        // A half by the second, and five times as much.
        assert_eq!(state(5.0, 10.0, 10.0), State::NotComparable);
        assert_eq!(state(5.0, 5.0, 20.0), State::NotComparable);
    }
}
