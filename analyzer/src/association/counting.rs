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
//! deviations more (simulated on the traffic as it was), and where no other label fits. Of two that both fit, as where
//! traffic has an order, neither is told. What is made after the answer is given to requests that ended so shortly before,
//! where those in flight don't fit. Two labels that share a call site, with a number each, are tried where one alone does
//! not fit; and call sites that share their innermost frames are taken together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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

/// Fewer requests than this tell nothing by their number.
const LEAST: u64 = 12;
/// One request may be wrong at the end, and this part (in percent) for whatever reason.
const FORGIVEN: u64 = 1;
/// What any requests make has a deficit so many standard deviations larger (by chance: one in 300,000) ...
const APART: f64 = 4.5;
/// ... of as many worlds in which they do.
const WORLDS: u64 = 24;
/// Labels that are tried two by two, those with most requests.
const PAIRED: usize = 12;
/// A number of blocks is made at a time as a rule where one in so many pieces has it.
const OF_A_LOT: usize = 10;
/// Windows in which two labels' numbers are estimated.
const WINDOWS: usize = 64;
/// Call sites that are looked at, those with most blocks.
const SITES: usize = 200;
/// Requests and blocks that are gone through in all, at most: some seconds.
const WORK: u64 = 40_000_000;

/// When requests' blocks may be made.
pub(super) type Reach = Option<Lag>;

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

/// Blocks made at one moment by one worker.
#[derive(Clone, Copy, Debug)]
struct Piece {
    process: u32,
    born: u64,
    blocks: u64,
}

/// What was left at a call site.
#[derive(Debug, Default)]
struct Left {
    /// In order of process and birth.
    pieces: Vec<Piece>,
    /// What is proved to be a request's.
    proved: FxHashMap<RequestId, u64>,
    blocks: u64,
}

/// A request that is to have blocks.
#[derive(Clone, Copy, Debug)]
struct Claim {
    process: u32,
    from: u64,
    until: u64,
    request: RequestId,
    /// The place of its key among those that fit.
    part: usize,
    wants: u64,
    /// It has ended, with this status: without blocks it would be none of these.
    must: bool,
}

/// All that is known of requests, and how much work is left to be done.
pub(super) struct Counting<'c> {
    groups: &'c Groups,
    records: &'c [Record],
    sweeps: &'c [Sweep],
    /// By group, in order of process and begin.
    requests: Vec<Vec<RequestId>>,
    /// How many of these have ended, and their status.
    numbers: Vec<(u64, Option<u32>)>,
    /// All that have ended.
    ended: Vec<RequestId>,
    work: u64,
}

