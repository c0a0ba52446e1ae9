//! What may be garbage in cycles that waits for Python's collector, said in the report's first lines: without a run
//! that could tell, it looks like a leak.

use super::judged::Judged as JudgedSite;
use crate::analysis::{Collections, ProcessFigures, Verdict};
use crate::figures::{bytes, counted};
use crate::ledger::{Finished, Judged};
use crate::sample::Amount;
use crate::sites::Sites;
use crate::trace::Warning;

/// How often a process's collector ran before its exit began, if that is known; and how often it was asked to.
pub(super) fn collections(finished: &Finished) -> Option<Collections> {
    let collector = &finished.collector;
    let [young, middle, full] = collector.runs;
    (collector.is_known() || collector.asked > 0).then(|| Collections {
        runs: collector.is_known().then_some([young, middle, full]),
        asked: collector.asked,
    })
}

/// What is to be said of it. Stacks and mappings are no objects: what holds them is, and is told of.
pub(super) fn warnings(
    (sites, places): (&[JudgedSite], &Sites),
    processes: &[ProcessFigures],
    records: &[crate::requests::record::Record],
) -> Vec<Warning> {
    let (accused, waiting) = in_doubt((sites, places), records);
    let told = processes.iter().filter_map(|process| process.collections);
    let all = told.fold(Collections::default(), |sum, of| Collections {
        runs: match (sum.runs, of.runs) {
            (Some(sum), Some(runs)) => Some([0, 1, 2].map(|at| sum[at] + runs[at])),
            (sum, runs) => sum.or(runs),
        },
        asked: sum.asked + of.asked,
    });
    let mut warnings = Vec::new();
    if let Some([young, middle, full]) = all.runs {
        let runs = format!(
            "it made {} over young objects, {} over all",
            counted(young + middle, "run"),
            full
        );
        let ask = match all.asked {
            0 => " LEAK_GC=boundary:50 has it run after every 50 requests.",
            _ => "",
        };
        let mut say = |text: String| {
            warnings.push(Warning {
                code: "garbage_waits".to_owned(),
                text: text + ask,
            });
        };
        if accused.blocks > 0 {
            say(format!(
                "Of what is called a leak, {} ({}) might be garbage in cycles: no run of Python's collector could \
                 tell since it was left ({runs}).",
                counted(accused.blocks, "block"),
                bytes(accused.bytes)
            ));
        }
        if waiting.bytes >= LITTLE {
            say(format!(
                "{} ({}) that requests left may be garbage in cycles that waited for Python's collector ({runs}): \
                 not called a leak.",
                counted(waiting.blocks, "block"),
                bytes(waiting.bytes)
            ));
        }
    }
    if all.asked > 0 {
        warnings.push(Warning {
            code: "collections_asked".to_owned(),
            text: asked(all),
        });
    }
    warnings
}

/// What is called a leak, and what is undecided, and may be garbage that no run of the collector could tell.
fn in_doubt(
    (sites, places): (&[JudgedSite], &Sites),
    records: &[crate::requests::record::Record],
) -> (Amount, Amount) {
    let (mut accused, mut waiting) = (Amount::default(), Amount::default());
    let objects = sites
        .iter()
        .filter(|site| places.memory(site.id).apart().is_none());
    for label in objects.flat_map(|site| &site.labels) {
        for kept in label.retained.iter().filter(|kept| kept.is_used()) {
            match (label.verdict_of(kept, records), kept.judged) {
                (Verdict::Leak, Judged::Waits) => accused += kept.amount(),
                (Verdict::TooFewRequests, Judged::Waits | Judged::Freed) => {
                    waiting += kept.amount()
                }
                _ => {}
            }
        }
    }
    (accused, waiting)
}

/// Less is not worth a line.
const LITTLE: u64 = 64 << 10;

/// What became of the collections that `LEAK_GC` asked for.
fn asked(all: Collections) -> String {
    let asked = format!(
        "LEAK_GC asked Python for {}",
        counted(all.asked, "collection")
    );
    match all.runs.map(|[.., full]| full) {
        Some(0) => format!(
            "{asked}, and none was made: its main thread came to no safe point, or gc.disable() was called."
        ),
        Some(full) => format!(
            "{asked}; {} made: garbage went sooner than it does without.",
            match full {
                1 => "1 full one was".to_owned(),
                full => format!("{} full ones were", crate::figures::count(full)),
            }
        ),
        None => format!("{asked}; this CPython's collector doesn't tell whether they were made."),
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::analyze::judged::JudgedLabel;
    use crate::ledger::Retained;
    use crate::requests::record::Record;
    use crate::sites::{Frame, NO_MODULE, NO_SITE, SiteId};

    /// A block that waits for the collector.
    fn waits(id: SiteId, bytes: u64) -> JudgedSite {
        let kept = Retained {
            bytes,
            judged: Judged::Waits,
            ..Retained::block(0, 1)
        };
        let verdict = Verdict::TooFewRequests;
        let label = JudgedLabel::retaining(0, verdict, vec![kept]);
        JudgedSite::of_labels(id, verdict, vec![label])
    }

    #[test]
    fn stacks_are_no_garbage_in_cycles() {
        let mut places = Sites::default();
        let frame = Frame {
            module: NO_MODULE,
            file_address: 1,
        };
        let site = places.child(NO_SITE, frame);
        let mapped = places.mapped(site);
        let record = Record::answered(0, (0, 2));
        let process = ProcessFigures {
            collections: Some(Collections {
                runs: Some([1, 0, 0]),
                asked: 0,
            }),
            ..ProcessFigures::default()
        };
        let told = |sites: &[JudgedSite]| {
            let (process, record) = (from_ref(&process), from_ref(&record));
            let warnings = warnings((sites, &places), process, record);
            let texts = warnings.into_iter().map(|warning| warning.text);
            texts.collect::<Vec<_>>().concat()
        };
        // A stack's site is the third of those of mappings.
        let apart = [mapped, mapped + 2].map(|site| waits(site, 8 << 20));
        assert_eq!(told(&apart), "");
        let [one, other] = apart;
        let text = told(&[waits(site, 64 << 10), one, other]);
        assert!(
            text.starts_with("1 block (64.0 KiB) that requests left"),
            "{text}"
        );
    }
}
