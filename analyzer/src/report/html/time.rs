//! What the page shows over time: live and resident memory, what it is made of, and how many requests came.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::data::{Limit, Time};
use crate::analysis::course::{Course, Lived, OUTLIVED, PERIODS};
use crate::analysis::{Analysis, TimelinePoint, Verdict};
use crate::report::Input;
use crate::sites::SiteId;
use crate::trace::LimitKind;

/// Points of the lines.
const POINTS: u64 = 240;

/// Takes it together.
pub(super) fn time(input: &Input<'_>) -> Time {
    let duration = input.facts.duration_ns.max(1);
    let mut time = lines(input, duration);
    time.begins = begins(input.analysis, duration);
    time.limit = limit(input.analysis);
    if let Some(course) = &input.analysis.course {
        time.levels = levels(input, course);
    }
    time
}

/// Live and resident bytes: each process's last point before the moment, while it runs.
fn lines(input: &Input<'_>, duration: u64) -> Time {
    let mut by_process: BTreeMap<u32, Vec<&TimelinePoint>> = BTreeMap::new();
    for point in &input.analysis.timeline {
        by_process.entry(point.process).or_default().push(point);
    }
    let step = duration / POINTS;
    let mut time = Time::default();
    for at in 0..=POINTS {
        let t_ns = (u128::from(duration) * u128::from(at) / u128::from(POINTS)) as u64;
        let running = by_process.values().filter_map(|points| {
            let after = points.partition_point(|point| point.t_ns <= t_ns);
            // The last point is where it ended. The trace's end comes a moment after that of its last process.
            let runs = points.last()?.t_ns.saturating_add(step) >= t_ns;
            points.get(after.checked_sub(1)?).filter(|_| runs).copied()
        });
        let (mut live, mut rss) = (0, None);
        for point in running {
            live += point.live_bytes;
            if let Some(bytes) = point.rss_bytes {
                rss = Some(rss.unwrap_or(0) + bytes);
            }
        }
        time.t_ns.push(t_ns);
        time.live_bytes.push(live);
        time.rss_bytes.push(rss);
    }
    time
}

/// The limit of resident memory: one of addresses is no line beside it.
fn limit(analysis: &Analysis) -> Option<Limit> {
    let (kind, bytes) = analysis.outlook.limit?;
    let what = match kind {
        LimitKind::Cgroup => "cgroup",
        LimitKind::Machine => "this machine's memory",
        LimitKind::AddressSpace => return None,
    };
    Some(Limit(bytes, what))
}

/// How many requests began in each part of the time.
fn begins(analysis: &Analysis, duration: u64) -> Vec<u64> {
    let mut begins = vec![0; POINTS as usize];
    for request in &analysis.requests {
        let at = u128::from(request.start_ns) * u128::from(POINTS) / u128::from(duration);
        let at = (at as usize).min(begins.len() - 1);
        begins[at] += u64::from(request.count);
    }
    begins
}

/// What is live at the begin and at each period's end, by the verdict on its call site and by its kind.
fn levels(input: &Input<'_>, course: &Course) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    let sites = input.analysis.sites.iter();
    let verdicts: FxHashMap<SiteId, Verdict> = sites.map(|site| (site.id, site.verdict)).collect();
    let mut levels: BTreeMap<(Verdict, &str), Vec<u64>> = BTreeMap::new();
    for lived in &course.lived {
        // A site that the result does not name has nothing left.
        let verdict = verdicts.get(&lived.site).copied().unwrap_or(Verdict::Clean);
        let kind = input.sites.memory(lived.site).kind();
        let levels = levels
            .entry((verdict, kind))
            .or_insert_with(|| vec![0; PERIODS + 1]);
        for period in alive_at(lived) {
            levels[period + 1] += lived.amount.bytes;
        }
    }
    let levels = levels.into_iter();
    levels
        .map(|((verdict, kind), levels)| (verdict.name(), kind, levels))
        .collect()
}

/// The periods at whose end it is alive: in memory, so that what a process held is gone with it.
fn alive_at(lived: &Lived) -> std::ops::Range<usize> {
    let until = match lived.died.checked_sub(OUTLIVED) {
        None => lived.died,
        Some(ended) if usize::from(ended) + 1 >= PERIODS => ended + 1,
        Some(ended) => ended,
    };
    usize::from(lived.born)..usize::from(until).max(usize::from(lived.born))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Amount;

    #[test]
    fn what_a_process_held_is_gone_with_it_but_for_the_last_moment() {
        let lived = |born, died| Lived {
            site: 1,
            born,
            died,
            amount: Amount::one(8),
        };
        assert_eq!(alive_at(&lived(2, 5)), 2..5);
        assert_eq!(alive_at(&lived(2, OUTLIVED + 7)), 2..7);
        assert_eq!(alive_at(&lived(2, OUTLIVED + 47)), 2..48);
        assert_eq!(alive_at(&lived(7, OUTLIVED + 7)), 7..7);
    }
}