impl<'c> Counting<'c> {
    pub(super) fn new(groups: &'c Groups, records: &'c [Record], sweeps: &'c [Sweep]) -> Self {
        let mut requests = vec![Vec::new(); groups.count()];
        let mut numbers = vec![(0, None); groups.count()];
        let mut ended = Vec::new();
        for (request, record) in (0..).zip(records) {
            if let Some(group) = groups.of_request(request) {
                requests[group as usize].push(request);
                let number = &mut numbers[group as usize];
                number.1 = record.status;
                if record.end.is_some() {
                    number.0 += 1;
                    ended.push(request);
                }
            }
        }
        let place = |request: &RequestId| {
            let record = &records[*request as usize];
            (record.process, record.start)
        };
        requests.iter_mut().for_each(|all| all.sort_by_key(place));
        Counting {
            groups,
            records,
            sweeps,
            requests,
            numbers,
            ended,
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
        // Where requests have an order, those that have just ended fit as well as those in flight.
        let mut tries = match in_flight.is_empty() {
            true => vec![self.pairs(left), just_ended],
            false => vec![[in_flight, just_ended].concat()],
        };
        tries.push(self.fitting(left, long));
        for fitting in tries.into_iter().filter(|fitting| !fitting.is_empty()) {
            let only = self.only(&fitting)?;
            if self.is_apart(left, only) {
                return Some(Counted {
                    sites: sites.to_vec(),
                    fitting: only.clone(),
                    blocks: left.blocks,
                });
            }
        }
        None
    }

    /// Labels that fit alone. One label is told only by those of others beside it: what a thread makes in step with all
    /// that there is fits as well. What comes after requests may come before the next, so that there must be more of these.
    fn fitting(&mut self, left: &Left, reach: Reach) -> Vec<Fitting> {
        let has_others = |(key, _): &(Key, u64)| {
            let own = self.numbers(Key::Label(self.groups.label_of(*key))).0;
            let others = self.ended.len() as u64 - own;
            others >= if reach.is_some() { own } else { LEAST }
        };
        let candidates = self.candidates(left).into_iter();
        let candidates: Vec<(Key, u64)> = candidates.filter(has_others).collect();
        let candidates = candidates.into_iter();
        let fits = candidates.filter_map(|part| self.fits(left, vec![part], reach));
        fits.collect()
    }

    /// The first of these, if all are of the same labels.
    fn only<'f>(&self, fitting: &'f [Fitting]) -> Option<&'f Fitting> {
        let labels = |fitting: &Fitting| -> Vec<LabelId> {
            let parts = fitting.parts.iter();
            let mut all: Vec<LabelId> = parts.map(|(key, _)| self.groups.label_of(*key)).collect();
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

    /// How many of the key's requests have ended, and how many may have left something beside them: those that are open,
    /// and those without a status, which may be of any.
    fn numbers(&self, key: Key) -> (u64, u64) {
        let (mut must, mut all) = (0, 0);
        for group in self.groups.members(Key::Label(self.groups.label_of(key))) {
            let (ended, status) = self.numbers[*group as usize];
            let is_own = self.groups.contains(key, *group);
            if is_own || status.is_none() {
                all += self.requests[*group as usize].len() as u64;
                must += if is_own { ended } else { 0 };
            }
        }
        (must, all - must)
    }

    /// Labels and statuses by whose requests the blocks can be divided, and how many each would have left.
    fn candidates(&self, left: &Left) -> Vec<(Key, u64)> {
        let mut keys: Vec<Key> = Vec::new();
        for group in 0..self.groups.count() as GroupId {
            let label = self.groups.label(group);
            if self.groups.has_statuses(label) {
                keys.push(Key::Group(group));
            }
            keys.push(Key::Label(label));
        }
        keys.sort_unstable();
        keys.dedup();
        let number = |key: Key| {
            let (must, may) = self.numbers(key);
            let slack = 1 + must * FORGIVEN / 100;
            let least = left.blocks.div_ceil(must + may + slack).max(1);
            let most = left.blocks / must.saturating_sub(slack).max(1);
            (must >= LEAST && least == most).then_some((key, least))
        };
        keys.into_iter().filter_map(number).collect()
    }

    /// The requests of these keys, each with how many blocks it is to have beside those that are proved its own.
    fn claims(
        &self,
        parts: &[(Key, u64)],
        reach: Reach,
        proved: &FxHashMap<RequestId, u64>,
    ) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (part, (key, each)) in parts.iter().enumerate() {
            let label = self.groups.label_of(*key);
            for group in self.groups.members(Key::Label(label)) {
                let is_own = self.groups.contains(*key, *group);
                if !is_own && self.numbers[*group as usize].1.is_some() {
                    continue;
                }
                for request in &self.requests[*group as usize] {
                    let record = &self.records[*request as usize];
                    let lag =
                        reach.map_or(0, |lag| self.sweeps[record.process as usize].lasts(lag));
                    let until = record.end.map_or(u64::MAX, |end| end.saturating_add(lag));
                    claims.push(Claim {
                        process: record.process,
                        from: record.start,
                        until,
                        request: *request,
                        part,
                        wants: each.saturating_sub(proved.get(request).copied().unwrap_or(0)),
                        must: is_own && record.end.is_some(),
                    });
                }
            }
        }
        claims.sort_by_key(|claim| (claim.process, claim.from));
        claims
    }

