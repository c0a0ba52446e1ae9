//! Takes from an analysis what the page shows.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::data::{self, Data, Evidence, LeftOut, OfPeriod, Type};
use super::names::Names;
use super::source;
use super::time::time;
use crate::analysis::course::{Course, PERIODS};
use crate::analysis::{Analysis, Apart, Endpoint, Site, TypeRow, Verdict};
use crate::escape::escaped;
use crate::report::facts::words;
use crate::report::frames::Stacks;
use crate::report::leaking::leaking_requests;
use crate::report::{Input, fingerprint, text};

/// Types of a row, at most.
const MOST_TYPES: usize = 25;
/// Call sites where no request left anything and nothing grows, at most: the largest.
const MOST_PLAIN: usize = 300;

/// How much of what there may be very much of goes into the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Call sites, at most.
    pub(super) sites: usize,
    /// Of these, with their evidence and their course.
    pub(super) details: usize,
    /// Endpoints with their course.
    pub(super) courses: usize,
    /// Leaking requests.
    pub(super) requests: usize,
}

impl Limits {
    /// Of a page that may have its full size.
    pub(super) const FULL: Limits = Limits {
        sites: 5_000,
        details: 5_000,
        courses: 1_000,
        requests: 4_000,
    };

    /// Those of a page that was too large with these: fewer of the least first. `None`: nothing is left to leave out.
    pub(super) fn tighter(self) -> Option<Limits> {
        let least = |number: usize, least: usize| (number / 2).max(least);
        match self {
            Limits { details: 101.., .. } => Some(Limits {
                details: least(self.details, 100),
                requests: least(self.requests, 500),
                ..self
            }),
            Limits { sites: 101.., .. } => Some(Limits {
                sites: least(self.sites, 100),
                courses: least(self.courses, 100),
                ..self
            }),
            Limits { sites: 1.., .. } => Some(Limits {
                sites: 0,
                details: 0,
                courses: 0,
                requests: 0,
            }),
            _ => None,
        }
    }
}

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
    let left_out = LeftOut {
        sites: left.len(),
        site_live_bytes: left.iter().map(|site| live(input, site).1).sum(),
        site_retained_bytes: left.iter().map(|site| site.retained_bytes).sum(),
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

fn types(names: &mut Names, types: &[TypeRow]) -> Vec<Type> {
    let types = types.iter().take(MOST_TYPES);
    types
        .map(|row| Type(names.of(&row.name), row.blocks, row.bytes))
        .collect()
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
            requests: endpoint.requests,
            leaking: endpoint.leaking_requests,
            leaking_words: text::leaking_requests(input, endpoint),
            leaking_range: endpoint.leaking_requests_range,
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
            types: types(names, &endpoint.types),
            course,
        }
    })
    .collect()
}

fn tells(apart: &Apart) -> Vec<data::Tell> {
    let tells = apart.single.iter().chain(&apart.pair);
    let rows = tells.map(|tell| {
        let facts: Vec<String> = tell.facts.iter().map(|fact| words(*fact)).collect();
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
    for kept in kept {
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

/// What is live of a site at the moment that matters: before the exit, where there was one.
fn live(input: &Input<'_>, site: &Site) -> (u64, u64) {
    match input.before_exit(site.before_exit) {
        Some(before) => (before.blocks, before.bytes),
        None => (site.live_blocks, site.live_bytes),
    }
}

fn sites(
    input: &Input<'_>,
    listed: &[&Site],
    stacks: &mut Stacks<'_, '_, '_>,
    names: &mut Names,
    limits: Limits,
) -> Vec<data::Site> {
    let none = Course::default();
    let course = input.analysis.course.as_ref().unwrap_or(&none);
    let listed = listed.iter().enumerate();
    listed
        .map(|(at, site)| {
            let stack = stacks.of(site.id);
            let (live_blocks, live_bytes) = live(input, site);
            let detailed = at < limits.details;
            data::Site {
                fingerprint: fingerprint(input.sites, site.id),
                verdict: site.verdict.name(),
                python: input.sites.is_python(site.id),
                requests: site.requests,
                survivor_blocks: site.survivor_blocks,
                survivor_bytes: site.survivor_bytes,
                retained_blocks: site.retained_blocks,
                retained_bytes: site.retained_bytes,
                associated_bytes: site.associated.bytes,
                live_blocks,
                live_bytes,
                head: stack.head(),
                frames: names.frames(&stack),
                labels: labels(site),
                types: types(names, &site.types),
                kept: if detailed { kept(course, site) } else { vec![] },
                lived: if detailed {
                    lived(course, site)
                } else {
                    vec![]
                },
                evidence: (detailed && site.verdict != Verdict::Clean)
                    .then(|| Box::new(evidence(site))),
            }
        })
        .collect()
}

fn labels(site: &Site) -> Vec<data::Label> {
    let labels = site.labels.iter();
    labels
        .map(|part| {
            data::Label(
                part.endpoint,
                part.requests,
                part.retained.blocks,
                part.retained.bytes,
                part.associated.bytes,
                part.leaked.bytes,
            )
        })
        .collect()
}

fn kept(course: &Course, site: &Site) -> Vec<data::Kept> {
    let first = course.kept.partition_point(|kept| kept.site < site.id);
    let kept = course.kept.iter().skip(first);
    kept.take_while(|kept| kept.site == site.id)
        .map(|kept| {
            data::Kept(
                kept.endpoint,
                kept.status,
                kept.period,
                kept.retained.blocks,
                kept.retained.bytes,
                kept.associated.bytes,
            )
        })
        .collect()
}

fn lived(course: &Course, site: &Site) -> Vec<data::Lived> {
    let first = course.lived.partition_point(|lived| lived.site < site.id);
    let lived = course.lived.iter().skip(first);
    lived
        .take_while(|lived| lived.site == site.id)
        .map(|lived| {
            let amount = lived.amount;
            data::Lived(lived.born, lived.died, amount.blocks, amount.bytes)
        })
        .collect()
}

fn evidence(site: &Site) -> Evidence {
    let evidence = &site.evidence;
    let lives = evidence.lives.iter();
    let open = site.open.iter();
    Evidence {
        text: escaped(&evidence.text).into_owned(),
        sure: evidence.is_sure,
        whose: escaped(&site.whose).into_owned(),
        judged: evidence.requests_judged,
        retaining: evidence.requests_retaining,
        mature: evidence.mature_requests,
        typical_life: evidence.typical_life_requests,
        trend: evidence.trend,
        needed: evidence.requests_needed,
        lives: lives
            .map(|row| [row.up_to_requests, row.freed, row.alive])
            .collect(),
        live_by_slice: evidence.live_bytes_by_slice.clone(),
        retained_by_slice: evidence.retained_bytes_by_slice.clone(),
        groups: groups(site),
        outside_verdict: site.outside_verdict.name(),
        outside_text: escaped(&site.outside_text).into_owned(),
        outside_bytes: site.outside_bytes,
        open: open
            .map(|open| {
                let text = escaped(&open.text).into_owned();
                let (requests, bytes) = (open.requests, open.live.bytes);
                data::Open(open.endpoint, requests, bytes, open.verdict.name(), text)
            })
            .collect(),
    }
}

fn groups(site: &Site) -> Vec<data::Group> {
    let groups = site.groups.iter();
    groups
        .map(|group| {
            let text = escaped(&group.text).into_owned();
            data::Group(group.endpoint, group.status, group.verdict.name(), text)
        })
        .collect()
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
