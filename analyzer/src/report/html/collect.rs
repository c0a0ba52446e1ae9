//! Takes from an analysis what the page shows.

mod parts;
mod sites;

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::data;
use super::data::{Data, LeftOut, OfPeriod};
use super::names::Names;
use super::source;
use super::time::time;
use crate::analysis::course::PERIODS;
use crate::analysis::{Analysis, Apart, Endpoint, Site, Verdict};
use crate::escape::escaped;
use crate::report::facts::words;
use crate::report::frames::Stacks;
use crate::report::leaking::leaking_requests;
use crate::report::{Input, text};
pub(super) use parts::Limits;
use parts::{is_stack, live, types};
use sites::sites;

/// Call sites where no request left anything and nothing grows, at most: the largest.
const MOST_PLAIN: usize = 300;

/// Whether there is nothing to tell of a site but what is live of it: no request left anything there, and that is
/// not known to grow.
fn is_plain(site: &Site) -> bool {
    let harmless = !site.verdict.leaks() && site.verdict != Verdict::TooFewRequests;
    harmless && site.labels.is_empty() && site.open.is_empty()
}

/// The sites that are listed, and the others: of plain ones the largest are.
fn listed<'r>(input: &Input<'r>, limits: Limits) -> (Vec<&'r Site>, Vec<&'r Site>) {
    let sites = &input.analysis.sites;
    let plain = sites.iter().filter(|site| is_plain(site));
    let mut sizes: Vec<u64> = plain.map(|site| live(input, site).1).collect();
    sizes.sort_unstable_by_key(|size| Reverse(*size));
    let least = sizes.get(MOST_PLAIN).map_or(0, |size| size + 1);
    let (mut listed, mut left): (Vec<&Site>, Vec<&Site>) = sites
        .iter()
        .partition(|site| !is_plain(site) || live(input, site).1 >= least);
    left.extend(listed.drain(limits.sites.min(listed.len())..));
    (listed, left)
}

/// All that the page shows.
pub(super) fn data(input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>, limits: Limits) -> Data {
    let analysis = input.analysis;
    let mut names = Names::default();
    let endpoints = endpoints(input, &mut names, limits);
    let (listed, left) = listed(input, limits);
    let sites = sites(input, &listed, stacks, &mut names, limits);
    let requests = leaking_rows(analysis, limits.requests);
    let leaking = analysis.requests.iter().filter(|r| r.leaking_blocks > 0);
    let counting = || left.iter().filter(|site| !is_stack(input, site.id));
    let left_out = LeftOut {
        sites: left.len(),
        site_live_bytes: counting().map(|site| live(input, site).1).sum(),
        site_retained_bytes: counting().map(|site| site.retained_bytes).sum(),
        leaking_requests: leaking.count() - requests.len(),
        details: sites.len().saturating_sub(limits.details),
        courses: endpoints.len().saturating_sub(limits.courses),
    };
    let (strings, frames) = names.into_parts();
    let sources = match input.options.with_source {
        true => source::lines(input.facts, &frames, &strings),
        false => Vec::new(),
    };
    let program = |path: &str| path.rsplit('/').next().map(|name| escaped(name).into());
    Data {
        duration_ns: input.facts.duration_ns,
        periods: PERIODS,
        sample_bytes: input.facts.sample_bytes,
        live_moment: match analysis.totals.before_exit {
            Some(_) => "before the exit",
            None => "at the end",
        },
        strings,
        processes: input
            .facts
            .processes
            .iter()
            .map(|process| data::Process {
                pid: process.pid,
                program: program(&process.executable).unwrap_or_default(),
            })
            .collect(),
        endpoints,
        sites,
        frames,
        sources,
        time: time(input),
        leaking_requests: requests,
        left_out,
    }
}

