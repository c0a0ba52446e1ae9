//! What is judged by its company: groups of requests that are judged together at a call site, since none of them kept
//! enough there, are not all to blame where one of them leaks elsewhere by itself: it is the one.

use rustc_hash::FxHashSet;

use super::judged::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::requests::label::LabelId;

/// Verdicts that several groups share stay with those of them that leak elsewhere by themselves, if any do.
pub(super) fn settle_shared(sites: &mut [Judged]) {
    let mut guilty: FxHashSet<(LabelId, Option<u32>)> = FxHashSet::default();
    for part in sites.iter().flat_map(|site| &site.labels) {
        let alone = part.groups.iter();
        let alone = alone.filter(|group| group.verdict == Verdict::Leak && !group.shared);
        guilty.extend(alone.map(|group| (part.label, group.status)));
    }
    for site in sites {
        let is_guilty = |part: &JudgedLabel| {
            let mut groups = part.groups.iter().filter(|group| group.shared);
            groups.any(|group| guilty.contains(&(part.label, group.status)))
        };
        if !site.labels.iter().any(is_guilty) {
            continue;
        }
        for part in &mut site.labels {
            for group in part.groups.iter_mut().filter(|group| group.shared) {
                if !guilty.contains(&(part.label, group.status)) {
                    group.verdict = Verdict::TooFewRequests;
                }
            }
            let worst = part.groups.iter().map(|group| group.verdict).min();
            part.verdict = worst.unwrap_or(part.verdict);
        }
    }
}
