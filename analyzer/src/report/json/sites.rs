//! Call sites: which are listed, and the row of each.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use super::super::frames::Stacks;
use super::super::functions::Functions;
use super::super::outline::is_compared;
use super::super::{Input, fingerprint, schema};

use super::parts::{before_exit, confidence, label, types, whose};

use crate::analysis::{Analysis, Site};
use crate::sample::Amount;
use crate::sites::{PythonFrame, SiteId, Sites};
use crate::symbols::Symbolizer;

/// Sites that no request reached are listed as far as blocks live there at the end or before the exit, and so many
/// at most: an interpreter has tens of thousands, with long backtraces.
const MOST_UNREACHED: usize = 1000;

/// Call sites that pin pages are listed in any case, so many.
const MOST_PINS: usize = 100;

/// The sites to be listed, and the sum of those that are not although blocks live there.
pub(crate) fn listed<'r>(input: &Input<'r>) -> (Vec<&'r Site>, schema::LeftOut) {
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

pub(crate) fn site_row<'r>(
    input: &Input<'r>,
    symbolizer: &mut Symbolizer<'_>,
    site: &'r Site,
) -> schema::Site<'r> {
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
        evidence: evidence(site),
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
        open: open(input.analysis, site),
        labels: labels(input.analysis, site),
        groups: groups(input.analysis, site),
        types: types(&site.types),
        frames: frames(input.sites, symbolizer, site.id),
        python_frames: python_frames(input.sites, site.id),
    }
}

fn evidence(site: &Site) -> schema::Evidence<'_> {
    let evidence = &site.evidence;
    schema::Evidence {
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
        confidence: confidence(evidence.is_sure),
    }
}

fn open<'r>(analysis: &'r Analysis, site: &'r Site) -> Vec<schema::Open<'r>> {
    let parts = site.open.iter();
    parts
        .map(|open| schema::Open {
            label: label(analysis, open.endpoint),
            requests: open.requests,
            live_blocks: open.live.blocks,
            live_bytes: open.live.bytes,
            verdict: open.verdict.name(),
            evidence: schema::GroupEvidence { text: &open.text },
        })
        .collect()
}

fn labels<'r>(analysis: &'r Analysis, site: &'r Site) -> Vec<schema::Label<'r>> {
    let parts = site.labels.iter();
    parts
        .map(|part| schema::Label {
            label: label(analysis, part.endpoint),
            requests: part.requests,
            retained_blocks: part.retained.blocks,
            retained_bytes: part.retained.bytes,
            whose: whose(part.retained, part.associated),
        })
        .collect()
}

fn groups<'r>(analysis: &'r Analysis, site: &'r Site) -> Vec<schema::Group<'r>> {
    let groups = site.groups.iter();
    groups
        .map(|group| schema::Group {
            label: label(analysis, group.endpoint),
            status: group.status,
            verdict: group.verdict.name(),
            evidence: schema::GroupEvidence { text: &group.text },
        })
        .collect()
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
