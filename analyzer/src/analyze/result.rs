//! Puts the analysis together: processes, totals, requests, endpoints, sites.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use super::open::JudgedOpen;
use super::range::{Leaking, Ranges, leaking_ranges};
use super::sites::{Judged, JudgedLabel, judge};
use super::types::types;
use super::unseen::unseen;
use super::{
    Analyzer, Timeline, alike, apart, cells, collected, company, course, garbage, lent, lists,
    mappings, outlook, pool, reuse, rows, ways,
};
use crate::analysis::course::Course;
use crate::analysis::{
    Analysis, Endpoint, Growth, Outside, Ownership, ProcessFigures, Request, Site, SiteGroup,
    SiteLabel, SiteOpen, StatusFigures, Totals, TypeRow, Verdict,
};
use crate::asked::Sent;
use crate::association::{Associated, associate};
use crate::figures::counted;
use crate::ledger::{BeforeExit, Finished, Retained};
use crate::requests::label::{INCOMPLETE, LabelId, MAX_LABELS, OTHER};
use crate::requests::owner::Scope;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::generated::Merged;
use crate::sites::specialised::{self, Of};
use crate::sites::{Memory, SiteId, Sites};
use crate::trace::{Facts, ProcessId, Warning};
use crate::types::{FREE_LISTS_UNREAD, UNKNOWN, in_use, not_cached};

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
    pool::correct(&mut sites, &made_threads);
    let waits = garbage::warnings(&sites, &analysis.processes, &machine.records);
    analysis.warnings.extend(waits);
    let leaking = leaking(&sites, places, &machine.records);
    let ranges = leaking_ranges(
        &sites,
        &leaking,
        &machine.records,
        (&associated.births, &associated.ambiguous),
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

/// Call sites that differ in code made at run time, or because CPython has specialised an instruction, are one from
/// here on: whose the blocks are was told by each.
fn merge(processes: &mut [&mut Finished], associated: &mut Associated, sites: &Sites) {
    let mut weights: FxHashMap<SiteId, u64> = FxHashMap::default();
    for site in processes.iter().flat_map(|finished| &finished.sites) {
        *weights.entry(site.id).or_default() += site.live_bytes;
    }
    if let Some(merged) = Merged::find(sites, &weights) {
        take_together(processes, associated, &merged);
    }
    if let Some(merged) = specialised::find(sites, &types_of_sites(processes)) {
        take_together(processes, associated, &merged);
    }
}

/// What the blocks of each site are, and their bytes; nothing of sites whose blocks' types are unknown.
fn types_of_sites(processes: &[&mut Finished]) -> FxHashMap<SiteId, (Of, u64)> {
    let mut types: FxHashMap<SiteId, (Of, u64)> = FxHashMap::default();
    for site in processes.iter().flat_map(|finished| &finished.sites) {
        for typed in &site.types {
            let of_type = not_cached(in_use(typed.of_type));
            if of_type == UNKNOWN {
                continue;
            }
            let (of, bytes) = types.entry(site.id).or_insert((Of::One(of_type), 0));
            *of = of.and(of_type);
            *bytes += typed.bytes;
        }
    }
    types
}

fn take_together(processes: &mut [&mut Finished], associated: &mut Associated, merged: &Merged) {
    for finished in processes {
        finished.merge(|site| merged.of(site));
    }
    for (site, births) in std::mem::take(&mut associated.births) {
        let of_site = associated.births.entry(merged.of(site)).or_default();
        of_site.extend(births);
    }
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

fn processes_and_totals(
    analysis: &mut Analysis,
    ended: &[(Finished, usize)],
    records: &[Record],
    (facts, places): (&Facts, &Sites),
) {
    let count = ended.len().max(facts.processes.len());
    let mut processes = vec![ProcessFigures::default(); count];
    let mut totals = Totals::default();
    for (figures, (finished, _)) in processes.iter_mut().zip(ended) {
        let counts = &finished.counts;
        *figures = ProcessFigures {
            requests: 0,
            allocations: counts.allocations,
            frees: counts.frees,
            reallocations: counts.reallocations,
            live_blocks: counts.live_blocks,
            live_bytes: counts.live_bytes,
            mapped: counts.mapped(),
            before_exit: finished.before_exit,
            inherited_live_blocks: finished.inherited.0,
            inherited_live_bytes: finished.inherited.1,
            collections: garbage::collections(finished),
        };
        totals.allocations += counts.allocations;
        totals.frees += counts.frees;
        totals.reallocations += counts.reallocations;
        totals.allocated_bytes += counts.allocated_bytes;
        totals.live_blocks += counts.live_blocks;
        totals.live_bytes += counts.live_bytes;
        totals.unknown_frees += counts.unknown_frees;
        totals.mapped += counts.mapped();
        totals.mapped_files += counts.apart[1];
        totals.stacks += counts.apart[2];
        let all = &finished.sites;
        let (outside, apart): (Vec<_>, Vec<_>) = all
            .iter()
            .partition(|site| places.memory(site.id).apart().is_none());
        for site in apart {
            if matches!(places.memory(site.id), Memory::Mapped | Memory::Arena) {
                totals.outside_mapped += Amount {
                    blocks: site.outside_blocks,
                    bytes: site.outside_bytes,
                };
            }
        }
        totals.outside = Outside {
            allocations: totals.outside.allocations + finished.outside_allocations,
            live_blocks: totals.outside.live_blocks
                + outside.iter().map(|site| site.outside_blocks).sum::<u64>(),
            live_bytes: totals.outside.live_bytes
                + outside.iter().map(|site| site.outside_bytes).sum::<u64>(),
            before_exit: sum_of(
                [totals.outside.before_exit]
                    .into_iter()
                    .chain(outside.iter().map(|site| site.outside_before_exit)),
            ),
        };
    }
    totals.before_exit = before_exit(&processes);
    // What turned out to be none after it had ended.
    let none = records.iter().filter(|record| record.void);
    totals.outside.allocations += none.map(|record| record.figures.allocations).sum::<u64>();
    for record in records.iter().filter(|record| !record.void) {
        if let Some(process) = processes.get_mut(record.process as usize) {
            process.requests += u64::from(record.count);
        }
    }
    analysis.processes = processes;
    analysis.totals = totals;
}

/// Sums over processes; one that did not end by itself has its live blocks yet.
fn before_exit(processes: &[ProcessFigures]) -> Option<BeforeExit> {
    processes
        .iter()
        .any(|process| process.before_exit.is_some())
        .then(|| {
            let mut sum = BeforeExit::default();
            for process in processes {
                let before = process.before_exit.unwrap_or(BeforeExit {
                    live: Amount {
                        blocks: process.live_blocks,
                        bytes: process.live_bytes,
                    },
                    ..BeforeExit::default()
                });
                sum.live += before.live;
                sum.freed += before.freed;
            }
            sum
        })
}

/// What was live of each label's requests when exits began, beside what they retained.
fn beside(ended: &[(Finished, usize)], records: &[Record]) -> FxHashMap<LabelId, Amount> {
    let mut sums: FxHashMap<LabelId, Amount> = FxHashMap::default();
    for (request, amount) in ended.iter().flat_map(|(finished, _)| &finished.beside) {
        let record = records.get(*request as usize);
        if let Some(label) = record.filter(|record| !record.void).and_then(|r| r.label) {
            *sums.entry(label).or_default() += *amount;
        }
    }
    sums
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

fn leaking(sites: &[Judged], places: &Sites, records: &[Record]) -> Leaking {
    let mut leaking = Leaking::default();
    let verdicts = endpoint_verdicts(sites, places);
    let leaks = |part: &&JudgedLabel| {
        verdicts
            .get(&part.label)
            .is_some_and(|verdict| verdict.leaks())
    };
    for site in sites {
        let parts = site.labels.iter().filter(leaks);
        let kept = parts.flat_map(|part| {
            let kept = part.retained.iter();
            kept.filter(move |kept| part.leaks(kept, records))
        });
        let counts = places.memory(site.id) != Memory::Stack;
        for kept in kept.filter(|kept| kept.is_used()) {
            let entry = leaking.entry(kept.request).or_default();
            let bytes = if counts { kept.bytes } else { 0 };
            *entry = (entry.0 + kept.blocks, entry.1 + bytes);
        }
    }
    leaking
}

/// What labels have at the sites whose bytes count as what requests keep: most of a stack is never touched.
fn parts_that_count<'s>(
    sites: &'s [Judged],
    places: &'s Sites,
) -> impl Iterator<Item = &'s JudgedLabel> {
    let counting = sites
        .iter()
        .filter(|site| places.memory(site.id) != Memory::Stack);
    counting.flat_map(|site| &site.labels)
}

/// Fills in the endpoints, the worst first; tells where each label's is.
fn endpoints(
    analysis: &mut Analysis,
    (sites, places): (&[Judged], &Sites),
    (leaking, ranges, beside): (&Leaking, &Ranges, &FxHashMap<LabelId, Amount>),
    records: &[Record],
    labels: &[String],
) -> FxHashMap<LabelId, u32> {
    let mut found: FxHashMap<LabelId, Endpoint> = FxHashMap::default();
    let verdicts = endpoint_verdicts(sites, places);
    let mut leaked_bytes: FxHashMap<LabelId, u64> = FxHashMap::default();
    for (id, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
        let Some(label) = record.label else {
            continue;
        };
        let endpoint = found.entry(label).or_insert_with(|| Endpoint {
            label: labels.get(label as usize).cloned().unwrap_or_default(),
            verdict: verdicts.get(&label).copied().unwrap_or(Verdict::Clean),
            requests: 0,
            leaking_requests: 0,
            leaking_requests_range: [0, 0],
            survivor_blocks: 0,
            survivor_bytes: 0,
            retained_blocks: 0,
            retained_bytes: 0,
            open_requests: 0,
            open: Amount::default(),
            open_leaked: Amount::default(),
            before_exit: beside.get(&label).copied().unwrap_or_default(),
            associated: Amount::default(),
            retained_bytes_per_leaking_request: None,
            site_ids: Vec::new(),
            statuses: Vec::new(),
            apart: None,
            types: Vec::new(),
        });
        let (blocks, bytes) = leaking.get(&id).copied().unwrap_or_default();
        *leaked_bytes.entry(label).or_default() += bytes;
        add_request(endpoint, record, blocks);
    }
    for part in parts_that_count(sites, places) {
        if let Some(endpoint) = found.get_mut(&part.label) {
            part.retained
                .iter()
                .for_each(|kept| endpoint.before_exit += kept.before_exit);
            add_associated(endpoint, part, records);
        }
    }
    for open in sites.iter().flat_map(|site| &site.open) {
        if let Some(endpoint) = found.get_mut(&open.label) {
            add_open(endpoint, open);
        }
    }
    for (label, endpoint) in &mut found {
        let range = ranges.of_labels.get(label).copied();
        let told = endpoint.leaking_requests;
        let [low, high] = range.unwrap_or([told, told]);
        endpoint.leaking_requests_range = [low, high.max(low).max(told).min(endpoint.requests)];
        if ranges.untold.contains(label) {
            endpoint.verdict = endpoint.verdict.min(Verdict::TooFewRequests);
        }
        let bytes = leaked_bytes.get(label).copied().unwrap_or(0);
        endpoint.retained_bytes_per_leaking_request = bytes.checked_div(endpoint.leaking_requests);
        endpoint
            .statuses
            .sort_by_key(|status| (Reverse(status.retained_bytes), status.status));
    }
    let mut sorted: Vec<(LabelId, Endpoint)> = found.into_iter().collect();
    sorted.sort_by(|(_, a), (_, b)| {
        let key = |e: &Endpoint| (e.verdict, Reverse(e.retained_bytes), Reverse(e.requests));
        key(a).cmp(&key(b)).then_with(|| a.label.cmp(&b.label))
    });
    let places = sorted.iter().map(|(label, _)| *label).zip(0..).collect();
    analysis.endpoints = sorted.into_iter().map(|(_, endpoint)| endpoint).collect();
    places
}

/// What requests hold that have not ended.
fn add_open(endpoint: &mut Endpoint, open: &JudgedOpen) {
    endpoint.open += open.live;
    let verdict = match open.verdict {
        verdict if verdict.leaks() => verdict,
        // Those that ended are what is judged, where there are any.
        verdict if endpoint.open_requests == endpoint.requests => verdict,
        _ => Verdict::Clean,
    };
    if verdict.leaks() {
        endpoint.open_leaked += open.live;
    }
    endpoint.verdict = endpoint.verdict.min(verdict);
}

/// What each label retained at the sites where that is not known to be harmless.
struct Weights(FxHashMap<LabelId, u64>);

impl Weights {
    fn new(sites: &[Judged], places: &Sites) -> Weights {
        let mut sums: FxHashMap<LabelId, u64> = FxHashMap::default();
        let parts = parts_that_count(sites, places);
        for part in parts.filter(|part| !is_harmless(part)) {
            *sums.entry(part.label).or_default() += held(part);
        }
        Weights(sums)
    }

    /// Whether the part is a hundredth at least of that: less has no say in what is thought of its label.
    fn has_say(&self, part: &JudgedLabel) -> bool {
        let sum = self.0.get(&part.label).copied().unwrap_or(0);
        is_harmless(part) || held(part).saturating_mul(100) >= sum
    }
}

fn held(part: &JudgedLabel) -> u64 {
    part.retained.iter().map(Retained::used_bytes).sum()
}

fn is_harmless(part: &JudgedLabel) -> bool {
    matches!(
        part.verdict,
        Verdict::Bounded | Verdict::WarmUp | Verdict::FreedLater | Verdict::Clean
    )
}

/// The worst verdict of each label's sites that have a say.
fn endpoint_verdicts(sites: &[Judged], places: &Sites) -> FxHashMap<LabelId, Verdict> {
    let weights = Weights::new(sites, places);
    let mut verdicts: FxHashMap<LabelId, Verdict> = FxHashMap::default();
    let stacks = sites
        .iter()
        .filter(|site| places.memory(site.id) == Memory::Stack);
    let stacks = stacks.flat_map(|site| &site.labels);
    let parts = parts_that_count(sites, places).filter(|part| weights.has_say(part));
    for part in parts.chain(stacks) {
        let verdict = verdicts.entry(part.label).or_insert(Verdict::Clean);
        *verdict = (*verdict).min(part.verdict);
    }
    verdicts
}

/// What was given to a label: to its endpoint what no request is known for, too.
fn add_associated(endpoint: &mut Endpoint, part: &JudgedLabel, records: &[Record]) {
    for kept in part.retained.iter().filter(|kept| kept.associated) {
        endpoint.associated += kept.amount();
        if !kept.untold {
            continue;
        }
        endpoint.retained_blocks += kept.blocks;
        endpoint.retained_bytes += kept.bytes;
        endpoint.survivor_blocks += kept.blocks;
        endpoint.survivor_bytes += kept.bytes;
        let status = records
            .get(kept.request as usize)
            .and_then(|record| record.status);
        let figures = endpoint
            .statuses
            .iter_mut()
            .find(|figures| figures.status == status);
        if let Some(figures) = figures {
            figures.retained_blocks += kept.blocks;
            figures.retained_bytes += kept.bytes;
        }
    }
}

/// How much was live when serving began and ended.
fn growth(ended: &[(Finished, usize)]) -> Growth {
    let served = ended.iter().map(|(finished, _)| &finished.serving);
    let served = served.filter(|serving| serving.from.is_some() && serving.to > 0);
    served.fold(Growth::default(), |sum, serving| Growth {
        from_bytes: sum.from_bytes + serving.from_bytes,
        to_bytes: sum.to_bytes + serving.to_bytes,
        ..sum
    })
}

/// From the first begin of a request to the last end, over all processes.
fn served(ended: &[(Finished, usize)]) -> rows::Served {
    let serving = ended.iter().map(|(finished, _)| &finished.serving);
    let serving = serving.filter(|serving| serving.to > 0);
    let times = serving.filter_map(|serving| Some((serving.from?, serving.to)));
    times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// What was made while it served and was live at the end, by what is thought of it.
fn by_verdict(sites: &[Judged], places: &Sites, records: &[Record]) -> Vec<(Verdict, Amount)> {
    let mut sums: BTreeMap<Verdict, Amount> = BTreeMap::new();
    for site in sites.iter().filter(|site| places.memory(site.id).is_kept()) {
        for part in &site.labels {
            for kept in &part.retained {
                *sums.entry(part.verdict_of(kept, records)).or_default() += kept.amount();
            }
        }
        *sums.entry(site.outside).or_default() += site.outside_grown();
        for open in &site.open {
            *sums.entry(open.verdict).or_default() += open.grown;
        }
        let free = site.parts.iter().map(|part| part.outside.bounded);
        *sums.entry(Verdict::Bounded).or_default() += sum_of(free);
    }
    sums.retain(|_, amount| amount.blocks > 0);
    sums.into_iter().collect()
}

/// Of retained bytes, how it is known whose they are.
fn ownership(analysis: &mut Analysis, sites: &[Judged], places: &Sites, unknown_bytes: u64) {
    let mut ownership = Ownership {
        unknown_bytes,
        ..Ownership::default()
    };
    let parts = parts_that_count(sites, places);
    for kept in parts.flat_map(|part| &part.retained) {
        let sum = match kept.associated {
            true => &mut ownership.associated_bytes,
            false => &mut ownership.proved_bytes,
        };
        *sum += kept.bytes;
    }
    analysis.totals.ownership = ownership;
}

fn add_request(endpoint: &mut Endpoint, record: &Record, leaking_blocks: u64) {
    let (count, figures) = (u64::from(record.count), &record.figures);
    // A request that stands for several: at most so many of them can have left a block.
    let leaking = count.min(leaking_blocks);
    endpoint.requests += count;
    endpoint.leaking_requests += leaking;
    endpoint.open_requests += if record.end.is_none() { count } else { 0 };
    endpoint.survivor_blocks += figures.survivor_blocks;
    endpoint.survivor_bytes += figures.survivor_bytes;
    endpoint.retained_blocks += figures.retained_blocks;
    endpoint.retained_bytes += figures.retained_bytes;
    let known = endpoint
        .statuses
        .iter_mut()
        .position(|status| status.status == record.status);
    let at = known.unwrap_or_else(|| {
        endpoint.statuses.push(StatusFigures {
            status: record.status,
            ..StatusFigures::default()
        });
        endpoint.statuses.len() - 1
    });
    let status = &mut endpoint.statuses[at];
    status.requests += count;
    status.leaking_requests += leaking;
    status.retained_blocks += figures.retained_blocks;
    status.retained_bytes += figures.retained_bytes;
}

/// How many requests allocated at each site, in whichever processes.
fn reached(ended: &[(Finished, usize)], records: &[Record]) -> FxHashMap<SiteId, u64> {
    let mut sums: FxHashMap<SiteId, u64> = FxHashMap::default();
    let mut known: FxHashSet<(SiteId, RequestId)> = FxHashSet::default();
    for part in ended.iter().flat_map(|(finished, _)| &finished.reached) {
        let sum = sums.entry(part.site).or_default();
        *sum += part.requests;
        for request in &part.abroad {
            let record = records.get(*request as usize).filter(|r| !r.void);
            if known.insert((part.site, *request)) {
                *sum += record.map_or(0, |record| u64::from(record.count));
            }
        }
    }
    sums
}

fn groups(labels: &[JudgedLabel], endpoint_of: &FxHashMap<LabelId, u32>) -> Vec<SiteGroup> {
    let of_label = |part: &JudgedLabel| {
        let endpoint = endpoint_of.get(&part.label).copied();
        let groups = part.groups.clone();
        groups.into_iter().filter_map(move |group| {
            Some(SiteGroup {
                endpoint: endpoint?,
                status: group.status,
                verdict: group.verdict,
                text: group.text,
            })
        })
    };
    labels.iter().flat_map(of_label).collect()
}

fn sum_of(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::default(), |mut sum, amount| {
        sum += amount;
        sum
    })
}

fn site_list(
    judged: impl ExactSizeIterator<Item = (Judged, Vec<TypeRow>)>,
    reached: &FxHashMap<SiteId, u64>,
    records: &[Record],
    endpoint_of: &FxHashMap<LabelId, u32>,
    places: &Sites,
) -> Vec<Site> {
    let count = |request: RequestId| records.get(request as usize).map_or(1, |r| r.count);
    let mut sites: Vec<Site> = Vec::with_capacity(judged.len());
    for (site, types) in judged {
        let parts = &site.parts;
        let sum = |of: fn(&crate::ledger::FinishedSite) -> u64| parts.iter().map(of).sum::<u64>();
        let labels: Vec<SiteLabel> = site
            .labels
            .iter()
            .filter_map(|part| {
                // What is proved and what is associated may be the same request's.
                let mut blocks: FxHashMap<RequestId, u64> = FxHashMap::default();
                for kept in &part.retained {
                    *blocks.entry(kept.request).or_default() += kept.blocks;
                }
                let leaked = part.retained.iter();
                let leaked = leaked.filter(|kept| part.leaks(kept, records));
                // As for endpoints: no more than there are blocks.
                let requests = blocks
                    .into_iter()
                    .map(|(request, blocks)| u64::from(count(request)).min(blocks));
                Some(SiteLabel {
                    endpoint: *endpoint_of.get(&part.label)?,
                    requests: requests.sum(),
                    retained: sum_of(part.retained.iter().map(Retained::amount)),
                    associated: sum_of(part.retained.iter().map(Retained::associated)),
                    leaked: sum_of(leaked.map(Retained::used)),
                })
            })
            .collect();
        let retained = || site.labels.iter().flat_map(|part| &part.retained);
        let (verdict, evidence) = site.whole();
        sites.push(Site {
            id: site.id,
            verdict,
            of_requests: match site.labels.is_empty() {
                true => Verdict::Clean,
                false => site.verdict,
            },
            requests: reached.get(&site.id).copied().unwrap_or(0),
            survivor_blocks: sum(|part| part.survivor_blocks),
            survivor_bytes: sum(|part| part.survivor_bytes),
            retained_blocks: retained().map(|kept| kept.blocks).sum(),
            retained_bytes: retained().map(|kept| kept.bytes).sum(),
            associated: sum_of(retained().map(Retained::associated)),
            whose: String::new(),
            discarded_bytes: 0,
            unjoined_threads: 0,
            live_blocks: sum(|part| part.live_blocks),
            live_bytes: sum(|part| part.live_bytes),
            before_exit: sum_of(parts.iter().map(|part| part.before_exit)),
            outside_verdict: site.outside,
            outside_blocks: sum(|part| part.outside_blocks),
            outside_bytes: sum(|part| part.outside_bytes),
            outside_before_exit: sum_of(parts.iter().map(|part| part.outside_before_exit)),
            outside_grown: site.outside_grown(),
            open: open(&site.open, endpoint_of),
            groups: groups(&site.labels, endpoint_of),
            cells: cells::of(&site.labels, records, endpoint_of),
            labels,
            types,
            evidence,
            outside_text: site.outside_evidence.text,
        });
    }
    for site in &mut sites {
        site.labels
            .sort_by_key(|part| (Reverse(part.retained.bytes), part.endpoint));
    }
    sites.sort_by_key(|site| {
        // Most of a stack is never touched: its size says little.
        let is_stack = places.memory(site.id) == Memory::Stack;
        let bytes = (Reverse(site.retained_bytes), Reverse(site.live_bytes));
        (site.verdict, is_stack, bytes, site.id)
    });
    sites
}

fn open(judged: &[JudgedOpen], endpoint_of: &FxHashMap<LabelId, u32>) -> Vec<SiteOpen> {
    let rows = judged.iter().filter_map(|open| {
        Some(SiteOpen {
            endpoint: *endpoint_of.get(&open.label)?,
            requests: open.requests,
            live: open.live,
            verdict: open.verdict,
            text: open.text.clone(),
        })
    });
    rows.collect()
}

/// Tells each endpoint its sites, which are sorted already.
fn link_sites(analysis: &mut Analysis) {
    for site in &analysis.sites {
        for part in &site.labels {
            if let Some(endpoint) = analysis.endpoints.get_mut(part.endpoint as usize) {
                endpoint.site_ids.push(site.id);
            }
        }
        for open in site.open.iter().filter(|open| open.verdict.leaks()) {
            if let Some(endpoint) = analysis.endpoints.get_mut(open.endpoint as usize)
                && endpoint.site_ids.last() != Some(&site.id)
            {
                endpoint.site_ids.push(site.id);
            }
        }
    }
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
