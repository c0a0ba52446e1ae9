//! Call sites as rows of the report.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use super::cells;
use super::judged::{Judged, JudgedLabel};
use super::open::JudgedOpen;
use super::order::Order;
use super::totals::sum_of;
use crate::analysis::{Analysis, Site, SiteGroup, SiteLabel, SiteOpen, TypeRow, Verdict};
use crate::ledger::{Finished, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{Memory, SiteId, Sites};

/// How many requests allocated at each site, in whichever processes.
pub(super) fn reached(ended: &[(Finished, usize)], records: &[Record]) -> FxHashMap<SiteId, u64> {
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

pub(super) fn groups(
    labels: &[JudgedLabel],
    endpoint_of: &FxHashMap<LabelId, u32>,
) -> Vec<SiteGroup> {
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

pub(super) fn site_list(
    judged: impl ExactSizeIterator<Item = (Judged, Vec<TypeRow>)>,
    reached: &FxHashMap<SiteId, u64>,
    records: &[Record],
    endpoint_of: &FxHashMap<LabelId, u32>,
    places: &Sites,
) -> Vec<Site> {
    let order = Order::of(records);
    let mut sites: Vec<Site> = Vec::with_capacity(judged.len());
    for (site, types) in judged {
        let requests = reached.get(&site.id).copied().unwrap_or(0);
        sites.push(Site {
            requests,
            types,
            ..row(site, (records, &order), endpoint_of)
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

/// A call site's row, without its requests and types.
fn row(
    site: Judged,
    (records, order): (&[Record], &Order),
    endpoint_of: &FxHashMap<LabelId, u32>,
) -> Site {
    let parts = &site.parts;
    let sum = |of: fn(&crate::ledger::FinishedSite) -> u64| parts.iter().map(of).sum::<u64>();
    let labels = site.labels.iter();
    let labels = labels.filter_map(|part| of_label(part, records, endpoint_of));
    let retained = || site.labels.iter().flat_map(|part| &part.retained);
    let (verdict, evidence) = site.whole();
    Site {
        id: site.id,
        verdict,
        // What grows and is nobody's is no leak of those that only come there.
        of_requests: match site.labels.iter().any(JudgedLabel::retains) {
            false if site.labels.is_empty() || site.verdict.leaks() => Verdict::Clean,
            _ => site.verdict,
        },
        requests: 0,
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
        cells: cells::of(&site.labels, (records, order), endpoint_of),
        labels: labels.collect(),
        types: Vec::new(),
        evidence,
        outside_text: site.outside_evidence.text,
    }
}

/// What requests of a label kept at a call site.
fn of_label(
    part: &JudgedLabel,
    records: &[Record],
    endpoint_of: &FxHashMap<LabelId, u32>,
) -> Option<SiteLabel> {
    // What is proved and what is associated may be the same request's.
    let mut blocks: FxHashMap<RequestId, [u64; 2]> = FxHashMap::default();
    for kept in &part.retained {
        let [all, told] = blocks.entry(kept.request).or_default();
        *all += kept.blocks;
        *told += if kept.untold { 0 } else { kept.blocks };
    }
    let leaked = part.retained.iter();
    let leaked = leaked.filter(|kept| part.leaks(kept, records));
    let count = |request: RequestId| records.get(request as usize).map_or(1, |r| r.count);
    // As for endpoints: no more than there are blocks.
    let requests = |of: fn([u64; 2]) -> u64| {
        let each = blocks.iter();
        each.map(move |(request, blocks)| u64::from(count(*request)).min(of(*blocks)))
    };
    Some(SiteLabel {
        endpoint: *endpoint_of.get(&part.label)?,
        requests: requests(|[all, _]| all).sum(),
        told_requests: requests(|[_, told]| told).sum(),
        retained: sum_of(part.retained.iter().map(Retained::amount)),
        associated: sum_of(part.retained.iter().map(Retained::associated)),
        leaked: sum_of(leaked.map(Retained::used)),
    })
}

pub(super) fn open(judged: &[JudgedOpen], endpoint_of: &FxHashMap<LabelId, u32>) -> Vec<SiteOpen> {
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
pub(super) fn link_sites(analysis: &mut Analysis) {
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
