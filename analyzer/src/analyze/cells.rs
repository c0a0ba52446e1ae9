//! A call site's blocks by endpoint, status and process at once: what is compared and exported goes by all three.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::judged::JudgedLabel;
use super::order::Order;
use crate::analysis::SiteCell;
use crate::analysis::early::Early;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::trace::ProcessId;

/// The cells of a site's parts, by endpoint, then status and process.
pub(super) fn of(
    labels: &[JudgedLabel],
    (records, order): (&[Record], &Order),
    endpoint_of: &FxHashMap<LabelId, u32>,
) -> Vec<SiteCell> {
    let mut cells = Vec::new();
    for part in labels {
        if let Some(endpoint) = endpoint_of.get(&part.label) {
            of_part(part, *endpoint, (records, order), &mut cells);
        }
    }
    cells
}

/// What one request retained at the site, proved and associated together.
#[derive(Default)]
struct OfRequest {
    blocks: u64,
    leaked: Amount,
    /// The same, or what does not leak.
    kept: Amount,
}

fn of_part(
    part: &JudgedLabel,
    endpoint: u32,
    (records, order): (&[Record], &Order),
    cells: &mut Vec<SiteCell>,
) {
    let mut by_place: BTreeMap<(Option<u32>, ProcessId), SiteCell> = BTreeMap::new();
    let mut by_request: FxHashMap<RequestId, OfRequest> = FxHashMap::default();
    for kept in &part.retained {
        let Some(record) = records.get(kept.request as usize) else {
            continue;
        };
        let of_request = by_request.entry(kept.request).or_default();
        of_request.blocks += kept.blocks;
        let cell = by_place
            .entry((record.status, record.process))
            .or_insert_with(|| SiteCell {
                endpoint,
                status: record.status,
                process: record.process,
                verdict: part.verdict_of(kept, records),
                requests: 0,
                retained: Amount::default(),
                associated: Amount::default(),
                leaked: Amount::default(),
                leaking_requests: 0,
                leaked_squares: 0.0,
                early: Early::default(),
                before_exit: Amount::default(),
            });
        add(cell, kept);
        if part.leaks(kept, records) {
            let used = Retained::used(kept);
            cell.leaked += used;
            of_request.leaked += used;
            of_request.kept += used;
        } else {
            of_request.kept += kept.amount();
        }
    }
    for (request, of_request) in by_request {
        let Some(record) = records.get(request as usize) else {
            continue;
        };
        if let Some(cell) = by_place.get_mut(&(record.status, record.process)) {
            // A request that stands for several: at most so many of them can have left a block.
            let leaked = of_request.leaked;
            let leaking = u64::from(record.count).min(leaked.blocks);
            cell.requests += u64::from(record.count).min(of_request.blocks);
            cell.leaking_requests += leaking;
            cell.leaked_squares += (leaked.bytes as f64).powi(2) / leaking.max(1) as f64;
            let kept = of_request.kept;
            if kept.blocks > 0 {
                let step = order.step((part.label, record.status), request);
                let keeping = u64::from(record.count).min(kept.blocks);
                cell.early.add(step, kept.bytes, keeping);
            }
        }
    }
    cells.extend(by_place.into_values());
}

fn add(cell: &mut SiteCell, kept: &Retained) {
    cell.retained += kept.amount();
    cell.associated += kept.associated();
    cell.before_exit += kept.before_exit;
}
