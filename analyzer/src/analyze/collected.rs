//! Memory of runtimes whose collectors don't tell when they run: Java's and Ruby's. What a request left there
//! may be garbage that waits: what survives the first collections is not looked at again for a long time, and the longer
//! the program serves, the longer. So a leak is one only where garbage would have gone:
//!
//! - where something of the same requests was freed, what is left may be older garbage of the same kind: undecided;
//! - where nothing of theirs was, but things of others that outlived their requests, a collector has run and left theirs;
//! - else it is not known whether one has run. What a runtime allocates for itself (compiled code, its heap's pages,
//!   tables of classes) comes now and then, whoever comes, and is undecided, too.

use rustc_hash::{FxHashMap, FxHashSet};

use super::sites::{Judged, JudgedLabel};
use crate::analysis::Verdict;
use crate::figures::{count, counted};
use crate::ledger::FinishedSite;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{Frame, Module, SiteId, Sites};
use crate::verdict::survival::FALLING;

/// So many holdings of others that were freed show that a collector has run.
const FREED: u64 = 8;
/// A runtime's own memory comes to less than one in so many of a group's requests.
const RARE: u64 = 10;
/// So many innermost frames make call sites kin: the allocator's, and what asked it.
const KIN: usize = 2;

/// What is kept ever more often (Laplace's test; by chance: one in a hundred) is what came since the last collection.
const RISING: f64 = -FALLING;

/// A runtime with a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Runtime {
    /// How the names of its library begin.
    libraries: &'static [&'static str],
    /// Its executable, with a version behind it or without.
    executable: Option<&'static str>,
    name: &'static str,
    /// What makes it collect everything.
    ask: &'static str,
}

const RUNTIMES: [Runtime; 2] = [
    Runtime {
        libraries: &["libjvm.so"],
        executable: None,
        name: "Java",
        ask: "jcmd PID GC.run",
    },
    Runtime {
        libraries: &["libruby.so", "libruby-"],
        executable: Some("ruby"),
        name: "Ruby",
        ask: "GC.start",
    },
];

impl Runtime {
    /// The one that a module is, if it is one.
    fn of(module: &Module) -> Option<Runtime> {
        let name = module.path.rsplit('/').next().unwrap_or_default();
        let is_version = |rest: &str| {
            rest.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let is_it = |runtime: &Runtime| {
            let executable = runtime.executable.and_then(|own| name.strip_prefix(own));
            let mut libraries = runtime.libraries.iter();
            libraries.any(|library| name.starts_with(library)) || executable.is_some_and(is_version)
        };
        RUNTIMES.into_iter().find(is_it)
    }
}

/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// Leaks of which the collector may not have told are undecided.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, records: &[Record]) {
    let runtimes: Vec<Option<Runtime>> = places.modules().iter().map(Runtime::of).collect();
    if runtimes.iter().all(Option::is_none) {
        return;
    }
    let runtime = |site: SiteId| {
        let innermost = places.backtrace(site).next()?;
        runtimes.get(innermost.module as usize).copied().flatten()
    };
    let mut freed: FxHashMap<Vec<Frame>, u64> = FxHashMap::default();
    for site in sites.iter().filter(|site| runtime(site.id).is_some()) {
        *freed.entry(kin(places, site.id)).or_default() += freed_here(site);
    }
    let requests = requests(records);
    for site in sites.iter_mut() {
        let Some(runtime) = runtime(site.id) else {
            continue;
        };
        let has_run = HasRun {
            here: freed_here(site) >= FREED,
            elsewhere: freed.get(&kin(places, site.id)).copied().unwrap_or(0) >= FREED,
        };
        if site.verdict == Verdict::Leak {
            settle(site, runtime, has_run, &requests, records);
        }
        if site.outside == Verdict::Leak {
            settle_outside(site, runtime, has_run);
        }
    }
}

