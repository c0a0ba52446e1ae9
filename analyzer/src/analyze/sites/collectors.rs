//! What a process's collectors have told of the garbage among what is kept.

use super::upgraded::{Upgraded, used_until};
use crate::ledger::{CollectionMoment, Collector, Finished, Retained};
use crate::requests::record::Record;
use crate::verdict::Sequences;
use crate::verdict::told::Collection;

/// What a process's collector has told.
pub(super) struct Collected {
    pub(super) runs: Collector,
    /// The last collection of everything by another runtime's, as its functions tell, and as deaths do.
    pub(super) collection: Option<Collection>,
    pub(super) collection_by_deaths: Option<Collection>,
    /// The places of the requests that ended of which it has told nothing, sorted.
    pub(super) untold: Vec<u64>,
    /// The same of what no request owns, by the places of requests that would have come evenly.
    pub(super) untold_in_time: Vec<u64>,
}

impl Collected {
    pub(super) fn new(
        finished: Finished,
        sequences: &Sequences,
        (records, upgraded): (&[Record], &Upgraded),
    ) -> Collected {
        let runs = finished.collector;
        let last = finished.tracing.last_before(finished.ends.len() as u64);
        let collection = |moment: CollectionMoment| Collection {
            order: moment.order,
            ago: finished.serving.to.saturating_sub(moment.stamp),
        };
        let collection_by_deaths = finished.told_by_deaths.map(collection);
        let collection = last.map(collection);
        let (mut untold, mut untold_in_time) = (Vec::new(), Vec::new());
        if runs.is_known() && !runs.ran_last {
            let full = runs.last_full();
            let first = full.map_or(0, |stamp| sequences.place_in_time(stamp));
            untold_in_time = (first..sequences.places()).collect();
            let ends = (0..).zip(finished.ends).filter(|(_, request)| {
                let record = records.get(*request as usize);
                record.is_some_and(|record| {
                    !runs.has_told(record.start, used_until(record, upgraded))
                })
            });
            untold = ends.map(|(order, _)| order).collect();
        }
        Collected {
            runs,
            collection,
            collection_by_deaths,
            untold,
            untold_in_time,
        }
    }

    /// Tells what it has told of what requests retained.
    pub(super) fn judge(
        &self,
        retained: &mut [Retained],
        (records, upgraded): (&[Record], &Upgraded),
    ) {
        for kept in retained {
            if let Some(record) = records.get(kept.request as usize) {
                let until = used_until(record, upgraded);
                let is_told = self.runs.has_told_of(record.start, until, kept.last);
                kept.judged = self.runs.judge(is_told, kept.collected);
            }
        }
    }
}
