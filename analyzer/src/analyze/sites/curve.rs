//! The survival curve of a call site.

use std::collections::BTreeMap;

use super::Judge;
use crate::analysis::LifeRow;
use crate::ledger::{FinishedSite, Lives};

impl Judge<'_> {
    /// The survival curve: how old what was freed became, and how old what lives is.
    pub(super) fn lives(&self, parts: &[(usize, FinishedSite)], freed: &Lives) -> Vec<LifeRow> {
        let mut alive = Lives::default();
        for (process, site) in parts {
            let ended = self.sequences[*process].requests();
            for kept in site.retained.iter().filter(|kept| kept.is_used()) {
                let order = self.orders.get(kept.request as usize).copied().unwrap_or(0);
                alive.add(ended.saturating_sub(u64::from(order) + 1));
            }
        }
        let mut rows: BTreeMap<u64, LifeRow> = BTreeMap::new();
        for (up_to_requests, count) in freed.classes() {
            rows.entry(up_to_requests).or_default().freed += count;
        }
        for (up_to_requests, count) in alive.classes() {
            rows.entry(up_to_requests).or_default().alive += count;
        }
        let row = |(up_to_requests, row)| LifeRow {
            up_to_requests,
            ..row
        };
        rows.into_iter().map(row).collect()
    }
}
