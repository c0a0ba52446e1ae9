//! The report in little: one JSON object of at most 8 KB, for a chat, a ticket, a program that asks a question.

use std::cmp::Reverse;
use std::io::{self, Write};

use serde::Serialize;

use super::frames::{Kind, Stacks};
use super::{Input, Options, fingerprint, is_complete, warnings};
use crate::analysis::{Analysis, Endpoint, Site};
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// Bytes of the object, the line feed at its end included.
const MOST_BYTES: usize = 8_000;
/// Characters of a name or a sentence.
const MOST_TEXT: usize = 240;
/// Frames of a call site.
const MOST_FRAMES: usize = 6;

#[derive(Serialize)]
struct Brief<'r> {
    schema: u32,
    brief: bool,
    path: &'r str,
    complete: bool,
    duration_ns: u64,
    sample_bytes: u64,
    requests: u64,
    events: u64,
    live_bytes: u64,
    grown_bytes: u64,
    undecided_bytes: u64,
    warnings: Vec<Warning>,
    unseen_connections: u64,
    endpoints: Vec<EndpointRow>,
    sites: Vec<SiteRow>,
    left_out: LeftOut,
}

/// Rows of which there is no room.
#[derive(Serialize)]
struct LeftOut {
    warnings: usize,
    endpoints: usize,
    sites: usize,
}

#[derive(Clone, Serialize)]
struct Warning {
    code: String,
    text: String,
}

#[derive(Clone, Serialize)]
struct EndpointRow {
    label: String,
    verdict: &'static str,
    requests: u64,
    leaking_requests_range: [u64; 2],
    leaking_statuses: Vec<Option<u32>>,
    retained_bytes: u64,
    associated_bytes: u64,
    retained_bytes_per_leaking_request: Option<u64>,
}

#[derive(Clone, Serialize)]
struct SiteRow {
    fingerprint: String,
    verdict: &'static str,
    evidence: String,
    retained_blocks: u64,
    retained_bytes: u64,
    labels: Vec<String>,
    types: Vec<String>,
    frames: Vec<String>,
}

/// Writes the object and a line feed.
///
/// # Errors
/// Of the writing.
pub fn brief(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input::new(facts, analysis, sites, options);
    let mut stacks = Stacks::new(facts, sites, symbolizer);
    let told: Vec<&Site> = analysis.sites.iter().filter(|site| is_told(site)).collect();
    let site_rows: Vec<SiteRow> = told
        .iter()
        .take(10)
        .map(|site| site_row(&input, &mut stacks, site))
        .collect();
    let endpoint_rows: Vec<EndpointRow> = analysis
        .endpoints
        .iter()
        .take(20)
        .map(endpoint_row)
        .collect();
    let warnings: Vec<Warning> = warnings(&input, stacks.symbolizer())
        .into_iter()
        .map(|warning| Warning {
            code: warning.code,
            text: short(&warning.text),
        })
        .collect();
    let rows = Rows {
        warnings,
        endpoints: endpoint_rows,
        sites: site_rows,
        told: told.len(),
    };
    // What there is room for: the worst of each, fewer and fewer.
    for room in (0..=20_usize).rev() {
        let object = object(&input, &rows, room);
        let mut text = serde_json::to_vec(&object)?;
        text.push(b'\n');
        if text.len() <= MOST_BYTES || room == 0 {
            return out.write_all(&text);
        }
    }
    Ok(())
}

/// The rows that there may be room for.
struct Rows {
    warnings: Vec<Warning>,
    endpoints: Vec<EndpointRow>,
    sites: Vec<SiteRow>,
    /// How many call sites are worth a row.
    told: usize,
}

/// The object with so many rows of each kind.
fn object<'i>(input: &Input<'i>, rows: &Rows, room: usize) -> Brief<'i> {
    let analysis = input.analysis;
    Brief {
        schema: 1,
        brief: true,
        path: &input.options.trace_path,
        complete: is_complete(input.facts),
        duration_ns: input.facts.duration_ns,
        sample_bytes: input.facts.sample_bytes,
        requests: analysis
            .endpoints
            .iter()
            .map(|endpoint| endpoint.requests)
            .sum(),
        events: analysis.events,
        live_bytes: analysis.totals.live_bytes,
        grown_bytes: analysis.growth.bytes(),
        undecided_bytes: analysis.growth.undecided_bytes(),
        unseen_connections: analysis
            .unseen
            .iter()
            .map(|unseen| unseen.connections)
            .sum(),
        warnings: first(&rows.warnings, room),
        endpoints: first(&rows.endpoints, room),
        sites: first(&rows.sites, room.div_ceil(2)),
        left_out: LeftOut {
            warnings: rows.warnings.len().saturating_sub(room),
            endpoints: analysis
                .endpoints
                .len()
                .saturating_sub(room.min(rows.endpoints.len())),
            sites: rows
                .told
                .saturating_sub(room.div_ceil(2).min(rows.sites.len())),
        },
    }
}

/// Whether a call site is worth one of few rows.
fn is_told(site: &Site) -> bool {
    site.verdict.leaks()
        || (site.verdict == crate::analysis::Verdict::TooFewRequests && site.retained_bytes > 0)
}

fn first<R: Clone>(rows: &[R], room: usize) -> Vec<R> {
    rows.iter().take(room).cloned().collect()
}

fn short(text: &str) -> String {
    match text.chars().count() {
        ..=MOST_TEXT => text.to_owned(),
        _ => text.chars().take(MOST_TEXT - 1).chain(['…']).collect(),
    }
}

fn endpoint_row(endpoint: &Endpoint) -> EndpointRow {
    let mut statuses: Vec<_> = endpoint
        .statuses
        .iter()
        .filter(|of| of.leaking_requests > 0)
        .collect();
    statuses.sort_by_key(|of| Reverse(of.leaking_requests));
    EndpointRow {
        label: short(&endpoint.label),
        verdict: endpoint.verdict.name(),
        requests: endpoint.requests,
        leaking_requests_range: endpoint.leaking_requests_range,
        leaking_statuses: statuses.iter().take(4).map(|of| of.status).collect(),
        retained_bytes: endpoint.retained_bytes,
        associated_bytes: endpoint.associated.bytes,
        retained_bytes_per_leaking_request: endpoint.retained_bytes_per_leaking_request,
    }
}

fn site_row(input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>, site: &Site) -> SiteRow {
    let stack = stacks.of(site.id);
    let frames = stack.lines.iter().skip(stack.leading());
    let frames = frames
        .filter(|line| line.kind != Kind::Runtime)
        .take(MOST_FRAMES);
    let labels = site.labels.iter().take(3);
    let labels = labels.filter_map(|part| input.analysis.endpoints.get(part.endpoint as usize));
    SiteRow {
        fingerprint: fingerprint(input.sites, site.id),
        verdict: site.verdict.name(),
        evidence: short(&site.evidence.text),
        retained_blocks: site.retained_blocks,
        retained_bytes: site.retained_bytes,
        labels: labels.map(|endpoint| short(&endpoint.label)).collect(),
        types: site
            .types
            .iter()
            .take(3)
            .map(|row| short(&row.name))
            .collect(),
        frames: frames
            .map(|line| short(&format!("{} {}", line.name, line.place)))
            .collect(),
    }
}