/// Whether a collector has run, by what was freed.
#[derive(Clone, Copy, Debug)]
struct HasRun {
    /// At the call site.
    here: bool,
    /// At call sites with the same innermost frames.
    elsewhere: bool,
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

fn kin(places: &Sites, site: SiteId) -> Vec<Frame> {
    places.backtrace(site).take(KIN).collect()
}

/// Holdings at the site that outlived their requests and were freed.
fn freed_here(site: &Judged) -> u64 {
    let freed = |part: &FinishedSite| {
        let groups = part.lives.groups.iter().map(|group| group.freed[0].count());
        groups.sum::<u64>() + part.lives.unowned[0].count()
    };
    site.parts.iter().map(freed).sum()
}

/// Makes undecided what is no leak for sure.
fn settle(
    site: &mut Judged,
    runtime: Runtime,
    has_run: HasRun,
    requests: &FxHashMap<Group, u64>,
    records: &[Record],
) {
    let mut undecided = None;
    for label in &mut site.labels {
        for at in 0..label.groups.len() {
            let group = (label.label, label.groups[at].status);
            if label.groups[at].verdict != Verdict::Leak {
                continue;
            }
            let lives = site.parts.iter().flat_map(|part| &part.lives.groups);
            let own = lives.filter(|lives| (lives.label, lives.status) == group);
            let kept = Kept {
                requests: requests.get(&group).copied().unwrap_or(0),
                keeping: keeping(label, group.1, records),
                freed: own.map(|lives| lives.freed[0].count()).sum(),
            };
            if let Some(text) = kept.may_be_garbage(runtime, has_run) {
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

/// The same of what no request owns.
fn settle_outside(site: &mut Judged, runtime: Runtime, has_run: HasRun) {
    let freed = |part: &FinishedSite| part.outside_lives[0].count() + part.lives.unowned[0].count();
    let freed: u64 = site.parts.iter().map(freed).sum();
    let trend = site.outside_evidence.trend.unwrap_or(0.0);
    if freed == 0 && has_run.here && trend < RISING {
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

/// What a group kept at a call site.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// All its requests.
    requests: u64,
    /// Those that kept something.
    keeping: u64,
    /// Those of which it was freed.
    freed: u64,
}

impl Kept {
    /// Why it may be garbage, if it may.
    fn may_be_garbage(self, runtime: Runtime, has_run: HasRun) -> Option<String> {
        let Runtime { name, ask, .. } = runtime;
        let kept = format!(
            "{} of {} kept blocks",
            count(self.keeping),
            counted(self.requests, "request")
        );
        let is_rare = self.keeping * RARE < self.requests;
        if self.freed > 0 {
            Some(format!(
                "{kept}, and {name}'s collector freed those of {} others: what is left may be garbage that is old and \
                 waits ({ask}, and as many requests again, would tell)",
                count(self.freed)
            ))
        } else if has_run.here || has_run.elsewhere && !is_rare {
            None
        } else if is_rare {
            Some(format!(
                "{kept}, as {name} does for itself now and then, whoever comes"
            ))
        } else {
            Some(format!(
                "{kept}: it can't be told whether {name}'s collector has run since; what is left may be garbage that waits \
                 ({ask} would tell)"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUBY: Runtime = RUNTIMES[1];
    const RAN: HasRun = HasRun {
        here: true,
        elsewhere: true,
    };

    fn kept(keeping: u64, requests: u64, freed: u64) -> Kept {
        Kept {
            requests,
            keeping,
            freed,
        }
    }

    #[test]
    fn runtimes_are_known_by_their_files() {
        let of = |path: &str| {
            let module = Module {
                path: path.to_owned(),
                build_id: None,
            };
            Runtime::of(&module).map(|runtime| runtime.name)
        };
        assert_eq!(
            of("/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1"),
            Some("Ruby")
        );
        assert_eq!(of("/opt/ruby/bin/ruby"), Some("Ruby"));
        assert_eq!(
            of("/usr/lib/jvm/java-17/lib/server/libjvm.so"),
            Some("Java")
        );
        assert_eq!(of("/usr/lib/x86_64-linux-gnu/libc.so.6"), None);
        assert_eq!(of("/usr/bin/ruby3.1"), Some("Ruby"));
        assert_eq!(of("/srv/java/server"), None);
        // An extension's own leak is no garbage.
        assert_eq!(of("/var/lib/gems/ruby_http_parser.so"), None);
    }

    #[test]
    fn what_others_of_theirs_were_freed_of_may_wait() {
        let text = kept(227, 987, 760).may_be_garbage(RUBY, RAN);
        assert!(text.is_some_and(|text| text.contains("freed those of 760 others")));
    }

    #[test]
    fn what_a_collector_has_left_is_in_use() {
        assert_eq!(kept(300, 300, 0).may_be_garbage(RUBY, RAN), None);
        assert_eq!(kept(3, 300, 0).may_be_garbage(RUBY, RAN), None);
        let elsewhere = HasRun { here: false, ..RAN };
        assert_eq!(kept(30, 300, 0).may_be_garbage(RUBY, elsewhere), None);
        assert!(kept(29, 300, 0).may_be_garbage(RUBY, elsewhere).is_some());
    }

    #[test]
    fn without_a_collection_nothing_is_told() {
        let never = HasRun {
            here: false,
            elsewhere: false,
        };
        let text = kept(59, 61, 0).may_be_garbage(RUBY, never);
        assert!(text.is_some_and(|text| text.contains("can't be told")));
    }
}
