//! What is known of requests, in words.

use crate::analysis::{Fact, Tell};
use crate::figures::{count, counted};

/// A fact, as it is said of a request.
pub(super) fn words(fact: Fact) -> String {
    match fact {
        Fact::Status(Some(status)) => format!("status {status}"),
        Fact::Status(None) => "not answered".into(),
        Fact::FirstOfConnection => "first on its connection".into(),
        Fact::LaterOfConnection => "not the first on its connection".into(),
        Fact::InFlightAtLeast(others) => {
            format!("{} or more in flight beside it", counted(others, "other"))
        }
        Fact::LastsAtLeast(ns) => format!("lasted {} or longer", short(ns)),
        Fact::LastsLessThan(ns) => format!("lasted less than {}", short(ns)),
        Fact::Thread(_, thread) => format!("served by thread {thread}"),
    }
}

/// A duration of which microseconds matter.
fn short(ns: u64) -> String {
    match ns {
        ..10_000_000 => format!("{} µs", count(ns / 1_000)),
        ns => crate::figures::duration(ns),
    }
}

/// Facts and how well they go with leaking; never a reason.
pub(super) fn sentence(tell: &Tell) -> String {
    let facts: Vec<String> = tell.facts.iter().map(|fact| words(*fact)).collect();
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
            facts: vec![Fact::Status(None), Fact::LastsAtLeast(1_500_000)],
            leaking: 20,
            leaking_with: 19,
            others: 1_380,
            others_with: 0,
        };
        let expected =
            "not answered and lasted 1,500 µs or longer: 19 of 20 leaking, 0 of 1,380 others";
        assert_eq!(sentence(&tell), expected);
    }
}
