//! What the first so many requests of a group kept, on a scale that two traces share: what is kept once per process
//! (a table that fills up, sizes that a runtime learns) is as much after 40 requests as after 400, and can only be
//! compared of as many requests on both sides.

use std::collections::BTreeMap;

/// Marks of the scale in each doubling: going down to the next mark leaves out one request of nine at most.
const MARKS: u64 = 8;
/// So many requests have a mark each.
const FIRST: u64 = 2 * MARKS;

/// What was kept, by where in its group's order its requests were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Early {
    steps: BTreeMap<u16, Part>,
}

/// What requests between two marks kept, or all up to one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// How many of them kept something.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// The sum over requests of the square of that.
    pub squares: f64,
}

/// Between which marks a request is, of which `before` others of its group came first.
pub fn step(before: u64) -> u16 {
    if before < FIRST {
        return before as u16;
    }
    let doublings = before.ilog2() - FIRST.ilog2();
    let place = (before >> (doublings + 1)) - MARKS;
    (FIRST + u64::from(doublings) * MARKS + place) as u16
}

/// How many requests there are up to the mark at the end of `step`.
fn until(step: u16) -> u64 {
    let step = u64::from(step);
    if step < FIRST {
        return step + 1;
    }
    let (doublings, place) = ((step - FIRST) / MARKS, (step - FIRST) % MARKS);
    (MARKS + place + 1) << (doublings + 1)
}

/// The mark that both groups have reached, of so many requests each: how many requests come before it.
pub fn common(one: u64, other: u64) -> u64 {
    let fewer = one.min(other);
    match fewer.checked_sub(1).map(step) {
        None => 0,
        Some(last) if until(last) <= fewer => until(last),
        Some(last) => last.checked_sub(1).map_or(0, until),
    }
}

impl Early {
    /// Takes what a request kept, or `count` together.
    pub fn add(&mut self, step: u16, bytes: u64, count: u64) {
        let part = self.steps.entry(step).or_default();
        part.requests += count;
        part.bytes += bytes;
        part.squares += (bytes as f64).powi(2) / count.max(1) as f64;
    }

    /// Takes what the same requests kept elsewhere, as if each had kept both.
    pub fn merge(&mut self, other: &Early) {
        for (step, other) in &other.steps {
            let part = self.steps.entry(*step).or_default();
            part.requests = part.requests.max(other.requests);
            part.bytes += other.bytes;
            part.squares = (part.squares.sqrt() + other.squares.sqrt()).powi(2);
        }
    }

    /// What the first `requests` kept, up to a mark.
    pub fn first(&self, requests: u64) -> Part {
        let steps = self
            .steps
            .iter()
            .take_while(|(step, _)| until(**step) <= requests);
        steps.fold(Part::default(), |sum, (_, part)| Part {
            requests: sum.requests + part.requests,
            bytes: sum.bytes + part.bytes,
            squares: sum.squares + part.squares,
        })
    }

    /// What all of them kept.
    pub fn bytes(&self) -> u64 {
        self.steps.values().map(|part| part.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_between_two_marks() {
        let mut last = 0;
        for before in 0..100_000 {
            let at = step(before);
            assert!(at == last || at == last + 1, "{before}");
            assert!(before < until(at), "{before}");
            assert!(at == 0 || before >= until(at - 1), "{before}");
            last = at;
        }
        assert!(step(u64::from(u32::MAX)) < 300);
    }

    #[test]
    fn little_is_left_out_of_what_is_common() {
        assert_eq!(common(0, 5), 0);
        assert_eq!(common(351, 40), 40);
        assert_eq!(common(43, 43), 40);
        for fewer in 1..10_000 {
            let common = common(fewer, 10_000);
            assert!(common <= fewer && (fewer - common) * 9 <= fewer, "{fewer}");
        }
    }

    #[test]
    fn the_first_are_those_before_a_mark() {
        let mut early = Early::default();
        for before in 0..100 {
            early.add(step(before), 10, 1);
        }
        for mark in [1, 7, 16, 40, 96] {
            let first = early.first(mark);
            assert_eq!((first.requests, first.bytes), (mark, mark * 10));
            assert_eq!(first.squares, mark as f64 * 100.0);
        }
        assert_eq!(early.bytes(), 1_000);
        let mut twice = early.clone();
        twice.merge(&early);
        let first = twice.first(40);
        assert_eq!((first.bytes, first.squares.round()), (800, 16_000.0));
    }
}
