//! Labels whose requests each leave the same number of blocks at a call site.
//!
//! Then at no moment were more blocks left than such requests had begun, nor fewer than had ended. However many are in
//! flight at once, that holds for no other label by chance: what others make drifts away from these counts as a random
//! walk does, by far more than what is in flight. It holds exactly when each block can be given to a request that was in
//! flight when the block was made, and each request has its number: a matching of intervals, which serving the request
//! that ends first finds (the earliest deadline first: J. R. Jackson, 1955). The blocks and requests that are left without
//! each other are the *deficit*.
//!
//! A label is told where its deficit is nearly nothing, where that of blocks which any requests make is many standard
//! deviations more (simulated on the traffic as it was: `worlds`), and so is that of blocks which another label's requests
//! leave, as late as these come; and where no other label fits. Of two that both fit, as where traffic has an order, neither
//! is told. What is made after the answer is given to requests that ended so shortly before, where those in flight don't fit.
//! Two labels that share a call site, with a number each, are tried where one alone does not fit; and call sites that share
//! their innermost frames are taken together.
//!
//! | file | |
//! | --- | --- |
//! | `left` | what is left at a call site |
//! | `requests` | requests by label and status, and what each is to have |
//! | `numbers` | how many each may have left |
//! | `serve` | who is given which blocks |
//! | `worlds` | how much worse would fit what others had made |

mod left;
mod numbers;
mod requests;
mod serve;
mod worlds;

use rustc_hash::{FxHashMap, FxHashSet};

use super::component::Component;
use super::explained::Explained;
use super::flight::{Lag, Sweep};
use super::groups::{GroupId, Groups, Key};
use super::parts::Parts;
use crate::figures::{count, counted};
use crate::ledger::Finished;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;
use left::{Left, Piece};
use numbers::{FORGIVEN, LEAST};
use requests::{Reach, Requests};
use serve::{Claim, serve};
use worlds::{Found, WORLDS};

/// Labels that are tried two by two, those with most requests.
const PAIRED: usize = 12;
/// Call sites that are looked at, those with most blocks.
const SITES: usize = 200;
/// Requests and blocks that are gone through in all, at most: a second or two.
const WORK: u64 = 20_000_000;

/// What was found of a call site, or of several that share their innermost frames.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) sites: Vec<SiteId>,
    fitting: Fitting,
    /// How many blocks are told by this.
    blocks: u64,
}

/// What was found of a call site.
pub(super) fn of_site(all: &[Counted], site: SiteId) -> Vec<&Counted> {
    let of_site = all.iter().filter(|one| one.sites.contains(&site));
    of_site.collect()
}

/// Labels or statuses whose requests fit with a number each.
#[derive(Clone, Debug)]
struct Fitting {
    /// Whose requests leave how many blocks each.
    parts: Vec<(Key, u64)>,
    reach: Reach,
    /// See [`Left::lots`]; none where they do not matter.
    lots: Vec<u64>,
    /// How many blocks stand without a request, or are missing.
    deficit: u64,
}

impl Fitting {
    fn labels<'f>(&'f self, groups: &'f Groups) -> impl Iterator<Item = LabelId> + 'f {
        self.parts.iter().map(|(key, _)| groups.label_of(*key))
    }
}

/// What is found by numbers.
pub(super) struct Counting<'c> {
    requests: Requests<'c>,
    /// What may still be gone through.
    work: u64,
}

impl<'c> Counting<'c> {
    pub(super) fn new(groups: &'c Groups, records: &'c [Record], sweeps: &'c [Sweep]) -> Self {
        Counting {
            requests: Requests::new(groups, records, sweeps),
            work: WORK,
        }
    }

    /// What can be told by numbers of these call sites, the largest first.
    pub(super) fn find(
        &mut self,
        sites: &[(SiteId, &[(usize, usize)])],
        (parts, processes): (&Parts, &[&mut Finished]),
        kin: impl Fn(&[SiteId]) -> Vec<Vec<SiteId>>,
    ) -> Vec<Counted> {
        let (mut found, mut alone) = (Vec::new(), FxHashMap::default());
        for (site, places) in sites.iter().take(SITES) {
            let Some(left) = Left::of(*site, places, (parts, processes)) else {
                continue;
            };
            match self.told(&[*site], &left) {
                Some(counted) => found.push(counted),
                None => {
                    alone.insert(*site, left);
                }
            }
        }
        let mut members: Vec<SiteId> = alone.keys().copied().collect();
        members.sort_unstable();
        let mut known: FxHashSet<SiteId> = FxHashSet::default();
        for group in kin(&members) {
            if group.iter().any(|site| known.contains(site)) {
                continue;
            }
            let together = Left::together(group.iter().filter_map(|site| alone.get(site)));
            if let Some(counted) = self.told(&group, &together) {
                known.extend(group);
                found.push(counted);
            }
        }
        found
    }

