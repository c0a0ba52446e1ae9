//! The report for a pull request, a ticket, an incident: Markdown of at most 80 lines.

use std::io::{self, Write};

use super::frames::{Kind, Stacks};
use super::md::{code, prose};
use super::{Input, Options, fingerprint, is_complete, warnings};
use crate::analysis::{Analysis, Endpoint, Site, Verdict};
use crate::figures::{bytes, count, counted, duration, share};
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// Lines at most.
const MOST_LINES: usize = 80;
const MOST_ENDPOINTS: usize = 15;
const MOST_SITES: usize = 3;
const MOST_FRAMES: usize = 8;
const MOST_WARNINGS: usize = 5;

/// Writes the report as Markdown.
///
/// # Errors
/// Of the writing.
pub fn markdown(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input::new(facts, analysis, sites, options);
    let mut stacks = Stacks::new(facts, sites, symbolizer);
    let mut body = endpoints(&input);
    body.extend(call_sites(&input, &mut stacks));
    let mut lines = head(&input);
    let all = warnings(&input, stacks.symbolizer());
    for warning in all.iter().take(MOST_WARNINGS) {
        lines.push(format!(
            "> **{}**: {}",
            prose(&warning.code),
            prose(&warning.text)
        ));
        lines.push(">".into());
    }
    if all.len() > MOST_WARNINGS {
        lines.push(format!(
            "> … and {} more",
            counted((all.len() - MOST_WARNINGS) as u64, "warning")
        ));
    }
    lines.extend(memory(&input));
    lines.extend(body);
    lines.push(String::new());
    lines.push(format!(
        "More: `leak-analyze {}`",
        prose(&options.trace_path)
    ));
    debug_assert!(lines.len() <= MOST_LINES, "{} lines", lines.len());
    lines.truncate(MOST_LINES);
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn head(input: &Input<'_>) -> Vec<String> {
    let analysis = input.analysis;
    let leaking = analysis
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.verdict.leaks())
        .count();
    let undecided = analysis
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.verdict == Verdict::TooFewRequests)
        .count();
    let outside = analysis.grown_outside();
    let outside = outside.is_some_and(|bytes| !analysis.growth.is_next_to_nothing(bytes));
    let all = counted(analysis.endpoints.len() as u64, "endpoint");
    let verb = if leaking == 1 { "leaks" } else { "leak" };
    let mut verdict = match (leaking, outside) {
        (0, true) => "memory grows outside of requests".to_owned(),
        (0, false) if analysis.endpoints.is_empty() => "no requests were seen".to_owned(),
        (0, false) => format!("none of {all} is known to leak"),
        (leaking, _) => format!("{leaking} of {all} {verb}"),
    };
    if undecided > 0 {
        verdict += &format!("; too few requests to tell of {undecided}");
    }
    let requests: u64 = analysis
        .endpoints
        .iter()
        .map(|endpoint| endpoint.requests)
        .sum();
    let complete = match is_complete(input.facts) {
        true => String::new(),
        false => ", **the trace is incomplete**".into(),
    };
    let sampled = match input.facts.sample_bytes {
        0 => String::new(),
        mean => format!(", a sample of {} on average", bytes(mean)),
    };
    vec![
        format!("### libleak: {verdict}"),
        String::new(),
        format!(
            "{} in {}{sampled}{complete}; {}",
            counted(requests, "request"),
            duration(input.facts.duration_ns),
            code(&input.options.trace_path)
        ),
        String::new(),
    ]
}

fn memory(input: &Input<'_>) -> Vec<String> {
    let growth = &input.analysis.growth;
    if growth.to_bytes == 0 {
        return Vec::new();
    }
    let mut lines = vec![
        format!(
            "Live while it served: {} → {}",
            bytes(growth.from_bytes),
            bytes(growth.to_bytes)
        ),
        String::new(),
        "| made meanwhile and live at the end | blocks | bytes |".into(),
        "| --- | ---: | ---: |".into(),
    ];
    lines.extend(growth.by_verdict.iter().map(|(verdict, amount)| {
        format!(
            "| {} | {} | {} |",
            verdict.name(),
            count(amount.blocks),
            input.estimate(amount.bytes)
        )
    }));
    lines.push(String::new());
    lines
}

