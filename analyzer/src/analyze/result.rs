//! Puts the analysis together: processes, totals, requests, endpoints, sites.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::endpoints::{endpoint_verdicts, endpoints, leaking};
use super::ends::Ends;
use super::judged::Judged;
use super::merging::merge;
use super::range::{Leaking, leaking_ranges};
use super::request_list::requests;
use super::site_list::{link_sites, site_list};
use super::totals::{by_verdict, ownership, processes_and_totals};
use super::types::types;
use super::unseen::unseen;
use super::verdicts::verdicts;
use super::waned::waned;
use super::warnings::{cut_headers, warnings};
use super::{Analyzer, Periods, Timeline, apart, carved, course, garbage, mappings, outlook, rows};
use crate::analysis::course::Course;
use crate::analysis::{Analysis, Growth, Site, TimelinePoint};
use crate::association::{Associated, associate};
use crate::ledger::Finished;
use crate::ledger::pieces::Held;
use crate::requests::label::{INCOMPLETE, LabelId};
use crate::requests::machine::Machine;
use crate::requests::options::Scope;
use crate::requests::record::Record;
use crate::sample::Sample;
use crate::sites::{SiteId, Sites};
use crate::trace::{Facts, ProcessId};
use crate::types::TypeNames;

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
    let associated = owners(&mut ended, &mut machine.records, &labels, (places, scope));
    let mut analysis = Analysis {
        events,
        unseen: unseen(&machine.unseen_connections()),
        timeline: timeline(&timelines, facts),
        ..Analysis::default()
    };
    processes_and_totals(&mut analysis, &ended, &machine.records, (facts, places));
    analysis.totals.peak_live_bytes = machine.peak_live_bytes;
    analysis.warnings = warnings(&ended, machine.labels.overflowed(), &facts.warnings);
    let warnings = untraced.iter().map(mappings::warning);
    analysis.warnings.extend(warnings);
    analysis.untraced = untraced;
    let ends = Ends::of(&mut ended, &machine.records);
    let waned = waned(&associated.unclaimed, &associated.births, &machine.records);
    let (sites, grown) = verdicts(
        ended,
        &machine,
        &mut names,
        (facts, places),
        (collecting, [&associated.ambiguous, &waned]),
    );
    analysis.warnings.extend(grown.iter().map(carved::warning));
    analysis.carved = grown;
    let waits = garbage::warnings((&sites, places), &analysis.processes, &machine.records);
    analysis.warnings.extend(waits);
    let judged = Known {
        facts,
        places,
        machine,
        labels,
        names,
        periods,
        held,
        associated,
        ends,
        sites,
    };
    judged.complete(&mut analysis);
    analysis
}

/// Finds owners for what is proved to be nobody's, and takes together what is one call site's.
fn owners(
    ended: &mut [(Finished, usize)],
    records: &mut [Record],
    labels: &[String],
    (places, scope): (&Sites, Scope),
) -> Associated {
    let mut finished: Vec<&mut Finished> = ended.iter_mut().map(|(end, _)| end).collect();
    let served_until = finished.iter().map(|process| process.serving.to).max();
    let passing = finished
        .iter_mut()
        .filter(|process| process.serving.is_passing && Some(process.ended_at) < served_until);
    passing.for_each(|process| process.passes());
    let proved_alone = scope == Scope::Thread;
    let mut associated = associate(&mut finished, records, labels, places, proved_alone);
    merge(&mut finished, &mut associated, places);
    associated
}

/// What is known once call sites are judged.
struct Known<'a> {
    facts: &'a Facts,
    places: &'a Sites,
    machine: Machine,
    labels: Vec<String>,
    names: TypeNames,
    periods: Periods,
    held: FxHashMap<SiteId, Held>,
    associated: Associated,
    ends: Ends,
    sites: Vec<Judged>,
}

impl Known<'_> {
    /// Puts endpoints, call sites and requests into the analysis, and what memory grew by.
    fn complete(mut self, analysis: &mut Analysis) {
        let (facts, places) = (self.facts, self.places);
        let (sites, records) = (&self.sites, &self.machine.records);
        let leaking = leaking(sites, places, records);
        let ranges = leaking_ranges(
            (sites, &endpoint_verdicts(sites, places)),
            &leaking,
            records,
            (
                &self.associated.births,
                [&self.associated.ambiguous, &self.associated.unclaimed],
            ),
            places,
        );
        let endpoint_of = endpoints(
            analysis,
            (sites, places),
            (&leaking, &ranges, &self.ends.beside),
            (records, Sample::every(facts.sample_bytes)),
            &self.labels,
        );
        let unknown = self.associated.unknown.bytes;
        ownership(analysis, sites, places, unknown);
        analysis.growth = grown(self.ends.growth, (sites, places), records);
        analysis.memory = rows::memory(
            &self.ends.standings,
            self.ends.served,
            facts,
            (sites, places),
            records,
        );
        analysis.course = self.periods.begins().map(|begins| Course {
            kept: course::kept(begins, sites, records, &endpoint_of),
            lived: self.ends.lived,
        });
        let types = types(sites, places, &mut self.names);
        for (label, rows) in types.of_labels {
            let endpoint = endpoint_of.get(&label);
            if let Some(endpoint) = endpoint.and_then(|at| analysis.endpoints.get_mut(*at as usize))
            {
                endpoint.types = rows;
            }
        }
        analysis.types = types.all;
        let sites = self.sites.into_iter().zip(types.of_sites);
        analysis.sites = site_list(sites, &self.ends.reached, records, &endpoint_of, places);
        complete_sites(&mut analysis.sites, &self.held, &self.associated);
        link_sites(analysis);
        let labels = (self.labels.as_slice(), &endpoint_of);
        add_requests(analysis, self.machine, labels, &leaking, facts);
    }
}

/// Puts the requests into the analysis, with what they asked for and what tells those apart that leak.
fn add_requests(
    analysis: &mut Analysis,
    machine: Machine,
    (labels, endpoint_of): (&[String], &FxHashMap<LabelId, u32>),
    leaking: &Leaking,
    facts: &Facts,
) {
    let real = (0..).zip(machine.records.iter());
    let real = real.filter(|(_, record)| !record.void).map(|(id, _)| id);
    analysis.asked = machine.asked.finish(real);
    analysis.warnings.extend(cut_headers(&analysis.asked.sent));
    let void = (0..).zip(machine.records.iter());
    let void = void.filter(|(_, record)| record.void).map(|(id, _)| id);
    let paths = apart::Paths {
        segments: &machine.segments,
        labels,
        void: void.collect(),
    };
    analysis.requests = requests(machine.records.into_vec(), endpoint_of, leaking, facts);
    analysis.outlook = outlook::outlook(facts, &analysis.requests);
    apart::tell(analysis, facts.started_at_ns, &paths);
    let sources: BTreeSet<_> = analysis.requests.iter().map(|r| r.source).collect();
    analysis.boundaries = sources.into_iter().collect();
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
