//! Puts the analysis together: processes, totals, requests, endpoints, sites.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::endpoints::{endpoint_verdicts, endpoints, leaking};
use super::ends::Ends;
use super::judged::Judged;
use super::merging::merge;
use super::range::leaking_ranges;
use super::request_list::requests;
use super::site_list::{link_sites, site_list};
use super::totals::{by_verdict, ownership, processes_and_totals};
use super::types::types;
use super::unseen::unseen;
use super::verdicts::verdicts;
use super::warnings::{cut_headers, warnings};
use super::waned::waned;
use super::{Analyzer, Timeline, apart, course, garbage, mappings, outlook, rows};
use crate::analysis::course::Course;
use crate::analysis::{Analysis, Growth, Site, TimelinePoint};
use crate::association::{Associated, associate};
use crate::ledger::Finished;
use crate::ledger::pieces::Held;
use crate::requests::label::{INCOMPLETE, LabelId};
use crate::requests::options::Scope;
use crate::requests::record::Record;
use crate::sites::{SiteId, Sites};
use crate::trace::{Facts, ProcessId};

/// The analysis of a finished reading.
pub(super) fn build(analyzer: Analyzer<'_>, places: &Sites) -> Analysis {
    let Analyzer {
        facts,
        mut machine,
        processes,
        types: mut names,
        events,
        scope,
        periods,
        collecting,
        ..
    } = analyzer;
    let mut labels = machine.labels.names().to_vec();
    name_the_incomplete(&mut machine.records, &mut labels);
    let mapped = processes.iter().map(|process| process.mapped.as_slice());
    let held = mappings::held(mapped.clone());
    let executables = facts.processes.iter().map(|of| of.executable.as_str());
    let untraced = mappings::untraced(executables.zip(mapped), places);
    let (timelines, mut ended): (Vec<Timeline>, Vec<(Finished, usize)>) = processes
        .into_iter()
        .map(|process| (process.timeline, process.ended.unwrap_or_default()))
        .unzip();
    let mut finished: Vec<&mut Finished> = ended.iter_mut().map(|(end, _)| end).collect();
    let served_until = finished.iter().map(|process| process.serving.to).max();
    let passing = finished
        .iter_mut()
        .filter(|process| process.serving.is_passing && Some(process.ended_at) < served_until);
    passing.for_each(|process| process.passes());
    let mut associated = associate(
        &mut finished,
        &mut machine.records,
        &labels,
        places,
        scope == Scope::Thread,
    );
    merge(&mut finished, &mut associated, places);
    let mut analysis = Analysis {
        events,
        unseen: unseen(&machine.unseen_connections()),
        timeline: timeline(&timelines, facts),
        ..Analysis::default()
    };
    processes_and_totals(&mut analysis, &ended, &machine.records, (facts, places));
    analysis.totals.peak_live_bytes = machine.peak_live_bytes;
    analysis.warnings = warnings(&ended, machine.labels.overflowed(), &facts.warnings);
    analysis
        .warnings
        .extend(untraced.iter().map(mappings::warning));
    analysis.untraced = untraced;
    let ends = Ends::of(&mut ended, &machine.records);
    let waned = waned(
        &associated.unclaimed,
        &associated.births,
        &machine.records,
    );
    let sites = verdicts(
        ended,
        &machine,
        &mut names,
        (facts, places),
        (collecting, [&associated.ambiguous, &waned]),
    );
    let waits = garbage::warnings((&sites, places), &analysis.processes, &machine.records);
    analysis.warnings.extend(waits);
    let leaking = leaking(&sites, places, &machine.records);
    let ranges = leaking_ranges(
        (&sites, &endpoint_verdicts(&sites, places)),
        &leaking,
        &machine.records,
        (
            &associated.births,
            [&associated.ambiguous, &associated.unclaimed],
        ),
        places,
    );
    let endpoint_of = endpoints(
        &mut analysis,
        (&sites, places),
        (&leaking, &ranges, &ends.beside),
        &machine.records,
        &labels,
    );
    let unknown = associated.unknown.bytes;
    ownership(&mut analysis, &sites, places, unknown);
    analysis.growth = grown(ends.growth, (&sites, places), &machine.records);
    analysis.memory = rows::memory(
        &ends.standings,
        ends.served,
        facts,
        (&sites, places),
        &machine.records,
    );
    analysis.course = periods.begins().map(|begins| {
        let kept = course::kept(begins, &sites, &machine.records, &endpoint_of);
        Course {
            lived: ends.lived,
            kept,
        }
    });
    let types = types(&sites, places, &mut names);
    for (label, rows) in types.of_labels {
        let endpoint = endpoint_of.get(&label);
        if let Some(endpoint) = endpoint.and_then(|at| analysis.endpoints.get_mut(*at as usize)) {
            endpoint.types = rows;
        }
    }
    analysis.types = types.all;
    let sites = sites.into_iter().zip(types.of_sites);
    analysis.sites = site_list(sites, &ends.reached, &machine.records, &endpoint_of, places);
    complete_sites(&mut analysis.sites, &held, &associated);
    link_sites(&mut analysis);
    if facts.sample_bytes > 0 {
        // Of the requests that leak, only those are known that are in the sample.
        for endpoint in &mut analysis.endpoints {
            endpoint.retained_bytes_per_leaking_request = None;
        }
    }
    let real = (0..).zip(machine.records.iter());
    let real = real.filter(|(_, record)| !record.void).map(|(id, _)| id);
    analysis.asked = std::mem::take(&mut machine.asked).finish(real);
    analysis.warnings.extend(cut_headers(&analysis.asked.sent));
    let void = (0..).zip(machine.records.iter());
    let void = void.filter(|(_, record)| record.void).map(|(id, _)| id);
    let paths = apart::Paths {
        segments: &machine.segments,
        labels: &labels,
        void: void.collect(),
    };
    analysis.requests = requests(machine.records.into_vec(), &endpoint_of, &leaking, facts);
    analysis.outlook = outlook::outlook(facts, &analysis.requests);
    apart::tell(&mut analysis, facts.started_at_ns, &paths);
    let sources: BTreeSet<_> = analysis.requests.iter().map(|r| r.source).collect();
    analysis.boundaries = sources.into_iter().collect();
    analysis
}

