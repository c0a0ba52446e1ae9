//! The table of resident memory: at which readings of the recorder it is looked what is live, and what becomes of
//! that once call sites are judged.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::judged::Judged;
use crate::analysis::Verdict;
use crate::analysis::memory::{MOMENTS, Memory, Pin, Row, RowKind};
use crate::ledger::standing::{Since, Standing};
use crate::requests::record::Record;
use crate::sites::{self, SiteId, Sites};
use crate::trace::{Facts, ProcessId, Resident};

/// The readings of a trace at which it is looked what is live: those that may be the nearest to the begin, the middle
/// and the end of serving. Which are is known only once all was read, so that these are a few for each process.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Numbers of readings, in order of time, the last first.
    due: Vec<usize>,
    /// When the next one is due.
    next: Option<u64>,
}

impl Looks {
    /// None in a sample: which pages have live blocks can't be told there.
    pub(super) fn of(facts: &Facts) -> Looks {
        if facts.sample_bytes > 0 {
            return Looks::default();
        }
        let due: BTreeSet<usize> = chosen(&facts.resident).into_iter().collect();
        let mut looks = Looks {
            due: due.into_iter().rev().collect(),
            next: None,
        };
        looks.advance(facts);
        looks
    }

    fn advance(&mut self, facts: &Facts) {
        let next = self.due.last().and_then(|at| facts.resident.get(*at));
        self.next = next.map(|reading| reading.stamp);
    }

    /// Whether a reading lies before `stamp`.
    #[inline]
    pub(super) fn are_due(&self, stamp: u64) -> bool {
        self.next.is_some_and(|next| next <= stamp)
    }

    /// The next that does.
    pub(super) fn take<'f>(&mut self, facts: &'f Facts, stamp: u64) -> Option<&'f Resident> {
        if !self.are_due(stamp) {
            return None;
        }
        let at = self.due.pop()?;
        self.advance(facts);
        facts.resident.get(at)
    }
}

/// Those around the first and the last that tells of requests, and around the middle between these, of each process.
fn chosen(readings: &[Resident]) -> Vec<usize> {
    let mut calls: FxHashMap<ProcessId, u64> = FxHashMap::default();
    let mut serving: Option<(u64, u64)> = None;
    for reading in readings {
        let before = calls.insert(reading.process, reading.calls).unwrap_or(0);
        if reading.calls > before {
            let from = serving.map_or(reading.stamp, |(from, _)| from);
            serving = Some((from, reading.stamp));
        }
    }
    let whole = readings.first().zip(readings.last());
    let whole = whole.map_or((0, 0), |(first, last)| (first.stamp, last.stamp));
    let (from, to) = serving.unwrap_or(whole);
    let mut of_process: BTreeMap<ProcessId, Vec<usize>> = BTreeMap::new();
    for (at, reading) in readings.iter().enumerate() {
        of_process.entry(reading.process).or_default().push(at);
    }
    let around = |list: &[usize], stamp: u64| {
        let after = list.partition_point(|at| readings[*at].stamp < stamp);
        let near = after.saturating_sub(1)..(after + 1).min(list.len());
        list.get(near).unwrap_or_default().to_vec()
    };
    let all = of_process.values().flat_map(|list| {
        [from, from + (to - from) / 2, to]
            .map(|stamp| around(list, stamp))
            .concat()
    });
    all.collect()
}

/// What is thought of what a call site holds at the end of serving, in bytes.
#[derive(Clone, Debug, Default)]
struct Weights {
    of: BTreeMap<RowKind, u64>,
    /// What of it was live and later at the chosen end.
    live: u64,
}

impl Weights {
    fn add(&mut self, verdict: Verdict, of_requests: bool, bytes: u64) {
        let kind = match verdict {
            Verdict::Leak | Verdict::GrowingBuffer if of_requests => RowKind::LeakingRequests,
            Verdict::Leak | Verdict::GrowingBuffer => RowKind::GrowingOutside,
            Verdict::TooFewRequests => RowKind::Undecided,
            Verdict::Bounded | Verdict::WarmUp => RowKind::Bounded,
            Verdict::FreedLater | Verdict::Clean => RowKind::InUse,
        };
        *self.of.entry(kind).or_default() += bytes;
    }

