//! Two traces compared: per request, not by totals of unequal traffic, and only as far as both have seen enough.

mod change;
mod html;
mod json;
mod judge;
mod markdown;
mod row;
mod side;
mod sites;
mod state;

pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub(in crate::report) use row::SiteRow;
pub(in crate::report) use side::{each, range};
pub use state::State;

use std::collections::BTreeSet;

use super::outline::{Outline, Part, Program};
use judge::judge;
use row::lost;
use side::Of;

/// What is the same and what is not.
#[derive(Debug)]
pub struct Diff<'o> {
    /// The trace that the other is compared with.
    pub before: &'o Outline,
    /// The other.
    pub after: &'o Outline,
    /// In what the recordings differ.
    pub differences: Vec<Difference>,
    /// All labels, the worst news first.
    pub endpoints: Vec<Row<'o>>,
    /// Call sites that leak in either, by label, the worst news first.
    pub sites: Vec<SiteRow<'o>>,
}

/// Something that is not the same in both recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: `program`, `arguments`, `build`, `LEAK_SAMPLE`, `boundaries`, `recorder`.
    pub what: &'static str,
    /// In the first.
    pub before: String,
    /// In the second.
    pub after: String,
}

/// An endpoint.
#[derive(Debug)]
pub struct Row<'o> {
    /// The label.
    pub label: &'o str,
    /// What became of it.
    pub state: State,
    /// Why, a sentence without a full stop.
    pub reason: String,
    /// In the first; `None`: no request had the label.
    pub before: Option<&'o Part>,
    /// In the second.
    pub after: Option<&'o Part>,
}

/// Compares two traces.
pub fn compare<'o>(before: &'o Outline, after: &'o Outline) -> Diff<'o> {
    let mut diff = Diff {
        before,
        after,
        differences: differences(before, after),
        endpoints: endpoints(before, after),
        sites: sites::rows(before, after),
    };
    for row in &mut diff.endpoints {
        doubt(row, &diff.sites);
    }
    diff.endpoints.sort_by_key(|row| row.state);
    diff.sites.sort_by_key(|row| row.state);
    diff
}

/// An endpoint is as sure to leak anew, or no more, as its call sites are, where these can be compared.
fn doubt(row: &mut Row<'_>, sites: &[SiteRow<'_>]) {
    let of_label = || sites.iter().filter(|site| site.label == Some(row.label));
    let is_news = |state| matches!(state, State::New | State::Fixed);
    if !is_news(row.state) || of_label().any(|site| is_news(site.state)) {
        return;
    }
    let mut untold = of_label().filter(|site| site.state == State::NotComparable);
    if let Some(site) = untold.find(|site| site.reason != sites::NAMELESS) {
        (row.state, row.reason) = (State::NotComparable, site.reason.clone());
    }
}

impl Diff<'_> {
    /// How many endpoints and call sites have this state.
    pub fn count(&self, state: State) -> (usize, usize) {
        (
            self.endpoints
                .iter()
                .filter(|row| row.state == state)
                .count(),
            self.sites.iter().filter(|row| row.state == state).count(),
        )
    }

    /// Why nothing found does not mean that nothing is there.
    pub fn doubt(&self) -> Option<String> {
        for (side, outline) in [("before", self.before), ("after", self.after)] {
            if !outline.complete {
                return Some(format!("the trace {side} is incomplete"));
            }
            if outline.requests == 0 {
                return Some(format!("no request was seen {side}"));
            }
        }
        let is_untold = |state| state == State::NotComparable;
        let mut endpoints = self.endpoints.iter();
        let endpoint = endpoints.find(|row| is_untold(row.state));
        let endpoint =
            endpoint.map(|row| format!("{} is not comparable: {}", row.label, row.reason));
        endpoint.or_else(|| {
            let mut sites = self.sites.iter();
            let site = sites.find(|row| is_untold(row.state))?;
            Some(format!(
                "{} is not comparable: {}",
                site.name(),
                site.reason
            ))
        })
    }
}

/// Something that may differ: its name, and how it is said.
type Named<T> = (&'static str, fn(&T) -> String);

fn differences(before: &Outline, after: &Outline) -> Vec<Difference> {
    let list = |of: &Outline, what: fn(&Program) -> String| {
        let all: BTreeSet<String> = of.programs.iter().map(what).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    let rows: [Named<Outline>; 3] = [
        ("LEAK_SAMPLE", |of| of.sample_bytes.to_string()),
        ("boundaries", |of| of.boundaries.join(", ")),
        ("recorder", |of| of.tool_version.clone()),
    ];
    let programs: [Named<Program>; 3] = [
        ("program", |of| of.executable.clone()),
        ("arguments", |of| {
            of.arguments.get(1..).unwrap_or_default().join(" ")
        }),
        ("build", |of| {
            of.build_id
                .clone()
                .unwrap_or_else(|| "without a build-id".into())
        }),
    ];
    let programs = programs
        .into_iter()
        .map(|(what, of)| (what, list(before, of), list(after, of)));
    let rows = rows
        .into_iter()
        .map(|(what, of)| (what, of(before), of(after)));
    programs
        .chain(rows)
        .filter(|(_, before, after)| before != after)
        .map(|(what, before, after)| Difference {
            what,
            before,
            after,
        })
        .collect()
}

fn endpoints<'o>(before: &'o Outline, after: &'o Outline) -> Vec<Row<'o>> {
    let alone = |part: &&Part| before.endpoint(&part.label).is_none();
    let labels = before
        .endpoints
        .iter()
        .chain(after.endpoints.iter().filter(alone));
    labels
        .map(|part| {
            let (old, new) = (before.endpoint(&part.label), after.endpoint(&part.label));
            let of = |part: Option<&'o Part>, outline: &Outline| Of {
                part: part.cloned(),
                lost: lost(outline),
                error: outline.error(part.map_or(0, |part| part.leaked.bytes)),
            };
            let (state, reason) = judge(&of(old, before), &of(new, after));
            Row {
                label: &part.label,
                state,
                reason,
                before: old,
                after: new,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
