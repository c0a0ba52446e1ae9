//! The history of a group at a call site: what the requests of one label and status kept there, and what was freed.

use rustc_hash::FxHashSet;

use super::{Group, Judge};
use crate::analyze::judged::JudgedLabel;
use crate::analyze::late::Late;
use crate::ledger::{Age, FinishedSite, Lives, MEASURES, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::verdict::survival;
use crate::verdict::told::Collection;

impl Judge<'_> {
    /// Lives of what was freed at the site, by measure.
    pub(super) fn freed(&self, parts: &[(usize, FinishedSite)]) -> [Lives; MEASURES] {
        let mut freed: [Lives; MEASURES] = Default::default();
        for group in parts.iter().flat_map(|(_, site)| &site.lives.groups) {
            for (sum, lives) in freed.iter_mut().zip(&group.freed) {
                sum.merge(lives);
            }
        }
        for (_, site) in parts {
            for (sum, lives) in freed.iter_mut().zip(&site.lives.unowned) {
                sum.merge(lives);
            }
        }
        freed
    }

    /// The statuses of a label's requests that left survivors here.
    pub(super) fn groups(
        &self,
        parts: &[(usize, FinishedSite)],
        label: &JudgedLabel,
    ) -> Vec<Option<u32>> {
        let born = parts.iter().flat_map(|(_, site)| &site.lives.groups);
        let born = born
            .filter(|group| group.label == label.label)
            .map(|group| group.status);
        let kept = label.retained.iter().filter_map(|kept| {
            let record = self.records.get(kept.request as usize)?;
            Some(record.status)
        });
        let mut all: Vec<Option<u32>> = born.chain(kept).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A group's history.
    pub(super) fn group<'s>(
        &'s self,
        parts: &'s [(usize, FinishedSite)],
        label: LabelId,
        status: Option<u32>,
        freed: &[Lives; MEASURES],
        steady: bool,
    ) -> survival::Group<'s> {
        let mut group = survival::Group {
            freed: freed.clone(),
            // Where all allocate at one place, and garbage is freed by spurts, what is live there tells of nobody.
            steady: steady && self.runtime.is_none(),
            runtime: self.runtime,
            sampled: parts.iter().any(|(_, site)| site.sample.is_partial()),
            everywhere: self
                .everywhere
                .get(&(label, status))
                .map_or(&[], Vec::as_slice),
            ..survival::Group::default()
        };
        let retained = parts.iter().flat_map(|(_, site)| &site.retained);
        let of_group =
            |kept: &'s Retained| Some((kept, self.record_of_group(kept, (label, status))?));
        let mut late = Late::of(retained.filter_map(of_group));
        for (process, site) in parts {
            let sequences = &self.sequences[*process];
            let mut part = self.in_process(*process, site, (label, status));
            let all = part.orders.len();
            if let Some(own) = self.own_ways.of(site.id, *process, (label, status)) {
                part.orders = own.to_vec();
            }
            let keeps = |order| {
                let place = part.kept.binary_search_by_key(&order, |kept| kept.order);
                place.is_ok()
            };
            late.remove_unseen(&mut part.orders, keeps, sequences);
            if part.orders.len() < all {
                group.everywhere = &[];
            }
            group.newest += sequences.newest();
            group.survivors += part.lives.map_or(0, |lives| lives.keepings);
            group.survivors += part.kept.len() as u64;
            group.processes.push(part);
        }
        group.is_late = late.shows_little();
        group
    }

    /// The group's history in a process.
    fn in_process<'s>(
        &'s self,
        process: usize,
        site: &'s FinishedSite,
        group: Group,
    ) -> survival::InProcess<'s> {
        let sequences = &self.sequences[process];
        let mut lives = site.lives.groups.iter();
        let lives = lives.find(|lives| (lives.label, lives.status) == group);
        let mut mine = site.retained.iter();
        let associated =
            mine.any(|kept| kept.associated && self.record_of_group(kept, group).is_some());
        let orders = sequences.of_group(group.0, group.1);
        // How often the group has kept something since is not known of what nothing proves. So ages count while its
        // requests come: what they replace is what others of them kept.
        let last = orders.last().filter(|_| associated);
        let ended = sequences.requests();
        let now = Age {
            requests: last.map_or(ended, |last| last + 1),
            visits: site.visits,
            keepings: lives.map_or(0, |lives| lives.keepings),
            time: last.map_or(sequences.served_until(), |last| sequences.ended_when(*last)),
        };
        survival::InProcess {
            gone: sequences.ended_at() < self.served_until,
            orders: orders.to_vec(),
            untold: match self.may_be_garbage {
                true => &self.collectors[process].untold,
                false => &[],
            },
            // Not one: it is no process that served one request alone.
            ended: now.requests.max(ended.min(2)),
            kept: self.kept_of_group(site, group, now),
            lives,
            mass_death: site.lives.mass_death,
            collection: self.collection(process),
            unowned: associated.then_some(&site.lives.unowned),
        }
    }

    /// What a group's requests kept of a call site in a process, by their places; `now`: its age at the end.
    fn kept_of_group(&self, site: &FinishedSite, group: Group, now: Age) -> Vec<survival::Kept> {
        // A request counts once, unless it stands for others of its label.
        let mut seen: FxHashSet<RequestId> = FxHashSet::default();
        let used = site
            .retained
            .iter()
            .filter(|kept| kept.is_used() && (kept.untold || seen.insert(kept.request)));
        let of_group = used.filter_map(|kept| {
            let record = self.record_of_group(kept, group)?;
            let order = u64::from(*self.orders.get(kept.request as usize)?);
            let age = match kept.birth {
                Some(birth) => survival::age(now, birth),
                None => [
                    Some(now.requests.saturating_sub(order + 1)),
                    None,
                    None,
                    Some(now.time.saturating_sub(record.end.unwrap_or(now.time))),
                ],
            };
            Some(survival::Kept {
                request: kept.request,
                order,
                age,
                first: false,
                judged: kept.judged,
            })
        });
        let mut kept: Vec<survival::Kept> = of_group.collect();
        kept.sort_unstable_by_key(|kept| kept.order);
        if let Some(first) = kept.first_mut() {
            first.first = true;
        }
        kept
    }

    /// The request that kept this, if it is one of the group's.
    pub(super) fn record_of_group(&self, kept: &Retained, group: Group) -> Option<&Record> {
        let record = self.records.get(kept.request as usize)?;
        ((record.label, record.status) == (Some(group.0), group.1)).then_some(record)
    }

    /// The last collection of everything that the blocks at the site may have waited for.
    fn collection(&self, process: usize) -> Option<Collection> {
        let collected = &self.collectors[process];
        match self.runtime?.is_told_by_deaths {
            true => collected.collection_by_deaths,
            false => collected.collection,
        }
    }
}
