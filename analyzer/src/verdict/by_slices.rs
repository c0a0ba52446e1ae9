//! Judges series: one, or those of several processes together.

use super::survival;
use super::text::text;
use super::{
    ERRORS, FEW_BLOCKS, FREED_REST, GROWTH, LEAK_LATE_REQUESTS, LEAK_REQUESTS, LEAK_SHARE, QUARTER,
    STEADY, Series, WARM_UP_REQUESTS, at_least,
};
use crate::analysis::{Evidence, Verdict};
use crate::ledger::SLICES;

/// The verdict on the series of several processes, which are reached by the same call site. Processes
/// with too few requests to tell count only where there are no others.
pub fn combine(all: &[Series]) -> (Verdict, Evidence) {
    let enough = |series: &&Series| series.judged >= LEAK_REQUESTS;
    let some_enough = all.iter().any(|series| enough(&series));
    let mut sum = Series::default();
    for series in all.iter().filter(|series| !some_enough || enough(series)) {
        sum.add(series);
    }
    let combined = judge(&sum);
    let alone = all.iter().map(judge).filter(|(verdict, _)| {
        matches!(verdict, Verdict::Leak | Verdict::GrowingBuffer) && *verdict < combined.0
    });
    let worst = alone.min_by_key(|(verdict, evidence)| {
        (*verdict, std::cmp::Reverse(evidence.older_retained_bytes))
    });
    match worst {
        Some((verdict, mut evidence)) => {
            evidence.text = format!("in one of {} processes, {}", all.len(), evidence.text);
            (verdict, evidence)
        }
        None => combined,
    }
}

/// The verdict on one series: the first that holds.
pub fn judge(series: &Series) -> (Verdict, Evidence) {
    let verdict = verdict(series);
    (verdict, evidence(series, verdict))
}

/// The figures of a series, which has this verdict.
pub fn evidence(series: &Series, verdict: Verdict) -> Evidence {
    let needed = (verdict == Verdict::TooFewRequests).then(|| needed(series));
    Evidence {
        text: text(series, verdict, needed),
        requests_judged: series.judged,
        requests_retaining: series.retaining,
        live_bytes_by_slice: series.live_bytes.to_vec(),
        retained_bytes_by_slice: series.retained_bytes.to_vec(),
        older_survivor_bytes: series.older_survivor_bytes,
        older_retained_bytes: series.older_retained_bytes(),
        requests_needed: needed,
        ..Evidence::default()
    }
}

/// Whether more is live at the end, by [`STEADY`], than ever was before the last eighth.
pub fn reaches_new_height(all: &[Series]) -> bool {
    let mut sum = Series::default();
    all.iter().for_each(|series| sum.add(series));
    let [before @ .., end] = sum.live_bytes;
    let highest = before.into_iter().max().unwrap_or(0);
    end > 0 && at_least(end, 100 + STEADY, highest)
}

/// Whether what is live has stopped growing, beside those bytes that were there `before` and stay.
pub fn is_steady(all: &[Series], before: u64) -> bool {
    let mut sum = Series::default();
    all.iter().for_each(|series| sum.add(series));
    let [.., middle, _, _, _, end] = sum.live_bytes.map(|live| live.saturating_sub(before));
    middle > 0 && !at_least(end, 100 + STEADY, middle)
}

fn verdict(series: &Series) -> Verdict {
    let (older, kept) = (series.older_survivor_bytes, series.older_retained_bytes());
    let [.., middle, _, _, _, end] = series.live_bytes;
    let few = series.retained_blocks <= FEW_BLOCKS * series.processes.max(1);
    if series.survivor_blocks == 0 {
        return match series.before_blocks {
            0 => Verdict::Clean,
            _ if series.judged == 0 => Verdict::TooFewRequests,
            _ => Verdict::WarmUp,
        };
    }
    if series.retaining >= LEAK_REQUESTS
        && series.retaining_late >= LEAK_LATE_REQUESTS
        && kept > 0
        && at_least(kept, LEAK_SHARE, older)
    {
        return Verdict::Leak;
    }
    if few && series.retained_blocks > 0 && grows(series) {
        return Verdict::GrowingBuffer;
    }
    let some_freed = series.survivor_blocks > series.retained_blocks;
    let all_but_newest = kept == 0 && series.retaining <= series.newest
        || some_freed && series.retaining <= series.newest && !at_least(kept, FREED_REST, older);
    let steady = middle > 0 && !at_least(end, 100 + STEADY, middle);
    if steady && some_freed && !all_but_newest && series.retaining > 0 {
        return Verdict::Bounded;
    }
    let late: u64 = series.retained_bytes[QUARTER..].iter().sum();
    let early: u64 = series.retained_bytes[..QUARTER].iter().sum();
    // What a sample has of an even keeping may be early by chance.
    let shown = !series.sample.is_partial() || survival::is_no_chance(series.drawn());
    if late == 0 && early > 0 && shown && series.judged >= WARM_UP_REQUESTS {
        return Verdict::WarmUp;
    }
    if kept == 0 || all_but_newest && some_freed {
        let enough = some_freed && series.judged > 1;
        return match enough {
            true => Verdict::FreedLater,
            false => Verdict::TooFewRequests,
        };
    }
    Verdict::TooFewRequests
}

/// Whether live bytes rise by [`GROWTH`] from the middle to the end: by realloc, never falling from the
/// middle on; or in new blocks that replace old ones, never falling at all.
fn grows(series: &Series) -> bool {
    let live = &series.live_bytes;
    let from = match series.reallocations {
        0 => 0,
        _ => SLICES / 2 - 1,
    };
    let rises = live[from..].is_sorted();
    let replaced = series.reallocations > 0 || series.survivor_blocks > 2 * series.retained_blocks;
    let (middle, end) = (live[SLICES / 2 - 1], live[SLICES - 1]);
    let by_chance = ERRORS * series.sample.error(end);
    let enough = at_least(end, 100 + GROWTH, middle) && end - middle >= by_chance;
    rises && replaced && middle > 0 && enough
}

/// How many more requests could tell.
fn needed(series: &Series) -> u64 {
    if series.judged < LEAK_REQUESTS {
        return WARM_UP_REQUESTS - series.judged;
    }
    let missing = LEAK_REQUESTS.saturating_sub(series.retaining);
    let each = series.judged.div_ceil(series.retaining.max(1));
    let for_leak = missing * each;
    let for_warm_up = WARM_UP_REQUESTS.saturating_sub(series.judged);
    // Neither kept nor freed as a rule: as many again will show a tendency.
    for_leak
        .max(for_warm_up)
        .max(series.judged.min(1_000_000) / 2)
        .max(1)
}