    /// Of so many bytes that are live, what is of which kind: as it is at the end, where what was live beyond what is
    /// judged is in use.
    fn split(&self, bytes: u64) -> Vec<(RowKind, u64)> {
        let judged: u64 = self.of.values().sum();
        let whole = judged.max(self.live).max(1);
        let mut left = bytes;
        let mut parts: Vec<(RowKind, u64)> = Vec::new();
        for (kind, of_kind) in &self.of {
            let part = u128::from(bytes) * u128::from(*of_kind) / u128::from(whole);
            let part = left.min(part as u64);
            left -= part;
            parts.push((*kind, part));
        }
        match parts.iter_mut().max_by_key(|part| part.1) {
            // What rounding leaves.
            Some(most) if judged >= self.live => most.1 += left,
            _ => parts.push((RowKind::InUse, left)),
        }
        parts
    }
}

fn weights(sites: &[Judged], records: &[Record]) -> FxHashMap<SiteId, Weights> {
    let mut all: FxHashMap<SiteId, Weights> = FxHashMap::default();
    for site in sites {
        let of_site = all.entry(site.id).or_default();
        for part in &site.labels {
            for kept in &part.retained {
                of_site.add(part.verdict_of(kept, records), true, kept.bytes);
            }
        }
        of_site.add(site.outside, false, site.outside_grown().bytes);
        for open in &site.open {
            of_site.add(open.verdict, true, open.grown.bytes);
        }
        for part in &site.parts {
            of_site.add(Verdict::Bounded, false, part.outside.bounded.bytes);
        }
    }
    all
}

/// A reading before the first request tells more of the start than one after it, and one after the last more of the end:
/// it may be so many times as far away.
const FAVOUR: u64 = 4;
const FAVOURED: [Ordering; MOMENTS] = [Ordering::Less, Ordering::Equal, Ordering::Greater];

/// When the tree served, in stamps; `None`: no request was seen.
pub(super) type Served = Option<(u64, u64)>;

/// The table, from how things stood at readings of each process.
pub(super) fn memory(
    standings: &[Vec<Standing>],
    served: Served,
    facts: &Facts,
    (sites, places): (&[Judged], &Sites),
    records: &[Record],
) -> Memory {
    let all = || standings.iter().flatten().map(|standing| standing.stamp);
    let (Some(first), Some(last)) = (all().min(), all().max()) else {
        return Memory::default();
    };
    let (from, to) = served.unwrap_or((first, last));
    let moments = [from, from + (to.saturating_sub(from)) / 2, to];
    let nearest = |at: usize| nearest(standings, facts, (moments[at], FAVOURED[at]), first);
    let end = MOMENTS - 1;
    let mut weights = weights(sites, records);
    for (site, since, bytes) in nearest(end).flat_map(|(_, standing)| &standing.live) {
        if *since == Since::Later {
            weights.entry(*site).or_default().live += bytes;
        }
    }
    // Who has nothing to do is not read again: that is no matter of how near a reading is.
    let busy: BTreeSet<ProcessId> = records.iter().map(|record| record.process).collect();
    let matters = |process: usize| busy.is_empty() || busy.contains(&(process as ProcessId));
    let mut table = Memory {
        at_ns: moments.map(|moment| facts.clock.ns(moment)),
        ..Memory::default()
    };
    let mut rows: BTreeMap<RowKind, [u64; MOMENTS]> = BTreeMap::new();
    for at in 0..MOMENTS {
        for (process, standing) in nearest(at) {
            table.processes[at] += 1;
            let off = facts.clock.ns(standing.stamp).abs_diff(table.at_ns[at]);
            if matters(process) {
                table.off_ns[at] = table.off_ns[at].max(off);
            }
            table.resident[at] += standing.bytes();
            for (kind, bytes) in kinds(standing, &weights, places, served.is_some()) {
                rows.entry(kind).or_default()[at] += bytes;
            }
        }
    }
    let rows = rows.into_iter().filter(|(_, bytes)| *bytes != [0; MOMENTS]);
    table.rows = rows.map(|(kind, bytes)| Row { kind, bytes }).collect();
    table.pins = pins(nearest(end).map(|(_, standing)| standing));
    table.told = told(sites, places);
    table
}

