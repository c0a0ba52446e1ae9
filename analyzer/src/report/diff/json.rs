//! The comparison for programs: `docs/diff.schema.json`.

use std::io::{self, Write};

use serde::Serialize;

use super::{Diff, Row, SiteRow, State};
use crate::report::outline::{Outline, OutlineSite, OutsidePart, Part};

/// The schema's version.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'d> {
    schema: u32,
    before: Trace<'d>,
    after: Trace<'d>,
    differences: Vec<Difference<'d>>,
    counts: Vec<Count>,
    endpoints: Vec<Endpoint<'d>>,
    sites: Vec<Site<'d>>,
}

#[derive(Serialize)]
struct Trace<'d> {
    path: &'d str,
    tool_version: &'d str,
    duration_ns: u64,
    complete: bool,
    dropped_events: u64,
    sample_bytes: u64,
    boundaries: &'d [&'static str],
    requests: u64,
    programs: Vec<Program<'d>>,
}

#[derive(Serialize)]
struct Program<'d> {
    executable: &'d str,
    arguments: &'d [String],
    build_id: Option<&'d str>,
}

#[derive(Serialize)]
struct Difference<'d> {
    what: &'static str,
    before: &'d str,
    after: &'d str,
}

#[derive(Serialize)]
struct Count {
    state: &'static str,
    endpoints: usize,
    sites: usize,
}

#[derive(Serialize)]
struct Endpoint<'d> {
    label: &'d str,
    state: &'static str,
    reason: &'d str,
    before: Option<Side>,
    after: Option<Side>,
}

/// What requests of one side left.
#[derive(Serialize)]
struct Side {
    verdict: &'static str,
    requests: u64,
    leaking_requests_range: [u64; 2],
    leaked_blocks: u64,
    leaked_bytes: u64,
    leaked_bytes_error: u64,
    associated_bytes: u64,
    leaked_bytes_per_leaking_request_range: Option<[u64; 2]>,
    leaked_bytes_per_request: f64,
    statuses: Vec<Status>,
}

#[derive(Serialize)]
struct Status {
    status: Option<u32>,
    requests: u64,
    leaking_requests: u64,
    leaked_bytes: u64,
}

#[derive(Serialize)]
struct Site<'d> {
    function_fingerprint: &'d str,
    function: &'d str,
    place: &'d str,
    functions: &'d [String],
    label: Option<&'d str>,
    state: &'static str,
    reason: &'d str,
    likeness: Option<[usize; 2]>,
    fingerprints_before: &'d [String],
    fingerprints_after: &'d [String],
    before: Option<Side>,
    after: Option<Side>,
    outside_before: Option<Outside>,
    outside_after: Option<Outside>,
}

#[derive(Serialize)]
struct Outside {
    verdict: &'static str,
    grown_blocks: u64,
    grown_bytes: u64,
}

/// Writes the comparison as one JSON object and a line feed.
///
/// # Errors
/// Of the writing.
pub fn json(diff: &Diff<'_>, out: &mut dyn Write) -> io::Result<()> {
    let count = |state: State| {
        let (endpoints, sites) = diff.count(state);
        Count {
            state: state.name(),
            endpoints,
            sites,
        }
    };
    let report = Report {
        schema: SCHEMA,
        before: trace(diff.before),
        after: trace(diff.after),
        differences: diff
            .differences
            .iter()
            .map(|row| Difference {
                what: row.what,
                before: &row.before,
                after: &row.after,
            })
            .collect(),
        counts: State::ALL.map(count).into(),
        endpoints: diff
            .endpoints
            .iter()
            .map(|row| endpoint(diff, row))
            .collect(),
        sites: diff
            .sites
            .iter()
            .filter_map(|row| site(diff, row))
            .collect(),
    };
    serde_json::to_writer(&mut *out, &report)?;
    out.write_all(b"\n")
}

fn trace(outline: &Outline) -> Trace<'_> {
    Trace {
        path: &outline.path,
        tool_version: &outline.tool_version,
        duration_ns: outline.duration_ns,
        complete: outline.complete,
        dropped_events: outline.dropped_events,
        sample_bytes: outline.sample_bytes,
        boundaries: &outline.boundaries,
        requests: outline.requests,
        programs: outline
            .programs
            .iter()
            .map(|program| Program {
                executable: &program.executable,
                arguments: &program.arguments,
                build_id: program.build_id.as_deref(),
            })
            .collect(),
    }
}

fn endpoint<'d>(diff: &Diff<'d>, row: &'d Row<'_>) -> Endpoint<'d> {
    Endpoint {
        label: row.label,
        state: row.state.name(),
        reason: &row.reason,
        before: row.before.map(|part| side(diff.before, part)),
        after: row.after.map(|part| side(diff.after, part)),
    }
}

fn side(outline: &Outline, part: &Part) -> Side {
    Side {
        verdict: part.told_verdict().name(),
        requests: part.requests,
        leaking_requests_range: part.leaking_range(),
        leaked_blocks: part.leaked.blocks,
        leaked_bytes: part.leaked.bytes,
        leaked_bytes_error: outline.error(part.leaked.bytes),
        associated_bytes: part.associated_bytes,
        leaked_bytes_per_leaking_request_range: part.each_range(),
        leaked_bytes_per_request: part.leaked.bytes as f64 / part.requests.max(1) as f64,
        statuses: part
            .statuses
            .iter()
            .map(|of| Status {
                status: of.status,
                requests: of.requests,
                leaking_requests: of.leaking,
                leaked_bytes: of.leaked_bytes,
            })
            .collect(),
    }
}

fn site<'d>(diff: &Diff<'d>, row: &'d SiteRow<'_>) -> Option<Site<'d>> {
    let shown = row.site()?;
    let part = |outline: &Outline, site: Option<&OutlineSite>| {
        let part = site?.part(row.label?)?;
        Some(side(outline, part))
    };
    let outside = |site: Option<&OutlineSite>| match row.label {
        Some(_) => None,
        None => site?.outside.map(|part: OutsidePart| Outside {
            verdict: part.verdict.name(),
            grown_blocks: part.grown.blocks,
            grown_bytes: part.grown.bytes,
        }),
    };
    let fingerprints = |site: Option<&'d OutlineSite>| match site {
        Some(site) => site.fingerprints.as_slice(),
        None => &[],
    };
    Some(Site {
        function_fingerprint: &shown.functions.fingerprint,
        function: &shown.head.name,
        place: &shown.head.place,
        functions: &shown.functions.names,
        label: row.label,
        state: row.state.name(),
        reason: &row.reason,
        likeness: row.likeness.map(|(common, all)| [common, all]),
        fingerprints_before: fingerprints(row.before),
        fingerprints_after: fingerprints(row.after),
        before: part(diff.before, row.before),
        after: part(diff.after, row.after),
        outside_before: outside(row.before),
        outside_after: outside(row.after),
    })
}