    /// Whose requests leave the same number here, each. From what is most likely to what is least so: one label's requests
    /// in flight, two labels', those that have ended.
    fn told(&mut self, sites: &[SiteId], left: &Left) -> Option<Counted> {
        let [now, short, long] = [None, Some(Lag::Short), Some(Lag::Long)];
        let in_flight = self.fitting(left, now);
        let just_ended = self.fitting(left, short);
        // Where requests have an order, those that have just ended fit as well as those in flight; of these nothing is told
        // then, whatever else fits.
        let tries = match in_flight.is_empty() {
            true => vec![self.pairs(left), just_ended, self.fitting(left, long)],
            false => vec![[in_flight, just_ended].concat()],
        };
        for fitting in tries.into_iter().filter(|fitting| !fitting.is_empty()) {
            let only = self.only(&fitting)?;
            // Where not all was tried, others may fit as well.
            if self.is_apart(left, only) && self.work > 0 {
                return Some(Counted {
                    sites: sites.to_vec(),
                    fitting: only.clone(),
                    blocks: left.blocks,
                });
            }
        }
        None
    }

    /// Whether so much may still be gone through; if not, nothing more is told.
    fn spend(&mut self, work: u64) -> bool {
        self.work = self.work.saturating_sub(work);
        self.work > 0
    }

    /// Labels that fit alone. One label is told only by those of others beside it: what a thread makes in step with all
    /// that there is fits as well. What comes after requests may come before the next, so that there must be more of these.
    fn fitting(&mut self, left: &Left, reach: Reach) -> Vec<Fitting> {
        let has_others = |(key, _): &(Key, u64)| {
            let own = self
                .requests
                .numbers(Key::Label(self.requests.groups.label_of(*key)))
                .0;
            let others = self.requests.ended.len() as u64 - own;
            others >= if reach.is_some() { own } else { LEAST }
        };
        let candidates = numbers::of_one(&self.requests, left).into_iter();
        let candidates: Vec<(Key, u64)> = candidates.filter(has_others).collect();
        let candidates = candidates.into_iter();
        let fits = candidates.filter_map(|part| self.fits(left, vec![part], reach));
        fits.collect()
    }

