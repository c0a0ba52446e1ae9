//! What became of an endpoint's memory, or of a call site's part in it: from what each request left before and after,
//! and from how many requests there were to see it.

use crate::analysis::Verdict;
use crate::figures::{bytes, count, counted};
use crate::report::outline::{Part, StatusPart};

/// A leak is called new or fixed where so many requests would have leaked on the other side, had it been there: with
/// none of them seen, chance is less than one in a hundred (e⁻⁵).
pub(super) const EXPECTED: f64 = 5.0;
/// A change by less than this part is none.
const CHANGE: f64 = 0.1;
/// The same of a buffer, which grows by doubling.
const BUFFER_CHANGE: f64 = 1.0;
/// A change by less than so many standard errors is none.
const ERRORS: f64 = 3.0;

/// What became of it, the news first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It leaks, and did not.
    New,
    /// It leaks more.
    Worse,
    /// It leaked, and does not.
    Fixed,
    /// It leaks less.
    Better,
    /// It can't be told.
    NotComparable,
    /// As it was.
    Same,
}

impl State {
    /// All, in order.
    pub const ALL: [State; 6] = [
        State::New,
        State::Worse,
        State::Fixed,
        State::Better,
        State::NotComparable,
        State::Same,
    ];

    /// Its name in the JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Worse => "worse",
            State::NotComparable => "not_comparable",
            State::Fixed => "fixed",
            State::Better => "better",
            State::Same => "same",
        }
    }

    /// The same in words.
    pub fn words(self) -> &'static str {
        match self {
            State::NotComparable => "not comparable",
            other => other.name(),
        }
    }
}

/// What a recording may have missed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    pub(super) events: u64,
    pub(super) sample_bytes: u64,
}

/// One side.
#[derive(Clone, Debug, Default)]
pub(super) struct Of {
    /// `None`: there were no such requests.
    pub(super) part: Option<Part>,
    pub(super) lost: Lost,
    /// The standard error of what leaked, where it is an estimate.
    pub(super) error: u64,
}

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
    (State::Same, "leaks in neither".into())
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
        of.leaking as f64 * certain / of.requests.max(1) as f64 * requests as f64
    });
    of_status.sum()
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
        range(leaky.leaking),
        count(leaky.requests)
    )
}

/// A status, for people.
pub(super) fn status_words(status: Option<u32>) -> String {
    status.map_or_else(|| "missing".into(), |status| status.to_string())
}

/// `12`, or `3-12`.
pub(in crate::report) fn range([low, high]: [u64; 2]) -> String {
    match low == high {
        true => count(low),
        false => format!("{}-{}", count(low), count(high)),
    }
}

/// What each leaking request leaves: `1.5 KiB`, `300 B-1.2 KiB`; `?` where there is none that is known.
pub(in crate::report) fn each(part: &Part) -> String {
    match part.each() {
        None => "?".into(),
        Some([low, high]) if low == high => bytes(low),
        Some([low, high]) => format!("{}-{}", bytes(low), bytes(high)),
    }
}

/// `20 of 400 requests leak, 1.5 KiB each`.
pub(super) fn leaks(part: &Part) -> String {
    if part.verdict == Verdict::GrowingBuffer {
        return format!("a buffer grew to {}", bytes(part.leaked.bytes));
    }
    if !part.verdict.leaks() {
        return format!("none of {} leaks", counted(part.requests, "request"));
    }
    format!(
        "{} of {} leak, {} each",
        range(part.leaking),
        counted(part.requests, "request"),
        each(part)
    )
}

/// What requests leave on average, by one mix of statuses.
#[derive(Default)]
struct Rates {
    before: f64,
    after: f64,
    /// The variance of their difference.
    variance: f64,
    requests: f64,
}

/// Both leak: what the requests of after would have left before is compared with what they did leave, status by
/// status, so that another mix of traffic is no change (direct standardisation).
fn changed(before: &Of, after: &Of, old: &Part, new: &Part) -> (State, String) {
    let mut rates = Rates::default();
    let mut untold = 0;
    for of in &new.statuses {
        match old.status(of.status).filter(|old| old.requests > 0) {
            Some(old) => add(&mut rates, old, of),
            None => untold += of.leaked_bytes,
        }
    }
    let text = format!("before: {}; after: {}", leaks(old), leaks(new));
    let known = new.leaked.bytes.saturating_sub(untold);
    if rates.requests == 0.0 || rates.before + rates.after == 0.0 || untold > known {
        return (
            State::NotComparable,
            format!("other statuses leak before and after; {text}"),
        );
    }
    // What only a sample was taken of has an error beside.
    for (of, requests) in [(before, old.requests), (after, new.requests)] {
        rates.variance += (of.error as f64 / requests.max(1) as f64).powi(2);
    }
    let buffers = [old, new]
        .iter()
        .any(|part| part.verdict == Verdict::GrowingBuffer);
    let part = if buffers { BUFFER_CHANGE } else { CHANGE };
    let changed = rates.after - rates.before;
    let least = (part * rates.before.min(rates.after)).max(ERRORS * rates.variance.sqrt());
    let state = match changed {
        _ if changed.abs() <= least => State::Same,
        _ if changed > 0.0 => State::Worse,
        _ => State::Better,
    };
    if state != State::Same && is_unsure(old, new, state) {
        let text = format!("which requests leak is known too little; {text}");
        return (State::NotComparable, text);
    }
    (state, text)
}

fn add(rates: &mut Rates, old: &StatusPart, new: &StatusPart) {
    let weight = new.requests as f64;
    let all = rates.requests + weight;
    let of = |part: &StatusPart| {
        let requests = part.requests.max(1) as f64;
        let mean = part.leaked_bytes as f64 / requests;
        let variance = (part.leaked_squares / requests - mean * mean).max(0.0) / requests;
        (mean, variance)
    };
    let ((old_mean, old_variance), (new_mean, new_variance)) = (of(old), of(new));
    let mix = |sum: f64, mean: f64| (sum * rates.requests + mean * weight) / all;
    rates.before = mix(rates.before, old_mean);
    rates.after = mix(rates.after, new_mean);
    let own = (weight / all).powi(2) * (old_variance + new_variance);
    rates.variance = (rates.requests / all).powi(2) * rates.variance + own;
    rates.requests = all;
}

/// Whether the ranges of leaking requests leave room for no change at all: how many leak, and how much each, are both
/// known as ranges only, and neither is apart from the other side's in the direction of `state`.
fn is_unsure(old: &Part, new: &Part, state: State) -> bool {
    let is_range = |part: &Part| part.leaking[0] < part.leaking[1];
    if !is_range(old) && !is_range(new) {
        return false;
    }
    let share = |part: &Part| {
        part.leaking
            .map(|of| of as f64 / part.requests.max(1) as f64)
    };
    let sizes = |part: &Part| part.each().map(|each| each.map(|of| of as f64));
    let apart = |old: [f64; 2], new: [f64; 2]| match state {
        State::Worse => new[0] > old[1],
        _ => new[1] < old[0],
    };
    let by_size = sizes(old)
        .zip(sizes(new))
        .is_some_and(|(old, new)| apart(old, new));
    !by_size && !apart(share(old), share(new))
}
