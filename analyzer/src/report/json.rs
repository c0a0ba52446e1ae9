//! The report for programs: one object, as `schema` has it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use rustc_hash::FxHashSet;

use super::frames::Stacks;
use super::functions::Functions;
use super::outline::is_compared;
use super::schema::{self, SCHEMA, Written};
use super::{Input, Options, RequestFilter, dropped_events, fingerprint, is_complete, warnings};
use crate::analysis::{
    self, Analysis, Endpoint, Growth, Request, Site, Tell, TypeRow, Untraced, Verdict,
};
use crate::asked::trace_id;
use crate::figures;
use crate::sample::Amount;
use crate::sites::{PythonFrame, SiteId, Sites};
use crate::symbols::Symbolizer;
use crate::trace::{Ended, Facts, LimitKind, Outcome, Warning};

/// Writes the report as one JSON object and a line feed.
pub fn json(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input {
        facts,
        analysis,
        sites,
        options,
    };
    // First: naming functions may bring warnings, and those stand at the head.
    let (listed, left_out) = listed(&input);
    let site_rows = listed
        .into_iter()
        .map(|site| site_row(&input, symbolizer, site))
        .collect();
    let report = schema::Report {
        schema: SCHEMA,
        trace: trace(&input, warnings(&input, symbolizer)),
        processes: processes(&input),
        totals: totals(&input),
        growth: growth(&analysis.growth),
        memory: memory(analysis),
        timeline: timeline(analysis),
        requests: Written(|| requests(&input)),
        endpoints: analysis
            .endpoints
            .iter()
            .map(|row| endpoint(&input, row))
            .collect(),
        sites: site_rows,
        sites_left_out: left_out,
        types: types(&analysis.types),
        modules: modules(sites),
        untraced: untraced(&analysis.untraced),
    };
    serde_json::to_writer(&mut *out, &report)?;
    out.write_all(b"\n")
}

fn untraced(libraries: &[Untraced]) -> Vec<schema::Untraced<'_>> {
    let libraries = libraries.iter();
    libraries
        .map(|library| schema::Untraced {
            path: &library.path,
            mappings: library.mappings,
            mapped_bytes: library.bytes,
        })
        .collect()
}

fn trace<'r>(input: &Input<'r>, warnings: Vec<Warning>) -> schema::Trace<'r> {
    let facts = input.facts;
    let unseen = input.analysis.unseen.iter();
    schema::Trace {
        path: &input.options.trace_path,
        tool_version: &facts.tool_version,
        host: &facts.host,
        started_at: figures::moment(facts.started_at_ns),
        duration_ns: facts.duration_ns,
        ended: match facts.ended {
            Ended::Complete => "complete",
            Ended::Killed => "killed",
            Ended::DiskFull => "disk_full",
            Ended::Limit => "limit",
            Ended::Recording => "recording",
            Ended::Truncated => "truncated",
        },
        complete: is_complete(facts),
        events: input.analysis.events,
        dropped_events: dropped_events(facts),
        waited_ns: facts.waited_ns,
        sample_bytes: facts.sample_bytes,
        boundaries: input
            .analysis
            .boundaries
            .iter()
            .map(|source| source.name())
            .collect(),
        warnings: warnings
            .into_iter()
            .map(|Warning { code, text }| schema::Warning { code, text })
            .collect(),
        unseen: unseen
            .map(|unseen| schema::Unseen {
                port: &unseen.port,
                connections: unseen.connections,
                reason: &unseen.reason,
            })
            .collect(),
    }
}

pub(super) fn processes<'r>(input: &Input<'r>) -> Vec<schema::Process<'r>> {
    let figures = input.analysis.processes.iter().cloned();
    // A process of which the analysis says nothing did nothing.
    let figures = figures.chain(std::iter::repeat_with(Default::default));
    let rows = input.facts.processes.iter().zip(figures).enumerate();
    rows.map(|(id, (process, figures))| {
        let (end, exit_code, signal) = match process.outcome {
            Outcome::Running => (Some("running"), None, None),
            Outcome::Unknown => (None, None, None),
            Outcome::Exit(code) => (Some("exit"), code, None),
            Outcome::Exec => (Some("exec"), None, None),
            Outcome::Killed(signal) => (Some("killed"), None, signal),
        };
        schema::Process {
            id,
            pid: process.pid,
            parent_id: process.parent,
            executable: &process.executable,
            arguments: &process.arguments,
            end,
            exit_code,
            signal,
            requests: figures.requests,
            allocations: figures.allocations,
            frees: figures.frees,
            reallocations: figures.reallocations,
            live_blocks: figures.live_blocks,
            live_bytes: figures.live_bytes,
            mapped_live_blocks: figures.mapped.blocks,
            mapped_live_bytes: figures.mapped.bytes,
            before_exit: before_exit(figures.before_exit.map(|before| before.live)),
            inherited_live_blocks: figures.inherited_live_blocks,
            inherited_live_bytes: figures.inherited_live_bytes,
            collections: figures.collections.map(|of| schema::Collections {
                young: of.runs.map(|[young, ..]| young),
                middle: of.runs.map(|[_, middle, _]| middle),
                full: of.runs.map(|[.., full]| full),
                asked: of.asked,
            }),
        }
    })
    .collect()
}

