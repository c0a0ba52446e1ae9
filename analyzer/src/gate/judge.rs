//! Which leaks are known, and what is to be said of what knows them.

use std::collections::BTreeSet;

use super::baseline::{Baseline, Cover};
use super::leaks::{Leak, Outcome};
use super::suppressions::Suppressions;
use crate::escape::escaped;
use crate::figures::bytes;
use crate::report::Outline;

/// An entry or a pattern that covers leaks of more endpoints than this hides more than one leak.
const TOO_BROAD: usize = 3;

/// Sets the leaks apart that are known.
pub fn judge<'o>(
    outline: &'o Outline,
    leaks: Vec<Leak<'o>>,
    baseline: Option<&Baseline>,
    suppressions: &Suppressions,
    today: &str,
) -> Outcome<'o> {
    let mut outcome = Outcome::default();
    let mut used = Used::default();
    for leak in leaks {
        if let Some(pattern) = suppressions.covering(leak.site) {
            used.add(&format!("suppression {pattern}"), &leak);
            outcome.covered.push(leak);
            continue;
        }
        match baseline.map(|baseline| baseline.judge(&leak, today)) {
            Some(Cover::Is(entry)) => {
                used.add(&entry.name(), &leak);
                outcome.covered.push(leak);
            }
            Some(Cover::Worse(entry, why)) => {
                used.add(&entry.name(), &leak);
                outcome.found.push(Leak {
                    worse: Some(why),
                    ..leak
                });
            }
            Some(Cover::Unknown) | None => outcome.found.push(leak),
        }
    }
    note_use(&mut outcome, &used, outline, (baseline, suppressions));
    outcome
}

/// Says what each entry and pattern covers, and which cover nothing.
fn note_use(
    outcome: &mut Outcome<'_>,
    used: &Used,
    outline: &Outline,
    (baseline, suppressions): (Option<&Baseline>, &Suppressions),
) {
    for (name, labels, sum) in &used.0 {
        outcome.notes.push(format!(
            "{name} covers {} ({})",
            bytes(*sum),
            listed(labels)
        ));
        if labels.len() > TOO_BROAD {
            let labels = labels.len();
            outcome.notes.push(format!(
                "{name} is too broad: it covers leaks of {labels} endpoints"
            ));
        }
    }
    let is_used = |name: &str| used.0.iter().any(|(used, _, _)| used == name);
    let unused = suppressions.patterns();
    let unused = unused.filter(|pattern| !is_used(&format!("suppression {pattern}")));
    outcome.notes.extend(unused.map(|pattern| {
        format!(
            "suppression {} covers nothing: remove it?",
            escaped(pattern)
        )
    }));
    if let Some(baseline) = baseline {
        let unused = baseline
            .entries()
            .iter()
            .filter(|entry| !is_used(&entry.name()));
        outcome
            .notes
            .extend(unused.map(|entry| entry.unused(outline)));
    }
}

fn listed(labels: &BTreeSet<String>) -> String {
    let mut names: Vec<String> = labels
        .iter()
        .take(4)
        .map(|label| escaped(label).into_owned())
        .collect();
    if labels.len() > 4 {
        names.push(format!("{} more", labels.len() - 4));
    }
    names.join(", ")
}

/// What covered which labels, and how many bytes; in order.
#[derive(Default)]
struct Used(Vec<(String, BTreeSet<String>, u64)>);

impl Used {
    fn add(&mut self, name: &str, leak: &Leak<'_>) {
        let known = self.0.iter().position(|(known, _, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.0.push((name.to_owned(), BTreeSet::new(), 0));
            self.0.len() - 1
        });
        let (_, labels, sum) = &mut self.0[at];
        labels.insert(leak.label.unwrap_or("in no request").to_owned());
        *sum += leak.bytes;
    }
}
