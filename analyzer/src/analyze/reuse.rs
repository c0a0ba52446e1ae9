//! What an interpreter or the C library keeps for later use, and which is bounded though it outlives requests.
//!
//! - What is left of a site are freed objects on free lists of CPython's or a library's, which are of bounded length, or
//!   entries of caches of bounded size.
//! - A site of attribute names is a cache: 4,096 of them are kept at most.
//! - A few small blocks, such as the C library's tables of threads that ended, are no growing buffer.

use super::judged::{Judged, JudgedGroup, JudgedLabel};
use crate::analysis::Verdict;
use crate::figures::count;
use crate::ledger::{Retained, Typed};
use crate::requests::record::Record;
use crate::types::{
    CACHED_NAME, FREE_LIST, TypeId, TypeNames, UNKNOWN, is_free, longest_list, not_cached,
};
use crate::verdict::LEAK_REQUESTS;

/// Bytes that make no growing buffer yet: three tables of a thread's storage (288 bytes each), which the C
/// library keeps with the stacks of threads that ended.
const LITTLE: u64 = 1024;

/// Corrects the verdicts of such sites. `unread`: nobody has read what is on free lists, so that what was taken from
/// there counts as others'. `most_cached`: how many entries a cache of bounded size can have.
pub(super) fn correct(
    sites: &mut [Judged],
    names: &TypeNames,
    records: &[Record],
    (unread, most_cached): (bool, u64),
) {
    for site in sites.iter_mut() {
        if unread {
            site.doubt_what_is_used_again(names, records);
        }
        if is_mostly(site, |id| names.name(id) == CACHED_NAME) {
            let text = "CPython's cache of attribute names: it keeps 4,096 at most";
            site.bound(text);
            site.bound_outside(text);
        } else if site.is_bounded() {
            site.keeps_what_is_bounded(names, most_cached);
        } else if site.verdict == Verdict::GrowingBuffer && site.is_little() {
            site.bound("a few small blocks that are kept for later use");
        }
    }
}

/// How many blocks of one request at the site others may hold, where free lists are not read: those of the type that is
/// most of it.
fn lendable(site: &Judged, names: &TypeNames) -> u64 {
    let typed = site.parts.iter().flat_map(|part| &part.types);
    let largest = typed.max_by_key(|typed| typed.blocks);
    largest.map_or(0, |typed| {
        longest_list(names.name(typed.of_type).trim_end_matches(FREE_LIST))
    })
}

/// Whether most of the site's blocks of known types are such.
fn is_mostly(site: &Judged, wanted: impl Fn(TypeId) -> bool) -> bool {
    let typed = site.parts.iter().flat_map(|part| &part.types);
    let known = typed.filter(|typed| not_cached(typed.of_type) != UNKNOWN);
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
    /// Leaks of requests that left no more here than others may hold can't be told.
    fn doubt_what_is_used_again(&mut self, names: &TypeNames, records: &[Record]) {
        let lendable = lendable(self, names);
        if lendable == 0 || !self.verdict.leaks() {
            return;
        }
        for part in &mut self.labels {
            let retained = &part.retained;
            let is_sure = |group: &JudgedGroup| {
                let own = retained.iter().filter(|kept| {
                    let record = records.get(kept.request as usize);
                    record.is_some_and(|record| record.status == group.status)
                });
                let sure = own.filter(|kept| kept.blocks - kept.bounded_blocks > lendable);
                sure.count() as u64 >= LEAK_REQUESTS
            };
            for group in &mut part.groups {
                if group.verdict.leaks() && !is_sure(group) {
                    group.verdict = Verdict::TooFewRequests;
                }
            }
            let worst = part.groups.iter().map(|group| group.verdict).min();
            part.verdict = worst.unwrap_or(part.verdict);
        }
        if !self.labels.iter().any(|part| part.verdict.leaks()) && !self.labels.is_empty() {
            self.verdict = Verdict::TooFewRequests;
            self.evidence.text = format!(
                "no 3 requests left more than {lendable} blocks each: as many may have come to others, by a free list that is not read"
            );
        }
    }

    /// A few small blocks, never reallocated, in a process whose types were read.
    fn is_little(&self) -> bool {
        let parts = || self.parts.iter();
        parts().any(|part| !part.types.is_empty())
            && parts().all(|part| part.reallocations == 0)
            && parts().map(|part| part.live_bytes).sum::<u64>() <= LITTLE
    }

    /// Nothing is left here but what is bounded.
    fn is_bounded(&self) -> bool {
        let mut left = self.labels.iter().flat_map(|label| &label.retained);
        left.clone().next().is_some() && !left.any(Retained::is_used)
    }

    /// What is left here waits for its next use, or to be asked for again.
    fn keeps_what_is_bounded(&mut self, names: &TypeNames, most_cached: u64) {
        let typed = self.parts.iter().flat_map(|part| &part.types);
        let of_labels = typed.filter(|typed| typed.retained_by.is_some());
        let free: Vec<&Typed> = of_labels.filter(|typed| is_free(typed.of_type)).collect();
        let is_library = |typed: &&Typed| {
            let name = names.name(typed.of_type).trim_end_matches(FREE_LIST);
            names.is_kept_by_library(name)
        };
        let keeper = match free.iter().any(is_library) {
            true => "a library",
            false => "CPython",
        };
        let free: u64 = free.iter().map(|typed| typed.blocks).sum();
        let kept = self.labels.iter().flat_map(|label| &label.retained);
        let kept: u64 = kept.map(|kept| kept.blocks).sum();
        let lists = format!(
            "freed objects that {keeper} keeps for later use, on free lists of bounded length"
        );
        let caches = || {
            format!(
                "what functools.lru_cache or a deque with a maxlen keeps, which is bounded ({} entries at most)",
                count(most_cached)
            )
        };
        let what = match free {
            0 => caches(),
            free if free >= kept => lists,
            _ => format!("{lists}, and {}", caches()),
        };
        self.verdict = Verdict::Bounded;
        self.evidence.text = format!("all that is left is {what}");
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
}

impl JudgedLabel {
    fn bound(&mut self) {
        self.becomes(Verdict::Bounded);
    }
}