fn totals(input: &Input<'_>) -> schema::Totals {
    let totals = &input.analysis.totals;
    schema::Totals {
        allocations: totals.allocations,
        frees: totals.frees,
        reallocations: totals.reallocations,
        allocated_bytes: totals.allocated_bytes,
        live_blocks: totals.live_blocks,
        live_bytes: totals.live_bytes,
        live_bytes_error: input.error(totals.live_bytes),
        before_exit: before_exit(totals.before_exit.map(|before| before.live)),
        peak_live_bytes: totals.peak_live_bytes,
        unknown_frees: totals.unknown_frees,
        mapped_live_blocks: totals.mapped.blocks,
        mapped_live_bytes: totals.mapped.bytes,
        mapped_file_bytes: totals.mapped_files.bytes,
        stack_live_blocks: totals.stacks.blocks,
        stack_live_bytes: totals.stacks.bytes,
        python_live_blocks: totals.python_live_blocks,
        python_live_bytes: totals.python_live_bytes,
        outside: schema::Outside {
            allocations: totals.outside.allocations,
            live_blocks: totals.outside.live_blocks,
            live_bytes: totals.outside.live_bytes,
            mapped_live_blocks: totals.outside_mapped.blocks,
            mapped_live_bytes: totals.outside_mapped.bytes,
        },
        ownership: schema::Ownership {
            proved_bytes: totals.ownership.proved_bytes,
            associated_bytes: totals.ownership.associated_bytes,
            unknown_bytes: totals.ownership.unknown_bytes,
        },
    }
}

fn growth(growth: &Growth) -> schema::Growth {
    let of_verdict = |(verdict, amount): &(Verdict, Amount)| schema::OfVerdict {
        verdict: verdict.name(),
        blocks: amount.blocks,
        bytes: amount.bytes,
    };
    schema::Growth {
        from_bytes: growth.from_bytes,
        to_bytes: growth.to_bytes,
        by_verdict: growth.by_verdict.iter().map(of_verdict).collect(),
        explained_share: growth.explained(),
        undecided_bytes: growth.undecided_bytes(),
    }
}

fn memory(analysis: &Analysis) -> schema::Memory {
    let outlook = &analysis.outlook;
    let pace = outlook.pace;
    let rows = analysis.memory.rows.iter().map(|row| schema::MemoryRow {
        kind: row.kind.name(),
        start_bytes: row.bytes[0],
        middle_bytes: row.bytes[1],
        end_bytes: row.bytes[2],
    });
    let pins = analysis.memory.pins.iter().map(|pin| schema::Pin {
        site_id: pin.site,
        live_blocks: pin.blocks,
        pinned_bytes: pin.bytes,
    });
    schema::Memory {
        rows: rows.collect(),
        moments: moments(&analysis.memory),
        pins: pins.collect(),
        limit_bytes: outlook.limit.map(|(_, bytes)| bytes),
        limited_by: outlook.limit.map(|(kind, _)| match kind {
            LimitKind::Cgroup => "cgroup",
            LimitKind::AddressSpace => "address_space",
            LimitKind::Machine => "machine",
        }),
        resident_bytes_per_second: pace.map(|pace| pace.bytes_per_second as u64),
        resident_bytes_per_request: pace.and_then(|pace| pace.bytes_per_request),
        seconds_to_limit: outlook.seconds_to_limit,
        killed_by: (!outlook.killed.is_empty()).then_some("memory_limit"),
        killed_process_ids: outlook.killed.clone(),
    }
}

