//! How many requests of the same label and status came before each.

use rustc_hash::FxHashMap;

use crate::analysis::early::step;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// See the module's documentation. Of a group only the first request of each step is kept: there may be millions.
#[derive(Debug, Default)]
pub(super) struct Order {
    groups: FxHashMap<(LabelId, Option<u32>), Group>,
}

#[derive(Debug, Default)]
struct Group {
    requests: u64,
    firsts: Vec<RequestId>,
}

impl Order {
    pub(super) fn of(records: &[Record]) -> Order {
        let mut order = Order::default();
        for (request, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
            let Some(label) = record.label else {
                continue;
            };
            let group = order.groups.entry((label, record.status)).or_default();
            // Of several that stand together, the first one tells where they are.
            let step = usize::from(step(group.requests));
            if group.firsts.len() <= step {
                group.firsts.resize(step + 1, request);
            }
            group.requests += u64::from(record.count);
        }
        order
    }

    /// The step in which a request of this label and status is.
    pub(super) fn step(&self, group: (LabelId, Option<u32>), request: RequestId) -> u16 {
        let group = self.groups.get(&group);
        let firsts = group.map_or(&[][..], |group| &group.firsts);
        let reached = firsts.partition_point(|first| *first <= request);
        reached.saturating_sub(1) as u16
    }
}