/// Kinds of which call sites leak that have no rows of their own.
fn told(sites: &[Judged], places: &Sites) -> Vec<RowKind> {
    let leaking = sites.iter().filter(|site| site.whole().0.leaks());
    let kinds = leaking.flat_map(|site| match places.memory(site.id) {
        sites::Memory::Malloc | sites::Memory::Python | sites::Memory::Mapped => &[][..],
        sites::Memory::Arena => &[RowKind::Mapped],
        sites::Memory::File => &[RowKind::Mapped, RowKind::CodeAndFiles],
        sites::Memory::Stack => &[RowKind::Stacks],
    });
    let kinds: BTreeSet<RowKind> = kinds.copied().collect();
    kinds.into_iter().collect()
}

/// Of each process that lives at a moment, its number and how things stood at the reading that is nearest. `first` is
/// that of the first reading: nothing is known from before.
fn nearest<'s>(
    standings: &'s [Vec<Standing>],
    facts: &'s Facts,
    (moment, favoured): (u64, Ordering),
    first: u64,
) -> impl Iterator<Item = (usize, &'s Standing)> {
    let lives = move |process: usize| {
        let process = facts.processes.get(process);
        process.is_none_or(|process| {
            process.start <= moment.max(first) && process.end.is_none_or(|end| end >= moment)
        })
    };
    let processes = standings.iter().enumerate();
    let processes = processes.filter(move |(at, _)| lives(*at));
    processes.filter_map(move |(at, list)| {
        let distance = |standing: &&Standing| {
            let distance = standing.stamp.abs_diff(moment);
            match standing.stamp.cmp(&moment) == favoured {
                true => distance / FAVOUR,
                false => distance,
            }
        };
        Some((at, list.iter().min_by_key(distance)?))
    })
}

/// What one process's memory is made of at a moment, by kind.
fn kinds(
    standing: &Standing,
    weights: &FxHashMap<SiteId, Weights>,
    places: &Sites,
    serves: bool,
) -> Vec<(RowKind, u64)> {
    let mut kinds = vec![
        (RowKind::FreePinned, standing.pinned),
        (RowKind::FreeBetween, standing.between),
        (RowKind::FreePages, standing.whole),
        (RowKind::Stacks, standing.stacks),
        (RowKind::CodeAndFiles, standing.files),
        (RowKind::Libleak, standing.own),
        (RowKind::Rest, standing.rest),
    ];
    let unknown = Weights::default();
    for (site, since, bytes) in &standing.live {
        let memory = places.memory(*site);
        let parts = match since {
            Since::Later if serves => weights.get(site).unwrap_or(&unknown).split(*bytes),
            Since::InUse => vec![(RowKind::InUse, *bytes)],
            Since::StartUp if serves => vec![(RowKind::StartUp, *bytes)],
            Since::StartUp | Since::Later => vec![(RowKind::Live, *bytes)],
        };
        kinds.extend(
            parts
                .into_iter()
                .map(|(kind, bytes)| (of_memory(memory, kind), bytes)),
        );
    }
    kinds
}

/// The kind of what was mapped: by what is thought of it only where that matters.
fn of_memory(memory: sites::Memory, kind: RowKind) -> RowKind {
    let matters = matches!(
        kind,
        RowKind::LeakingRequests | RowKind::GrowingOutside | RowKind::Undecided
    );
    match memory {
        sites::Memory::Malloc | sites::Memory::Python => kind,
        sites::Memory::Mapped if matters => kind,
        sites::Memory::Mapped | sites::Memory::Arena | sites::Memory::File => RowKind::Mapped,
        sites::Memory::Stack => RowKind::Stacks,
    }
}

/// Who pins pages, in all processes.
fn pins<'s>(standings: impl Iterator<Item = &'s Standing>) -> Vec<Pin> {
    let mut sums: BTreeMap<SiteId, (u64, f64)> = BTreeMap::new();
    for pin in standings.flat_map(|standing| &standing.pins) {
        let sum = sums.entry(pin.site).or_default();
        sum.0 += pin.blocks;
        sum.1 += pin.bytes;
    }
    let pins = sums.into_iter().map(|(site, (blocks, bytes))| Pin {
        site,
        blocks,
        bytes: bytes.round() as u64,
    });
    let mut pins: Vec<Pin> = pins.collect();
    pins.sort_by_key(|pin| (Reverse(pin.bytes), pin.site));
    pins
}

#[cfg(test)]
mod tests;
