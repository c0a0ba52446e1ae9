//! Each loose block to a request, a label, or none.

use rustc_hash::{FxHashMap, FxHashSet};

use super::component::{Component, Ratios};
use super::counting::{Counted, Counting};
use super::flight::{Lag, Now, Sweep};
use super::found::Found;
use super::give::{Owned, give_each};
use super::groups::{Groups, Key};
use super::moments::{Moments, hinted};
use super::site::Observation;
use super::stage::Stages;
use crate::ledger::{Certain, Finished, Loose};
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;

/// What blocks are given to their owners by.
pub(super) struct Whose<'w> {
    pub(super) groups: &'w Groups,
    pub(super) moments: &'w [Moments],
    pub(super) stages: Option<&'w Stages>,
    pub(super) found: &'w FxHashMap<SiteId, Found>,
    /// Call sites where some of what is left is bounded, and some is not: what is bounded is nobody's.
    pub(super) mixed: &'w FxHashSet<SiteId>,
}

/// A label is certain with so much of the likelihood.
const CERTAIN: f64 = 0.99;

impl Whose<'_> {
    /// Who made the block, by the shares of its call site.
    fn owner(&self, loose: &Loose, now: &Now, sweep: &Sweep, records: &[Record]) -> Option<Owned> {
        let found = self.found.get(&loose.site)?;
        let process = sweep.process();
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
        let (component, is_sure) = self.draw(loose, found, (&ratios, &observation))?;
        let owned = self.request(loose, component, (now, &observation, records))?;
        let label = component.key().map(|key| self.groups.label_of(key))?;
        let flying = now.of_key(Key::Label(label), self.groups);
        let candidates = match component {
            Component::After(..) => return Some(owned),
            // The one that is hinted at, which may have ended, or begun later, or another one.
            Component::Hinted(..) => 1 + flying.filter(|other| *other != owned.request).count(),
            _ => flying.count(),
        };
        let certain = match (is_sure, candidates) {
            (false, _) => Certain::Neither,
            (true, 1) => Certain::Request,
            (true, _) => Certain::Label,
        };
        Some(Owned { certain, ..owned })
    }

    /// Which component made the block, and whether it is certain that its label did. The label is drawn by the block
    /// itself, so that many blocks have the shares that were found; of its components it is the one that explains the
    /// block best.
    fn draw(
        &self,
        loose: &Loose,
        found: &Found,
        (ratios, observation): (&Ratios<'_>, &Observation),
    ) -> Option<(Component, bool)> {
        let label = |component: Component| component.key().map(|key| self.groups.label_of(key));
        let shares = found.explained(loose.served).shares_of(loose.hints).iter();
        let parts: Vec<(Component, f64)> = shares
            .map(|(component, share)| (*component, share * ratios.of(*component, observation)))
            .filter(|(_, part)| *part > 0.0)
            .collect();
        let total: f64 = parts.iter().map(|(_, part)| part).sum();
        let drawn = drawn(&parts, dice(loose, 1))?;
        let of_label = || {
            let all = parts.iter();
            all.filter(|(component, _)| label(*component) == label(drawn))
        };
        let (best, _) = of_label().max_by(|left, right| left.1.total_cmp(&right.1))?;
        let sum: f64 = of_label().map(|(_, part)| part).sum();
        Some((*best, sum >= CERTAIN * total))
    }

    /// A request for which the component made the block; `None` where it is nobody's.
    fn request(
        &self,
        loose: &Loose,
        component: Component,
        (now, observation, records): (&Now, &Observation, &[Record]),
    ) -> Option<Owned> {
        match component {
            Component::Time | Component::Load | Component::Busy | Component::Ended(_) => None,
            Component::Hinted(hint, _) => Some(Owned {
                request: hinted(observation, hint)?,
                untold: false,
                certain: Certain::Label,
            }),
            Component::Flight(key) | Component::Phase(key) => {
                let flying = now.of_key(key, self.groups);
                in_flight(loose, flying.map(|request| (request, 1.0)))
            }
            Component::Stage(key) => {
                let weighed = self
                    .stages?
                    .weighed(&observation.requests, loose.born, records);
                in_flight(
                    loose,
                    weighed.filter(|(request, _)| self.groups.has(key, *request)),
                )
            }
            Component::After(lag, key) => self.just_ended(loose, (lag, key), now),
        }
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
}

/// One of these requests in flight, each as likely as its weight; the one that is hinted at, if it is one of them.
fn in_flight(loose: &Loose, candidates: impl Iterator<Item = (RequestId, f64)>) -> Option<Owned> {
    let candidates: Vec<(RequestId, f64)> = candidates.collect();
    // The one touched next may have begun later.
    let mut hints = [loose.hints.last, loose.hints.next, loose.hints.task]
        .into_iter()
        .flatten();
    let hinted = hints.find(|hinted| candidates.iter().any(|(request, _)| request == hinted));
    Some(Owned {
        request: hinted.or_else(|| drawn(&candidates, dice(loose, 2)))?,
        untold: candidates.len() > 1,
        certain: Certain::Label,
    })
}

/// One of these, each as likely as its weight, by a number from 0 to 1.
fn drawn<T: Copy>(weighed: &[(T, f64)], number: f64) -> Option<T> {
    let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    let mut left = number * total;
    let mut chosen = None;
    for (one, weight) in weighed {
        left -= weight;
        chosen = Some(*one);
        if left <= 0.0 {
            break;
        }
    }
    chosen
}

/// A number from 0 to 1 that is the block's own.
fn dice(loose: &Loose, salt: u64) -> f64 {
    let mut z = loose.born ^ u64::from(loose.site) << 32 ^ loose.served.bytes << 7 ^ salt << 60;
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

/// Gives the blocks of call sites of which numbers tell whose they are.
pub(super) fn counted(
    processes: &mut [&mut Finished],
    records: &mut [Record],
    (groups, sweeps): (&Groups, &[Sweep]),
    (counted, mixed): (&[Counted], &FxHashSet<SiteId>),
) {
    if counted.is_empty() {
        return;
    }
    let counting = Counting::new(groups, records, sweeps);
    let of_process = |(process, finished): (u32, &mut &mut Finished)| {
        let of_sites = counted
            .iter()
            .flat_map(|one| owners(&counting, (process, finished), one, mixed));
        of_sites.collect()
    };
    let owned: Vec<Vec<(Loose, Option<Owned>)>> =
        (0..).zip(processes.iter_mut()).map(of_process).collect();
    for (finished, owned) in processes.iter_mut().zip(owned) {
        give_each(finished, owned.into_iter(), records);
    }
}

/// Takes the blocks of one such call site, or of several, out of the process; each with its owner.
fn owners(
    counting: &Counting<'_>,
    (process, finished): (u32, &mut Finished),
    one: &Counted,
    mixed: &FxHashSet<SiteId>,
) -> Vec<(Loose, Option<Owned>)> {
    let wanted = |loose: &Loose| {
        one.sites.contains(&loose.site) && !(loose.is_bounded() && mixed.contains(&loose.site))
    };
    let all = std::mem::take(&mut finished.loose).into_iter();
    let (some, rest): (Vec<Loose>, Vec<Loose>) = all.partition(wanted);
    finished.loose = rest;
    let mut proved: FxHashMap<RequestId, u64> = FxHashMap::default();
    let sites = finished
        .sites
        .iter()
        .filter(|site| one.sites.contains(&site.id));
    for kept in sites.flat_map(|site| &site.retained) {
        *proved.entry(kept.request).or_default() += kept.blocks;
    }
    let pieces = some.iter().map(|loose| (loose.born, loose.served.blocks));
    let pieces: Vec<(u64, u64)> = pieces.collect();
    let given = counting.given(one, process, &pieces, &proved);
    let mut owned = Vec::new();
    for (mut loose, to) in some.into_iter().zip(given) {
        for (request, blocks) in to {
            let owner = Owned {
                request,
                untold: false,
                certain: Certain::Request,
            };
            owned.push((loose.take(blocks), Some(owner)));
        }
        if loose.served.blocks > 0 {
            owned.push((loose, None));
        }
    }
    owned
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
            owned.push(whose.owner(&some[index], now, sweep, records));
        });
        give_each(finished, some.into_iter().zip(owned), records);
    }
}
