//! Blocks become their owners', or nobody's: in the call sites' figures and the requests'.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::figures::counted;
use crate::ledger::holding::Hints;
use crate::ledger::{
    Certain, Finished, FinishedSite, Judged, Known, Loose, Reached, Retained, Typed,
};
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;
use crate::types::not_cached;

/// To whom a block is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// A request of the label that it is.
    pub request: RequestId,
    /// It could be another request of the label as well.
    pub untold: bool,
    /// What is certain of that.
    pub certain: Certain,
}

/// What was known of loose blocks.
#[derive(Debug, Default)]
pub(super) struct KnownBlocks {
    /// Nobody's, by process.
    pub(super) nobodys: Vec<Vec<Loose>>,
    /// How many were given to requests, by call site.
    pub(super) given: FxHashMap<SiteId, u64>,
}

impl KnownBlocks {
    /// Whether nothing was known.
    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.nobodys.iter().all(Vec::is_empty)
    }
}

/// What is said of a call site with so many such blocks, before what was found of its others.
pub(super) fn text_of_known(blocks: u64, of_others: String) -> String {
    format!(
        "{} {} made after an answer, or before a connection's first request: such blocks are freed, where they are, by the \
         connection's next request, and so were made for that{}{of_others}",
        counted(blocks, "block"),
        if blocks == 1 { "was" } else { "were" },
        if of_others.is_empty() {
            ""
        } else {
            "; of the others "
        },
    )
}

/// Gives what is known to be a request's, and leaves what isn't known; takes out what is known to be nobody's.
pub(super) fn known(processes: &mut [&mut Finished], records: &mut [Record]) -> KnownBlocks {
    let mut given: FxHashMap<SiteId, u64> = FxHashMap::default();
    let of_process = |finished: &mut &mut Finished| {
        let (known, others): (Vec<Loose>, Vec<Loose>) = std::mem::take(&mut finished.loose)
            .into_iter()
            .partition(|loose| loose.known.is_some());
        finished.loose = others;
        let (some, nobodys): (Vec<Loose>, Vec<Loose>) = known
            .into_iter()
            .partition(|loose| loose.known != Some(Known::Nobody));
        let owned = some.into_iter().map(|loose| {
            *given.entry(loose.site).or_default() += loose.served.blocks;
            let owned = match loose.known {
                Some(Known::Request(request)) => Some(Owned {
                    request,
                    untold: false,
                    certain: Certain::Request,
                }),
                _ => None,
            };
            (loose, owned)
        });
        give_each(finished, owned, records);
        nobodys
    };
    let nobodys = processes.iter_mut().map(of_process).collect();
    KnownBlocks { nobodys, given }
}

/// Where each call site stands in the process's list.
fn places(finished: &Finished) -> FxHashMap<SiteId, usize> {
    let sites = finished.sites.iter().enumerate();
    sites.map(|(at, site)| (site.id, at)).collect()
}

/// Gives each to its owner; what has none stays loose.
pub(super) fn give_each(
    finished: &mut Finished,
    owned: impl Iterator<Item = (Loose, Option<Owned>)>,
    records: &mut [Record],
) {
    let places = places(finished);
    let mut reached: FxHashSet<(SiteId, RequestId)> = FxHashSet::default();
    for (loose, owned) in owned {
        let place = places.get(&loose.site).copied();
        let (Some(owned), Some(place)) = (owned, place) else {
            finished.loose.push(loose);
            continue;
        };
        give(&mut finished.sites[place], &loose, owned, records);
        let unended = |record: &Record| record.end.is_none();
        let is_open = records.get(owned.request as usize).is_some_and(unended);
        if is_open && !loose.is_stack {
            finished.beside.push((owned.request, loose.before_exit));
        }
        if reached.insert((loose.site, owned.request)) {
            finished.reached.push(Reached {
                site: loose.site,
                requests: 0,
                abroad: vec![owned.request],
            });
        }
    }
}

/// Gives a block to its owner.
fn give(site: &mut FinishedSite, loose: &Loose, owned: Owned, records: &mut [Record]) {
    let Some(record) = records.get_mut(owned.request as usize) else {
        return;
    };
    let counts = !owned.untold && !loose.is_stack;
    if counts {
        record.figures.live_blocks += loose.live.blocks;
        record.figures.live_bytes += loose.live.bytes;
    }
    // A request that never ended has no survivors.
    if record.end.is_none() {
        return;
    }
    let (blocks, bytes) = (loose.served.blocks, loose.served.bytes);
    if counts {
        record.figures.inferred_blocks += blocks;
        record.figures.associated_bytes += bytes;
        record.figures.survivor_blocks += blocks;
        record.figures.survivor_bytes += bytes;
        record.figures.retained_blocks += blocks;
        record.figures.retained_bytes += bytes;
    }
    site.survivor_blocks += blocks;
    site.survivor_bytes += bytes;
    let label = record.label;
    site.survives(label, blocks);
    for (of_type, amount) in &loose.types {
        site.types.push(Typed {
            of_type: not_cached(*of_type),
            retained_by: label.map(|label| (label, record.status)),
            late: false,
            blocks: amount.blocks,
            bytes: amount.bytes,
        });
    }
    let same = |kept: &&mut Retained| {
        let same = (kept.request, kept.untold, kept.certain)
            == (owned.request, owned.untold, owned.certain);
        let certain = owned.certain == Certain::Request;
        same && kept.associated && (certain || kept.born == loose.born)
    };
    match site.retained.iter_mut().rev().take(64).find(same) {
        Some(kept) => {
            kept.last = kept.last.max(loose.last);
            kept.blocks += blocks;
            kept.bytes += bytes;
            kept.before_exit += loose.before_exit;
            kept.collected |= loose.collected;
            kept.bounded_blocks += loose.bounded.blocks;
            kept.bounded_bytes += loose.bounded.bytes;
        }
        None => site.retained.push(Retained {
            request: owned.request,
            blocks,
            bytes,
            before_exit: loose.before_exit,
            born: loose.born,
            last: loose.last,
            birth: None,
            tail_blocks: 0,
            associated: true,
            untold: owned.untold,
            certain: owned.certain,
            bounded_blocks: loose.bounded.blocks,
            bounded_bytes: loose.bounded.bytes,
            collected: loose.collected,
            judged: Judged::default(),
            may_go: false,
        }),
    }
}