fn endpoints(input: &Input<'_>, names: &mut Names, limits: Limits) -> Vec<data::Endpoint> {
    let mut courses = courses(input);
    let endpoints = input.analysis.endpoints.iter();
    let leaked = text::leaked_bytes(input);
    let rows = endpoints.zip(leaked).zip(0..);
    rows.map(|((endpoint, leaked_bytes), at)| {
        let course = courses.remove(&at).unwrap_or_default();
        let course = match (at as usize) < limits.courses {
            true => course,
            false => Vec::new(),
        };
        data::Endpoint {
            label: escaped(&endpoint.label).into_owned(),
            verdict: endpoint.verdict.name(),
            unsure: endpoint.confidence() == Some(false),
            requests: endpoint.requests,
            leaking: endpoint.leaking_requests,
            leaking_words: text::leaking_requests(endpoint),
            leaking_range: endpoint.leaking_requests_range,
            hidden: endpoint.hidden.map(|hidden| hidden.bytes_each),
            leaked_bytes,
            each: endpoint.retained_bytes_per_leaking_request,
            survivor_bytes: endpoint.survivor_bytes,
            retained_blocks: endpoint.retained_blocks,
            retained_bytes: endpoint.retained_bytes,
            associated_bytes: endpoint.associated.bytes,
            open_requests: endpoint.open_requests,
            open_bytes: endpoint.open.bytes,
            statuses: statuses(endpoint),
            apart: endpoint.apart.as_ref().map(tells),
            apart_unproved: endpoint.apart_unproved,
            types: types(names, &endpoint.types),
            course,
        }
    })
    .collect()
}

fn tells(apart: &Apart) -> Vec<data::Tell> {
    let tells = apart.single.iter().chain(&apart.pair);
    let rows = tells.map(|tell| {
        let facts: Vec<String> = tell.facts.iter().map(words).collect();
        data::Tell(
            facts.join(" and "),
            tell.leaking_with,
            tell.leaking,
            tell.others_with,
            tell.others,
        )
    });
    rows.collect()
}

fn statuses(endpoint: &Endpoint) -> Vec<data::Status> {
    let statuses = endpoint.statuses.iter();
    statuses
        .map(|row| {
            data::Status(
                row.status,
                row.requests,
                row.leaking_requests,
                row.retained_blocks,
                row.retained_bytes,
            )
        })
        .collect()
}

/// Each endpoint's requests, and what they left behind, by status and by when they began.
fn courses(input: &Input<'_>) -> FxHashMap<u32, Vec<OfPeriod>> {
    let duration = input.facts.duration_ns.max(1);
    let mut sums: FxHashMap<(u32, Option<u32>, u8), OfPeriod> = FxHashMap::default();
    let mut at = |endpoint, status, period, change: &dyn Fn(&mut OfPeriod)| {
        let row = sums.entry((endpoint, status, period));
        change(row.or_insert(OfPeriod(status, period, 0, 0, 0, 0, 0)));
    };
    for request in &input.analysis.requests {
        let count = u64::from(request.count);
        let period = u128::from(request.start_ns) * PERIODS as u128 / u128::from(duration);
        let period = period.min(PERIODS as u128 - 1) as u8;
        at(request.endpoint, request.status, period, &|row| {
            row.2 += count;
            row.3 += count.min(request.leaking_blocks);
        });
    }
    let kept = input.analysis.course.iter().flat_map(|course| &course.kept);
    for kept in kept.filter(|kept| !is_stack(input, kept.site)) {
        at(kept.endpoint, kept.status, kept.period, &|row| {
            row.4 += kept.retained.bytes;
            row.5 += kept.associated.bytes;
            row.6 += kept.leaked.bytes;
        });
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    let mut courses: FxHashMap<u32, Vec<OfPeriod>> = FxHashMap::default();
    for ((endpoint, ..), row) in rows {
        courses.entry(endpoint).or_default().push(row);
    }
    courses
}

/// The leaking requests that are shown.
fn leaking_rows(analysis: &Analysis, most: usize) -> Vec<data::Request> {
    let all = leaking_requests(analysis, most);
    let rows = all.into_iter().map(|request| {
        data::Request(
            request.start_ns,
            request
                .end_ns
                .map(|end| end.saturating_sub(request.start_ns)),
            request.endpoint,
            request.status,
            request.process,
            request.thread,
            request.count,
            request.retained_blocks,
            request.retained_bytes,
            request.associated.bytes,
        )
    });
    rows.collect()
}