    /// The first of these, if all are of the same labels.
    fn only<'f>(&self, fitting: &'f [Fitting]) -> Option<&'f Fitting> {
        let labels = |fitting: &Fitting| -> Vec<LabelId> {
            let mut all: Vec<LabelId> = fitting.labels(self.requests.groups).collect();
            all.sort_unstable();
            all
        };
        let (first, others) = fitting.split_first()?;
        let own = labels(first);
        others
            .iter()
            .all(|other| labels(other) == own)
            .then_some(first)
    }

    /// Whether the deficit is next to nothing.
    fn fits(&mut self, left: &Left, parts: Vec<(Key, u64)>, reach: Reach) -> Option<Fitting> {
        let claims = self.requests.claims(&parts, reach, &left.proved);
        let lots = match parts.len() {
            1 => vec![Vec::new()],
            _ => vec![left.lots(), Vec::new()],
        };
        let must = claims.iter().filter(|claim| claim.must).count() as u64;
        let each = parts.iter().map(|(_, each)| *each).max().unwrap_or(0);
        let abroad = self.abroad(left, &parts);
        for lots in lots {
            let work = (claims.len() + left.pieces.len()) as u64;
            if !self.spend(work) {
                return None;
            }
            let deficit = abroad + serve(&left.pieces, (&claims, &lots), |_, _, _| {});
            if deficit <= each * (1 + must * FORGIVEN / 100) {
                return Some(Fitting {
                    parts,
                    reach,
                    lots,
                    deficit,
                });
            }
        }
        None
    }

    /// Whether what others make would fit far worse.
    fn is_apart(&mut self, left: &Left, fitting: &Fitting) -> bool {
        let none = FxHashMap::default();
        let claims = self.requests.claims(&fitting.parts, fitting.reach, &none);
        let labels: Vec<LabelId> = fitting.labels(self.requests.groups).collect();
        let others = numbers::of_one(&self.requests, left).into_iter();
        let others =
            others.filter(|(key, _)| !labels.contains(&self.requests.groups.label_of(*key)));
        let others: Vec<Vec<Claim>> = others
            .map(|other| self.requests.claims(&[other], None, &none))
            .collect();
        // Two worlds of any label's, and one of each other label's.
        let served = (2 + others.len()) * claims.len() + others.iter().map(Vec::len).sum::<usize>();
        if !self.spend(2 * WORLDS * served as u64) {
            return false;
        }
        let found = Found {
            requests: &self.requests,
            left,
            claims: &claims,
            lots: &fitting.lots,
            deficit: fitting.deficit,
        };
        found.is_apart() && others.iter().all(|other| found.is_apart_from_others(other))
    }

    /// What is proved to be others', or is more than a request is to have.
    fn abroad(&self, left: &Left, parts: &[(Key, u64)]) -> u64 {
        let more = left.proved.iter().map(|(request, blocks)| {
            let mut own = parts
                .iter()
                .filter(|(key, _)| self.requests.groups.has(*key, *request));
            blocks.saturating_sub(own.next().map_or(0, |(_, each)| *each))
        });
        more.sum()
    }

    /// Two labels that fit together, each with a number of its own.
    fn pairs(&mut self, left: &Left) -> Vec<Fitting> {
        let mut labels: Vec<(u64, LabelId)> = Vec::new();
        let mut known = FxHashSet::default();
        for group in 0..self.requests.groups.count() as GroupId {
            let label = self.requests.groups.label(group);
            if known.insert(label) {
                labels.push((self.requests.numbers(Key::Label(label)).0, label));
            }
        }
        labels.retain(|(requests, _)| (LEAST..left.blocks).contains(requests));
        labels.sort_unstable_by(|left, right| right.cmp(left));
        labels.truncate(PAIRED);
        let mut fitting = Vec::new();
        for (at, (_, one)) in labels.iter().enumerate() {
            for (_, other) in &labels[at + 1..] {
                let requests =
                    [*one, *other].map(|label| self.requests.numbers(Key::Label(label)).0);
                if !self.spend(requests.iter().sum()) {
                    return Vec::new();
                }
                let numbers = numbers::of_two(&self.requests, left, [*one, *other]).into_iter();
                let mut fits = numbers.filter_map(|parts| self.fits(left, parts, None));
                fitting.extend(fits.next());
            }
        }
        fitting
    }

    /// To whom each of these blocks is given, by its place: requests, and how many blocks.
    pub(super) fn given(
        &self,
        found: &Counted,
        process: u32,
        pieces: &[(u64, u64)],
        proved: &FxHashMap<RequestId, u64>,
    ) -> Vec<Vec<(RequestId, u64)>> {
        let mut claims = self
            .requests
            .claims(&found.fitting.parts, found.fitting.reach, proved);
        claims.retain(|claim| claim.process == process);
        let piece = |(born, blocks): &(u64, u64)| Piece {
            process,
            born: *born,
            blocks: *blocks,
        };
        let all: Vec<Piece> = pieces.iter().map(piece).collect();
        let mut given = vec![Vec::new(); all.len()];
        serve(
            &all,
            (&claims, &found.fitting.lots),
            |at, request, blocks| {
                given[at].push((request, blocks));
            },
        );
        given
    }

    /// What explains a call site of which these were found.
    pub(super) fn explained(&self, found: &[&Counted]) -> Explained {
        let all: u64 = found.iter().map(|one| one.blocks).sum();
        let of_one = |one: &&Counted| {
            let component = |key: Key| match one.fitting.reach {
                None => Component::Flight(key),
                Some(lag) => Component::After(lag, key),
            };
            let blocks = |(key, each): &(Key, u64)| (self.requests.numbers(*key).0 * each) as f64;
            let sum: f64 = one.fitting.parts.iter().map(blocks).sum();
            let whole = one.blocks as f64 / all.max(1) as f64 / sum.max(1.0);
            let share = |part: &(Key, u64)| (component(part.0), blocks(part) * whole);
            one.fitting.parts.iter().map(share).collect::<Vec<_>>()
        };
        Explained {
            shares: found.iter().flat_map(of_one).collect(),
            ..Explained::default()
        }
    }

    /// The same in words.
    pub(super) fn text(&self, found: &[&Counted], labels: &[String]) -> String {
        let of_part = |(key, each): &(Key, u64)| {
            let label = labels.get(self.requests.groups.label_of(*key) as usize);
            let status = self.requests.status(*key);
            let status =
                status.map_or_else(String::new, |status| format!(" answered with {status}"));
            format!(
                "each of {} {} requests{status} left {}",
                count(self.requests.numbers(*key).0),
                label.map_or("", String::as_str),
                counted(*each, "block"),
            )
        };
        let parts = found.iter().flat_map(|one| &one.fitting.parts);
        let parts: Vec<String> = parts.map(of_part).collect();
        let later = match found.iter().any(|one| one.fitting.reach.is_some()) {
            true => " some time before",
            false => "",
        };
        let but = match found.iter().map(|one| one.fitting.deficit).sum() {
            0 => String::new(),
            deficit => format!(", but for {}", counted(deficit, "block")),
        };
        format!(
            "{}: at no moment more than such requests had begun, or fewer than had ended{later}{but}; no other label fits",
            parts.join(", "),
        )
    }
}
