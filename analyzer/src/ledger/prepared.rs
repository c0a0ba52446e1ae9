//! Blocks that a server makes after an answer for the next request of the connection: a buffer to read into, a parser,
//! a request's object.
//!
//! What a worker makes between an answer and its next wait is the answered request's tidying, as far as anybody sees
//! from outside (a loop's, which answers several in a round, may be any of theirs). How such blocks die tells more. Where a call site's are freed, they are freed by the very next request
//! of the same connection, time and again: then they were made for that one, and so were those that stay.

use rustc_hash::FxHashMap;

use super::Ledger;
use super::holding::{Hints, Kind};
use super::site::{SiteFigures, TailEnd};
use crate::requests::record::{Record, RequestId};

/// So many blocks must have been freed by the next request, ...
const SEEN: usize = 3;
/// ... and this part of all that were freed after their own's end, in percent.
const NEARLY_ALL: usize = 90;

/// The next request of its connection, for each that has one.
type Successors = FxHashMap<RequestId, RequestId>;

fn successors(records: &[Record]) -> Successors {
    let mut newest: FxHashMap<u32, RequestId> = FxHashMap::default();
    let mut all = Successors::default();
    for (request, record) in (0..).zip(records) {
        if record.connection != 0
            && !record.void
            && let Some(before) = newest.insert(record.connection, request)
        {
            all.insert(before, request);
        }
    }
    all
}

/// Whether the call site's blocks are made for the next request. Where none followed on the connection, its end has
/// freed what waited for one, and that tells nothing.
fn prepares(ends: &[TailEnd], successors: &Successors) -> bool {
    let followed = ends
        .iter()
        .filter_map(|(request, freed_by)| Some((successors.get(request)?, freed_by)));
    let (mut all, mut by_next) = (0, 0);
    for (next, freed_by) in followed {
        all += 1;
        by_next += usize::from(*freed_by == Some(*next));
    }
    by_next >= SEEN && by_next * 100 >= all * NEARLY_ALL
}

impl Ledger {
    /// What was prepared for the next request is that one's, and nobody's where there is none yet.
    pub(super) fn hand_on_prepared(&mut self, records: &mut [Record]) {
        // A free list of CPython's is many call sites.
        let is_doubtful = |site: &SiteFigures| site.tail_ends.len() >= SEEN && !site.used_again;
        if !self.sites.iter().any(is_doubtful) {
            return;
        }
        let successors = successors(records);
        let prepares =
            |site: &SiteFigures| is_doubtful(site) && prepares(&site.tail_ends, &successors);
        let prepares: Vec<bool> = self.sites.iter().map(prepares).collect();
        for (site, _) in self.sites.iter_mut().zip(&prepares).filter(|of| *of.1) {
            // They were freed within the request that they were made for.
            if site.tails_freed * 100 >= site.lives.deaths() * NEARLY_ALL as u64 {
                site.lives.forget_deaths();
            }
        }
        for holding in &mut self.holdings {
            if !prepares[holding.site as usize] {
                continue;
            }
            // The first of a connection: a new thread makes it before it reads.
            if let Kind::Open(Hints {
                last: None,
                next: Some(next),
                ..
            }) = holding.kind
            {
                holding.kind = Kind::Prepared(Some(next));
            }
            let Some(request) = holding.kind.made_after() else {
                continue;
            };
            let Some(record) = records.get_mut(request as usize) else {
                continue;
            };
            holding.kind = Kind::Prepared(successors.get(&request).copied());
            if holding.ended {
                let (blocks, bytes) = (holding.live_blocks, holding.live_bytes);
                let figures = &mut record.figures;
                figures.survivor_blocks = figures.survivor_blocks.saturating_sub(blocks);
                figures.survivor_bytes = figures.survivor_bytes.saturating_sub(bytes);
                let site = &mut self.sites[holding.site as usize];
                site.survivor_blocks = site.survivor_blocks.saturating_sub(blocks);
                site.survivor_bytes = site.survivor_bytes.saturating_sub(bytes);
                site.survive_less(record.label, blocks);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(pairs: &[(RequestId, RequestId)]) -> Successors {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_next_of_the_connection_frees_them() {
        let next = by(&[(0, 2), (1, 3), (2, 4), (3, 5)]);
        let ends = [(0, Some(2)), (1, Some(3)), (2, Some(4))];
        assert!(prepares(&ends, &next));
        assert!(!prepares(&ends[..2], &next), "too few");
    }

    #[test]
    fn the_end_of_a_connection_tells_nothing() {
        let next = by(&[(0, 2), (1, 3), (2, 4)]);
        let ends = [
            (0, Some(2)),
            (1, Some(3)),
            (2, Some(4)),
            (8, None),
            (9, None),
        ];
        assert!(prepares(&ends, &next));
    }

    #[test]
    fn what_others_free_was_for_all() {
        let next = by(&[(0, 2), (1, 3), (2, 4), (3, 5)]);
        let ends = [(0, Some(2)), (1, Some(3)), (2, Some(4)), (3, Some(9))];
        assert!(!prepares(&ends, &next));
    }
}
