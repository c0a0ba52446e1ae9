//! What was to be reached, and whether it is.

use serde_json::{Value, json};

use crate::outcome::{Outcome, Row};
use crate::stat::Stat;
use crate::tool::Tool;
use crate::workload::Kind;

/// With fewer events, what a report takes is what it takes to start and to look for names.
const WORTH_READING: f64 = 1e6;
const MIB: f64 = 1024.0 * 1024.0;

/// A goal, and what became of it.
pub(crate) struct Goal {
    /// What is compared, on which workload.
    pub(crate) what: String,
    /// What is to be reached.
    pub(crate) reach: String,
    /// What was measured.
    pub(crate) measured: String,
    /// Whether it does.
    pub(crate) reached: bool,
}

impl Goal {
    /// For the JSON file.
    pub(crate) fn json(&self) -> Value {
        json!({ "what": self.what, "reach": self.reach, "measured": self.measured, "reached": self.reached })
    }
}

/// All that can be told from `outcomes`.
pub(crate) fn all(outcomes: &[Outcome]) -> Vec<Goal> {
    let each = |goal: fn(&Outcome) -> Vec<Option<Goal>>| outcomes.iter().flat_map(goal).flatten();
    let mut goals: Vec<Goal> = each(|one| vec![in_target(one)]).collect();
    goals.extend(each(|one| vec![in_all(one)]));
    goals.extend(each(|one| vec![for_each_request(one, Tool::Exact, 1.10)]));
    goals.extend(each(|one| vec![for_each_request(one, Tool::Sampled, 1.02)]));
    goals.extend(each(|one| vec![in_all_beside_memray(one)]));
    goals.extend(each(against_bare));
    goals.extend(each(|one| vec![memory(one)]));
    goals.extend(each(|one| vec![written(one)]));
    goals.extend(each(|one| {
        match one.events >= WORTH_READING && sees_the_same(one) {
            false => Vec::new(),
            true => vec![
                report_speed(one, Tool::Heaptrack, 2.0),
                report_speed(one, Tool::HeaptrackRaw, 8.0),
                report_memory(one),
            ],
        }
    }));
    goals
}

/// Whether heaptrack sees what libleak does: of blocks from the interpreter's own allocators, where memray
/// runs beside them, it sees the arenas.
fn sees_the_same(outcome: &Outcome) -> bool {
    outcome.row(Tool::Memray).is_none()
}

fn in_target(outcome: &Outcome) -> Option<Goal> {
    let parts = match outcome.name {
        "storm, shallow"
        | "storm, 20 frames, changing leaf"
        | "storm, 60 frames, changing leaf"
        | "2 threads" => 10.0,
        "2 threads, blocks crossing" => 5.0,
        _ => return None,
    };
    let theirs = outcome.added_in_target(Tool::Heaptrack)?;
    let ours = outcome.added_in_target(Tool::Exact)?;
    Some(part(
        "CPU added in the target",
        outcome,
        parts,
        ours,
        theirs,
        "heaptrack",
    ))
}

fn in_all(outcome: &Outcome) -> Option<Goal> {
    let (parts, peer) = match (outcome.kind, outcome.name) {
        (Kind::Storm, _) | (_, "C++ tree of strings") => (8.0, Tool::Heaptrack),
        (_, "sqlite, 200,000 rows" | "redis, -P 16" | "python3 JSON, PYTHONMALLOC=malloc") => {
            (4.0, Tool::Heaptrack)
        }
        (_, "g++ with <regex>") => (4.0, Tool::HeaptrackRaw),
        _ => return None,
    };
    let (theirs, ours) = (
        outcome.added_in_all(peer)?,
        outcome.added_in_all(Tool::Exact)?,
    );
    Some(part(
        "CPU added in all processes",
        outcome,
        parts,
        ours,
        theirs,
        peer.name(),
    ))
}

fn in_all_beside_memray(outcome: &Outcome) -> Option<Goal> {
    let theirs = outcome.added_in_all(Tool::Memray)?;
    let ours = outcome.added_in_all(Tool::Exact)?;
    let what = "CPU added in all processes";
    Some(part(what, outcome, 1.0, ours, theirs, "memray"))
}

