//! A line of JSON for each interval.

use std::io::{self, Write};

use serde::Serialize;

use crate::figures::moment;
use crate::watch::plain::Heading;
use crate::watch::standing::Grown;
use crate::watch::verdicts::Judged;
use crate::watch::view::{EndpointRow, SiteRow, TypeRow, View, Whose};

/// Rows of each list, at most.
const MOST_ROWS: usize = 100;

#[derive(Serialize)]
struct Line<'v> {
    schema: u32,
    /// RFC 3339.
    at: String,
    t_ns: u64,
    since: &'v str,
    since_t_ns: u64,
    /// `null` while recording goes on.
    ended: Option<&'v str>,
    processes: usize,
    live_blocks: u64,
    live_bytes: u64,
    mapped_bytes: u64,
    resident_bytes: u64,
    requests: u64,
    requests_since: u64,
    requests_per_second: Option<f64>,
    in_flight: u64,
    dropped_events: u64,
    sample_bytes: u64,
    proved_bytes: i64,
    likely_bytes: i64,
    untold_bytes: i64,
    outside_bytes: i64,
    seconds_to_limit: Option<u64>,
    verdicts_as_of_requests: Option<u64>,
    endpoints: Vec<Endpoint<'v>>,
    types: Vec<Type<'v>>,
    sites: Vec<Site<'v>>,
    left_out: LeftOut,
}

/// How many rows are not listed.
#[derive(Serialize)]
struct LeftOut {
    endpoints: usize,
    types: usize,
    sites: usize,
}

#[derive(Serialize)]
struct Left {
    blocks: i64,
    bytes: i64,
    /// Since the line before.
    last_blocks: i64,
    last_bytes: i64,
}

#[derive(Serialize)]
struct Endpoint<'v> {
    label: &'v str,
    status: Option<u32>,
    requests: u64,
    holding_requests: u64,
    #[serde(flatten)]
    left: Left,
    likely_blocks: i64,
    likely_bytes: i64,
    verdict: Option<&'v str>,
    requests_needed: Option<u64>,
}

#[derive(Serialize)]
struct Type<'v> {
    name: &'v str,
    #[serde(flatten)]
    left: Left,
}

#[derive(Serialize)]
struct Site<'v> {
    fingerprint: &'v str,
    function: &'v str,
    place: &'v str,
    of: &'v str,
    #[serde(flatten)]
    left: Left,
    verdict: Option<&'v str>,
}

impl Left {
    fn of(grown: Grown) -> Left {
        Left {
            blocks: grown.since.blocks,
            bytes: grown.since.bytes,
            last_blocks: grown.last.blocks,
            last_bytes: grown.last.bytes,
        }
    }
}

fn is_of_note(left: &Grown) -> bool {
    !left.since.is_none() || !left.last.is_none()
}

fn verdict(judged: &Option<Judged>) -> Option<&str> {
    judged.as_ref().map(|judged| judged.verdict.as_str())
}

fn endpoint(row: &EndpointRow) -> Endpoint<'_> {
    Endpoint {
        label: &row.label,
        status: row.status,
        requests: row.requests,
        holding_requests: row.holding,
        left: Left::of(row.left),
        likely_blocks: row.likely.since.blocks,
        likely_bytes: row.likely.since.bytes,
        verdict: verdict(&row.judged),
        requests_needed: row.judged.as_ref().and_then(|judged| judged.needed),
    }
}

fn of_type(row: &TypeRow) -> Type<'_> {
    Type {
        name: &row.name,
        left: Left::of(row.left),
    }
}

fn site(row: &SiteRow) -> Site<'_> {
    Site {
        fingerprint: &row.fingerprint,
        function: &row.named.function,
        place: &row.named.place,
        of: &row.of,
        left: Left::of(row.left),
        verdict: verdict(&row.judged),
    }
}

/// Prints a line; `ended`: how recording did.
pub(super) fn line(
    heading: &Heading,
    view: &View,
    ended: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let endpoint_rows: Vec<_> = view
        .endpoints
        .iter()
        .filter(|row| row.whose == Whose::Endpoint)
        .collect();
    let type_rows: Vec<_> = view
        .types
        .iter()
        .filter(|row| is_of_note(&row.left))
        .collect();
    let endpoints = endpoint_rows.iter().take(MOST_ROWS);
    let sites = view.sites.iter().take(MOST_ROWS);
    let line = Line {
        schema: 1,
        at: moment(heading.started_at_ns.saturating_add(view.at_ns)),
        t_ns: view.at_ns,
        since: &heading.since,
        since_t_ns: view.since_ns,
        ended,
        processes: view.processes,
        live_blocks: view.live_blocks,
        live_bytes: view.live_bytes,
        mapped_bytes: view.mapped_bytes,
        resident_bytes: view.resident,
        requests: view.requests,
        requests_since: view.requests_since,
        requests_per_second: view.rate(),
        in_flight: view.flying,
        dropped_events: view.dropped,
        sample_bytes: view.sample_bytes,
        proved_bytes: view.sure.proved,
        likely_bytes: view.sure.likely,
        untold_bytes: view.sure.untold,
        outside_bytes: view.sure.outside,
        seconds_to_limit: view.seconds_to_limit,
        verdicts_as_of_requests: view.judged_requests,
        endpoints: endpoints.map(|row| endpoint(row)).collect(),
        types: type_rows
            .iter()
            .take(MOST_ROWS)
            .map(|row| of_type(row))
            .collect(),
        sites: sites.map(site).collect(),
        left_out: LeftOut {
            endpoints: endpoint_rows.len().saturating_sub(MOST_ROWS),
            types: type_rows.len().saturating_sub(MOST_ROWS),
            sites: view.more_sites + view.sites.len().saturating_sub(MOST_ROWS),
        },
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)?;
    out.flush()
}
