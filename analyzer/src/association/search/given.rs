//! Workers that were given their work by requests' threads.

use rustc_hash::FxHashMap;

use super::super::component::Component;
use super::super::moments::Hint;
use super::{GIVEN, Search};
use crate::requests::label::LabelId;

/// One label gave the work to all where it gave it to this part of them: a new thread may take another job first than
/// that which it was made for.
const SOLE: f64 = 0.95;

impl Search<'_> {
    /// What is left of the candidates where workers were given their work: who gave it to them is known of many, and the
    /// others had theirs from the same ones. Those may have taken it while another label was in flight more than by
    /// chance, as what fills the queue is. What one label gave is that one's, in whatever way. Where several gave it, what
    /// is in flight tells which if all of these were in flight when their work was done, and nothing does if one was not.
    pub(super) fn narrowed(
        &self,
        candidates: &[(Component, Vec<f64>)],
    ) -> Option<Vec<(Component, Vec<f64>)>> {
        let mut givers: FxHashMap<LabelId, (usize, usize)> = FxHashMap::default();
        for seen in &self.observed.all {
            let giver = seen.hints.task;
            let label = giver.and_then(|giver| self.given.groups.of_request(giver));
            if let Some(label) = label.map(|group| self.given.groups.label(group)) {
                let (all, flying) = givers.entry(label).or_default();
                *all += 1;
                *flying += usize::from(giver.is_some_and(|giver| seen.requests.contains(&giver)));
            }
        }
        let all: usize = givers.values().map(|(all, _)| all).sum();
        let (most, (own, _)) = givers.iter().max_by_key(|(_, (of_label, _))| *of_label)?;
        let is_sole = *own as f64 >= SOLE * all as f64;
        let is_many = |of_label: usize| of_label as f64 >= (1.0 - SOLE) * all as f64;
        let all_fly = givers
            .values()
            .filter(|(of_label, _)| is_many(*of_label))
            .all(|(of_label, flying)| *flying as f64 >= SOLE * *of_label as f64);
        if all < GIVEN || all_fly && !is_sole {
            return None;
        }
        let is_left = |component: Component| match is_sole {
            true => self.label_of(component) == Some(*most),
            false => component.hint() == Some(Hint::Task),
        };
        let left = candidates
            .iter()
            .filter(|(component, _)| is_left(*component));
        Some(left.cloned().collect())
    }
}
