//! Call sites of a process that turn out to be one.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::{Finished, FinishedSite, OutsideSeries, Reached, SLICES};
use crate::sites::SiteId;

impl Finished {
    /// Puts together the sites for which `site_of` gives the same one.
    pub fn merge(&mut self, site_of: impl Fn(SiteId) -> SiteId) {
        let mut places: FxHashMap<SiteId, usize> = FxHashMap::default();
        let mut sites: Vec<FinishedSite> = Vec::with_capacity(self.sites.len());
        for mut site in std::mem::take(&mut self.sites) {
            site.id = site_of(site.id);
            match places.entry(site.id) {
                Entry::Vacant(place) => {
                    place.insert(sites.len());
                    sites.push(site);
                }
                Entry::Occupied(place) => sites[*place.get()].absorb(site),
            }
        }
        self.sites = sites;
        for lived in &mut self.lived {
            lived.site = site_of(lived.site);
        }
        for standing in &mut self.standings {
            standing.merge(&site_of);
        }
        // Who came to two of them is not known: at most all of the process's requests did.
        let mut reached: FxHashMap<SiteId, Reached> = FxHashMap::default();
        for part in std::mem::take(&mut self.reached) {
            let site = site_of(part.site);
            let sum = reached.entry(site).or_insert_with(|| Reached {
                site,
                requests: 0,
                abroad: Vec::new(),
            });
            sum.requests = (sum.requests + part.requests).min(self.ends.len() as u64);
            sum.abroad.extend(part.abroad);
        }
        self.reached = reached.into_values().collect();
    }
}

impl FinishedSite {
    /// Takes in another site's blocks.
    fn absorb(&mut self, other: FinishedSite) {
        for (label, blocks) in other.labels {
            match self.labels.binary_search_by_key(&label, |known| known.0) {
                Ok(at) => self.labels[at].1 += blocks,
                Err(at) => self.labels.insert(at, (label, blocks)),
            }
        }
        self.survivor_blocks += other.survivor_blocks;
        self.survivor_bytes += other.survivor_bytes;
        self.live_blocks += other.live_blocks;
        self.live_bytes += other.live_bytes;
        self.before_exit += other.before_exit;
        self.outside_blocks += other.outside_blocks;
        self.outside_bytes += other.outside_bytes;
        self.outside_before_exit += other.outside_before_exit;
        self.reallocations += other.reallocations;
        self.retained.extend(other.retained);
        // Visits and keepings were counted at each by itself.
        self.retained.iter_mut().for_each(|kept| kept.birth = None);
        self.types.extend(other.types);
        self.live_log = self.live_log.plus(&other.live_log);
        self.survivor_log.absorb(&other.survivor_log);
        self.outside.absorb(&other.outside);
        self.outside_births.extend(other.outside_births);
        self.outside_births.sort_unstable();
        self.outside_births.dedup();
        for (sum, lives) in self.outside_lives.iter_mut().zip(&*other.outside_lives) {
            sum.merge(lives);
        }
        if let Some(lives) = other.lives.into_inner() {
            self.lives.absorb(lives);
        }
        self.visits += other.visits;
        for open in other.open {
            match self.open.iter_mut().find(|own| own.request == open.request) {
                Some(own) => own.absorb(&open),
                None => self.open.push(open),
            }
        }
    }
}

impl OutsideSeries {
    fn absorb(&mut self, other: &OutsideSeries) {
        self.before.0 += other.before.0;
        self.before.1 += other.before.1;
        self.bounded += other.bounded;
        let (sum, more) = (&mut *self.served, &*other.served);
        sum.births.absorb(&more.births);
        sum.collected.extend(&more.collected);
        for slice in 0..SLICES {
            sum.retained_blocks[slice] += more.retained_blocks[slice];
            sum.retained_bytes[slice] += more.retained_bytes[slice];
            sum.freed_bytes[slice] += more.freed_bytes[slice];
            sum.live_bytes[slice] += more.live_bytes[slice];
        }
    }
}
