//! Whether what leaks in both traces leaks more in one of them: per request, by all requests and by as many on both
//! sides.
//!
//! Of what is kept once per process (a table that fills up, sizes that a runtime learns), a trace of 400 requests has a
//! tenth per request of what one of 40 has. It is an amount, and as many requests of both traces tell of it: the first
//! ones of the longer trace.

use std::cmp::Ordering;

use super::side::{Of, leaks};
use super::state::State;
use crate::analysis::Verdict;
use crate::analysis::early::{Early, common};
use crate::figures::{bytes, counted};
use crate::report::outline::{Part, StatusPart};

/// A change by less than this part is none.
const CHANGE: f64 = 0.1;
/// The same of a buffer, which grows by doubling.
const BUFFER_CHANGE: f64 = 1.0;
/// A change by less than so many standard errors is none.
const ERRORS: f64 = 3.0;
/// The same of as many requests, where all of them tell of a change: they are fewer, and tell less for sure.
const AGREES: f64 = 1.0;

/// Both leak: what became of it.
pub(super) fn changed(before: &Of, after: &Of, old: &Part, new: &Part) -> (State, String) {
    let sides = [(before, old), (after, new)];
    let text = format!("before: {}; after: {}", leaks(old), leaks(new));
    let all = Rates::of(sides, |old, new| [old, new].map(Left::all));
    let untold = untold(old, new);
    let known = new.leaked.bytes.saturating_sub(untold);
    if all.requests == 0.0 || all.means == [0.0; 2] || untold > known {
        return (
            State::NotComparable,
            format!("other statuses leak before and after; {text}"),
        );
    }
    let buffers = [old, new]
        .iter()
        .any(|part| part.verdict == Verdict::GrowingBuffer);
    let (state, why) = match buffers {
        true => (of_buffer(&all, old, new), None),
        false => of_as_many(&all, &Rates::of(sides, Left::first)),
    };
    if matches!(state, State::Better | State::Worse) && is_unsure(old, new, state) {
        let text = format!("which requests leak is known too little; {text}");
        return (State::NotComparable, text);
    }
    let why = why.map_or(String::new(), |why| format!("{why}; "));
    (state, why + &text)
}

/// One side leaks, and of the other it was told that it doesn't: whether as many requests kept as much there. What
/// fills up is a leak until it is full.
pub(super) fn kept_as_much(leaky: &Part, clean: &Part, state: State) -> Option<String> {
    if leaky.verdict != Verdict::Leak {
        return None;
    }
    let mut rates = Rates::default();
    for of in leaky.statuses.iter().filter(|of| of.leaking > 0) {
        let other = clean.status(of.status).filter(|of| of.requests > 0)?;
        let requests = common(of.requests, other.requests);
        let left = [&of.early, &other.kept_early].map(|early| Left::of(early, requests));
        rates.add(other.requests as f64, left);
    }
    let kept = rates.sums[1].1 > 0.0;
    let is_less = rates.change(CHANGE, AGREES) == Ordering::Less;
    if state == State::New {
        rates.sums.reverse();
    }
    (kept && !is_less).then(|| rates.words())
}

/// What leaked with statuses that were not answered before.
fn untold(old: &Part, new: &Part) -> u64 {
    let met = |of: &&StatusPart| old.status(of.status).is_some_and(|old| old.requests > 0);
    let untold = new.statuses.iter().filter(|of| !met(of));
    untold.map(|of| of.leaked_bytes).sum()
}

/// A buffer is one block, which all requests made grow: each tells nothing by itself, and there is no spread. It has
/// changed where its size has, too.
fn of_buffer(all: &Rates, old: &Part, new: &Part) -> State {
    let sizes = [old, new].map(|part| part.leaked.bytes as f64);
    let by_itself = change(sizes, BUFFER_CHANGE, 0.0);
    match change(all.means, BUFFER_CHANGE, 0.0) {
        by_request if by_request == by_itself => state(by_itself),
        _ => State::Same,
    }
}

/// What all requests tell, and as many on both sides.
fn of_as_many(all: &Rates, first: &Rates) -> (State, Option<String>) {
    let by_all = all.change(CHANGE, ERRORS);
    let by_first = first.change(CHANGE, ERRORS);
    match (by_first, by_all) {
        (Ordering::Equal, Ordering::Equal) => (State::Same, None),
        (Ordering::Equal, _) if first.change(CHANGE, AGREES) == by_all => (state(by_all), None),
        // The numbers of requests make the difference.
        (Ordering::Equal, _) => match first.later_leave_more(all) {
            true => {
                let why = format!("{}, those that followed more", first.words());
                (State::NotComparable, Some(why))
            }
            false => (State::Same, Some(first.words())),
        },
        _ if by_first == by_all.reverse() => {
            let why = format!("{}, all of them the other way round", first.words());
            (State::NotComparable, Some(why))
        }
        _ => {
            let why = (by_all == Ordering::Equal).then(|| first.words());
            (state(by_first), why)
        }
    }
}

