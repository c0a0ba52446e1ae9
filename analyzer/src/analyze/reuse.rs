//! CPython uses freed lists, tuples and the like again without telling its allocator, and keeps attribute
//! names that it looked up; the C library keeps stacks of threads that ended. The request for which such
//! a block was allocated need not be the one that holds it now.
//!
//! - What is left of a site are freed objects on free lists: those are of bounded length.
//! - A site of attribute names is a cache: 4,096 of them are kept at most.
//! - Where something else leaks, sites of reused types make no other endpoint a leaking one: what leaks
//!   takes its lists from those that were freed.
//! - Most of what such a site holds may be held by requests that left memory at other sites, too: then it is judged
//!   as that is ([`Company`]).
//! - Where an endpoint has such sites, a request that left less at all others than a hundredth of what the
//!   worst one left is no leaking one.

use rustc_hash::{FxHashMap, FxHashSet};

use super::company::{Company, settle_shared};
use super::sites::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::types::{CACHED_NAME, TypeId, TypeNames, UNKNOWN};

/// A request that left less than this part of what the worst one left only lent its blocks.
const LENT: u64 = 100;
/// Bytes that make no growing buffer yet: three tables of a thread's storage (288 bytes each), which the C
/// library keeps with the stacks of threads that ended.
const LITTLE: u64 = 1024;

/// Corrects the verdicts of sites whose blocks are used again; gives the requests that don't leak though
/// they left blocks at sites that do.
pub(super) fn correct(
    sites: &mut [Judged],
    names: &TypeNames,
    records: &[Record],
) -> FxHashSet<RequestId> {
    let mut reused = Vec::with_capacity(sites.len());
    for site in sites.iter_mut() {
        let is_cache = is_mostly(site, |id| names.name(id) == CACHED_NAME);
        let is_reused = is_mostly(site, |id| names.is_reused(id));
        if is_cache {
            let text = "CPython's cache of attribute names: it keeps 4,096 at most";
            site.bound(text);
            site.bound_outside(text);
        } else if site.is_free() {
            site.wait_for_reuse();
        } else if site.verdict == Verdict::GrowingBuffer && (is_reused || site.is_little()) {
            site.bound("a few small objects of the interpreter's, which it uses again");
        }
        reused.push(is_reused);
    }
    settle_shared(sites);
    let company = Company::new(sites, &reused, records);
    let doubtful = sites.iter_mut().zip(&reused).filter(|(_, reused)| **reused);
    doubtful.for_each(|(site, _)| company.judge(site));
    let sure = sites.iter().zip(&reused).filter(|(_, reused)| !**reused);
    let labels = sure.flat_map(|(site, _)| &site.labels);
    let labels = labels.filter(|label| label.verdict.leaks());
    let labels: FxHashSet<LabelId> = labels.map(|label| label.label).collect();
    if !labels.is_empty() {
        let reused = sites.iter_mut().zip(&reused).filter(|(_, reused)| **reused);
        reused.for_each(|(site, _)| site.leave_to(&labels));
    }
    lenders(sites, &reused)
}

/// Requests that only lent their blocks to those that leak.
fn lenders(sites: &[Judged], reused: &[bool]) -> FxHashSet<RequestId> {
    let mut left: FxHashMap<RequestId, (LabelId, u64)> = FxHashMap::default();
    let mut most: FxHashMap<LabelId, u64> = FxHashMap::default();
    let mut lending: FxHashSet<LabelId> = FxHashSet::default();
    for (site, reused) in sites.iter().zip(reused) {
        for part in site.labels.iter().filter(|part| part.verdict.leaks()) {
            if *reused {
                lending.insert(part.label);
            }
            for kept in &part.retained {
                let sum = left.entry(kept.request).or_insert((part.label, 0));
                sum.1 += if *reused { 0 } else { kept.used_bytes() };
                let most = most.entry(part.label).or_default();
                *most = sum.1.max(*most);
            }
        }
    }
    let lent = |(label, bytes): &(LabelId, u64)| {
        let most = most.get(label).copied().unwrap_or(0);
        lending.contains(label) && bytes.saturating_mul(LENT) < most
    };
    let lent = left.iter().filter(|(_, left)| lent(left));
    lent.map(|(request, _)| *request).collect()
}

/// Whether most of the site's blocks of known types are such.
fn is_mostly(site: &Judged, wanted: impl Fn(TypeId) -> bool) -> bool {
    let typed = site.parts.iter().flat_map(|part| &part.types);
    let known = typed.filter(|typed| typed.of_type != UNKNOWN);
    let (mut all, mut such) = (0, 0);
    for typed in known {
        all += typed.blocks;
        such += if wanted(typed.of_type) {
            typed.blocks
        } else {
            0
        };
    }
    all > 0 && such * 2 >= all
}

impl Judged {
    /// A few small blocks, never reallocated, in a process whose types were read.
    fn is_little(&self) -> bool {
        let parts = || self.parts.iter();
        parts().any(|part| !part.types.is_empty())
            && parts().all(|part| part.reallocations == 0)
            && parts().map(|part| part.live_bytes).sum::<u64>() <= LITTLE
    }

    /// Nothing is left here but freed objects on free lists.
    fn is_free(&self) -> bool {
        let mut left = self.labels.iter().flat_map(|label| &label.retained);
        left.clone().next().is_some() && !left.any(Retained::is_used)
    }

    /// What is left here waits for its next use.
    fn wait_for_reuse(&mut self) {
        self.verdict = Verdict::Bounded;
        self.evidence.text =
            "all that is left are freed objects that CPython keeps for later use, on free lists of bounded length"
                .to_owned();
        let kept = self.labels.iter_mut();
        let kept = kept.filter(|label| !label.retained.is_empty());
        kept.for_each(|label| {
            label.verdict = Verdict::Bounded;
            let groups = label.groups.iter_mut();
            groups.for_each(|group| group.verdict = Verdict::Bounded);
        });
    }

    /// What is kept here is bounded, for the reason that `text` tells.
    fn bound(&mut self, text: &str) {
        if self.verdict.leaks() {
            self.verdict = Verdict::Bounded;
            text.clone_into(&mut self.evidence.text);
        }
        self.labels.iter_mut().for_each(JudgedLabel::bound);
    }

    /// The same of what belongs to no request.
    fn bound_outside(&mut self, text: &str) {
        if self.outside.leaks() {
            self.outside = Verdict::Bounded;
            text.clone_into(&mut self.outside_evidence.text);
        }
    }

    /// What is kept here is the doing of `labels`, if any of them comes here at all.
    fn leave_to(&mut self, labels: &FxHashSet<LabelId>) {
        let others = self.labels.iter_mut();
        let others = others.filter(|label| !labels.contains(&label.label));
        others.for_each(JudgedLabel::bound);
        if self.verdict.leaks() && !self.labels.iter().any(|label| label.verdict.leaks()) {
            self.bound("CPython uses freed objects of this type again: those that leak elsewhere take them");
        }
    }
}

impl JudgedLabel {
    fn bound(&mut self) {
        self.becomes(Verdict::Bounded);
    }
}
