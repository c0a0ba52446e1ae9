//! What is known of requests, in words.

use crate::analysis::{Fact, Figure, Tell};
use crate::figures::{count, counted};

/// A fact, as it is said of a request.
pub(super) fn words(fact: &Fact) -> String {
    match fact {
        Fact::ClientGone => "client closed before its answer was complete".into(),
        Fact::Status(Some(status)) => format!("status {status}"),
        Fact::Status(None) => "not answered".into(),
        Fact::Path(path) => format!("path {path}"),
        Fact::Nth(number) => format!("{} on its connection", nth(*number)),
        Fact::AtLeast(figure, least) => at_least(*figure, *least),
        Fact::LessThan(figure, more) => less_than(*figure, *more),
        Fact::Hour(hour) => format!("begun from {hour:02}:00 to {hour:02}:59 UTC"),
        Fact::Thread(_, thread) => format!("served by thread {thread}"),
    }
}

fn at_least(figure: Figure, least: u64) -> String {
    match figure {
        Figure::Nth if least <= 2 => "not the first on its connection".into(),
        Figure::Nth => format!("{} or later on its connection", nth(least)),
        Figure::BytesIn => format!("came with {} or more", counted(least, "byte")),
        Figure::InFlight => format!("{} or more in flight beside it", counted(least, "other")),
        Figure::BytesOut => format!("answered with {} or more", counted(least, "byte")),
        Figure::Duration => format!("lasted {} or longer", short(least)),
    }
}

fn less_than(figure: Figure, more: u64) -> String {
    match figure {
        Figure::Nth if more <= 2 => "first on its connection".into(),
        Figure::Nth => format!("among the first {} on its connection", count(more - 1)),
        Figure::BytesIn => format!("came with less than {}", counted(more, "byte")),
        Figure::InFlight if more <= 1 => "no other in flight beside it".into(),
        Figure::InFlight => format!("less than {} in flight beside it", counted(more, "other")),
        Figure::BytesOut => format!("answered with less than {}", counted(more, "byte")),
        Figure::Duration => format!("lasted less than {}", short(more)),
    }
}

fn nth(number: u64) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    match number {
        1 => "first".into(),
        number => format!("{}{ending}", count(number)),
    }
}

/// A duration of which microseconds matter.
fn short(ns: u64) -> String {
    match ns {
        ..10_000_000 if !ns.is_multiple_of(1_000_000) => format!("{} µs", count(ns / 1_000)),
        ..10_000_000 => format!("{} ms", ns / 1_000_000),
        ns => crate::figures::duration(ns),
    }
}

/// Facts and how well they go with leaking; never a reason.
pub(super) fn sentence(tell: &Tell) -> String {
    let facts: Vec<String> = tell.facts.iter().map(words).collect();
    format!(
        "{}: {} of {} leaking, {} of {} others",
        facts.join(" and "),
        count(tell.leaking_with),
        count(tell.leaking),
        count(tell.others_with),
        count(tell.others)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_its_figures() {
        let tell = Tell {
            facts: vec![
                Fact::Status(None),
                Fact::AtLeast(Figure::Duration, 1_500_000),
            ],
            leaking: 20,
            leaking_with: 19,
            others: 1_380,
            others_with: 0,
        };
        let expected =
            "not answered and lasted 1,500 µs or longer: 19 of 20 leaking, 0 of 1,380 others";
        assert_eq!(sentence(&tell), expected);
    }

    #[test]
    fn each_fact_has_its_words() {
        let (least, less) = (Fact::AtLeast, Fact::LessThan);
        for (fact, expected) in [
            (
                Fact::ClientGone,
                "client closed before its answer was complete",
            ),
            (Fact::Status(Some(500)), "status 500"),
            (Fact::Path("/a/7/{id}".into()), "path /a/7/{id}"),
            (Fact::Nth(1), "first on its connection"),
            (Fact::Nth(1_022), "1,022nd on its connection"),
            (least(Figure::Nth, 2), "not the first on its connection"),
            (least(Figure::Nth, 13), "13th or later on its connection"),
            (less(Figure::Nth, 2), "first on its connection"),
            (less(Figure::Nth, 4), "among the first 3 on its connection"),
            (
                least(Figure::BytesIn, 1_000),
                "came with 1,000 bytes or more",
            ),
            (less(Figure::BytesIn, 70), "came with less than 70 bytes"),
            (
                least(Figure::InFlight, 1),
                "1 other or more in flight beside it",
            ),
            (less(Figure::InFlight, 1), "no other in flight beside it"),
            (
                less(Figure::InFlight, 3),
                "less than 3 others in flight beside it",
            ),
            (
                least(Figure::BytesOut, 1_000),
                "answered with 1,000 bytes or more",
            ),
            (less(Figure::BytesOut, 1), "answered with less than 1 byte"),
            (least(Figure::Duration, 1_000_000), "lasted 1 ms or longer"),
            (less(Figure::Duration, 340_000), "lasted less than 340 µs"),
            (Fact::Hour(3), "begun from 03:00 to 03:59 UTC"),
            (Fact::Thread(0, 77), "served by thread 77"),
        ] {
            assert_eq!(words(&fact), expected);
        }
    }
}