fn state(change: Ordering) -> State {
    match change {
        Ordering::Less => State::Better,
        Ordering::Equal => State::Same,
        Ordering::Greater => State::Worse,
    }
}

/// How the second compares with the first: by less than this part, or by less than `least`, is no change.
fn change([old, new]: [f64; 2], part: f64, least: f64) -> Ordering {
    match new - old {
        changed if changed.abs() <= (part * old.min(new)).max(least) => Ordering::Equal,
        changed if changed > 0.0 => Ordering::Greater,
        _ => Ordering::Less,
    }
}

/// What some requests with one status left.
#[derive(Clone, Copy)]
struct Left {
    requests: f64,
    bytes: f64,
    squares: f64,
}

impl Left {
    fn all(of: &StatusPart) -> Left {
        Left {
            requests: of.requests as f64,
            bytes: of.leaked_bytes as f64,
            squares: of.leaked_squares,
        }
    }

    /// As many on both sides; all where it is not known in what order they leaked.
    fn first(old: &StatusPart, new: &StatusPart) -> [Left; 2] {
        let is_known = |of: &StatusPart| of.early.bytes() == of.leaked_bytes;
        let requests = common(old.requests, new.requests);
        [old, new].map(|of| match is_known(old) && is_known(new) {
            true => Left::of(&of.early, requests),
            false => Left::all(of),
        })
    }

    /// Of the first so many requests.
    fn of(early: &Early, requests: u64) -> Left {
        let first = early.first(requests);
        Left {
            requests: requests as f64,
            bytes: first.bytes as f64,
            squares: first.squares,
        }
    }

    fn mean(self) -> f64 {
        self.bytes / self.requests.max(1.0)
    }

    /// Of the mean.
    fn variance(self) -> f64 {
        let requests = self.requests.max(1.0);
        (self.squares / requests - self.mean().powi(2)).max(0.0) / requests
    }
}

/// What requests left on average before and after, by the mix of statuses that they had after, so that another mix of
/// traffic is no change (direct standardisation).
#[derive(Default)]
struct Rates {
    means: [f64; 2],
    /// The variance of their difference.
    variance: f64,
    /// Whose mix it is.
    requests: f64,
    /// How many there are of each side, and what they left.
    sums: [(f64, f64); 2],
}

impl Rates {
    /// Of what `left` takes of each status.
    fn of(sides: [(&Of, &Part); 2], left: impl Fn(&StatusPart, &StatusPart) -> [Left; 2]) -> Rates {
        let [(_, old), (_, new)] = sides;
        let mut rates = Rates::default();
        for of in &new.statuses {
            if let Some(old) = old.status(of.status).filter(|old| old.requests > 0) {
                rates.add(of.requests as f64, left(old, of));
            }
        }
        // What only a sample was taken of has an error beside.
        for ((of, part), (requests, bytes)) in sides.into_iter().zip(rates.sums) {
            let share = bytes / part.leaked.bytes.max(1) as f64;
            rates.variance += (of.error as f64 / requests.max(1.0)).powi(2) * share;
        }
        rates
    }

    fn add(&mut self, weight: f64, left: [Left; 2]) {
        let all = self.requests + weight;
        if all == 0.0 {
            return;
        }
        let own: f64 = left.map(Left::variance).iter().sum();
        for ((mean, sum), left) in self.means.iter_mut().zip(&mut self.sums).zip(left) {
            *mean = (*mean * self.requests + left.mean() * weight) / all;
            *sum = (sum.0 + left.requests, sum.1 + left.bytes);
        }
        self.variance =
            (self.requests / all).powi(2) * self.variance + (weight / all).powi(2) * own;
        self.requests = all;
    }

    fn change(&self, part: f64, errors: f64) -> Ordering {
        change(self.means, part, errors * self.variance.sqrt())
    }

    /// Whether the side that makes the difference to `all` has left more per request since then.
    fn later_leave_more(&self, all: &Rates) -> bool {
        let [old, new] = [0, 1].map(|side| all.means[side] - self.means[side]);
        let most = if old.abs() > new.abs() { old } else { new };
        most > 0.0
    }

    /// `the first 40 requests left 12.0 KiB before, 12.1 KiB after`.
    fn words(&self) -> String {
        let [(requests, before), (_, after)] = self.sums;
        format!(
            "the first {} left {} before, {} after",
            counted(requests as u64, "request"),
            bytes(before as u64),
            bytes(after as u64)
        )
    }
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
