//! Outcomes, counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::law::{Law, Truth};
use super::world::Outcome;
use crate::analysis::Verdict;

/// So many that have outlived what is freed here are no tail of a cache's.
const FEW: u64 = 5;

/// How many runs got which verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) runs: usize,
    pub(super) verdicts: BTreeMap<&'static str, usize>,
    pub(super) wrong: usize,
}

/// The runs of a law.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Those that show what is true.
    pub(super) shown: Tally,
    /// Those that don't.
    pub(super) hidden: Tally,
}

/// Whether what is said of the law is false.
pub(super) fn is_wrong(law: &Law, outcome: &Outcome) -> bool {
    let leaks = outcome.verdict.is_some_and(Verdict::leaks);
    match law.truth {
        Truth::Holds(_) => leaks && (outcome.shown || outcome.is_sure),
        Truth::Leaks | Truth::Grows if outcome.shown => !leaks,
        Truth::Leaks => {
            let told = [Verdict::Bounded, Verdict::WarmUp, Verdict::Clean];
            let harmless = outcome
                .verdict
                .is_some_and(|verdict| told.contains(&verdict));
            harmless && outcome.mature >= FEW
        }
        Truth::Grows => false,
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome.verdict {
        None => "unseen",
        Some(Verdict::Leak) if outcome.is_sure => "leak",
        Some(Verdict::Leak) => "leak (low)",
        Some(Verdict::GrowingBuffer) => "growing",
        Some(Verdict::TooFewRequests) => "undecided",
        Some(Verdict::Bounded) => "bounded",
        Some(Verdict::WarmUp) => "warm-up",
        Some(Verdict::FreedLater) => "freed later",
        Some(Verdict::Clean) => "clean",
    }
}

impl Tally {
    fn add(&mut self, law: &Law, outcome: &Outcome) {
        self.runs += 1;
        *self.verdicts.entry(name(outcome)).or_default() += 1;
        self.wrong += usize::from(is_wrong(law, outcome));
    }

    /// Wrong ones among a hundred.
    pub(super) fn rate(&self) -> f64 {
        100.0 * self.wrong as f64 / self.runs.max(1) as f64
    }

    fn cells(&self) -> String {
        if self.runs == 0 {
            return "0 | |".to_owned();
        }
        let mut all: Vec<(&str, usize)> = self.verdicts.iter().map(|(k, n)| (*k, *n)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let part = |(name, count): &(&str, usize)| {
            format!("{name} {:.1}", 100.0 * *count as f64 / self.runs as f64)
        };
        let parts: Vec<String> = all.iter().map(part).collect();
        format!(
            "{} | {:.1} % | {}",
            self.runs,
            self.rate(),
            parts.join(", ")
        )
    }
}

impl Row {
    pub(super) fn add(&mut self, law: &Law, outcome: &Outcome) {
        match outcome.shown {
            true => self.shown.add(law, outcome),
            false => self.hidden.add(law, outcome),
        }
    }
}

/// A line of the table for exact traces, and one for sampled ones.
pub(super) fn lines(law: &Law, rows: &[Row; 2]) -> String {
    let mut text = String::new();
    for (row, trace) in rows.iter().zip(["exact", "sampled"]) {
        let truth = match law.truth {
            Truth::Holds(_) => "no",
            Truth::Leaks => "leaks",
            Truth::Grows => "grows",
        };
        let (shown, hidden) = (row.shown.cells(), row.hidden.cells());
        let _ = writeln!(
            text,
            "| {} | {truth} | {trace} | {shown} | {hidden} |",
            law.name
        );
    }
    text
}
