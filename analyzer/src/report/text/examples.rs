//! Requests that leak, one by one: when, what they asked for, what is known of each (`--examples`).

use std::cmp::Reverse;

use super::labels::name;
use super::leaking::Leaking;
use super::page::Page;
use super::table::{Cell, Side, Table};
use crate::access::Entry;
use crate::analysis::Request;
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, duration, moment};
use crate::report::Input;

/// Writes those of each endpoint that leaks, the ones that left most.
pub(super) fn write(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let most = input.options.examples;
    if most == 0 || leaking.is_empty() {
        return;
    }
    page.heading("Requests that leak, for example");
    if let Some(log) = &input.options.access_log {
        let text = format!("Access log: {}.", log.counts.text());
        page.paragraph("  ", page.ink.dim, &text);
    }
    for of in leaking {
        let endpoints = &input.analysis.endpoints;
        let Some(at) = endpoints
            .iter()
            .position(|one| std::ptr::eq(one, of.endpoint))
        else {
            continue;
        };
        let requests = input.analysis.requests.iter().enumerate();
        let mut requests: Vec<(usize, &Request)> = requests
            .filter(|(_, one)| one.endpoint as usize == at && one.leaking_blocks > 0)
            .collect();
        requests.sort_by_key(|(id, one)| (Reverse(one.retained_bytes), *id));
        let all: u64 = requests.iter().map(|(_, one)| u64::from(one.count)).sum();
        requests.truncate(most);
        write_endpoint(page, input, of, all, &requests);
    }
}

fn write_endpoint(
    page: &mut Page,
    input: &Input<'_>,
    of: &Leaking<'_>,
    all: u64,
    requests: &[(usize, &Request)],
) {
    page.blank();
    let label = name(input, of.endpoint);
    let [low, high] = of.endpoint.leaking_requests_range;
    let known = match low < high {
        true if of.endpoint.hidden.is_some() => {
            "in the sample, those that left most first".to_owned()
        }
        true => format!(
            "which of its requests leak is not known for sure ({} to {} do): the likeliest",
            count(low),
            count(high)
        ),
        false => format!(
            "{}, those that left most first",
            counted(all, "leaking request")
        ),
    };
    page.titled(
        &format!("  {label}  "),
        page.ink.strong,
        page.ink.dim,
        &known,
    );
    let sides = [Side::Left, Side::Left, Side::Left, Side::Right, Side::Right];
    let mut table = Table::new(1, &sides);
    for (id, request) in requests {
        table.row(row(page, input, *id, request));
    }
    for (line, (id, _)) in table.lines(4, page.width).into_iter().zip(requests) {
        page.line(line);
        for text in known_of(input, *id) {
            page.paragraph("        ", page.ink.dim, &text);
        }
    }
}

/// To the millisecond: `2026-11-29 17:30:23.046`.
fn when(ns: u64) -> String {
    let moment = moment(ns).replace('T', " ");
    moment.get(..23).unwrap_or(&moment).to_owned()
}

fn row(page: &Page, input: &Input<'_>, id: usize, request: &Request) -> Vec<Cell> {
    let asked = input.analysis.asked.of(id);
    let what = match (asked, request.count) {
        (Some((head, _)), 0..=1) => escaped(head).into_owned(),
        (Some((head, _)), several) => format!("{} ({several} read together)", escaped(head)),
        (None, 0..=1) => "(its path is not known)".into(),
        (None, several) => format!("({several} read together)"),
    };
    let status = request
        .status
        .map_or("no status".into(), |status| status.to_string());
    let took = request
        .end_ns
        .map(|end| end.saturating_sub(request.start_ns));
    vec![
        Cell::styled(
            when(input.facts.started_at_ns.saturating_add(request.start_ns)),
            page.ink.dim,
        ),
        Cell::new(what),
        Cell::new(status),
        Cell::styled(took.map_or("open".into(), duration), page.ink.dim),
        Cell::new(bytes(request.retained_bytes)),
    ]
}

/// What else is known of a request, in lines.
fn known_of(input: &Input<'_>, id: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let sent = &input.analysis.asked.sent;
    for header in sent.of(id) {
        let dots = if header.is_cut { "…" } else { "" };
        lines.push(format!(
            "{}: {}{dots}",
            escaped(header.name),
            escaped(header.value)
        ));
    }
    let entry = input.options.access_log.as_ref().and_then(|log| log.of(id));
    lines.extend(entry.and_then(of_log));
    lines
}

fn of_log(entry: &Entry) -> Option<String> {
    let mut parts = Vec::new();
    if !entry.query_keys.is_empty() {
        let keys: Vec<_> = entry.query_keys.iter().map(|key| escaped(key)).collect();
        parts.push(format!("query {}", keys.join(", ")));
    }
    if let Some(agent) = &entry.user_agent {
        parts.push(format!("by {}", escaped(agent)));
    }
    if let Some(id) = &entry.request_id {
        parts.push(format!("id {}", escaped(id)));
    }
    (!parts.is_empty()).then(|| format!("log: {}", parts.join("; ")))
}
