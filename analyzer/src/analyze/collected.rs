//! Memory of runtimes whose collectors trace what is in use: Java's, Ruby's, V8's. What a request left there may be
//! garbage that waits: what survives the first collections is not looked at again for a long time, and the longer the
//! program serves, the longer. So a leak is judged as it stood when everything was collected last
//! ([`crate::verdict::told`]). Besides, a runtime allocates for itself (compiled code, its heap's pages,
//! tables of classes), now and then, whoever comes: that is undecided.

use rustc_hash::{FxHashMap, FxHashSet};

use super::collecting::Collecting;
use super::judged::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::figures::{count, counted};
use crate::ledger::FinishedSite;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::runtimes::Runtime;
use crate::sites::{NO_MODULE, SiteId, Sites};
use crate::verdict::survival::FALLING;

/// So many holdings of others that were freed show that a site is not the runtime's own.
const FREED: u64 = 8;
/// A runtime's own memory comes to less than one in so many of a group's requests.
const RARE: u64 = 10;

/// What is kept ever more often (Laplace's test; by chance: one in a hundred) is what came since the last collection.
const RISING: f64 = -FALLING;

/// Which of a trace's modules are runtimes with collectors.
#[derive(Debug)]
pub(super) struct Runtimes<'s> {
    places: &'s Sites,
    collecting: Collecting,
    /// By module.
    modules: Vec<Option<Runtime>>,
    /// The one that compiles what it runs: frames in no module are its.
    any: Option<Runtime>,
}

impl<'s> Runtimes<'s> {
    pub(super) fn of(places: &'s Sites, collecting: Collecting) -> Self {
        let modules: Vec<Option<Runtime>> = places.modules().iter().map(Runtime::of).collect();
        let any = modules.iter().copied().flatten().next();
        Runtimes {
            places,
            collecting,
            modules,
            any,
        }
    }

    /// The one that has to do with what is allocated at a site: objects of its may hold it.
    pub(super) fn at(&self, site: SiteId) -> Option<Runtime> {
        self.any?;
        let mut frames = self.places.backtrace(site);
        frames.find_map(|frame| match frame.module {
            NO_MODULE => self.any,
            module => self.modules.get(module as usize).copied().flatten(),
        })
    }
}

/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// What a runtime may have allocated for itself is undecided, and so is what no request owns and its collector may not
/// have told of.
pub(super) fn correct(sites: &mut [Judged], runtimes: &Runtimes<'_>, records: &[Record]) {
    if runtimes.any.is_none() {
        return;
    }
    let requests = requests(records);
    for site in sites {
        let Some(runtime) = runtimes.at(site.id) else {
            continue;
        };
        let is_freed = freed_here(site) >= FREED;
        let is_put_off = runtimes.collecting.is_put_off(site.id);
        if site.verdict == Verdict::Leak && (is_put_off || !is_freed) {
            let part = if is_put_off { 0 } else { RARE };
            settle(site, runtime, part, (&requests, records));
        }
        if site.outside == Verdict::Leak {
            settle_outside(site, runtime, is_freed);
        }
    }
}

/// How many requests of each group ended.
fn requests(records: &[Record]) -> FxHashMap<Group, u64> {
    let mut requests: FxHashMap<Group, u64> = FxHashMap::default();
    let ended = records
        .iter()
        .filter(|record| !record.void && record.end.is_some());
    for record in ended {
        if let Some(label) = record.label {
            *requests.entry((label, record.status)).or_default() += 1;
        }
    }
    requests
}

/// Holdings at the site that outlived their requests and were freed.
fn freed_here(site: &Judged) -> u64 {
    let freed = |part: &FinishedSite| {
        let groups = part.lives.groups.iter().map(|group| group.freed[0].count());
        groups.sum::<u64>() + part.lives.unowned[0].count()
    };
    site.parts.iter().map(freed).sum()
}

/// Makes undecided what may be the runtime's own: what comes to less than one request in `part`; 0: all.
fn settle(
    site: &mut Judged,
    runtime: Runtime,
    part: u64,
    (requests, records): (&FxHashMap<Group, u64>, &[Record]),
) {
    let mut undecided = None;
    for label in &mut site.labels {
        for at in 0..label.groups.len() {
            let group = (label.label, label.groups[at].status);
            if label.groups[at].verdict != Verdict::Leak {
                continue;
            }
            let all = requests.get(&group).copied().unwrap_or(0);
            let keeping = keeping(label, group.1, records);
            if keeping * part < all {
                let text = format!(
                    "{} of {} kept blocks, as {} does for itself now and then, whoever comes",
                    count(keeping),
                    counted(all, "request"),
                    runtime.name
                );
                label.groups[at].verdict = Verdict::TooFewRequests;
                label.groups[at].text.clone_from(&text);
                undecided = Some(text);
            }
        }
        let worst = label.groups.iter().map(|group| group.verdict).min();
        label.verdict = worst.unwrap_or(label.verdict);
    }
    if let Some(text) = undecided
        && !site.labels.iter().any(|label| label.verdict.leaks())
    {
        site.verdict = Verdict::TooFewRequests;
        site.evidence.text = text;
        site.evidence.is_sure = false;
    }
}

/// The same of what no request owns. `is_freed`: much else was freed at the site.
fn settle_outside(site: &mut Judged, runtime: Runtime, is_freed: bool) {
    let freed = |part: &FinishedSite| part.outside_lives[0].count() + part.lives.unowned[0].count();
    let freed: u64 = site.parts.iter().map(freed).sum();
    let trend = site.outside_evidence.trend.unwrap_or(0.0);
    if freed == 0 && is_freed && trend < RISING {
        return;
    }
    let Runtime { name, ask, .. } = runtime;
    let evidence = &mut site.outside_evidence;
    evidence.text = match freed {
        0 => format!(
            "{}; it can't be told whether {name}'s collector has run since, or whether {name} allocates it for itself \
             ({ask}, and a longer run, would tell)",
            evidence.text
        ),
        freed => format!(
            "{}; {name}'s collector freed {} others: what is left may be garbage that is old and waits ({ask} would \
             tell)",
            evidence.text,
            count(freed)
        ),
    };
    evidence.is_sure = false;
    if site.labels.is_empty() && site.verdict == Verdict::Leak {
        site.verdict = Verdict::TooFewRequests;
        site.evidence.text.clone_from(&evidence.text);
        site.evidence.is_sure = false;
    }
    site.outside = Verdict::TooFewRequests;
}

/// How many of the label's requests with this status kept something.
fn keeping(label: &JudgedLabel, status: Option<u32>, records: &[Record]) -> u64 {
    let kept = label.retained.iter().filter(|kept| {
        let record = records.get(kept.request as usize);
        kept.is_used() && record.is_some_and(|record| record.status == status)
    });
    let requests: FxHashSet<RequestId> = kept.map(|kept| kept.request).collect();
    requests.len() as u64
}
