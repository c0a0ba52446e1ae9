//! Figures of processes, and of all together: what they are, grew by, and whose that is.

use std::collections::BTreeMap;

use super::endpoints::parts_that_count;
use super::judged::Judged;
use super::{garbage, rows};
use crate::analysis::{Analysis, Growth, Outside, Ownership, ProcessFigures, Totals, Verdict};
use crate::ledger::{BeforeExit, Finished};
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::sites::{Memory, Sites};
use crate::trace::Facts;

pub(super) fn processes_and_totals(
    analysis: &mut Analysis,
    ended: &[(Finished, usize)],
    records: &[Record],
    (facts, places): (&Facts, &Sites),
) {
    let count = ended.len().max(facts.processes.len());
    let mut processes = vec![ProcessFigures::default(); count];
    let mut totals = Totals::default();
    for (figures, (finished, _)) in processes.iter_mut().zip(ended) {
        *figures = figures_of(finished);
        add_process(&mut totals, finished, places);
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

/// The figures of a process, without its requests.
fn figures_of(finished: &Finished) -> ProcessFigures {
    let counts = &finished.counts;
    ProcessFigures {
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
    }
}

/// Adds a process to the totals.
fn add_process(totals: &mut Totals, finished: &Finished, places: &Sites) {
    let counts = &finished.counts;
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

/// Sums over processes; one that did not end by itself has its live blocks yet.
pub(super) fn before_exit(processes: &[ProcessFigures]) -> Option<BeforeExit> {
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

/// How much was live when serving began and ended.
pub(super) fn growth(ended: &[(Finished, usize)]) -> Growth {
    let served = ended.iter().map(|(finished, _)| &finished.serving);
    let served = served.filter(|serving| serving.from.is_some() && serving.to > 0);
    served.fold(Growth::default(), |sum, serving| Growth {
        from_bytes: sum.from_bytes + serving.from_bytes,
        to_bytes: sum.to_bytes + serving.to_bytes,
        ..sum
    })
}

/// From the first begin of a request to the last end, over all processes.
pub(super) fn served(ended: &[(Finished, usize)]) -> rows::Served {
    let serving = ended.iter().map(|(finished, _)| &finished.serving);
    let serving = serving.filter(|serving| serving.to > 0);
    let times = serving.filter_map(|serving| Some((serving.from?, serving.to)));
    times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// What was made while it served and was live at the end, by what is thought of it.
pub(super) fn by_verdict(
    sites: &[Judged],
    places: &Sites,
    records: &[Record],
) -> Vec<(Verdict, Amount)> {
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
pub(super) fn ownership(
    analysis: &mut Analysis,
    sites: &[Judged],
    places: &Sites,
    unknown_bytes: u64,
) {
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

pub(super) fn sum_of(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::default(), |mut sum, amount| {
        sum += amount;
        sum
    })
}