fn endpoints(input: &Input<'_>) -> Vec<String> {
    let told = |endpoint: &&Endpoint| {
        endpoint.verdict.leaks() || endpoint.verdict == Verdict::TooFewRequests
    };
    let rows: Vec<&Endpoint> = input.analysis.endpoints.iter().filter(told).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "| endpoint | verdict | requests | leaking | each | retained | not proved |".to_owned(),
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    lines.extend(rows.iter().take(MOST_ENDPOINTS).map(|endpoint| {
        let [low, high] = endpoint.leaking_requests_range;
        let leaking = match low == high {
            true => count(low),
            false if endpoint.hidden.is_some() && low > 0 => format!("≥ {}", count(low)),
            false => format!("{}-{}", count(low), count(high)),
        };
        let each = endpoint.retained_bytes_per_leaking_request;
        format!(
            "| {} | {}{} | {} | {leaking} | {} | {} | {} |",
            code(&endpoint.label),
            endpoint.verdict.name(),
            statuses(endpoint),
            count(endpoint.requests),
            each.map_or("?".into(), bytes),
            input.estimate(endpoint.retained_bytes),
            share(endpoint.associated.bytes, endpoint.retained_bytes)
        )
    }));
    if rows.len() > MOST_ENDPOINTS {
        lines.push(String::new());
        lines.push(format!("… and {} more", rows.len() - MOST_ENDPOINTS));
    }
    lines
}

/// Which statuses leak, where others don't.
fn statuses(endpoint: &Endpoint) -> String {
    let leaking = endpoint
        .statuses
        .iter()
        .filter(|of| of.leaking_requests > 0);
    let names: Vec<String> = leaking
        .take(4)
        .map(|of| {
            of.status
                .map_or("no status".into(), |status| status.to_string())
        })
        .collect();
    let is_sample = endpoint.hidden.is_some();
    match names.is_empty() || names.len() == endpoint.statuses.len() || is_sample {
        true => String::new(),
        false => format!(" (only {})", names.join(", ")),
    }
}

fn call_sites(input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) -> Vec<String> {
    let leaking: Vec<&Site> = input
        .analysis
        .sites
        .iter()
        .filter(|site| site.verdict.leaks())
        .collect();
    let mut lines = Vec::new();
    for (number, site) in (1..).zip(leaking.iter().take(MOST_SITES)) {
        lines.push(String::new());
        let known = site.types.iter().filter(|row| row.name != "unknown");
        let types: Vec<String> = known.take(3).map(|row| code(&row.name)).collect();
        let types = match types.is_empty() {
            true => String::new(),
            false => format!(", {}", types.join(", ")),
        };
        let held = super::site_bytes(site);
        lines.push(format!(
            "{number}. **{}**, {}{types} ({})",
            site.verdict.name(),
            input.estimate(held),
            code(&fingerprint(input.sites, site.id))
        ));
        let why = match site.of_requests.leaks() {
            true => &site.evidence.text,
            false => &site.outside_text,
        };
        lines.push(format!("   {}", prose(why)));
        let stack = stacks.of(site.id);
        let frames = stack.lines.iter().skip(stack.leading());
        let frames = frames.filter(|line| line.kind != Kind::Runtime);
        lines.extend(
            frames
                .take(MOST_FRAMES)
                .map(|line| format!("   - {} {}", code(&line.name), prose(&line.place))),
        );
    }
    if leaking.len() > MOST_SITES {
        let more = counted((leaking.len() - MOST_SITES) as u64, "more call site");
        lines.extend([String::new(), format!("… and {more}")]);
    }
    lines
}
