//! Two traces compared, for people.

use std::io::{self, Write};

use anstyle::Style;

use super::page::Page;
use super::table::{Cell, Side, Table, cut, cut_front};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, duration};
use crate::report::Options;
use crate::report::diff::{Diff, Row, SiteRow, State, each, range};
use crate::report::outline::{Outline, Part};

/// Rows of each part.
const MOST_ROWS: usize = 40;
/// Labels in a line.
const MOST_LABELS: usize = 6;
/// What stands for a side without such requests.
const NONE: &str = "–";

/// Writes the comparison as text.
///
/// # Errors
/// Of the writing.
pub fn diff(diff: &Diff<'_>, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(options.width, options.color);
    write_head(&mut page, diff);
    write_result(&mut page, diff);
    write_differences(&mut page, diff);
    write_endpoints(&mut page, diff);
    write_sites(&mut page, diff);
    out.write_all(page.into_text().as_bytes())
}

fn write_head(page: &mut Page, diff: &Diff<'_>) {
    let mut table = Table::new(1, &[Side::Left, Side::Left, Side::Right, Side::Left]);
    for (side, outline) in [("before", diff.before), ("after", diff.after)] {
        table.row(vec![
            Cell::styled(side, page.ink.strong),
            Cell::new(escaped(&outline.path)),
            Cell::new(counted(outline.requests, "request")),
            Cell::new(format!("in {}", duration(outline.duration_ns))),
        ]);
    }
    page.table(0, &table);
    for (side, outline) in [("before", diff.before), ("after", diff.after)] {
        write_doubts(page, side, outline);
    }
    if diff.before.boundaries != diff.after.boundaries {
        let text = "requests were told apart by other boundaries: their labels may not be the same; \
                    give --boundary";
        page.paragraph("warning: ", page.ink.warn, text);
    }
}

/// In what the recordings differ.
fn write_differences(page: &mut Page, diff: &Diff<'_>) {
    for difference in &diff.differences {
        let room = page.width / 2;
        let side = |text: &str| match text {
            "" => NONE.to_owned(),
            text => cut(&escaped(text), room),
        };
        let (before, after) = (side(&difference.before), side(&difference.after));
        let first = format!("  other {}: ", difference.what);
        page.paragraph(&first, page.ink.dim, &format!("{before} → {after}"));
    }
}

fn write_doubts(page: &mut Page, side: &str, outline: &Outline) {
    let ink = page.ink.warn;
    if !outline.complete {
        let events = match outline.dropped_events {
            0 => String::new(),
            events => format!(": {} not recorded", counted(events, "event")),
        };
        page.paragraph(
            "warning: ",
            ink,
            &format!("the trace {side} is incomplete{events}"),
        );
    }
    if outline.sample_bytes > 0 {
        let text = format!(
            "{side} is a sample, of {} on average: figures are estimates, and small changes can't be told",
            bytes(outline.sample_bytes)
        );
        page.paragraph("warning: ", ink, &text);
    }
}

fn ink(page: &Page, state: State) -> Style {
    match state {
        State::New | State::Worse => page.ink.bad,
        State::Fixed | State::Better => page.ink.good,
        State::NotComparable => page.ink.warn,
        State::Same => page.ink.dim,
    }
}

/// Whether it leaks, or may, on either side: all other endpoints are but counted.
fn matters(row: &Row<'_>) -> bool {
    let sides = [row.before, row.after].into_iter().flatten();
    row.state != State::Same && row.state != State::NotComparable
        || sides
            .into_iter()
            .any(|part| part.verdict.leaks() || part.leaking[1] > 0 || part.needed.is_some())
        || (row.state == State::NotComparable && row.before.is_some() && row.after.is_some())
}

fn write_result(page: &mut Page, diff: &Diff<'_>) {
    page.blank();
    let counts: Vec<String> = State::ALL
        .iter()
        .filter_map(|state| {
            let rows = diff.endpoints.iter().filter(|row| matters(row));
            let endpoints = rows.filter(|row| row.state == *state).count();
            let (_, sites) = diff.count(*state);
            let told = match (endpoints, sites) {
                (0, 0) => return None,
                (0, sites) => counted(sites as u64, "call site"),
                (endpoints, 0) => counted(endpoints as u64, "endpoint"),
                (endpoints, sites) => format!(
                    "{}, {}",
                    counted(endpoints as u64, "endpoint"),
                    counted(sites as u64, "call site")
                ),
            };
            Some(format!("{}: {told}", state.words()))
        })
        .collect();
    match counts.is_empty() {
        true => page.paragraph("", page.ink.good, "Nothing leaks, before or after."),
        false => page.paragraph("", page.ink.strong, &(counts.join(" · "))),
    }
}

