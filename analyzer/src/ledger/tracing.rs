//! When a runtime's collector went over everything in a process: of what is left of what was there before it began, it
//! has told that it was in use then. Of what came later, or went out of use later, it has told nothing.

use crate::sites::SiteId;
use crate::sites::runtimes::Phase;

/// Passes of a process's collector, and the call sites that tell of them.
#[derive(Clone, Debug, Default)]
pub struct Tracing {
    /// Call sites whose backtraces go through the collector. There are some hundreds.
    pub(super) sites: Vec<(SiteId, Phase)>,
    passes: Vec<Pass>,
}

/// What the collector did, from one moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    phase: Phase,
    moment: Moment,
    /// So many requests had ended when it was seen last.
    last: u64,
}

/// A moment of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Its stamp.
    pub stamp: u64,
    /// So many requests had ended.
    pub order: u64,
}

impl Tracing {
    /// What the collector does where this call site allocates.
    pub(super) fn phase(&self, site: SiteId) -> Option<Phase> {
        let mut known = self.sites.iter();
        known
            .find(|(known, _)| *known == site)
            .map(|(_, phase)| *phase)
    }

    /// A forked child's: it has the sites.
    pub(super) fn fork(&self) -> Tracing {
        Tracing {
            sites: self.sites.clone(),
            passes: Vec::new(),
        }
    }

    /// The collector was seen to do this. What it does while no request ends is one pass; marking that goes on beside the
    /// program is one until what it marked is collected.
    pub(super) fn seen(&mut self, phase: Phase, moment: Moment) {
        match self.passes.last_mut() {
            Some(pass)
                if pass.phase == phase && (phase == Phase::Marks || pass.last == moment.order) =>
            {
                pass.last = moment.order;
            }
            _ => self.passes.push(Pass {
                phase,
                moment,
                last: moment.order,
            }),
        }
    }

    /// When the last collection of everything began that was over before this many requests had ended: the mark of what
    /// is in use is made from then on.
    pub fn last_before(&self, ended: u64) -> Option<Moment> {
        let collects = |pass: &Pass| pass.phase == Phase::Collects && pass.last < ended;
        let at = self.passes.iter().rposition(collects)?;
        let before = at.checked_sub(1).map(|before| self.passes[before]);
        let marked = before.filter(|pass| pass.phase == Phase::Marks);
        Some(marked.unwrap_or(self.passes[at]).moment)
    }

    /// How often it went over everything.
    pub fn collections(&self) -> u64 {
        let collects = self.passes.iter();
        collects
            .filter(|pass| pass.phase == Phase::Collects)
            .count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracing(seen: &[(Phase, u64)]) -> Tracing {
        let mut tracing = Tracing::default();
        for (phase, order) in seen {
            let moment = Moment {
                stamp: 10 * order,
                order: *order,
            };
            tracing.seen(*phase, moment);
        }
        tracing
    }

    #[test]
    fn the_last_collection_that_is_over_counts() {
        use Phase::{Collects, Marks};
        let orders = |seen: &[(Phase, u64)], ended| {
            let last = tracing(seen).last_before(ended);
            last.map(|moment| moment.order)
        };
        assert_eq!(orders(&[], 10), None);
        assert_eq!(
            orders(&[(Collects, 3), (Collects, 3), (Collects, 7)], 10),
            Some(7)
        );
        assert_eq!(orders(&[(Collects, 3), (Collects, 10)], 10), Some(3));
        assert_eq!(
            orders(&[(Marks, 2), (Marks, 5), (Collects, 6)], 10),
            Some(2)
        );
        // Marking that is not over tells nothing.
        assert_eq!(orders(&[(Collects, 6), (Marks, 7)], 10), Some(6));
        assert_eq!(orders(&[(Marks, 2)], 10), None);
        assert_eq!(
            tracing(&[(Collects, 3), (Marks, 4), (Collects, 4)]).collections(),
            2
        );
    }
}
