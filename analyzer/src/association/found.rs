//! What was found of a call site, and in words.

use rustc_hash::{FxHashMap, FxHashSet};

use super::explained::Explained;
use super::groups::Groups;
use super::kin::Causes;
use super::moments::{Hint, hinted};
use super::site::{Observation, Observed};
use super::sizes::{Size, size};
use crate::figures::counted;
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;
use crate::sample::Amount;

/// A call site, explained.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: String,
    explained: Explained,
    /// The same of what was made in one size only.
    by_size: Vec<(Size, Explained)>,
    /// Since when blocks of it can be seen, by process.
    pub(super) since: FxHashMap<u32, u64>,
}

impl Found {
    pub(super) fn new(
        observed: &Observed,
        (explained, by_size): Causes,
        groups: &Groups,
        labels: &[String],
    ) -> Found {
        let mut shown = explained.clone();
        if !by_size.is_empty() {
            // What the sizes are made by, each with its share.
            let total = observed.all.len().max(1) as f64;
            let of_size = |wanted: Size| {
                observed
                    .all
                    .iter()
                    .filter(|seen| size(seen.amount) == wanted)
                    .count() as f64
            };
            let sized: f64 = by_size.iter().map(|(size, _)| of_size(*size)).sum();
            let parts = by_size
                .iter()
                .map(|(size, of_size_alone)| (of_size_alone, of_size(*size)));
            shown.shares = parts
                .chain([(&explained, total - sized)])
                .flat_map(|(explained, count)| {
                    let shares = explained.shares.iter();
                    shares.map(move |(component, share)| (*component, share * count / total))
                })
                .collect();
            shown.undecided = by_size
                .iter()
                .find_map(|(_, explained)| explained.undecided);
        }
        Found {
            text: text(observed, &shown, groups, labels),
            explained,
            by_size,
            since: observed.since(),
        }
    }

    /// What explains blocks of such an amount.
    pub(super) fn explained(&self, amount: Amount) -> &Explained {
        let wanted = size(amount);
        let of_size = self.by_size.iter().find(|(size, _)| *size == wanted);
        of_size.map_or(&self.explained, |(_, explained)| explained)
    }

    /// Of the blocks without proof, the part that no request explains.
    pub(super) fn unproved_background(&self) -> f64 {
        self.explained.unproved_background
    }

    /// Whether no label explains any of them.
    pub(super) fn is_background(&self) -> bool {
        !self.names_labels() && self.explained.undecided.is_none()
    }

    /// Whether it is nobody's for all that is known, and there is something without proof.
    pub(super) fn is_unclaimed(&self) -> bool {
        self.is_background() && !self.text.is_empty()
    }

    /// Whether it is one label or another that explains some of them.
    pub(super) fn is_ambiguous(&self) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut all = all.chain([&self.explained]);
        all.any(|explained| explained.undecided.is_some())
    }

    /// Whether it is decided who makes them, and that some label does and this one does not.
    pub(super) fn denies(&self, label: LabelId, groups: &Groups) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut all = all.chain([&self.explained]);
        self.names_labels()
            && all.all(|explained| {
                explained.undecided.is_none() && !explained.labels(groups).contains(&label)
            })
    }

    pub(super) fn names_labels(&self) -> bool {
        let all = self.by_size.iter().map(|(_, explained)| explained);
        let mut shares = all
            .chain([&self.explained])
            .flat_map(|explained| explained.shares.iter().chain(&explained.given));
        shares.any(|(component, _)| component.key().is_some())
    }
}

/// What was found, in one sentence.
fn text(observed: &Observed, explained: &Explained, groups: &Groups, labels: &[String]) -> String {
    let name = |label: LabelId| labels.get(label as usize).map_or("", String::as_str);
    let unproved = || {
        observed
            .all
            .iter()
            .filter(|observation| !observation.proved)
    };
    let total = unproved().count();
    if total == 0 {
        return String::new();
    }
    let beside = |label: LabelId| {
        let with = unproved().filter(|observation| {
            let flying = observation.flight.iter().map(|(group, _)| *group);
            let hints = [Hint::Last, Hint::Next, Hint::Task].into_iter();
            let hints = hints.filter_map(|hint| groups.of_request(hinted(observation, hint)?));
            flying
                .chain(hints)
                .any(|group| groups.label(group) == label)
        });
        with.count()
    };
    let mut shares: Vec<(LabelId, f64)> = Vec::new();
    for (component, share) in &explained.shares {
        if let Some(label) = component.key().map(|key| groups.label_of(key)) {
            match shares.iter_mut().find(|known| known.0 == label) {
                Some(known) => known.1 += share,
                None => shares.push((label, *share)),
            }
        }
    }
    shares.sort_by(|left, right| right.1.total_cmp(&left.1));
    let undecided = explained.undecided.map(|(one, other)| {
        format!(
            "{} or {}: {} can't tell which; more requests would, in a random order or one at a time",
            name(one),
            name(other),
            counted(total as u64, "observation")
        )
    });
    match (shares.as_slice(), undecided) {
        ([], Some(undecided)) => undecided,
        ([], None) => format!(
            "no label could be told from the others, or from none, by {}{}",
            counted(total as u64, "observation"),
            began(unproved(), groups).map_or_else(String::new, |(label, began)| format!(
                ": {began} of them made by a task or a thread that one {} began",
                name(label)
            ))
        ),
        ([(label, _)], None) => {
            let mut others: FxHashSet<LabelId> = unproved()
                .flat_map(|observation| &observation.flight)
                .map(|(group, _)| groups.label(*group))
                .collect();
            others.remove(label);
            let most = others.iter().map(|other| beside(*other)).max().unwrap_or(0);
            format!(
                "{} of {total} observed were made beside a {}; beside any other label at most {most}",
                beside(*label),
                name(*label),
            )
        }
        (several, _) => {
            let each = several
                .iter()
                .map(|(label, share)| format!("{:.0} % {}", 100.0 * share, name(*label)));
            format!(
                "shares by likelihood: {}",
                each.collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// Whose request began what most of these were made by, if one did, and how many.
fn began<'o>(
    observations: impl Iterator<Item = &'o Observation>,
    groups: &Groups,
) -> Option<(LabelId, usize)> {
    let mut all = 0;
    let mut by_request: FxHashMap<RequestId, usize> = FxHashMap::default();
    for observation in observations {
        all += 1;
        if let Some(request) = observation.hints.task {
            *by_request.entry(request).or_default() += 1;
        }
    }
    let (request, began) = by_request.into_iter().max_by_key(|(_, count)| *count)?;
    let label = groups.label(groups.of_request(request)?);
    (2 * began > all).then_some((label, began))
}