fn write_endpoints(page: &mut Page, diff: &Diff<'_>) {
    let rows: Vec<&Row<'_>> = diff.endpoints.iter().filter(|row| matters(row)).collect();
    if !rows.is_empty() {
        page.heading("Endpoints");
        let mut table = Table::new(
            1,
            &[
                Side::Left,
                Side::Left,
                Side::Right,
                Side::Right,
                Side::Right,
            ],
        );
        let heads = ["", "ENDPOINT", "REQUESTS", "LEAKING", "EACH"];
        table.row(heads.map(|head| Cell::styled(head, page.ink.dim)).into());
        for row in rows.iter().take(MOST_ROWS) {
            table.row(vec![
                Cell::styled(row.state.words(), ink(page, row.state)),
                Cell::styled(escaped(row.label), page.ink.strong),
                Cell::new(both(row, |part| count(part.requests))),
                Cell::new(both(row, |part| range(part.leaking_range()))),
                Cell::new(both(row, |part| match part.each() {
                    None => NONE.into(),
                    Some(_) => each(part),
                })),
            ]);
        }
        page.table(2, &table);
        write_reasons(page, &rows);
    }
    if rows.len() > MOST_ROWS {
        let more = counted((rows.len() - MOST_ROWS) as u64, "more endpoint");
        page.paragraph(
            "  ",
            page.ink.dim,
            &format!("… and {more}: --format json has all"),
        );
    }
    write_others(page, diff);
}

fn both(row: &Row<'_>, of: impl Fn(&Part) -> String) -> String {
    let side = |part: Option<&Part>| part.map_or(NONE.into(), &of);
    let (before, after) = (side(row.before), side(row.after));
    match before == after {
        true => after,
        false => format!("{before} → {after}"),
    }
}

/// Why what can't be compared can't.
fn write_reasons(page: &mut Page, rows: &[&Row<'_>]) {
    let untold = rows.iter().take(MOST_ROWS);
    let untold = untold.filter(|row| row.state == State::NotComparable);
    for row in untold {
        let text = format!("{} not comparable: {}", escaped(row.label), row.reason);
        page.paragraph("  ", page.ink.warn, &text);
    }
}

fn write_others(page: &mut Page, diff: &Diff<'_>) {
    let others = diff.endpoints.iter().filter(|row| !matters(row));
    let (same, alone): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        others.partition(|row| row.state == State::Same);
    let (old, new): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        alone.into_iter().partition(|row| row.before.is_some());
    let lines = [
        ("Leaks in neither: ", same),
        ("Seen before alone, no leak: ", old),
        ("Seen after alone, no leak: ", new),
    ];
    for (title, rows) in lines.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let labels = rows.iter().take(MOST_LABELS);
        let mut labels: Vec<String> = labels.map(|row| escaped(row.label).into_owned()).collect();
        if rows.len() > MOST_LABELS {
            labels.push(format!("{} more", rows.len() - MOST_LABELS));
        }
        page.paragraph(&format!("  {title}"), page.ink.dim, &labels.join(", "));
    }
}

fn write_sites(page: &mut Page, diff: &Diff<'_>) {
    if diff.sites.is_empty() {
        return;
    }
    page.heading("Call sites");
    for state in State::ALL {
        let rows = diff.sites.iter().filter(|row| row.state == state);
        for row in rows.clone().take(MOST_ROWS) {
            write_site(page, row);
        }
        let more = rows.count().saturating_sub(MOST_ROWS);
        if more > 0 {
            let text = format!(
                "… and {more} more, {}: --format json has all",
                state.words()
            );
            page.paragraph("  ", page.ink.dim, &text);
        }
    }
}

fn write_site(page: &mut Page, row: &SiteRow<'_>) {
    let Some(site) = row.site() else {
        return;
    };
    let label = row.label.map_or("(in no request)".into(), escaped);
    let place = cut_front(&site.head.place, page.width / 3);
    let name = cut(&site.head.name, page.width / 3);
    let first = format!("  {}  ", row.state.words());
    let text = format!("{name}  {place}  {label}");
    page.titled(&first, ink(page, row.state), page.ink.strong, &text);
    page.paragraph("    ", page.ink.dim, &escaped(&row.reason));
    if let Some((common, all)) = row.likeness {
        let text =
            format!("taken for one site by likeness: {common} of {all} functions are the same");
        page.paragraph("    ", page.ink.warn, &text);
    }
}
