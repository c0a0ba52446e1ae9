//! Objects from CPython's free lists that another request may have: one that dies and whose block is taken again between
//! two looks at the lists shows nowhere, so that it stays the former request's for as long as the latter one keeps it.
//!
//! So few of what is kept of such a list come to the wrong request. Where some labels' requests keep much of it, another
//! label's that keep a little of it now and then, and leave nothing else that leaks, are not to blame: others may have
//! what they made.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::figures::{count, counted};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::Sites;

/// A label keeps a little where others that leak keep so many times as many blocks, ...
const TIMES: u64 = 20;
/// ... and now and then where at least one in so many of its requests keeps nothing.
const REGULAR: u64 = 10;

/// Labels that leak nothing but that leak nothing for sure.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, records: &[Record]) {
    if !sites.iter().any(|site| places.is_free_list(site.id)) {
        return;
    }
    let of_lines = sites.iter().filter(|site| !places.is_free_list(site.id));
    let parts = of_lines.flat_map(|site| &site.labels);
    let leaking = parts.filter(|part| part.verdict.leaks());
    let elsewhere: FxHashSet<LabelId> = leaking.map(|part| part.label).collect();
    let requests = requests(records);
    for site in sites {
        if !places.is_free_list(site.id) || !site.verdict.leaks() {
            continue;
        }
        let leaking = site.labels.iter().filter(|part| part.verdict.leaks());
        let all: u64 = leaking.map(|part| kept(part, records).blocks).sum();
        site.undecide(|part| {
            let own = kept(part, records);
            let is_little = own.blocks.saturating_mul(TIMES) <= all - own.blocks.min(all);
            let of_label = requests.get(&part.label).copied().unwrap_or(0);
            let is_regular = of_label.saturating_sub(own.requests) * REGULAR < of_label;
            let alone = part.verdict.leaks() && !elsewhere.contains(&part.label);
            (alone && is_little && !is_regular).then(|| text(&own, all - own.blocks))
        });
    }
}

/// What a label's requests keep where that leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    requests: u64,
    blocks: u64,
}

fn kept(part: &JudgedLabel, records: &[Record]) -> Kept {
    let all = part.retained.iter();
    let leaking = all.filter(|kept| kept.is_used() && part.leaks(kept, records));
    let mut requests: FxHashSet<RequestId> = FxHashSet::default();
    let blocks = leaking.map(|kept| {
        requests.insert(kept.request);
        kept.blocks - kept.bounded_blocks
    });
    let blocks = blocks.sum();
    Kept {
        requests: requests.len() as u64,
        blocks,
    }
}

/// How many requests of each label have ended.
fn requests(records: &[Record]) -> FxHashMap<LabelId, u64> {
    let mut requests: FxHashMap<LabelId, u64> = FxHashMap::default();
    let ended = records
        .iter()
        .filter(|record| !record.void && record.end.is_some());
    for label in ended.filter_map(|record| record.label) {
        *requests.entry(label).or_default() += 1;
    }
    requests
}

fn text(own: &Kept, others: u64) -> String {
    format!(
        "{} kept {} beside {} of others': of what dies and is used again between two looks at the free list is not \
         known whose it is",
        counted(own.requests, "request"),
        counted(own.blocks, "object"),
        count(others)
    )
}

#[cfg(test)]
mod tests {
    use super::{Kept, text};

    #[test]
    fn texts() {
        let own = Kept {
            requests: 13,
            blocks: 1400,
        };
        let text = text(&own, 28_000);
        assert!(
            text.starts_with(
                "13 requests kept 1,400 objects beside 28,000 of others': of what dies"
            ),
            "{text}"
        );
    }
}