/// Takes back what was proved to be a request's at a call site where proofs prove nothing; `is_stack`: of stacks.
pub(super) fn loosen(
    kept: Retained,
    (site, is_stack): (&mut FinishedSite, bool),
    records: &mut [Record],
) -> Loose {
    let amount = Amount {
        blocks: kept.blocks,
        bytes: kept.bytes,
    };
    let mut label = None;
    if let Some(record) = records.get_mut(kept.request as usize) {
        label = record.label;
        let counted = match is_stack {
            true => Amount::default(),
            false => amount,
        };
        let take = |sum: &mut u64, part: u64| *sum = sum.saturating_sub(part);
        let figures = &mut record.figures;
        take(&mut figures.retained_blocks, counted.blocks);
        take(&mut figures.retained_bytes, counted.bytes);
        take(&mut figures.survivor_blocks, counted.blocks);
        take(&mut figures.survivor_bytes, counted.bytes);
        take(&mut figures.live_blocks, counted.blocks);
        take(&mut figures.live_bytes, counted.bytes);
    }
    site.survivor_blocks = site.survivor_blocks.saturating_sub(kept.blocks);
    site.survivor_bytes = site.survivor_bytes.saturating_sub(kept.bytes);
    if let Some(label) = label
        && let Some(known) = site.labels.iter_mut().find(|known| known.0 == label)
    {
        known.1 = known.1.saturating_sub(kept.blocks);
    }
    Loose {
        site: site.id,
        is_stack,
        born: kept.born,
        last: kept.last,
        is_further: false,
        hints: Hints {
            last: Some(kept.request),
            answered: kept.tail_blocks == kept.blocks,
            ..Hints::default()
        },
        live: amount,
        served: amount,
        before_exit: kept.before_exit,
        collected: kept.collected,
        known: None,
        bounded: Amount {
            blocks: kept.bounded_blocks,
            bytes: kept.bounded_bytes,
        },
        types: Vec::new(),
    }
}

/// What nobody was found for belongs to no request; gives how much of it outlived one.
pub(super) fn leave_the_rest(
    processes: &mut [&mut Finished],
    sites: &Sites,
) -> (Amount, FxHashMap<SiteId, Vec<(ProcessId, u64)>>) {
    let (mut unknown, mut births) = (Amount::default(), FxHashMap::default());
    for (process, finished) in (0..).zip(processes.iter_mut()) {
        let serving = finished.serving;
        let places = places(finished);
        for loose in std::mem::take(&mut finished.loose) {
            let Some(site) = places
                .get(&loose.site)
                .and_then(|at| finished.sites.get_mut(*at))
            else {
                continue;
            };
            site.outside_blocks += loose.live.blocks;
            site.outside_bytes += loose.live.bytes;
            site.outside_before_exit += loose.before_exit;
            let mut used = loose.served;
            used -= loose.bounded;
            if used.blocks > 0 {
                site.outside.add(&serving, loose.born, used);
            }
            if loose.collected {
                site.outside.served.collected.insert(loose.born);
            }
            if (serving.from.unwrap_or(u64::MAX)..serving.to).contains(&loose.born) {
                if sites.memory(loose.site).is_kept() {
                    unknown += used;
                }
                site.outside.bounded += loose.bounded;
                if !loose.is_bounded() {
                    let of_site: &mut Vec<_> = births.entry(loose.site).or_default();
                    of_site.extend([(process, loose.born), (process, loose.last)]);
                }
            }
            // What was gone when the exit began is no part of what was live then.
            let mut live = loose.before_exit.blocks;
            for (of_type, amount) in &loose.types {
                let blocks = amount.blocks.min(live);
                live -= blocks;
                if blocks > 0 {
                    site.types.push(Typed {
                        of_type: not_cached(*of_type),
                        retained_by: None,
                        late: false,
                        blocks,
                        bytes: amount.bytes * blocks / amount.blocks,
                    });
                }
            }
        }
    }
    (unknown, births)
}