/// An import takes at most twice as long as it does bare, thousands of threads three times, mappings a fifth more.
fn against_bare(outcome: &Outcome) -> Vec<Option<Goal>> {
    let goal = |what: &str, figure: fn(&Row) -> Stat, most: f64| {
        let bare = figure(outcome.row(Tool::Bare)?).median();
        let traced = figure(outcome.row(Tool::Exact)?).median();
        let ratio = traced / bare;
        Some(Goal {
            what: format!("{what} against bare: {}", outcome.name),
            reach: format!("{most} times"),
            measured: format!("{traced:.2} against {bare:.2} s: {ratio:.2} times"),
            reached: ratio <= most,
        })
    };
    match (outcome.kind, outcome.name) {
        (Kind::Import, _) => vec![
            goal("time", Row::wall, 2.0),
            goal("CPU of the target", Row::target_cpu, 2.0),
        ],
        (_, "5,000 threads at once") => vec![goal("time", Row::wall, 3.0)],
        (_, "mmap and munmap") => vec![goal("CPU of the target", Row::target_cpu, 1.2)],
        _ => Vec::new(),
    }
}

fn part(what: &str, outcome: &Outcome, parts: f64, ours: f64, theirs: f64, peer: &str) -> Goal {
    Goal {
        what: format!("{what}: {}", outcome.name),
        reach: match parts {
            1.0 => format!("less than {peer}'s"),
            _ => format!("1/{parts} of {peer}'s"),
        },
        measured: match ours > 0.0 {
            true => format!(
                "{ours:.1} against {theirs:.1} ns an event: 1/{:.1}",
                theirs / ours
            ),
            false => format!("less than the noise, against {theirs:.1} ns an event"),
        },
        reached: ours * parts <= theirs,
    }
}

fn for_each_request(outcome: &Outcome, tool: Tool, most: f64) -> Option<Goal> {
    let ratio = outcome.request_ratio(tool)?;
    let rate = |tool| Some(outcome.row(tool)?.rate()?.median());
    Some(Goal {
        what: format!(
            "{}'s CPU for each request against bare: {}",
            tool.name(),
            outcome.name
        ),
        reach: format!("{most:.2}"),
        measured: format!(
            "{:.3} ({:.3} to {:.3}); {:.0} requests a second against {:.0}",
            ratio.median(),
            ratio.low(),
            ratio.high(),
            rate(tool)?,
            rate(Tool::Bare)?,
        ),
        reached: ratio.median() <= most,
    })
}

fn memory(outcome: &Outcome) -> Option<Goal> {
    let threads = match (outcome.kind, outcome.name) {
        (Kind::Storm, name) => name
            .split_once(" threads")
            .and_then(|(count, _)| count.parse().ok())
            .unwrap_or(1.0),
        (_, "sqlite, 200,000 rows" | "g++ with <regex>" | "python3 JSON, PYTHONMALLOC=malloc") => {
            1.0
        }
        _ => return None,
    };
    let added = outcome.added(Tool::Exact, Row::target_rss)? / MIB;
    let most = 8.0 + 1.5 * threads;
    Some(Goal {
        what: format!("peak memory added to the target: {}", outcome.name),
        reach: format!("{most:.1} MiB"),
        measured: format!("{added:.1} MiB"),
        reached: added <= most,
    })
}

fn written(outcome: &Outcome) -> Option<Goal> {
    if !sees_the_same(outcome) {
        return None;
    }
    let (ours, theirs) = (
        outcome.bytes_per_event(Tool::Exact)?,
        outcome.bytes_per_event(Tool::HeaptrackRaw)?,
    );
    Some(Goal {
        what: format!("bytes written for each event: {}", outcome.name),
        reach: "no more than heaptrack --raw".to_owned(),
        measured: format!("{ours:.2} against {theirs:.2}"),
        reached: ours <= theirs,
    })
}

fn report_speed(outcome: &Outcome, peer: Tool, times: f64) -> Option<Goal> {
    let (ours, theirs) = (
        outcome.report_rate(Tool::Exact)? / 1e6,
        outcome.report_rate(peer)? / 1e6,
    );
    Some(Goal {
        what: format!("events a second to the text report: {}", outcome.name),
        reach: format!("{times} times {}'s", peer.name()),
        measured: format!(
            "{ours:.1} M against {theirs:.1} M: {:.1} times",
            ours / theirs
        ),
        reached: ours >= times * theirs,
    })
}

fn report_memory(outcome: &Outcome) -> Option<Goal> {
    let peak = |tool| Some(outcome.row(tool)?.report_rss()?.median() / MIB);
    let (ours, theirs) = (peak(Tool::Exact)?, peak(Tool::Heaptrack)?);
    Some(Goal {
        what: format!("memory of the text report: {}", outcome.name),
        reach: "no more than heaptrack_print's".to_owned(),
        measured: format!("{ours:.0} MiB against {theirs:.0} MiB"),
        reached: ours <= theirs,
    })
}
