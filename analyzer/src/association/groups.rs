//! Labels and statuses, numbered: what requests are told apart by.

use rustc_hash::FxHashMap;

use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// A label and a status.
pub(super) type GroupId = u32;
/// No group.
const NONE: GroupId = GroupId::MAX;

/// A label, or a label's answers with one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Label(LabelId),
    Group(GroupId),
}

/// All groups of a trace.
#[derive(Debug, Default)]
pub(super) struct Groups {
    of_requests: Vec<GroupId>,
    labels: Vec<LabelId>,
    requests: Vec<u64>,
    of_labels: FxHashMap<LabelId, Vec<GroupId>>,
    total: u64,
}

impl Groups {
    pub(super) fn of(records: &[Record]) -> Groups {
        let mut ids: FxHashMap<(LabelId, Option<u32>), GroupId> = FxHashMap::default();
        let mut groups = Groups::default();
        for record in records {
            let Some(label) = record.label.filter(|_| !record.void) else {
                groups.of_requests.push(NONE);
                continue;
            };
            let next = groups.labels.len() as GroupId;
            let group = *ids.entry((label, record.status)).or_insert(next);
            if group == next {
                groups.labels.push(label);
                groups.requests.push(0);
                groups.of_labels.entry(label).or_default().push(group);
            }
            groups.requests[group as usize] += 1;
            groups.total += 1;
            groups.of_requests.push(group);
        }
        groups
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.labels.len()
    }

    /// The request's group; `None` for what was no request.
    pub(super) fn of_request(&self, request: RequestId) -> Option<GroupId> {
        let group = self.of_requests.get(request as usize).copied();
        group.filter(|group| *group != NONE)
    }

    pub(super) fn label(&self, group: GroupId) -> LabelId {
        self.labels[group as usize]
    }

    /// The label of a key.
    pub(super) fn label_of(&self, key: Key) -> LabelId {
        match key {
            Key::Label(label) => label,
            Key::Group(group) => self.label(group),
        }
    }

    /// Whether the label has several statuses.
    pub(super) fn has_statuses(&self, label: LabelId) -> bool {
        self.of_labels
            .get(&label)
            .is_some_and(|groups| groups.len() > 1)
    }

    /// The groups of a key.
    pub(super) fn members(&self, key: Key) -> &[GroupId] {
        match &key {
            Key::Label(label) => self.of_labels.get(label).map_or(&[], Vec::as_slice),
            Key::Group(group) => {
                let label = self.label(*group);
                let all = self.of_labels.get(&label).map_or(&[][..], Vec::as_slice);
                let at = all.iter().position(|other| other == group).unwrap_or(0);
                all.get(at..=at).unwrap_or(&[])
            }
        }
    }

    pub(super) fn contains(&self, key: Key, group: GroupId) -> bool {
        match key {
            Key::Label(label) => self.label(group) == label,
            Key::Group(only) => only == group,
        }
    }

    /// Whether the request is of the key's.
    pub(super) fn has(&self, key: Key, request: RequestId) -> bool {
        let group = self.of_request(request);
        group.is_some_and(|group| self.contains(key, group))
    }

    /// The share of all requests that are of this group.
    pub(super) fn share(&self, group: GroupId) -> f64 {
        self.requests[group as usize] as f64 / self.total.max(1) as f64
    }

    /// How many labels have a twentieth of the requests each, at least one.
    pub(super) fn frequent(&self) -> usize {
        let large = |requests: &&u64| **requests * 20 >= self.total;
        self.requests.iter().filter(large).count().max(1)
    }
}
