//! What is judged by its company: by what the same requests left elsewhere.
//!
//! Groups of requests that are judged together at a call site, since none of them kept enough there, are not all to
//! blame where one of them leaks elsewhere by itself: it is the one.
//!
//! Call sites of types that CPython uses again: a freed tuple waits on a free list, and its block
//! holds the tuple of a later request then: how long such blocks live, and which request they were allocated for,
//! tells little of the objects in them. So where most of such a site is held by requests that left memory at other
//! sites, too, it is that memory's: it leaks where that does, and is not decided where that is not. What other
//! requests hold there they lent.

use rustc_hash::{FxHashMap, FxHashSet};

use super::sites::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::verdict::LEAK_REQUESTS;

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

/// What requests left at sites whose types are not used again.
pub(super) struct Company<'r> {
    records: &'r [Record],
    /// The worst verdict on it that matters here: a leak, or not decided.
    of_requests: FxHashMap<RequestId, Verdict>,
    /// How many more requests would tell, of the largest site that is not decided.
    needed: Option<u64>,
}

impl<'r> Company<'r> {
    /// Of the sites that are not `reused`.
    pub(super) fn new(sites: &[Judged], reused: &[bool], records: &'r [Record]) -> Company<'r> {
        let mut company = Company {
            records,
            of_requests: FxHashMap::default(),
            needed: None,
        };
        let sure = sites.iter().zip(reused).filter(|(_, reused)| !**reused);
        let mut largest = 0;
        for (site, _) in sure {
            let held = site.labels.iter().flat_map(|part| &part.retained);
            let held = held.map(Retained::used_bytes).sum();
            if site.verdict == Verdict::TooFewRequests && held > largest {
                largest = held;
                company.needed = site.evidence.requests_needed;
            }
            for part in &site.labels {
                company.note(part);
            }
        }
        company
    }

    fn note(&mut self, part: &JudgedLabel) {
        for kept in part.retained.iter().filter(|kept| kept.is_used()) {
            let verdict = part.verdict_of(kept, self.records);
            if matches!(verdict, Verdict::Leak | Verdict::TooFewRequests) {
                let worst = self.of_requests.entry(kept.request).or_insert(verdict);
                *worst = (*worst).min(verdict);
            }
        }
    }

    /// The verdict of those that hold most of the site's bytes, if they have one. A leak is one of several requests.
    fn of_most(&self, site: &Judged) -> Option<Verdict> {
        let (mut all, mut leak, mut undecided, mut leaking) = (0, 0, 0, 0);
        let kept = site.labels.iter().flat_map(|part| &part.retained);
        for kept in kept.filter(|kept| kept.is_used()) {
            let bytes = kept.used_bytes();
            all += bytes;
            match self.of_requests.get(&kept.request) {
                Some(Verdict::Leak) => (leak, leaking) = (leak + bytes, leaking + 1),
                Some(_) => undecided += bytes,
                None => {}
            }
        }
        match all {
            0 => None,
            _ if leak * 2 > all && leaking >= LEAK_REQUESTS => Some(Verdict::Leak),
            _ if undecided * 2 > all => Some(Verdict::TooFewRequests),
            _ => None,
        }
    }

    /// Gives the site, whose types are used again, the verdict of its company. Where live bytes have stopped growing
    /// (a cache), that says more.
    pub(super) fn judge(&self, site: &mut Judged) {
        if matches!(site.verdict, Verdict::Bounded | Verdict::Clean) {
            return;
        }
        let Some(verdict) = self.of_most(site) else {
            return;
        };
        for part in &mut site.labels {
            self.judge_part(part, verdict);
        }
        site.verdict = verdict;
        site.evidence.requests_needed = match verdict {
            Verdict::TooFewRequests => self.needed,
            _ => None,
        };
        site.evidence.text = format!(
            "CPython uses freed objects of this type again, so their ages tell little: {} as what the same requests \
             left elsewhere",
            match verdict {
                Verdict::Leak => "a leak",
                _ => "not decided",
            }
        );
    }

    fn judge_part(&self, part: &mut JudgedLabel, verdict: Verdict) {
        let holds = |kept: &Retained| {
            kept.is_used() && self.of_requests.get(&kept.request) == Some(&verdict)
        };
        let holders: Vec<Option<u32>> = part
            .retained
            .iter()
            .filter(|kept| holds(kept))
            .filter_map(|kept| Some(self.records.get(kept.request as usize)?.status))
            .collect();
        part.verdict = match holders.is_empty() {
            true => part.verdict.max(Verdict::Bounded),
            false => verdict,
        };
        for group in &mut part.groups {
            group.verdict = match holders.contains(&group.status) {
                true => verdict,
                false => group.verdict.max(Verdict::Bounded),
            };
        }
    }
}