    /// Whether the deficit is next to nothing.
    fn fits(&mut self, left: &Left, parts: Vec<(Key, u64)>, reach: Reach) -> Option<Fitting> {
        let claims = self.claims(&parts, reach, &left.proved);
        let lots = match parts.len() {
            1 => vec![Vec::new()],
            _ => vec![left.lots(), Vec::new()],
        };
        let must = claims.iter().filter(|claim| claim.must).count() as u64;
        let each = parts.iter().map(|(_, each)| *each).max().unwrap_or(0);
        let abroad = self.abroad(left, &parts);
        for lots in lots {
            let work = (claims.len() + left.pieces.len()) as u64;
            self.work = self.work.checked_sub(work)?;
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

    /// What is proved to be others', or is more than a request is to have.
    fn abroad(&self, left: &Left, parts: &[(Key, u64)]) -> u64 {
        let more = left.proved.iter().map(|(request, blocks)| {
            let mut own = parts
                .iter()
                .filter(|(key, _)| self.groups.has(*key, *request));
            blocks.saturating_sub(own.next().map_or(0, |(_, each)| *each))
        });
        more.sum()
    }

    /// Whether blocks that any requests make would fit far worse.
    fn is_apart(&mut self, left: &Left, fitting: &Fitting) -> bool {
        let claims = self.claims(&fitting.parts, fitting.reach, &FxHashMap::default());
        let work = WORLDS * 4 * claims.len() as u64;
        let Some(rest) = self
            .work
            .checked_sub(work)
            .filter(|_| !self.ended.is_empty())
        else {
            return false;
        };
        self.work = rest;
        let must = claims.iter().filter(|claim| claim.must);
        let made: Vec<u64> = must.map(|claim| claim.wants).collect();
        let total: u64 = made.iter().sum();
        // What was found is of as many blocks as these.
        let deficit = fitting.deficit as f64 * total as f64 / left.blocks.max(1) as f64;
        // The fewer there are, the coarser is what can be seen of the deviation.
        let each = total as f64 / made.len().max(1) as f64;
        let mut dice = Dice(left.blocks);
        let mut is_apart = |world: &dyn Fn(&mut Dice) -> Vec<Piece>| {
            let deficits: Vec<f64> = (0..WORLDS)
                .map(|_| {
                    let mut pieces = world(&mut dice);
                    pieces.sort_by_key(|piece| (piece.process, piece.born));
                    serve(&pieces, (&claims, &fitting.lots), |_, _, _| {}) as f64
                })
                .collect();
            let mean = deficits.iter().sum::<f64>() / WORLDS as f64;
            let squares = deficits.iter().map(|deficit| (deficit - mean).powi(2));
            let deviation = (squares.sum::<f64>() / WORLDS as f64).sqrt();
            mean - deficit >= APART * deviation.max(each)
        };
        let by_any = |dice: &mut Dice| {
            made.iter()
                .map(|blocks| self.by_any(*blocks, dice))
                .collect()
        };
        is_apart(&by_any) && is_apart(&|dice| by_clock(left, &made, dice))
    }

    /// Blocks that some request made, some time.
    fn by_any(&self, blocks: u64, dice: &mut Dice) -> Piece {
        let at = (dice.next() * self.ended.len() as f64) as usize;
        let record = &self.records[self.ended[at.min(self.ended.len() - 1)] as usize];
        let lasted = record.end.unwrap_or(record.start) - record.start;
        Piece {
            process: record.process,
            born: record.start + (dice.next() * lasted as f64) as u64,
            blocks,
        }
    }

    /// Two labels that fit together, each with a number of its own.
    fn pairs(&mut self, left: &Left) -> Vec<Fitting> {
        let mut labels: Vec<(u64, LabelId)> = Vec::new();
        let mut known = FxHashSet::default();
        for group in 0..self.groups.count() as GroupId {
            let label = self.groups.label(group);
            if known.insert(label) {
                labels.push((self.numbers(Key::Label(label)).0, label));
            }
        }
        labels.retain(|(requests, _)| (LEAST..left.blocks).contains(requests));
        labels.sort_unstable_by(|left, right| right.cmp(left));
        labels.truncate(PAIRED);
        let mut fitting = Vec::new();
        for (at, (_, one)) in labels.iter().enumerate() {
            for (_, other) in &labels[at + 1..] {
                let numbers = self.numbers_of_two(left, [*one, *other]).into_iter();
                let mut fits = numbers.filter_map(|parts| self.fits(left, parts, None));
                fitting.extend(fits.next());
            }
        }
        fitting
    }

    /// How many blocks each of two labels' requests may have left: as many as are made at a time, or what is estimated.
    fn numbers_of_two(&self, left: &Left, labels: [LabelId; 2]) -> Vec<Vec<(Key, u64)>> {
        let [one, other] = labels.map(Key::Label);
        let lots = left.lots();
        let pairs = lots
            .iter()
            .flat_map(|first| lots.iter().map(move |second| (first, second)));
        let [(of_one, open_one), (of_other, open_other)] =
            [one, other].map(|key| self.numbers(key));
        let fits = |(first, second): &(&u64, &u64)| {
            let least = *first * of_one + *second * of_other;
            let most = *first * (of_one + open_one) + *second * (of_other + open_other);
            let slack = *(*first).max(second) + least * FORGIVEN / 100;
            (least.saturating_sub(slack)..=most + slack).contains(&left.blocks)
        };
        let of_lots = pairs.filter(fits);
        let mut all: Vec<Vec<(Key, u64)>> = of_lots
            .map(|(first, second)| vec![(one, *first), (other, *second)])
            .collect();
        all.extend(self.estimated(left, labels));
        all
    }

    /// Estimated by least squares over windows of time, and what is next to that.
    fn estimated(&self, left: &Left, labels: [LabelId; 2]) -> Vec<Vec<(Key, u64)>> {
        let keys = labels.map(Key::Label);
        let ends = keys.map(|key| {
            let claims = self.claims(&[(key, 1)], None, &FxHashMap::default());
            let must = claims.into_iter().filter(|claim| claim.must);
            let middle = |claim: Claim| (claim.process, claim.from / 2 + claim.until / 2);
            let mut middles: Vec<(u32, u64)> = must.map(middle).collect();
            middles.sort_unstable();
            middles
        });
        // As many pieces in each window.
        let size = left.pieces.len().div_ceil(WINDOWS).max(1);
        let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut passed = [0, 0];
        for window in left.pieces.chunks(size) {
            let last = window[window.len() - 1];
            let until = (last.process, last.born);
            let counts: Vec<f64> = (0..2)
                .map(|at| {
                    let now = ends[at].partition_point(|end| *end <= until);
                    let count = now - passed[at];
                    passed[at] = now;
                    count as f64
                })
                .collect();
            let (a, b) = (counts[0], counts[1]);
            let y = window.iter().map(|piece| piece.blocks).sum::<u64>() as f64;
            (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
            (ay, by) = (ay + a * y, by + b * y);
        }
        let determinant = aa * bb - ab * ab;
        if determinant <= 0.0 {
            return Vec::new();
        }
        let one = ((ay * bb - by * ab) / determinant).round();
        let numbers = ends.map(|ends| ends.len() as f64);
        let tried = [0.0, 1.0, -1.0, 2.0, -2.0].map(|more| one + more);
        let parts = tried.into_iter().filter_map(|one| {
            let other = ((left.blocks as f64 - one * numbers[0]) / numbers[1]).round();
            let both = one >= 1.0 && other >= 1.0;
            both.then(|| vec![(keys[0], one as u64), (keys[1], other as u64)])
        });
        parts.collect()
    }

    /// To whom each of these blocks is given, by its place: requests, and how many blocks.
    pub(super) fn given(
        &self,
        found: &Counted,
        process: u32,
        pieces: &[(u64, u64)],
        proved: &FxHashMap<RequestId, u64>,
    ) -> Vec<Vec<(RequestId, u64)>> {
        let mut claims = self.claims(&found.fitting.parts, found.fitting.reach, proved);
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
            let blocks = |(key, each): &(Key, u64)| (self.numbers(*key).0 * each) as f64;
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
            let label = labels.get(self.groups.label_of(*key) as usize);
            let group = self.groups.members(*key).first();
            let status = group.and_then(|group| self.numbers[*group as usize].1);
            let status = match (key, status) {
                (Key::Group(_), Some(status)) => format!(" answered with {status}"),
                _ => String::new(),
            };
            format!(
                "each of {} {} requests{status} left {}",
                count(self.numbers(*key).0),
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

impl Left {
    /// What is left of a site; `None` where numbers can't tell: some was freed, or is a part of what there was.
    fn of(
        site: SiteId,
        places: &[(usize, usize)],
        (parts, processes): (&Parts, &[&mut Finished]),
    ) -> Option<Left> {
        let mut left = Left::default();
        for (process, at) in places {
            let loose = &processes[*process].loose[*at];
            if loose.is_stack || loose.collected {
                return None;
            }
            left.pieces.push(Piece {
                process: *process as u32,
                born: loose.born,
                blocks: loose.served.blocks,
            });
        }
        for (_, part) in parts.of_site(site, processes) {
            if part.sample.is_partial() || part.has_frees() || !part.outside_births.is_empty() {
                return None;
            }
            for kept in &part.retained {
                *left.proved.entry(kept.request).or_default() += kept.blocks;
            }
        }
        Some(left.sorted())
    }

    /// How many blocks are made at a time, where that is one of a few numbers as a rule.
    fn lots(&self) -> Vec<u64> {
        let mut lots: FxHashMap<u64, usize> = FxHashMap::default();
        for piece in &self.pieces {
            *lots.entry(piece.blocks).or_default() += 1;
        }
        lots.retain(|_, count| *count * OF_A_LOT >= self.pieces.len());
        let mut lots: Vec<u64> = lots.into_keys().collect();
        lots.sort_unstable();
        lots
    }

    fn together<'l>(all: impl Iterator<Item = &'l Left>) -> Left {
        let mut together = Left::default();
        for left in all {
            together.pieces.extend(&left.pieces);
            for (request, blocks) in &left.proved {
                *together.proved.entry(*request).or_default() += blocks;
            }
        }
        together.sorted()
    }

    fn sorted(mut self) -> Left {
        self.pieces.sort_by_key(|piece| (piece.process, piece.born));
        let pieces = self.pieces.iter().map(|piece| piece.blocks);
        self.blocks = pieces.chain(self.proved.values().copied()).sum();
        self
    }
}

/// As many blocks as a clock would have made, in each process, from the first that is left to the last.
fn by_clock(left: &Left, made: &[u64], dice: &mut Dice) -> Vec<Piece> {
    let mut made = made.iter();
    let total = left.pieces.len().max(1);
    let all = made.len();
    let mut pieces = Vec::new();
    for of_process in left
        .pieces
        .chunk_by(|one, other| one.process == other.process)
    {
        let (first, last) = (of_process[0], of_process[of_process.len() - 1]);
        let count = (all * of_process.len()).div_ceil(total);
        let step = (last.born - first.born) as f64 / count.saturating_sub(1).max(1) as f64;
        let phase = dice.next() - 0.5;
        let ticks = (0..count).zip(made.by_ref());
        pieces.extend(ticks.map(|(at, blocks)| Piece {
            process: first.process,
            born: (first.born as f64 + (at as f64 + phase) * step).max(0.0) as u64,
            blocks: *blocks,
        }));
    }
    pieces
}

/// Gives the blocks to requests, in their order: each to the one in flight that ends first; where all want as many as are
/// made at a time (`lots`), to one that wants just so many. Tells `give` the place of the blocks, the request, and how
/// many; gives how many found none, or were missing.
fn serve(
    pieces: &[Piece],
    (claims, lots): (&[Claim], &[u64]),
    mut give: impl FnMut(usize, RequestId, u64),
) -> u64 {
    let mut serving = Serving::new(claims, lots);
    for (place, piece) in pieces.iter().enumerate() {
        serving.comes_to(piece.process, piece.born);
        let mut rest = piece.blocks;
        while rest > 0 {
            let Some(at) = serving.next(piece.born, rest) else {
                serving.deficit += rest;
                break;
            };
            let given = rest.min(serving.wants[at]);
            serving.wants[at] -= given;
            rest -= given;
            give(place, claims[at].request, given);
        }
    }
    serving.ends()
}

/// Requests that wait for their blocks.
struct Serving<'c> {
    claims: &'c [Claim],
    wants: Vec<u64>,
    /// By part: when each ends, and its place.
    waiting: Vec<BinaryHeap<Reverse<(u64, usize)>>>,
    /// The next that begins.
    next: usize,
    process: u32,
    /// Those who want just so many come first.
    by_lots: bool,
    deficit: u64,
}

impl<'c> Serving<'c> {
    fn new(claims: &'c [Claim], lots: &[u64]) -> Self {
        let parts = claims.iter().map(|claim| claim.part + 1).max();
        Serving {
            claims,
            wants: claims.iter().map(|claim| claim.wants).collect(),
            waiting: vec![BinaryHeap::new(); parts.unwrap_or(0)],
            next: 0,
            process: 0,
            by_lots: claims.iter().all(|claim| lots.contains(&claim.wants)),
            deficit: 0,
        }
    }

    /// What is missing of one that waits no more.
    fn goes(&mut self, at: usize) {
        if self.claims[at].must {
            self.deficit += self.wants[at];
        }
    }

    /// So late is it: requests have begun.
    fn comes_to(&mut self, process: u32, stamp: u64) {
        if process != self.process {
            self.process = process;
            for of_part in std::mem::take(&mut self.waiting) {
                for Reverse((_, at)) in of_part.iter() {
                    self.goes(*at);
                }
                self.waiting.push(BinaryHeap::new());
            }
        }
        while let Some(claim) = self.claims.get(self.next)
            && (claim.process, claim.from) <= (process, stamp)
        {
            match claim.process == process {
                true => self.waiting[claim.part].push(Reverse((claim.until, self.next))),
                false => self.goes(self.next),
            }
            self.next += 1;
        }
    }

    /// Who is served next with so many.
    fn next(&mut self, stamp: u64, blocks: u64) -> Option<usize> {
        let mut first: Option<(bool, u64, usize)> = None;
        for part in 0..self.waiting.len() {
            while let Some(Reverse((until, at))) = self.waiting[part].peek().copied() {
                if until >= stamp && self.wants[at] > 0 {
                    let one = (self.by_lots && self.wants[at] != blocks, until, at);
                    first = Some(first.map_or(one, |first| first.min(one)));
                    break;
                }
                self.waiting[part].pop();
                self.goes(at);
            }
        }
        first.map(|(.., at)| at)
    }

    /// All blocks are given.
    fn ends(mut self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting);
        for Reverse((_, at)) in waiting.iter().flatten() {
            self.goes(*at);
        }
        for at in self.next..self.claims.len() {
            self.goes(at);
        }
        self.deficit
    }
}

/// A small generator of pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
