//! Each loose block to a request, a label, or none.

use rustc_hash::{FxHashMap, FxHashSet};

use super::component::{Component, Ratios};
use super::explained::Explained;
use super::flight::{Lag, Now, Sweep};
use super::groups::{Groups, Key};
use super::kin::Causes;
use super::moments::{Hint, Moments, hinted};
use super::site::{Observation, Observed};
use super::sizes::{Size, size};
use super::stage::Stages;
use crate::figures::counted;
use crate::ledger::holding::Hints;
use crate::ledger::{
    Certain, Finished, FinishedSite, Judged, Known, Loose, Reached, Retained, Typed,
};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;
use crate::types::not_cached;

/// A call site, explained.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: String,
    explained: Explained,
    /// The same of what was made in one size only.
    by_size: Vec<(Size, Explained)>,
    /// Since when blocks of it can be seen, by process.
    since: FxHashMap<u32, u64>,
}

impl Found {
    pub(super) fn new(
        observed: &Observed,
        (explained, by_size): Causes,
        groups: &Groups,
        labels: &[String],
    ) -> Found {
        let mut shown = explained.clone();
        if !by_size.is_empty() {
            // What the sizes are made by, each with its share.
            let total = observed.all.len().max(1) as f64;
            let of_size = |wanted: Size| {
                observed
                    .all
                    .iter()
                    .filter(|seen| size(seen.amount) == wanted)
                    .count() as f64
            };
            let sized: f64 = by_size.iter().map(|(size, _)| of_size(*size)).sum();
            let parts = by_size
                .iter()
                .map(|(size, of_size_alone)| (of_size_alone, of_size(*size)));
            shown.shares = parts
                .chain([(&explained, total - sized)])
                .flat_map(|(explained, count)| {
                    let shares = explained.shares.iter();
                    shares.map(move |(component, share)| (*component, share * count / total))
                })
                .collect();
            shown.undecided = by_size
                .iter()
                .find_map(|(_, explained)| explained.undecided);
        }
        Found {
            text: text(observed, &shown, groups, labels),
            explained,
            by_size,
            since: observed.since(),
        }
    }

    /// What explains blocks of such an amount.
    fn explained(&self, amount: Amount) -> &Explained {
        let wanted = size(amount);
        let of_size = self.by_size.iter().find(|(size, _)| *size == wanted);
        of_size.map_or(&self.explained, |(_, explained)| explained)
    }

    /// Of the blocks without proof, the part that no request explains.
    pub(super) fn unproved_background(&self) -> f64 {
        self.explained.unproved_background
    }

    /// Whether no label explains any of them.
    pub(super) fn is_background(&self) -> bool {
        !self.names_labels() && self.explained.undecided.is_none()
    }

    /// Whether it is one label or another that explains some of them.
    pub(super) fn is_ambiguous(&self) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut all = all.chain([&self.explained]);
        all.any(|explained| explained.undecided.is_some())
    }

    /// Whether it is decided who makes them, and that some label does and this one does not.
    pub(super) fn denies(&self, label: LabelId, groups: &Groups) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut all = all.chain([&self.explained]);
        self.names_labels()
            && all.all(|explained| {
                explained.undecided.is_none() && !explained.labels(groups).contains(&label)
            })
    }

    fn names_labels(&self) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut shares = all
            .chain([&self.explained])
            .flat_map(|explained| explained.shares.iter().chain(&explained.given));
        shares.any(|(component, _)| component.key().is_some())
    }
}