fn moments(memory: &analysis::memory::Memory) -> Vec<schema::Moment> {
    if memory.rows.is_empty() {
        return Vec::new();
    }
    let moments = ["start", "middle", "end"].into_iter().enumerate();
    let moments = moments.map(|(at, moment)| schema::Moment {
        moment,
        t_ns: memory.at_ns[at],
        off_ns: memory.off_ns[at],
        processes: memory.processes[at],
        resident_bytes: memory.resident[at],
    });
    moments.collect()
}

pub(super) fn timeline(analysis: &Analysis) -> Vec<schema::Point> {
    let points = analysis.timeline.iter();
    points
        .map(|point| schema::Point {
            t_ns: point.t_ns,
            process_id: point.process,
            live_bytes: point.live_bytes,
            rss_bytes: point.rss_bytes,
            requests: point.requests,
        })
        .collect()
}

pub(super) fn requests<'r>(input: &Input<'r>) -> impl Iterator<Item = schema::Request<'r>> {
    let analysis = input.analysis;
    let filter = input.options.requests;
    let wanted = move |request: &Request| match filter {
        RequestFilter::All => true,
        RequestFilter::None => false,
        RequestFilter::Leaking => request.leaking_blocks > 0,
    };
    let numbered = analysis.requests.iter().enumerate();
    numbered
        .filter(move |(_, request)| wanted(request))
        .map(|(id, request)| schema::Request {
            id,
            process_id: request.process,
            thread: request.thread,
            source: request.source.name(),
            label: label(analysis, request.endpoint),
            count: request.count,
            status: request.status,
            headers: sent(analysis, id),
            headers_cut: sent_cut(analysis, id),
            trace_id: trace_id(analysis.asked.sent.of(id)),
            start_ns: request.start_ns,
            end_ns: request.end_ns,
            allocations: request.allocations,
            allocated_bytes: request.allocated_bytes,
            whose: whose(request.retained(), request.associated),
            live_blocks: request.live_blocks,
            live_bytes: request.live_bytes,
            survivor_blocks: request.survivor_blocks,
            survivor_bytes: request.survivor_bytes,
            retained_blocks: request.retained_blocks,
            retained_bytes: request.retained_bytes,
        })
}

/// The headers of a request that were recorded.
pub(super) fn sent(analysis: &Analysis, request: usize) -> Option<BTreeMap<&str, &str>> {
    let headers = analysis.asked.sent.of(request);
    let all: BTreeMap<&str, &str> = headers.map(|header| (header.name, header.value)).collect();
    (!all.is_empty()).then_some(all)
}

/// Those of which only the beginning was.
pub(super) fn sent_cut(analysis: &Analysis, request: usize) -> Vec<&str> {
    let headers = analysis.asked.sent.of(request);
    headers
        .filter(|header| header.is_cut)
        .map(|header| header.name)
        .collect()
}

pub(super) fn label(analysis: &Analysis, endpoint: u32) -> &str {
    let endpoint = analysis.endpoints.get(endpoint as usize);
    endpoint.map_or("", |endpoint| endpoint.label.as_str())
}

pub(super) fn endpoint<'r>(input: &Input<'_>, endpoint: &'r Endpoint) -> schema::Endpoint<'r> {
    let statuses = endpoint.statuses.iter();
    schema::Endpoint {
        label: &endpoint.label,
        verdict: endpoint.verdict.name(),
        requests: endpoint.requests,
        leaking_requests: endpoint.leaking_requests,
        leaking_requests_range: endpoint.leaking_requests_range,
        survivor_blocks: endpoint.survivor_blocks,
        survivor_bytes: endpoint.survivor_bytes,
        survivor_bytes_error: input.error(endpoint.survivor_bytes),
        retained_blocks: endpoint.retained_blocks,
        retained_bytes: endpoint.retained_bytes,
        retained_bytes_error: input.error(endpoint.retained_bytes),
        open_requests: endpoint.open_requests,
        open_blocks: endpoint.open.blocks,
        open_bytes: endpoint.open.bytes,
        before_exit: before_exit(input.before_exit(endpoint.before_exit)),
        whose: whose(endpoint.retained(), endpoint.associated),
        retained_bytes_per_leaking_request: endpoint.retained_bytes_per_leaking_request,
        site_ids: &endpoint.site_ids,
        statuses: statuses
            .map(|figures| schema::Status {
                status: figures.status,
                requests: figures.requests,
                leaking_requests: figures.leaking_requests,
                retained_blocks: figures.retained_blocks,
                retained_bytes: figures.retained_bytes,
            })
            .collect(),
        apart: endpoint.apart.as_ref().map(|apart| schema::Apart {
            single: apart.single.as_ref().map(tell),
            pair: apart.pair.as_ref().map(tell),
            tried: apart.tried,
        }),
        types: types(&endpoint.types),
    }
}

