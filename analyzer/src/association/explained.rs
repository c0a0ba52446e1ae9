//! What was found to explain a call site's blocks.

use super::component::Component;
use super::groups::Groups;
use crate::ledger::holding::Hints;
use crate::requests::label::LabelId;

/// The background's share at most where a label explains most of something.
const MOSTLY: f64 = 0.3;

/// What is in flight explains a call site where it explains this part of it.
const BY_FLIGHT: f64 = 0.95;

/// What explains a call site's blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Explained {
    /// The components, and the share of each.
    pub(super) shares: Vec<(Component, f64)>,
    /// The same of those whose worker is known to have been given its work; none: as of all.
    pub(super) given: Vec<(Component, f64)>,
    /// Two labels of which either explains the blocks that no chosen one does.
    pub(super) undecided: Option<(LabelId, LabelId)>,
    /// Of the observations without proof, the part that the background explains.
    pub(super) unproved_background: f64,
}

impl Explained {
    /// The shares of blocks with such hints.
    pub(super) fn shares_of(&self, hints: Hints) -> &[(Component, f64)] {
        match hints.task.is_some() && !self.given.is_empty() {
            true => &self.given,
            false => &self.shares,
        }
    }

    /// Labels that explain any of it, each once.
    pub(super) fn labels(&self, groups: &Groups) -> Vec<LabelId> {
        let all = self.shares.iter().chain(&self.given);
        let keys = all.filter_map(|(component, _)| component.key());
        let mut labels: Vec<LabelId> = keys.map(|key| groups.label_of(key)).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether labels explain most of it.
    pub(super) fn explains_most(&self) -> bool {
        let labels = self
            .shares
            .iter()
            .filter(|(component, _)| component.key().is_some());
        labels.map(|(_, share)| share).sum::<f64>() >= 1.0 - MOSTLY
    }

    /// Whether labels explain it by what was in flight alone.
    pub(super) fn is_by_flight(&self) -> bool {
        let by_flight = self.shares.iter().filter(|(component, _)| {
            matches!(component, Component::Flight(_) | Component::Phase(_))
        });
        by_flight.map(|(_, share)| share).sum::<f64>() >= BY_FLIGHT
    }

    /// Whether labels explain most of it by hints at single requests.
    pub(super) fn is_by_hint(&self) -> bool {
        let all = self.shares.iter();
        let by_hint = all.filter(|(component, _)| component.hint().is_some());
        by_hint.map(|(_, share)| share).sum::<f64>() >= 0.5
    }

    /// Whether one label explains most of it, and no other any.
    pub(super) fn is_mostly_one(&self, groups: &Groups) -> bool {
        self.explains_most() && self.labels(groups).len() == 1
    }

    /// Whether one label explains it all.
    pub(super) fn is_simple(&self, groups: &Groups) -> bool {
        let all = self
            .shares
            .iter()
            .all(|(component, _)| component.key().is_some());
        all && self.labels(groups).len() == 1
    }
}
