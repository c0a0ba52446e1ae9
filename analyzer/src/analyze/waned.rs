//! Call sites of which nobody is known to make the blocks, and which may have been some endpoint's that is asked for no
//! more: that nothing comes there any more tells nothing then.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sites::SiteId;
use crate::trace::ProcessId;

/// A label was asked for as a rule with so many requests, ...
const LEAST: usize = 12;
/// ... and is no more where at most one in so many of them came later.
const PART: usize = 50;

/// Those of `unclaimed`; `births` are the first and last of what was left there.
pub(super) fn waned(
    unclaimed: &FxHashSet<SiteId>,
    births: &FxHashMap<SiteId, Vec<(ProcessId, u64)>>,
    records: &[Record],
) -> FxHashSet<SiteId> {
    let mut starts: FxHashMap<LabelId, Vec<u64>> = FxHashMap::default();
    for record in records.iter().filter(|record| !record.void) {
        if let Some(label) = record.label.filter(|_| !unclaimed.is_empty()) {
            starts.entry(label).or_default().push(record.start);
        }
    }
    starts.values_mut().for_each(|all| all.sort_unstable());
    let is_over = |site: &&SiteId| {
        let stamps = births.get(*site).into_iter().flatten();
        let Some(last) = stamps.map(|(_, stamp)| *stamp).max() else {
            return false;
        };
        let later = |all: &Vec<u64>| all.len() - all.partition_point(|start| *start <= last);
        let ended = |all: &Vec<u64>| all.len() >= LEAST && later(all) * PART <= all.len();
        let goes_on = starts.values().map(later).sum::<usize>() >= LEAST;
        goes_on && starts.values().any(ended)
    };
    unclaimed.iter().filter(is_over).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of two labels, of which one is asked for no more from the half on, or is.
    fn sites(both: bool) -> FxHashSet<SiteId> {
        let record = |at: u64| {
            let label = match both {
                true => at % 2,
                false => u64::from(at >= 40),
            };
            Record::answered(label as LabelId, (10 * at, 10 * at + 5))
        };
        let records: Vec<Record> = (0..80).map(record).collect();
        let births = FxHashMap::from_iter([(7, vec![(0, 1), (0, 395)])]);
        waned(&FxHashSet::from_iter([7]), &births, &records)
    }

    #[test]
    fn what_ends_with_an_endpoint_tells_nothing() {
        assert!(sites(false).contains(&7));
        assert!(sites(true).is_empty());
    }
}