fn tell(tell: &Tell) -> schema::Tell {
    schema::Tell {
        facts: tell
            .facts
            .iter()
            .map(|fact| super::facts::words(*fact))
            .collect(),
        leaking_requests: tell.leaking,
        leaking_requests_with: tell.leaking_with,
        other_requests: tell.others,
        other_requests_with: tell.others_with,
    }
}

fn whose(retained: Amount, associated: Amount) -> schema::Whose {
    schema::Whose {
        proved_blocks: retained.blocks.saturating_sub(associated.blocks),
        proved_bytes: retained.bytes.saturating_sub(associated.bytes),
        associated_blocks: associated.blocks,
        associated_bytes: associated.bytes,
        inferred_blocks: associated.blocks,
    }
}

fn before_exit(amount: Option<Amount>) -> schema::BeforeExit {
    schema::BeforeExit {
        before_exit_blocks: amount.map(|amount| amount.blocks),
        before_exit_bytes: amount.map(|amount| amount.bytes),
    }
}

pub(super) fn types(rows: &[TypeRow]) -> Vec<schema::Type<'_>> {
    rows.iter()
        .map(|row| schema::Type {
            name: &row.name,
            blocks: row.blocks,
            bytes: row.bytes,
        })
        .collect()
}

/// Sites that no request reached are listed as far as blocks live there at the end or before the exit, and so many
/// at most:
/// an interpreter has tens of thousands, with long backtraces.
const MOST_UNREACHED: usize = 1000;
/// Call sites that pin pages are listed in any case, so many.
const MOST_PINS: usize = 100;

/// The sites to be listed, and the sum of those that are not although blocks live there.
pub(super) fn listed<'r>(input: &Input<'r>) -> (Vec<&'r Site>, schema::LeftOut) {
    let sites = &input.analysis.sites;
    // What is left out is of allocators: mappings and stacks are few, and in other sums.
    let pins = input.analysis.memory.pins.iter().take(MOST_PINS);
    let pins: FxHashSet<SiteId> = pins.map(|pin| pin.site).collect();
    let matters = |site: &Site| {
        let is_apart = input.sites.memory(site.id).apart().is_some() && site.live_blocks > 0;
        site.requests > 0
            || site.survivor_blocks > 0
            || site.verdict.leaks()
            || is_apart
            || pins.contains(&site.id)
    };
    let mut unreached: Vec<&Site> = sites
        .iter()
        .filter(|site| !matters(site) && (site.live_blocks > 0 || site.before_exit.blocks > 0))
        .collect();
    unreached.sort_by_key(|site| {
        (
            Reverse(site.live_bytes.max(site.before_exit.bytes)),
            site.id,
        )
    });
    let mut left_out = schema::LeftOut::default();
    let mut before = Amount::default();
    for site in unreached.drain(MOST_UNREACHED.min(unreached.len())..) {
        left_out.sites += 1;
        left_out.live_blocks += site.live_blocks;
        left_out.live_bytes += site.live_bytes;
        before += site.before_exit;
    }
    left_out.before_exit = before_exit(input.before_exit(before));
    let kept: FxHashSet<SiteId> = unreached.iter().map(|site| site.id).collect();
    let is_listed = |site: &&Site| matters(site) || kept.contains(&site.id);
    (sites.iter().filter(is_listed).collect(), left_out)
}

