//! Puts the analysis together: processes, totals, requests, endpoints, sites.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::endpoints::{beside, endpoint_verdicts, endpoints, leaking};
use super::merging::merge;
use super::range::{Leaking, leaking_ranges};
use super::site_list::{link_sites, reached, site_list};
use super::sites::judge;

use super::totals::{by_verdict, growth, ownership, processes_and_totals, served};
use super::types::types;
use super::unseen::unseen;
use super::{
    Analyzer, Timeline, alike, apart, collected, company, connected, course, crowd, garbage, lent,
    lists, mappings, outlook, pool, reuse, rows, ways,
};
use crate::analysis::course::Course;
use crate::analysis::{Analysis, Growth, Request};
use crate::asked::Sent;
use crate::association::associate;
use crate::figures::counted;
use crate::ledger::Finished;
use crate::requests::label::{INCOMPLETE, LabelId, MAX_LABELS, OTHER};
use crate::requests::owner::Scope;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::Sites;
use crate::trace::{Facts, ProcessId, Warning};
use crate::types::FREE_LISTS_UNREAD;

/// The analysis of a finished reading.
pub(super) fn build(analyzer: Analyzer<'_>, sites: &Sites) -> Analysis {
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
    let executables = facts
        .processes
        .iter()
        .map(|process| process.executable.as_str());
    let mapped = processes.iter().map(|process| process.mapped.as_slice());
    let mapped = executables.zip(mapped);
    let held = mappings::held(processes.iter().map(|process| process.mapped.as_slice()));
    let untraced = mappings::untraced(mapped, sites);
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
        sites,
        scope == Scope::Thread,
    );
    merge(&mut finished, &mut associated, sites);
    let mut analysis = Analysis {
        events,
        unseen: unseen(&machine.unseen_connections()),
        ..Analysis::default()
    };
    processes_and_totals(&mut analysis, &ended, &machine.records, (facts, sites));
    analysis.totals.peak_live_bytes = machine.peak_live_bytes;
    analysis.warnings = warnings(&ended, machine.labels.overflowed(), &facts.warnings);
    analysis
        .warnings
        .extend(untraced.iter().map(mappings::warning));
    analysis.untraced = untraced;
    for (process, timeline) in (0..).zip(&timelines) {
        let points = timeline.points(process as ProcessId, &facts.clock, &facts.rss);
        analysis.timeline.extend(points);
    }
    analysis.timeline.sort_by_key(|point| point.t_ns);
    let lived = course::lived(&mut ended);
    let standings = ended
        .iter_mut()
        .map(|(end, _)| std::mem::take(&mut end.standings));
    let standings: Vec<_> = standings.collect();
    let served = served(&ended);
    let reached = reached(&ended, &machine.records);
    let growth = growth(&ended);
    let beside = beside(&ended, &machine.records);
    let places = sites;
    let made_threads = ended.iter().flat_map(|(end, _)| &end.made_threads);
    let made_threads: FxHashMap<RequestId, bool> = made_threads.copied().collect();
    let most_cached = ended.iter().map(|(process, _)| process.most_cached).max();
    let runtimes = collected::Runtimes::of(places, collecting);
    let mut sites = judge(
        ended,
        &machine.records,
        &facts.dropped,
        |site| places.is_of_python(site),
        |site| runtimes.at(site),
    );
    let mut warnings = facts.warnings.iter();
    let unread = warnings.any(|warning| warning.code == FREE_LISTS_UNREAD);
    let most_cached = most_cached.unwrap_or(0);
    reuse::correct(&mut sites, &names, &machine.records, (unread, most_cached));
    alike::correct(&mut sites, &machine.records);
    company::settle_shared(&mut sites);
    ways::correct(&mut sites, places, &machine.records);
    collected::correct(&mut sites, &runtimes, &machine.records);
    lists::correct(&mut sites, places, &mut names, &machine.records);
    lent::correct(&mut sites, places, &machine.records);
    let last = connected::last_of_open(
        &machine.records,
        machine.closes.as_deref().unwrap_or_default(),
    );
    connected::correct(&mut sites, &last);
    crowd::correct(&mut sites, &machine.records);
    pool::correct(&mut sites, &made_threads, || at_once(&machine.records));
    let waits = garbage::warnings(&sites, &analysis.processes, &machine.records);
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
        (&leaking, &ranges, &beside),
        &machine.records,
        &labels,
    );
    let unknown = associated.unknown.bytes;
    ownership(&mut analysis, &sites, places, unknown);
    let memory = sites.iter().filter(|site| places.memory(site.id).is_kept());
    let open = memory.flat_map(|site| &site.open);
    analysis.growth = Growth {
        // What had not ended went on after the last that did.
        to_bytes: growth.to_bytes + open.map(|open| open.later_bytes).sum::<u64>(),
        by_verdict: by_verdict(&sites, places, &machine.records),
        ..growth
    };
    analysis.memory = rows::memory(
        &standings,
        served,
        facts,
        (&sites, places),
        &machine.records,
    );
    analysis.course = periods.begins().map(|begins| {
        let kept = course::kept(begins, &sites, &machine.records, &endpoint_of);
        Course { lived, kept }
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
    analysis.sites = site_list(sites, &reached, &machine.records, &endpoint_of, places);
    for site in &mut analysis.sites {
        let held = held.get(&site.id).copied().unwrap_or_default();
        site.discarded_bytes = held.discarded;
        site.unjoined_threads = held.unjoined;
        if let Some(found) = associated.sites.get(&site.id) {
            site.whose.clone_from(&found.text);
        }
    }
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
    analysis.requests = requests(machine.records.into_vec(), &endpoint_of, &leaking, facts);
    analysis.outlook = outlook::outlook(facts, &analysis.requests);
    apart::tell(&mut analysis);
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

/// How many requests were in flight at once, at most.
fn at_once(records: &[Record]) -> usize {
    let real = records.iter().filter(|record| !record.void);
    let changes = real.flat_map(|record| {
        let end = record.end.map(|end| (end, -1));
        [Some((record.start, 1)), end].into_iter().flatten()
    });
    let mut changes: Vec<(u64, i64)> = changes.collect();
    changes.sort_unstable();
    let mut flying = 0;
    let at_each = changes.into_iter().map(|(_, change)| {
        flying += change;
        flying
    });
    at_each
        .max()
        .map_or(0, |most| usize::try_from(most).unwrap_or(0))
}

/// Each one takes its record's place in memory: there may be millions.
fn requests(
    records: Vec<Record>,
    endpoint_of: &FxHashMap<LabelId, u32>,
    leaking: &Leaking,
    facts: &Facts,
) -> Vec<Request> {
    const { assert!(size_of::<Request>() <= size_of::<Record>()) };
    let real = records.into_iter().enumerate();
    let real = real.filter(|(_, record)| !record.void);
    let request = |(id, record): (usize, Record)| {
        let id = id as RequestId;
        let figures = &record.figures;
        let thread = facts.threads.get(record.host as usize);
        Request {
            process: record.process,
            thread: thread.map_or(0, |thread| thread.tid),
            source: record.source,
            connection: record.connection,
            endpoint: record
                .label
                .and_then(|label| endpoint_of.get(&label).copied())
                .unwrap_or(0),
            count: record.count,
            status: record.status,
            start_ns: facts.clock.ns(record.start),
            end_ns: record.end.map(|end| facts.clock.ns(end)),
            allocations: figures.allocations,
            allocated_bytes: figures.allocated_bytes,
            associated: Amount {
                blocks: figures.inferred_blocks,
                bytes: figures.associated_bytes,
            },
            live_blocks: figures.live_blocks,
            live_bytes: figures.live_bytes,
            survivor_blocks: figures.survivor_blocks,
            survivor_bytes: figures.survivor_bytes,
            retained_blocks: figures.retained_blocks,
            retained_bytes: figures.retained_bytes,
            leaking_blocks: leaking.get(&id).map_or(0, |leaking| leaking.0),
        }
    };
    real.map(request).collect()
}

/// That values of headers are not known to their ends.
fn cut_headers(sent: &Sent) -> Option<Warning> {
    let cut = sent.cut();
    let (names, counts): (Vec<&str>, Vec<u64>) = cut.into_iter().unzip();
    (!names.is_empty()).then(|| Warning {
        code: "headers_cut".to_string(),
        text: format!(
            "{} of {} longer than is recorded: only the first bytes are known, and they name no request",
            counted(counts.iter().sum(), "value"),
            names.join(", ")
        ),
    })
}

fn warnings(ended: &[(Finished, usize)], overflowed: bool, known: &[Warning]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if overflowed {
        warnings.push(Warning {
            code: "labels_folded".to_string(),
            text: format!(
                "there are more than {MAX_LABELS} labels, the rest is {OTHER}; fold paths with --route, \
                 for example --route '/users/*'"
            ),
        });
    }
    // What is known of them already stands there, too.
    let cause = match known.iter().any(|warning| warning.code == "bypassed") {
        true => "they are those of libraries that call the C library directly",
        false => {
            "look for libraries that call the C library directly (opened with RTLD_DEEPBIND, as PHP's are), for an \
             allocator of the program's own, or for dropped events"
        }
    };
    let missed: u64 = ended.iter().map(|(end, _)| end.counts.missed_frees).sum();
    if missed > 0 {
        warnings.push(Warning {
            code: "missed_frees".to_string(),
            text: format!(
                "{missed} blocks were allocated where another one was still live: frees that libleak did \
                 not see; {cause}"
            ),
        });
    }
    warnings
}
