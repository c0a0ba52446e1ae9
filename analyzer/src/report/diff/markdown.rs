//! The comparison for a pull request: at most 80 lines.

use std::io::{self, Write};

use super::side::{each, range};
use super::{Diff, Row, SiteRow, State};
use crate::figures::{count, counted, duration};
use crate::report::md::{code, prose};
use crate::report::outline::Part;

/// Rows of endpoints, and of call sites.
const MOST_ROWS: usize = 25;

/// Writes the comparison as Markdown.
///
/// # Errors
/// Of the writing.
pub fn markdown(diff: &Diff<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = vec![format!("### libleak: {}", headline(diff)), String::new()];
    for (side, outline) in [("before", diff.before), ("after", diff.after)] {
        let incomplete = if outline.complete {
            ""
        } else {
            ", **incomplete**"
        };
        lines.push(format!(
            "- {side}: {}, {} in {}{incomplete}",
            code(&outline.path),
            counted(outline.requests, "request"),
            duration(outline.duration_ns)
        ));
    }
    lines.extend(diff.differences.iter().map(|row| {
        let (before, after) = (code(&row.before), code(&row.after));
        format!("- other {}: {before} → {after}", row.what)
    }));
    let rows: Vec<&Row<'_>> = diff.endpoints.iter().filter(|row| row.is_news()).collect();
    if !rows.is_empty() {
        lines.extend(
            [
                "",
                "| | endpoint | requests | leaking | each |",
                "| --- | --- | ---: | ---: | ---: |",
            ]
            .map(String::from),
        );
        lines.extend(rows.iter().take(MOST_ROWS).map(|row| endpoint(row)));
        more(&mut lines, rows.len(), "endpoint");
    }
    let sites: Vec<&SiteRow<'_>> = diff
        .sites
        .iter()
        .filter(|row| row.state != State::Same)
        .collect();
    if !sites.is_empty() {
        lines.push(String::new());
        lines.extend(sites.iter().take(MOST_ROWS).map(|row| site(row)));
        more(&mut lines, sites.len(), "call site");
    }
    lines.push(String::new());
    out.write_all(lines.join("\n").as_bytes())
}

fn more(lines: &mut Vec<String>, all: usize, what: &str) {
    if all > MOST_ROWS {
        let more = counted((all - MOST_ROWS) as u64, what);
        lines.extend([
            String::new(),
            format!("… and {more} more (`--format json` has all)"),
        ]);
    }
}

/// How many of each state, in words.
pub(super) fn headline(diff: &Diff<'_>) -> String {
    let news = State::ALL.into_iter().filter(|state| *state != State::Same);
    let counts = news.filter_map(|state| {
        let (endpoints, sites) = diff.count(state);
        let (number, what) = match (endpoints, sites) {
            (0, 0) => return None,
            (0, sites) => (sites, "call site"),
            (endpoints, _) => (endpoints, "endpoint"),
        };
        Some(format!(
            "{} {}",
            counted(number as u64, what),
            state.words()
        ))
    });
    let counts: Vec<String> = counts.collect();
    match counts.is_empty() {
        true => "no change".into(),
        false => counts.join(", "),
    }
}

impl Row<'_> {
    /// Whether there is more to say than that it leaks in neither.
    pub(super) fn is_news(&self) -> bool {
        let leaks = |part: Option<&Part>| part.is_some_and(|part| part.verdict.leaks());
        self.state != State::Same || leaks(self.after)
    }
}

fn endpoint(row: &Row<'_>) -> String {
    let both = |of: &dyn Fn(&Part) -> String| {
        let side = |part: Option<&Part>| part.map_or("–".into(), of);
        let (before, after) = (side(row.before), side(row.after));
        match before == after {
            true => after,
            false => format!("{before} → {after}"),
        }
    };
    let size = |part: &Part| {
        if part.each().is_none() {
            "–".into()
        } else {
            each(part)
        }
    };
    let state = match row.state {
        State::NotComparable => format!("not comparable: {}", prose(&row.reason)),
        state => format!("**{}**", state.words()),
    };
    format!(
        "| {state} | {} | {} | {} | {} |",
        code(row.label),
        both(&|part| count(part.requests)),
        both(&|part| range(part.leaking_range())),
        both(&size)
    )
}

fn site(row: &SiteRow<'_>) -> String {
    let label = row.label.map_or("in no request".into(), code);
    let place = row.site().map_or("", |site| site.head.place.as_str());
    let likeness = row.likeness.map_or(String::new(), |(common, all)| {
        format!(" (taken for one by likeness: {common} of {all} functions)")
    });
    format!(
        "- **{}** {} at {}, {label}: {}{likeness}",
        row.state.words(),
        code(row.name()),
        code(place),
        prose(&row.reason)
    )
}