pub(super) fn site_row<'r>(
    input: &Input<'r>,
    symbolizer: &mut Symbolizer<'_>,
    site: &'r Site,
) -> schema::Site<'r> {
    let evidence = &site.evidence;
    let labels = site.labels.iter();
    schema::Site {
        id: site.id,
        fingerprint: fingerprint(input.sites, site.id),
        function_fingerprint: is_compared(site).then(|| {
            let mut stacks = Stacks::new(input.facts, input.sites, symbolizer);
            Functions::of(&stacks.of(site.id)).fingerprint
        }),
        kind: input.sites.memory(site.id).kind(),
        backing: input.sites.memory(site.id).backing(),
        discarded_bytes: site.discarded_bytes,
        unjoined_threads: site.unjoined_threads,
        verdict: site.verdict.name(),
        evidence: schema::Evidence {
            text: &evidence.text,
            whose: &site.whose,
            requests_judged: evidence.requests_judged,
            requests_retaining: evidence.requests_retaining,
            live_bytes_by_slice: &evidence.live_bytes_by_slice,
            retained_bytes_by_slice: &evidence.retained_bytes_by_slice,
            older_survivor_bytes: evidence.older_survivor_bytes,
            older_retained_bytes: evidence.older_retained_bytes,
            requests_needed: evidence.requests_needed,
            mature_requests: evidence.mature_requests,
            typical_life_requests: evidence.typical_life_requests,
            trend: evidence.trend,
            lives: evidence
                .lives
                .iter()
                .map(|row| schema::Life {
                    up_to_requests: row.up_to_requests,
                    freed: row.freed,
                    alive: row.alive,
                })
                .collect(),
            confidence: if evidence.is_sure { "high" } else { "low" },
        },
        requests: site.requests,
        survivor_blocks: site.survivor_blocks,
        survivor_bytes: site.survivor_bytes,
        survivor_bytes_error: input.error(site.survivor_bytes),
        retained_blocks: site.retained_blocks,
        retained_bytes: site.retained_bytes,
        retained_bytes_error: input.error(site.retained_bytes),
        whose: whose(site.retained(), site.associated),
        live_blocks: site.live_blocks,
        live_bytes: site.live_bytes,
        live_bytes_error: input.error(site.live_bytes),
        before_exit: before_exit(input.before_exit(site.before_exit)),
        outside_blocks: site.outside_blocks,
        outside_bytes: site.outside_bytes,
        outside_grown_blocks: site.outside_grown.blocks,
        outside_grown_bytes: site.outside_grown.bytes,
        open: site
            .open
            .iter()
            .map(|open| schema::Open {
                label: label(input.analysis, open.endpoint),
                requests: open.requests,
                live_blocks: open.live.blocks,
                live_bytes: open.live.bytes,
                verdict: open.verdict.name(),
                evidence: schema::GroupEvidence { text: &open.text },
            })
            .collect(),
        labels: labels
            .map(|part| schema::Label {
                label: label(input.analysis, part.endpoint),
                requests: part.requests,
                retained_blocks: part.retained.blocks,
                retained_bytes: part.retained.bytes,
                whose: whose(part.retained, part.associated),
            })
            .collect(),
        groups: site
            .groups
            .iter()
            .map(|group| schema::Group {
                label: label(input.analysis, group.endpoint),
                status: group.status,
                verdict: group.verdict.name(),
                evidence: schema::GroupEvidence { text: &group.text },
            })
            .collect(),
        types: types(&site.types),
        frames: frames(input.sites, symbolizer, site.id),
        python_frames: python_frames(input.sites, site.id),
    }
}

fn frames<'r>(
    sites: &'r Sites,
    symbolizer: &mut Symbolizer<'_>,
    site: u32,
) -> Vec<schema::Frame<'r>> {
    let mut rows = Vec::new();
    for frame in sites.backtrace(site) {
        let module = sites.modules().get(frame.module as usize);
        let symbols = symbolizer.symbols(frame);
        rows.extend(symbols.iter().map(|symbol| schema::Frame {
            function: symbol.function.clone(),
            file: symbol.file.clone(),
            line: symbol.line,
            module: module.map(|module| module.path.as_str()),
            file_address: frame.file_address,
            inlined: symbol.inlined,
            language: "native",
        }));
    }
    rows
}

fn python_frames(sites: &Sites, site: u32) -> Vec<schema::Frame<'_>> {
    let frames = sites.python_backtrace(site);
    let row = |frame: PythonFrame| {
        let code = frame.code.and_then(|code| sites.codes().get(code as usize));
        schema::Frame {
            function: code.map(|code| code.function.clone()),
            file: code.map(|code| code.file.clone()),
            line: frame.line,
            module: None,
            file_address: 0,
            inlined: false,
            language: "python",
        }
    };
    frames.map(row).collect()
}

fn modules(sites: &Sites) -> Vec<schema::Module<'_>> {
    let modules = sites.modules().iter();
    modules
        .map(|module| schema::Module {
            path: &module.path,
            build_id: module.build_id.as_deref(),
        })
        .collect()
}
