//! What is to be thought of what requests hold that have not ended. Each is judged by itself, over its own life, as a
//! process is that serves: what was read and written meanwhile stands for its requests. What was in flight no longer
//! than others of its label take is as it should be.

use rustc_hash::FxHashMap;

use crate::analysis::Verdict;
use crate::figures::count;
use crate::ledger::{self, FinishedSite, MEASURES, Open};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::verdict::{Sequences, survival};

/// A request is judged after so many reads and writes.
const ENOUGH: u32 = 8;
/// In flight no longer than so many times the longest of its label that has ended: that is usual.
const USUAL: u64 = 2;

/// A call site's part in requests of a label that have not ended.
#[derive(Clone, Debug)]
pub(super) struct JudgedOpen {
    pub(super) label: LabelId,
    pub(super) verdict: Verdict,
    pub(super) requests: u64,
    /// Live at the end.
    pub(super) live: Amount,
    /// Of that, made while serving.
    pub(super) grown: Amount,
    /// Bytes of that which were made after the last end of a request.
    pub(super) later_bytes: u64,
    /// Why.
    pub(super) text: String,
}

/// How a request is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Over its life.
    Long,
    /// As one that was in flight when its process ended.
    Usual,
    /// Nothing tells.
    Untold,
}

/// Judges a call site's.
pub(super) fn judge(
    parts: &[(usize, FinishedSite)],
    sequences: &[Sequences],
    records: &[Record],
) -> Vec<JudgedOpen> {
    let mut lists: FxHashMap<(LabelId, Kind), Vec<(usize, &Open)>> = FxHashMap::default();
    for (process, site) in parts {
        for open in &site.open {
            let Some(record) = records.get(open.request as usize) else {
                continue;
            };
            if let (Some(label), Some(sequences)) = (record.label, sequences.get(*process)) {
                let kind = kind((record, label), sequences);
                lists
                    .entry((label, kind))
                    .or_default()
                    .push((*process, open));
            }
        }
    }
    let row = |((label, kind), list): ((LabelId, Kind), Vec<(usize, &Open)>)| {
        let (verdict, text) = match kind {
            Kind::Long => over_lives(&list, sequences, records),
            Kind::Usual => (
                Verdict::Bounded,
                "in flight when the process ended, no longer than others were".to_owned(),
            ),
            Kind::Untold => (
                Verdict::TooFewRequests,
                "not ended, and too little was read and written meanwhile to tell if it grows"
                    .to_owned(),
            ),
        };
        let sum = |of: fn(&Open) -> Amount| {
            list.iter().fold(Amount::default(), |mut sum, (_, open)| {
                sum += of(open);
                sum
            })
        };
        JudgedOpen {
            label,
            verdict,
            requests: list.len() as u64,
            live: sum(|open| open.live),
            grown: sum(|open| open.grown),
            later_bytes: list.iter().map(|(_, open)| open.later_bytes).sum(),
            text,
        }
    };
    let mut rows: Vec<JudgedOpen> = lists.into_iter().map(row).collect();
    rows.sort_unstable_by_key(|row| (row.label, row.verdict));
    rows
}

fn kind((record, label): (&Record, LabelId), sequences: &Sequences) -> Kind {
    let last = sequences.touches().last().map_or(0, |last| last.0);
    let age = last.saturating_sub(record.start);
    match sequences.longest_of(label) {
        Some(longest) if age <= longest.saturating_mul(USUAL) => Kind::Usual,
        _ if record.touches < ENOUGH => Kind::Untold,
        _ => Kind::Long,
    }
}

/// What a request holds, by the reads and writes (`touches`, of its process) that had come by then.
fn kept_of(open: &Open, record: &Record, touches: &[(u64, u64)]) -> Vec<survival::Kept> {
    let points = open.births.points();
    let places = u64::from(record.touches);
    // Of all that was read and written since it began, so much had been when the block was made.
    let since = |stamp: u64| {
        let since = touches.iter().skip_while(|point| point.0 < record.start);
        let since = since.take_while(|point| point.0 <= stamp);
        since.map(|point| point.1).sum::<u64>()
    };
    let whole = since(u64::MAX).max(1);
    let mut kept: Vec<survival::Kept> = Vec::new();
    for (stamp, _) in points {
        let before = since(*stamp).saturating_sub(1);
        let order = (u128::from(before) * u128::from(places) / u128::from(whole)) as u64;
        if kept.last().is_none_or(|last| last.order < order) {
            let mut age = [None; MEASURES];
            age[0] = Some(places.saturating_sub(order + 1));
            kept.push(survival::Kept {
                request: open.request,
                order,
                age,
                first: kept.is_empty(),
                judged: ledger::Judged::InUse,
            });
        }
    }
    kept
}

/// The verdict over the lives of these requests, and why.
fn over_lives(
    list: &[(usize, &Open)],
    sequences: &[Sequences],
    records: &[Record],
) -> (Verdict, String) {
    let mut group = survival::Group {
        by_time: true,
        unwatched: true,
        newest: list.len() as u64,
        ..survival::Group::default()
    };
    let (mut all, mut kept_at) = (0, 0);
    for (process, open) in list {
        let Some(record) = records.get(open.request as usize) else {
            continue;
        };
        let places = u64::from(record.touches);
        let kept = kept_of(open, record, sequences[*process].touches());
        all += places;
        kept_at += kept.len() as u64;
        group.survivors += kept.len() as u64;
        group.processes.push(survival::InProcess {
            orders: (0..places).collect(),
            ended: places,
            kept,
            ..survival::InProcess::default()
        });
    }
    let (verdict, figures) = group.judge();
    let trend = figures
        .trend
        .map_or(String::new(), |trend| format!(", trend {trend:+.1}"));
    let text = format!(
        "not ended; blocks are left of {} of {} reads and writes{trend}",
        count(kept_at),
        count(all),
    );
    (verdict, text)
}
