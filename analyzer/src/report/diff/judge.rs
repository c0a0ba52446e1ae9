//! What became of an endpoint's memory, or of a call site's part in it: from what each request left before and after,
//! and from how many requests there were to see it.

use super::change::{changed, kept_as_much};
use super::side::{Of, leaks, range, status_words};
use super::state::State;
use crate::analysis::Verdict;
use crate::analysis::early::common;
use crate::figures::{bytes, count, counted};
use crate::report::outline::{Part, StatusPart};
use crate::sample::SHOWN;

/// A leak is called new or fixed where so many requests would have leaked on the other side, had it been there: with
/// none of them seen, chance is less than one in a hundred (e⁻⁵).
pub(super) const EXPECTED: f64 = 5.0;

/// What became of it, and why.
pub(super) fn judge(before: &Of, after: &Of) -> (State, String) {
    let (old, new) = match (&before.part, &after.part) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) => return alone(new, "before"),
        (Some(old), None) => return alone(old, "after"),
        (None, None) => return (State::NotComparable, "no requests".into()),
    };
    for (part, side) in [(old, "before"), (new, "after")] {
        if part.verdict == Verdict::TooFewRequests {
            return (State::NotComparable, too_few(part, side));
        }
    }
    match (old.verdict.leaks(), new.verdict.leaks()) {
        (false, false) => both_clean(old, new),
        (true, false) => gone((old, "before"), (new, "after"), after, State::Fixed),
        (false, true) => gone((new, "after"), (old, "before"), before, State::New),
        (true, true) => changed(before, after, old, new),
    }
}

/// Labels of one side.
fn alone(part: &Part, missing: &str) -> (State, String) {
    (
        State::NotComparable,
        format!("no requests {missing}; {}", leaks(part)),
    )
}

fn too_few(part: &Part, side: &str) -> String {
    let needed = part.needed.map_or(String::new(), |needed| {
        format!(" ({} would do)", counted(needed, "more request"))
    });
    format!("{} only {side}{needed}", counted(part.requests, "request"))
}

fn both_clean(old: &Part, new: &Part) -> (State, String) {
    // Memory that grows may be its own where whose it is could not be told.
    if old.leaking[1] > 0 || new.leaking[1] > 0 {
        return (
            State::NotComparable,
            "memory that grows may be its own: whose it is could not be told".into(),
        );
    }
    let hides = [(old, "before"), (new, "after")];
    let mut hides = hides.iter().filter_map(|(part, side)| {
        let each = part.hidden?.bytes_each;
        (each > SHOWN).then(|| {
            let each = bytes(each);
            format!("{side}, a leak of less than {each} a request would not show in the sample")
        })
    });
    match hides.next() {
        Some(text) => (State::NotComparable, text),
        None => (State::Same, "leaks in neither".into()),
    }
}

/// One side leaks, the other one was seen not to.
fn gone(
    (leaky, leaky_side): (&Part, &str),
    (clean, clean_side): (&Part, &str),
    clean_of: &Of,
    state: State,
) -> (State, String) {
    if clean.leaking[1] > 0 {
        let text = format!(
            "{clean_side}, up to {} of {} may leak: whose memory it is could not be told",
            count(clean.leaking[1]),
            counted(clean.requests, "request")
        );
        return (State::NotComparable, text);
    }
    if clean_of.lost.events > 0 {
        let text = format!(
            "{} missing {clean_side}",
            counted(clean_of.lost.events, "event")
        );
        return (State::NotComparable, text);
    }
    if let Some(text) = kept_as_much(leaky, clean, state) {
        let verdict = clean.verdict.words();
        return (
            State::NotComparable,
            format!("{text}, which is {verdict} {clean_side}"),
        );
    }
    if leaky.verdict == Verdict::GrowingBuffer {
        // A buffer grows with what all requests put in: as many of them must have had the chance.
        if clean.requests < leaky.requests {
            return (State::NotComparable, only(leaky, clean, clean_side));
        }
    } else if expected(leaky, clean) * seen(leaky, clean_of) < EXPECTED {
        return (State::NotComparable, only(leaky, clean, clean_side));
    }
    let text = format!(
        "{leaky_side}: {}; {clean_side}: none of {}",
        leaks(leaky),
        counted(clean.requests, "request")
    );
    (state, text)
}

/// How many of `clean`'s requests would leak, if they leaked as those of `leaky` with their status did, at least.
fn expected(leaky: &Part, clean: &Part) -> f64 {
    let told: u64 = leaky.statuses.iter().map(|of| of.leaking).sum();
    let low = leaky.leaking[0];
    if told == 0 {
        return low as f64 / leaky.requests.max(1) as f64 * clean.requests as f64;
    }
    // Where it is not known which requests leak, the least number of them is spread like the told ones.
    let certain = (low as f64 / told as f64).min(1.0);
    let of_status = leaky.statuses.iter().map(|of| {
        let requests = clean.status(of.status).map_or(0, |of| of.requests);
        let rate = of.leaking as f64 / of.requests.max(1) as f64;
        rate.min(early_rate(of, requests)) * certain * requests as f64
    });
    of_status.sum()
}

/// Of the first requests, as many as the other trace has: how often they leaked. What begins to leak later than the
/// other trace ends was not to be seen there.
fn early_rate(leaky: &StatusPart, requests: u64) -> f64 {
    let first = common(leaky.requests, requests);
    match leaky.early.bytes() == leaky.leaked_bytes && first > 0 {
        true => leaky.early.first(first).requests as f64 / first as f64,
        false => 1.0,
    }
}

/// The part of leaking requests of which a sample would see something.
fn seen(leaky: &Part, clean_of: &Of) -> f64 {
    let mean = clean_of.lost.sample_bytes as f64;
    match leaky.each() {
        Some([each, _]) if mean > 0.0 => -(-(each as f64) / mean).exp_m1(),
        _ => 1.0,
    }
}

/// `12 requests only`, or that none had the status with which others leaked.
fn only(leaky: &Part, clean: &Part, side: &str) -> String {
    let leaking = leaky.statuses.iter().filter(|of| of.leaking > 0);
    let missing = leaking
        .clone()
        .filter(|of| clean.status(of.status).is_none());
    let missing: Vec<String> = missing.map(|of| status_words(of.status)).collect();
    if !missing.is_empty() && missing.len() == leaking.count() {
        return format!(
            "{side}, no answer was {}, and only such requests leak",
            missing.join(" or ")
        );
    }
    let statuses = leaky.statuses.iter().filter(|of| of.leaking > 0);
    let requests: u64 = statuses
        .filter_map(|of| clean.status(of.status))
        .map(|of| of.requests)
        .sum();
    let kind = match requests == clean.requests {
        true => "",
        false => " with the status that leaks",
    };
    format!(
        "{}{kind} only {side}, where {} of {} leak",
        counted(requests, "request"),
        range(leaky.leaking_range()),
        count(leaky.requests)
    )
}
