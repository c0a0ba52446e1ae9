//! What is thought of a group that is no leak for sure, and how many more requests could tell.

use super::mature::Mature;
use super::{Group, LEVEL, SUSPICIOUS, WARM_UP_REQUESTS};
use crate::analysis::Verdict;

/// A warm-up is of the first requests: this part of all.
const QUARTER: f64 = 0.25;

/// Whether so many that come evenly would hardly all come among the first of all.
pub(in crate::verdict) fn is_no_chance(early: u64) -> bool {
    QUARTER.powf(early as f64) < LEVEL
}

impl Group<'_> {
    /// It is no leak for sure.
    pub(super) fn lesser(&self, found: &Mature, retaining: u64, needs: u64, limit: u64) -> Verdict {
        let mature = found.count;
        if self.survivors == 0 {
            return Verdict::Clean;
        }
        if self.goes_with_its_process() {
            return Verdict::Bounded;
        }
        if retaining == 0 {
            return Verdict::FreedLater;
        }
        let requests = self.requests();
        let early = self.processes.iter().all(|process| {
            let quarter = process
                .orders
                .get(process.orders.len() / 4)
                .copied()
                .unwrap_or(0);
            process.kept.iter().all(|kept| kept.order < quarter)
        });
        // What a sample has of an even keeping may be early by chance.
        let shown = !self.sampled || is_no_chance(retaining);
        if (early || self.is_early_everywhere()) && shown && requests >= WARM_UP_REQUESTS {
            return Verdict::WarmUp;
        }
        let over = match self.by_time {
            true => found.ends_early(LEVEL),
            false => found.has_fallen(needs),
        };
        if over {
            return Verdict::Bounded;
        }
        let own = self.has_frees();
        match mature {
            0 if retaining <= self.newest && self.freed[0].count() > 0 => Verdict::FreedLater,
            // Of what others kept some was freed: that tells nothing of its own.
            _ if !own => Verdict::TooFewRequests,
            0 if self.steady => Verdict::Bounded,
            0 if self.own_freed() < retaining || !self.is_watched() => Verdict::TooFewRequests,
            0 => Verdict::FreedLater,
            _ if self.steady && !self.is_more_than_a_tail(found, limit, SUSPICIOUS) => {
                Verdict::Bounded
            }
            _ => Verdict::TooFewRequests,
        }
    }

    /// How many more requests could tell.
    pub(super) fn needed(
        &self,
        found: &Mature,
        requests: u64,
        retaining: u64,
        needs: u64,
        limit: u64,
    ) -> u64 {
        let each = requests.div_ceil(retaining.max(1));
        let missing = needs.saturating_sub(found.count);
        let for_warm_up = WARM_UP_REQUESTS.saturating_sub(requests);
        // There are enough, and whether they go on is not clear: half as many requests again show a tendency.
        let for_trend = if missing == 0 { requests / 2 } else { 0 };
        (missing * each + limit)
            .max(for_warm_up)
            .max(for_trend)
            .max(1)
    }
}
