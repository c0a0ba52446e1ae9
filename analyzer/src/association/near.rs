//! Requests that had ended shortly before a moment, and those that began shortly after.

use rustc_hash::FxHashSet;

use super::flight::{Lag, Sweep};
use super::groups::Groups;
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;

/// On which side of a moment a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Side {
    /// It had ended shortly before: it may have left work to be done.
    Before,
    /// It began shortly after: work may be done ahead.
    After,
}

/// So many requests are looked at on each side of a moment at most.
const MOST: usize = 256;

/// A request near a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    pub(super) side: Side,
    pub(super) label: LabelId,
    pub(super) request: RequestId,
    /// How far it was, from 0 to 1: as part of the longest lag.
    pub(super) far: f32,
    /// The same in ticks.
    pub(super) ticks: u64,
}

/// Ends and begins of a process's requests, each in their order.
#[derive(Debug, Default)]
pub(super) struct Order {
    ends: Vec<(u64, RequestId)>,
    begins: Vec<(u64, RequestId)>,
    lag: u64,
}

impl Order {
    pub(super) fn of(sweep: &Sweep) -> Order {
        let (mut ends, mut begins) = (Vec::new(), Vec::new());
        for (stamp, request, begin) in sweep.changes() {
            let side = if begin { &mut begins } else { &mut ends };
            side.push((stamp, request));
        }
        Order {
            ends,
            begins,
            lag: sweep.lasts(Lag::Long).max(1),
        }
    }

    /// The nearest request of each label on each side of the moment.
    pub(super) fn near(&self, stamp: u64, groups: &Groups) -> Vec<Near> {
        let until = self.ends.partition_point(|end| end.0 <= stamp);
        let from = self.begins.partition_point(|begin| begin.0 <= stamp);
        let before = self.ends[..until].iter().rev();
        let after = self.begins[from..].iter();
        let mut near = self.on(Side::Before, before, stamp, groups);
        near.extend(self.on(Side::After, after, stamp, groups));
        near
    }

    fn on<'o>(
        &self,
        side: Side,
        requests: impl Iterator<Item = &'o (u64, RequestId)>,
        stamp: u64,
        groups: &Groups,
    ) -> Vec<Near> {
        let mut known: FxHashSet<LabelId> = FxHashSet::default();
        let within = requests.take_while(|other| other.0.abs_diff(stamp) <= self.lag);
        let near = |(at, request): &(u64, RequestId)| {
            let label = groups.label(groups.of_request(*request)?);
            known.insert(label).then(|| Near {
                side,
                label,
                request: *request,
                far: (at.abs_diff(stamp) as f64 / self.lag as f64) as f32,
                ticks: at.abs_diff(stamp),
            })
        };
        within.take(MOST).filter_map(near).collect()
    }
}