/// Requests whose head never was complete get a label, too.
fn name_the_incomplete(records: &mut [Record], labels: &mut Vec<String>) {
    let nameless = records.iter_mut().filter(|r| r.label.is_none() && !r.void);
    let mut nameless = nameless.peekable();
    if nameless.peek().is_none() {
        return;
    }
    let known = labels.iter().position(|label| label == INCOMPLETE);
    let id = known.unwrap_or_else(|| {
        labels.push(INCOMPLETE.to_string());
        labels.len() - 1
    });
    for record in nameless {
        record.label = Some(id as LabelId);
    }
}

/// Live bytes of all processes, in order of time.
fn timeline(timelines: &[Timeline], facts: &Facts) -> Vec<TimelinePoint> {
    let points = (0..).zip(timelines).flat_map(|(process, timeline)| {
        timeline.points(process as ProcessId, &facts.clock, &facts.rss)
    });
    let mut points: Vec<TimelinePoint> = points.collect();
    points.sort_by_key(|point| point.t_ns);
    points
}

/// The growth while requests were served, with what explains it.
fn grown(growth: Growth, (sites, places): (&[Judged], &Sites), records: &[Record]) -> Growth {
    let memory = sites.iter().filter(|site| places.memory(site.id).is_kept());
    let open = memory.flat_map(|site| &site.open);
    Growth {
        // What had not ended went on after the last that did.
        to_bytes: growth.to_bytes + open.map(|open| open.later_bytes).sum::<u64>(),
        by_verdict: by_verdict(sites, places, records),
        ..growth
    }
}

/// Fills in what is known of call sites beside their verdicts.
fn complete_sites(sites: &mut [Site], held: &FxHashMap<SiteId, Held>, associated: &Associated) {
    for site in sites {
        let held = held.get(&site.id).copied().unwrap_or_default();
        site.discarded_bytes = held.discarded;
        site.unjoined_threads = held.unjoined;
        if let Some(found) = associated.sites.get(&site.id) {
            site.whose.clone_from(&found.text);
        }
    }
}
