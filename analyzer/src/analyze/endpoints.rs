//! Endpoints: what their requests keep at which call sites, and what is to be said of that.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::judged::{Judged, JudgedLabel};
use super::open::JudgedOpen;
use super::range::{Leaking, Ranges};
use super::sampled;
use crate::analysis::{Analysis, Endpoint, StatusFigures, Verdict};
use crate::ledger::{Finished, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::{Amount, Sample};
use crate::sites::{Memory, Sites};

pub(super) fn leaking(sites: &[Judged], places: &Sites, records: &[Record]) -> Leaking {
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
pub(super) fn parts_that_count<'s>(
    sites: &'s [Judged],
    places: &'s Sites,
) -> impl Iterator<Item = &'s JudgedLabel> {
    let counting = sites
        .iter()
        .filter(|site| places.memory(site.id) != Memory::Stack);
    counting.flat_map(|site| &site.labels)
}

/// Fills in the endpoints, the worst first; tells where each label's is.
pub(super) fn endpoints(
    analysis: &mut Analysis,
    (sites, places): (&[Judged], &Sites),
    (leaking, ranges, beside): (&Leaking, &Ranges, &FxHashMap<LabelId, Amount>),
    (records, sample): (&[Record], Sample),
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
            verdict: verdicts.get(&label).copied().unwrap_or(Verdict::Clean),
            before_exit: beside.get(&label).copied().unwrap_or_default(),
            ..unused(labels.get(label as usize).cloned().unwrap_or_default())
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
    for part in sites.iter().flat_map(|site| &site.labels) {
        let mut groups = part.groups.iter();
        let is_sure = groups.any(|group| group.verdict == Verdict::Leak && group.is_sure);
        if let Some(endpoint) = found.get_mut(&part.label) {
            endpoint.is_sure |= is_sure && part.verdict == Verdict::Leak;
        }
    }
    for open in sites.iter().flat_map(|site| &site.open) {
        if let Some(endpoint) = found.get_mut(&open.label) {
            add_open(endpoint, open);
        }
    }
    for (label, endpoint) in &mut found {
        let bytes = leaked_bytes.get(label).copied().unwrap_or(0);
        count_leaking(endpoint, ranges, *label, bytes);
        if sample.is_partial() {
            sampled::widen(endpoint, sample);
        }
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

/// An endpoint without requests.
fn unused(label: String) -> Endpoint {
    Endpoint {
        label,
        verdict: Verdict::Clean,
        is_sure: false,
        requests: 0,
        leaking_requests: 0,
        leaking_requests_range: [0, 0],
        hidden: None,
        survivor_blocks: 0,
        survivor_bytes: 0,
        retained_blocks: 0,
        retained_bytes: 0,
        untold: Amount::default(),
        open_requests: 0,
        open: Amount::default(),
        open_leaked: Amount::default(),
        before_exit: Amount::default(),
        associated: Amount::default(),
        retained_bytes_per_leaking_request: None,
        site_ids: Vec::new(),
        statuses: Vec::new(),
        apart: None,
        apart_unproved: false,
        types: Vec::new(),
    }
}

/// How many of the label's requests leak, and how much each, on average; all together leaked these bytes.
fn count_leaking(endpoint: &mut Endpoint, ranges: &Ranges, label: LabelId, bytes: u64) {
    let range = ranges.of_labels.get(&label).copied();
    let told = endpoint.leaking_requests;
    let [low, high] = range.unwrap_or([told, told]);
    let high = high.max(low).max(told).min(endpoint.requests);
    endpoint.leaking_requests_range = [low.min(told), high];
    if ranges.untold.contains(&label) {
        endpoint.verdict = endpoint.verdict.min(Verdict::TooFewRequests);
    }
    endpoint.retained_bytes_per_leaking_request = bytes.checked_div(endpoint.leaking_requests);
    endpoint
        .statuses
        .sort_by_key(|status| (Reverse(status.retained_bytes), status.status));
}

/// What requests hold that have not ended.
pub(super) fn add_open(endpoint: &mut Endpoint, open: &JudgedOpen) {
    endpoint.open += open.live;
    let verdict = match open.verdict {
        verdict if verdict.leaks() => verdict,
        // Those that ended are what is judged, where there are any.
        verdict if endpoint.open_requests == endpoint.requests => verdict,
        _ => Verdict::Clean,
    };
    if verdict.leaks() {
        endpoint.is_sure = true;
        endpoint.open_leaked += open.live;
    }
    endpoint.verdict = endpoint.verdict.min(verdict);
}

/// What each label retained at the sites where that is not known to be harmless.
pub(super) struct Weights(FxHashMap<LabelId, u64>);

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

pub(super) fn held(part: &JudgedLabel) -> u64 {
    part.retained.iter().map(Retained::used_bytes).sum()
}

pub(super) fn is_harmless(part: &JudgedLabel) -> bool {
    matches!(
        part.verdict,
        Verdict::Bounded | Verdict::WarmUp | Verdict::FreedLater | Verdict::Clean
    )
}

/// The worst verdict of each label's sites that have a say.
pub(super) fn endpoint_verdicts(sites: &[Judged], places: &Sites) -> FxHashMap<LabelId, Verdict> {
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
pub(super) fn add_associated(endpoint: &mut Endpoint, part: &JudgedLabel, records: &[Record]) {
    for kept in part.retained.iter().filter(|kept| kept.associated) {
        endpoint.associated += kept.amount();
        if !kept.untold {
            continue;
        }
        endpoint.untold += kept.amount();
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

pub(super) fn add_request(endpoint: &mut Endpoint, record: &Record, leaking_blocks: u64) {
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

/// What was live of each label's requests when exits began, beside what they retained.
pub(super) fn beside(
    ended: &[(Finished, usize)],
    records: &[Record],
) -> FxHashMap<LabelId, Amount> {
    let mut sums: FxHashMap<LabelId, Amount> = FxHashMap::default();
    for (request, amount) in ended.iter().flat_map(|(finished, _)| &finished.beside) {
        let record = records.get(*request as usize);
        if let Some(label) = record.filter(|record| !record.void).and_then(|r| r.label) {
            *sums.entry(label).or_default() += *amount;
        }
    }
    sums
}
