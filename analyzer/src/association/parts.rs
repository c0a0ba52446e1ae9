//! Call sites over all processes: where each one's parts lie, found once. There may be tens of thousands.

use rustc_hash::FxHashMap;

use crate::ledger::{Finished, FinishedSite};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sites::SiteId;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Processes, and places among their sites.
    by_site: FxHashMap<SiteId, Vec<(usize, usize)>>,
    /// How many requests each label has.
    requests: FxHashMap<LabelId, u64>,
}

impl Parts {
    pub(super) fn of(processes: &[&mut Finished], records: &[Record]) -> Parts {
        let mut parts = Parts::default();
        for (process, finished) in processes.iter().enumerate() {
            for (place, site) in finished.sites.iter().enumerate() {
                let of_site = parts.by_site.entry(site.id).or_default();
                of_site.push((process, place));
            }
        }
        for record in records.iter().filter(|record| !record.void) {
            if let Some(label) = record.label {
                *parts.requests.entry(label).or_default() += u64::from(record.count);
            }
        }
        parts
    }

    /// A call site's parts, with the places of their processes.
    pub(super) fn of_site<'p>(
        &'p self,
        site: SiteId,
        processes: &'p [&mut Finished],
    ) -> impl Iterator<Item = (usize, &'p FinishedSite)> {
        let places = self.by_site.get(&site).into_iter().flatten();
        places.map(|(process, place)| (*process, &processes[*process].sites[*place]))
    }

    /// How many requests the label has.
    pub(super) fn requests(&self, label: LabelId) -> u64 {
        self.requests.get(&label).copied().unwrap_or(0)
    }
}