/// What was found, in one sentence.
fn text(observed: &Observed, explained: &Explained, groups: &Groups, labels: &[String]) -> String {
    let name = |label: LabelId| labels.get(label as usize).map_or("", String::as_str);
    let unproved = || {
        observed
            .all
            .iter()
            .filter(|observation| !observation.proved)
    };
    let total = unproved().count();
    if total == 0 {
        return String::new();
    }
    let beside = |label: LabelId| {
        let with = unproved().filter(|observation| {
            let flying = observation.flight.iter().map(|(group, _)| *group);
            let hints = [Hint::Last, Hint::Next, Hint::Task].into_iter();
            let hints = hints.filter_map(|hint| groups.of_request(hinted(observation, hint)?));
            flying
                .chain(hints)
                .any(|group| groups.label(group) == label)
        });
        with.count()
    };
    let mut shares: Vec<(LabelId, f64)> = Vec::new();
    for (component, share) in &explained.shares {
        if let Some(label) = component.key().map(|key| groups.label_of(key)) {
            match shares.iter_mut().find(|known| known.0 == label) {
                Some(known) => known.1 += share,
                None => shares.push((label, *share)),
            }
        }
    }
    shares.sort_by(|left, right| right.1.total_cmp(&left.1));
    let undecided = explained.undecided.map(|(one, other)| {
        format!(
            "{} or {}: {} can't tell which; more requests would, in a random order or one at a time",
            name(one),
            name(other),
            counted(total as u64, "observation")
        )
    });
    match (shares.as_slice(), undecided) {
        ([], Some(undecided)) => undecided,
        ([], None) => format!(
            "no label could be told from the others, or from none, by {}",
            counted(total as u64, "observation")
        ),
        ([(label, _)], None) => {
            let mut others: FxHashSet<LabelId> = unproved()
                .flat_map(|observation| &observation.flight)
                .map(|(group, _)| groups.label(*group))
                .collect();
            others.remove(label);
            let most = others.iter().map(|other| beside(*other)).max().unwrap_or(0);
            format!(
                "{} of {total} observed were made beside a {}; beside any other label at most {most}",
                beside(*label),
                name(*label),
            )
        }
        (several, _) => {
            let each = several
                .iter()
                .map(|(label, share)| format!("{:.0} % {}", 100.0 * share, name(*label)));
            format!(
                "shares by likelihood: {}",
                each.collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// What blocks are given to their owners by.
pub(super) struct Whose<'w> {
    pub(super) groups: &'w Groups,
    pub(super) moments: &'w [Moments],
    pub(super) stages: Option<&'w Stages>,
    pub(super) found: &'w FxHashMap<SiteId, Found>,
    /// Call sites where some of what is left is bounded, and some is not: what is bounded is nobody's.
    pub(super) mixed: &'w FxHashSet<SiteId>,
}

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

/// A label is certain with so much of the likelihood.
const CERTAIN: f64 = 0.99;

impl Whose<'_> {
    /// Who made the block, by the shares of its call site. Which component is drawn by the block itself, so that
    /// many blocks have the shares that were found.
    fn owner(
        &self,
        loose: &Loose,
        process: u32,
        now: &Now,
        sweep: &Sweep,
        records: &[Record],
    ) -> Option<Owned> {
        let found = self.found.get(&loose.site)?;
        let observation = Observation {
            since: found.since.get(&process).copied().unwrap_or(0),
            amount: loose.served,
            flight: now.counts().collect(),
            requests: self.stages.map_or_else(Vec::new, |_| now.requests()),
            ended: Lag::ALL.map(|lag| now.ended(lag)),
            ..Observation::of(process as usize, loose.born, loose.hints)
        };
        let ratios = Ratios {
            groups: self.groups,
            sweep,
            moments: &self.moments[process as usize],
            stages: self.stages,
            records,
        };
        let shares = found.explained(loose.served).shares_of(loose.hints);
        let parts = shares.iter();
        let parts = parts.map(|(component, share)| share * ratios.of(*component, &observation));
        let parts: Vec<f64> = parts.collect();
        let total: f64 = parts.iter().sum();
        if total <= 0.0 {
            return None;
        }
        // A label is drawn, and of its components the one that explains the block best.
        let label = |component: &Component| component.key().map(|key| self.groups.label_of(key));
        let mut drawn = dice(loose, 1) * total;
        let mut chosen = None;
        for ((component, _), part) in shares.iter().zip(&parts).filter(|(_, part)| **part > 0.0) {
            drawn -= part;
            chosen = Some(label(component));
            if drawn <= 0.0 {
                break;
            }
        }
        let chosen = chosen?;
        let of_label = shares
            .iter()
            .zip(&parts)
            .filter(|((component, _), _)| label(component) == chosen);
        let best = of_label.max_by(|left, right| left.1.total_cmp(right.1));
        let of_label = shares
            .iter()
            .zip(&parts)
            .filter(|((component, _), _)| label(component) == chosen);
        let sure = of_label.map(|(_, part)| part).sum::<f64>() >= CERTAIN * total;
        let component = best?.0.0;
        let mut owned = match component {
            Component::Time | Component::Load | Component::Busy | Component::Ended(_) => {
                return None;
            }
            Component::Hinted(hint, _) => Owned {
                request: hinted(&observation, hint)?,
                untold: false,
                certain: Certain::Label,
            },
            Component::Flight(key) | Component::Phase(key) => {
                self.in_flight(loose, now.of_key(key, self.groups).map(|one| (one, 1.0)))?
            }
            Component::Stage(key) => {
                let weighed = self
                    .stages?
                    .weighed(&observation.requests, loose.born, records);
                let is_own = |request: RequestId| {
                    let group = self.groups.of_request(request);
                    group.is_some_and(|group| self.groups.contains(key, group))
                };
                self.in_flight(loose, weighed.filter(|(request, _)| is_own(*request)))?
            }
            Component::After(lag, key) => self.just_ended(loose, (lag, key), now)?,
        };
        if matches!(component, Component::After(..)) {
            return Some(owned);
        }
        let all = component
            .key()
            .map(|key| Key::Label(self.groups.label_of(key)))?;
        let named = match component {
            // The one that is hinted at, which may have ended, or begun later, or another one.
            Component::Hinted(..) => {
                let others = now.of_key(all, self.groups);
                let others = others.filter(|other| *other != owned.request);
                Some(1 + others.count())
            }
            _ => None,
        };
        let candidates = named.unwrap_or_else(|| now.of_key(all, self.groups).count());
        owned.certain = match (sure, candidates) {
            (false, _) => Certain::Neither,
            (true, 1) => Certain::Request,
            (true, _) => Certain::Label,
        };
        Some(owned)
    }

    /// One of the key's requests that have just ended.
    fn just_ended(&self, loose: &Loose, (lag, key): (Lag, Key), now: &Now) -> Option<Owned> {
        let candidates: Vec<RequestId> = now.ended_of(lag, key, self.groups);
        let place = (dice(loose, 2) * candidates.len() as f64) as usize;
        Some(Owned {
            request: *candidates.get(place)?,
            untold: candidates.len() > 1,
            certain: Certain::Neither,
        })
    }

    /// One of these requests in flight, each as likely as its weight.
    fn in_flight(
        &self,
        loose: &Loose,
        candidates: impl Iterator<Item = (RequestId, f64)>,
    ) -> Option<Owned> {
        let candidates: Vec<(RequestId, f64)> = candidates.collect();
        let hints = [loose.hints.last, loose.hints.next, loose.hints.task];
        // The one touched next may have begun later.
        let hinted = hints
            .into_iter()
            .flatten()
            .find(|hinted| candidates.iter().any(|(request, _)| request == hinted));
        let all: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut drawn = dice(loose, 2) * all;
        let at = candidates.iter().position(|(_, weight)| {
            drawn -= weight;
            drawn <= 0.0
        });
        let drawn = candidates.get(at.unwrap_or(0)).map(|(request, _)| *request);
        let request = hinted.or(drawn)?;
        Some(Owned {
            request,
            untold: candidates.len() > 1,
            certain: Certain::Label,
        })
    }
}

/// A number from 0 to 1 that is the block's own.
fn dice(loose: &Loose, salt: u64) -> f64 {
    let mut z = loose.born ^ u64::from(loose.site) << 32 ^ loose.served.bytes << 7 ^ salt << 60;
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

/// Gives all loose blocks that can be given.
pub(super) fn all(
    processes: &mut [&mut Finished],
    records: &mut [Record],
    whose: &Whose<'_>,
    sweeps: &mut [Sweep],
) {
    for (finished, sweep) in processes.iter_mut().zip(sweeps) {
        let wanted = |loose: &Loose| {
            let found = whose.found.get(&loose.site);
            found.is_some_and(Found::names_labels)
                && !(loose.is_bounded() && whose.mixed.contains(&loose.site))
        };
        let (some, rest): (Vec<Loose>, Vec<Loose>) = std::mem::take(&mut finished.loose)
            .into_iter()
            .partition(wanted);
        finished.loose = rest;
        let mut owned = Vec::with_capacity(some.len());
        let stamps: Vec<u64> = some.iter().map(|loose| loose.born).collect();
        sweep.at_each(stamps.into_iter(), whose.groups, |index, now| {
            owned.push(whose.owner(&some[index], sweep.process(), now, sweep, records));
        });
        give_each(finished, some.into_iter().zip(owned), records);
    }
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
fn give_each(
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
        if records.get(owned.request as usize).is_some_and(unended) {
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
    if !owned.untold {
        record.figures.live_blocks += loose.live.blocks;
        record.figures.live_bytes += loose.live.bytes;
    }
    // A request that never ended has no survivors.
    if record.end.is_none() {
        return;
    }
    let (blocks, bytes) = (loose.served.blocks, loose.served.bytes);
    if !owned.untold {
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
        }),
    }
}

/// Takes back what was proved to be a request's at a call site where proofs prove nothing.
pub(super) fn loosen(kept: Retained, site: &mut FinishedSite, records: &mut [Record]) -> Loose {
    let amount = Amount {
        blocks: kept.blocks,
        bytes: kept.bytes,
    };
    let mut label = None;
    if let Some(record) = records.get_mut(kept.request as usize) {
        label = record.label;
        let figures = &mut record.figures;
        figures.retained_blocks = figures.retained_blocks.saturating_sub(kept.blocks);
        figures.retained_bytes = figures.retained_bytes.saturating_sub(kept.bytes);
        figures.survivor_blocks = figures.survivor_blocks.saturating_sub(kept.blocks);
        figures.survivor_bytes = figures.survivor_bytes.saturating_sub(kept.bytes);
        figures.live_blocks = figures.live_blocks.saturating_sub(kept.blocks);
        figures.live_bytes = figures.live_bytes.saturating_sub(kept.bytes);
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
        born: kept.born,
        last: kept.last,
        hints: Hints {
            last: Some(kept.request),
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
