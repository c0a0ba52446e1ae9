//! The blocks of which nothing proves whose they are, and what is looked at of them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::flight::Sweep;
use super::groups::Groups;
use super::parts::Parts;
use super::site::{self, Doubt, Observation, Observed};
use crate::ledger::Finished;
use crate::requests::record::Record;
use crate::sites::{SiteId, Sites};

/// Observations that are looked at of call sites by their rank in bytes; the others follow from them.
const OBSERVED: [(usize, usize); 3] = [(12, 4_000), (200, 800), (usize::MAX, 150)];

/// The blocks of which nothing proves whose they are.
#[derive(Debug, Default)]
pub(super) struct Unproved {
    /// Where they lie: processes, and places in their lists.
    pub(super) by_site: FxHashMap<SiteId, Vec<(usize, usize)>>,
    /// Call sites where some of what is left is bounded, and some is not.
    pub(super) mixed: FxHashSet<SiteId>,
    /// Call sites whose proofs may prove nothing.
    pub(super) doubtful: FxHashMap<SiteId, Doubt>,
}

impl Unproved {
    pub(super) fn of(processes: &[&mut Finished], records: &[Record], sites: &Sites) -> Unproved {
        let mut by_site: FxHashMap<SiteId, Vec<(usize, usize)>> = FxHashMap::default();
        for (process, finished) in processes.iter().enumerate() {
            for (at, loose) in finished.loose.iter().enumerate() {
                by_site.entry(loose.site).or_default().push((process, at));
            }
        }
        // What is bounded has other causes than what is not, and the question is whose that is.
        let is_bounded =
            |(process, at): &(usize, usize)| processes[*process].loose[*at].is_bounded();
        let mut mixed = FxHashSet::default();
        for (site, places) in &mut by_site {
            if !places.iter().all(is_bounded) {
                places.retain(|place| !is_bounded(place));
                mixed.insert(*site);
            }
        }
        let mut doubtful = site::doubtful(processes, &by_site);
        // Whoever takes from a free list is at one place with all others: what these do says nothing of it, but where a
        // loop's callbacks may have had their turn between two tasks.
        let tasks_serve = records.iter().any(|record| record.thread != record.host);
        doubtful.retain(|site, _| tasks_serve || !sites.is_free_list(*site));
        Unproved {
            by_site,
            mixed,
            doubtful,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_site.is_empty() && self.doubtful.is_empty()
    }
}

/// Chooses what is looked at of each site, and looks.
pub(super) fn observe(
    (parts, processes): (&Parts, &[&mut Finished]),
    unproved: &Unproved,
    groups: &Groups,
    sweeps: &mut [Sweep],
) -> Vec<(SiteId, Observed)> {
    let (by_site, doubtful) = (&unproved.by_site, &unproved.doubtful);
    let mut order: Vec<(u64, SiteId)> = by_site
        .iter()
        .map(|(site, places)| {
            let bytes =
                |(process, at): &(usize, usize)| processes[*process].loose[*at].served.bytes;
            (places.iter().map(bytes).sum(), *site)
        })
        .collect();
    let others = doubtful.keys().filter(|site| !by_site.contains_key(site));
    order.extend(others.map(|site| (0, *site)));
    order.sort_unstable_by(|left, right| right.cmp(left));
    let pauses: Vec<u64> = sweeps.iter().map(Sweep::pause).collect();
    let mut all: Vec<(SiteId, Observed)> = order
        .iter()
        .enumerate()
        .map(|(rank, (_, site))| {
            let most = OBSERVED.iter().find(|(ranks, _)| rank < *ranks);
            let most = most.map_or(0, |(_, most)| *most);
            let places = by_site.get(site).map_or(&[][..], Vec::as_slice);
            (
                *site,
                Observed::of(*site, (parts, processes), places, (most, &pauses)),
            )
        })
        .collect();
    for sweep in sweeps.iter_mut() {
        let process = sweep.process();
        let mut wanted: Vec<&mut Observation> = all
            .iter_mut()
            .flat_map(|(_, observed)| &mut observed.all)
            .filter(|observation| observation.process == process)
            .collect();
        wanted.sort_by_key(|observation| observation.born);
        sweep.look(&mut wanted, groups);
    }
    all.iter_mut()
        .for_each(|(_, observed)| observed.merge_bursts(&pauses));
    all
}
