//! What is kept with the threads of a pool that grows as it is needed: a request that finds all of them at work has one
//! more made, and its memory with it.
//!
//! How often that happens tells nothing: such requests are few, and come whenever more work is in flight than before, as
//! leaks may. What the thread does later tells: one that works for other requests than the one that had it made is a
//! pool's, and there are no more of them than work at once. A thread that is only left behind works for none.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::Judged;
use crate::analysis::Verdict;
use crate::figures::{count, counted};
use crate::requests::record::RequestId;

/// Of those who had threads made, this part must have had some made that have worked for others since, in percent. The
/// newest may not have had the time.
const WORK_ON: usize = 50;

/// A pool has so many threads at most, or as many as requests are in flight at once: of those that Python makes, 36 and 40
/// are usual. One that is given more is not bounded by need.
const USUAL: usize = 64;

/// Where requests keep something only with a thread of a pool, that is bounded. `made`: requests that had threads made
/// which live on, and whether those have worked for others since.
pub(super) fn correct(
    sites: &mut [Judged],
    made: &FxHashMap<RequestId, bool>,
    at_once: impl FnOnce() -> usize,
) {
    if !made.values().any(|works_on| *works_on) {
        return;
    }
    let most = match made.len() {
        ..=USUAL => USUAL,
        _ => at_once().max(USUAL),
    };
    for site in sites {
        let mut text = None;
        for part in site
            .labels
            .iter_mut()
            .filter(|part| is_growth(part.verdict))
        {
            let kept = part.retained.iter().filter(|kept| kept.is_used());
            let requests: FxHashSet<RequestId> = kept.map(|kept| kept.request).collect();
            let Some(work_on) = of_pool(&requests, made).filter(|_| requests.len() <= most) else {
                continue;
            };
            let said = said(requests.len(), work_on);
            part.verdict = Verdict::Bounded;
            let growing = part.groups.iter_mut();
            for group in growing.filter(|group| is_growth(group.verdict)) {
                group.verdict = Verdict::Bounded;
                group.text.clone_from(&said);
            }
            text = Some(said);
        }
        if let Some(text) = text
            && is_growth(site.verdict)
            && !site.labels.iter().any(|part| is_growth(part.verdict))
        {
            site.verdict = Verdict::Bounded;
            site.evidence.text = text;
        }
    }
}

/// How many of these had threads made that have worked for others, if all of them had one made of a pool.
fn of_pool(requests: &FxHashSet<RequestId>, made: &FxHashMap<RequestId, bool>) -> Option<usize> {
    let all_made = requests.iter().all(|request| made.contains_key(request));
    let work_on = requests
        .iter()
        .filter(|request| made.get(request) == Some(&true));
    let work_on = work_on.count();
    let enough = work_on > 0 && work_on * 100 >= requests.len() * WORK_ON;
    (all_made && enough).then_some(work_on)
}

fn is_growth(verdict: Verdict) -> bool {
    verdict.leaks() || verdict == Verdict::TooFewRequests
}

fn said(requests: usize, work_on: usize) -> String {
    format!(
        "kept by {}, each of which had a thread made that lives on; {} {} worked for others since: a pool, which has no \
         more threads than work at once",
        counted(requests as u64, "request"),
        count(work_on as u64),
        if work_on == 1 { "has" } else { "have" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(ids: &[RequestId]) -> FxHashSet<RequestId> {
        ids.iter().copied().collect()
    }

    #[test]
    fn threads_of_a_pool_work_for_others() {
        let made = FxHashMap::from_iter([(1, true), (2, true), (3, false), (4, false)]);
        assert_eq!(of_pool(&requests(&[1, 2, 3]), &made), Some(2));
        assert_eq!(
            of_pool(&requests(&[1, 2, 9]), &made),
            None,
            "9 had none made"
        );
        assert_eq!(of_pool(&requests(&[1, 3, 4]), &made), None, "one of three");
        assert_eq!(of_pool(&requests(&[3, 4]), &made), None, "left behind");
    }

    #[test]
    fn texts() {
        let said = said(7, 6);
        assert!(
            said.contains("7 requests, each of which had a thread made")
                && said.contains("6 have worked for others"),
            "{said}"
        );
    }
}
