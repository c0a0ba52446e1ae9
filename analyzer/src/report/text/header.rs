//! The head of the report: what is missing first, then the result, then what was seen.

use super::leaking::Leaking;
use super::outlook;
use super::page::Page;
use super::result;
use super::table::{cut, paint};

use crate::analysis::{Growth, Ownership, Verdict};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, duration, moment, share, signal};
use crate::report::{Input, dropped_events};
use crate::trace::{ENDED_EARLY, Ended, Facts, Outcome, Process, Warning};

/// Unseen connections that are told one by one.
const MOST_UNSEEN: usize = 5;

/// Writes it.
pub(super) fn write(
    page: &mut Page,
    input: &Input<'_>,
    warnings: &[Warning],
    leaking: &[Leaking<'_>],
) {
    let warn = page.ink.warn;
    for text in missing(input, warnings) {
        page.titled("! ", warn, anstyle::Style::new(), &text);
    }
    page.blank();
    result::write(page, input, leaking);
    page.blank();
    let (strong, dim) = (page.ink.strong, page.ink.dim);
    if let Some(line) = main_command(input) {
        page.line(paint(strong, &cut(&line, page.width)));
    }
    for text in seen(input) {
        page.paragraph("  ", dim, &text);
    }
}

/// Anything cut, dropped, guessed or unseen, escaped.
pub(super) fn missing(input: &Input<'_>, warnings: &[Warning]) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |text: &str| all.push(escaped(text).into_owned());
    let facts = input.facts;
    if let Some(text) = outlook::killed(input) {
        say(&text);
    }
    if facts.sample_bytes > 0 {
        say(&format!(
            "This is a sample, every {} on average (LEAK_SAMPLE): sizes and counts are estimates, within their \
             ± in two cases of three; {} is live. A request shows as leaking only where a block of its is \
             in the sample.",
            bytes(facts.sample_bytes),
            input.estimate(input.analysis.totals.live_bytes)
        ));
    }
    if let Some(text) = ended(input).filter(|_| !warned(warnings, facts.ended)) {
        say(text);
    }
    let dropped = dropped_events(facts);
    if dropped > 0 && !warnings.iter().any(|w| w.code.starts_with("dropped")) {
        say(&format!(
            "{} not recorded ({} allocations, {} frees, {} others): figures may be too low, and a \
             block whose free is missing may look alive. LEAK_FULL=wait records everything.",
            counted(dropped, "event"),
            count(facts.dropped.allocations),
            count(facts.dropped.frees),
            count(facts.dropped.other),
        ));
    }
    for warning in warnings {
        say(&warning.text);
    }
    let unseen = &input.analysis.unseen;
    for unseen in unseen.iter().take(MOST_UNSEEN) {
        say(&format!(
            "Not seen: {} to {}: {}",
            counted(unseen.connections, "connection"),
            unseen.port,
            unseen.reason
        ));
    }
    if unseen.len() > MOST_UNSEEN {
        let more = unseen.len() - MOST_UNSEEN;
        say(&format!(
            "Not seen: {more} more kinds of connections, listed by --format json."
        ));
    }
    all
}

fn warned(warnings: &[Warning], ended: Ended) -> bool {
    let code = match ended {
        Ended::DiskFull => "disk_full",
        Ended::Limit => "limit",
        Ended::Recording => "recording",
        Ended::Truncated => "truncated",
        Ended::Complete | Ended::Killed => return false,
    };
    warnings.iter().any(|warning| warning.code == code)
}

fn ended(input: &Input<'_>) -> Option<&'static str> {
    match input.facts.ended {
        Ended::Complete | Ended::Killed => None,
        Ended::DiskFull => Some(
            "The disk was full, and the recording ended there: what came later is missing. Make \
             room, or set LEAK_TRACE to another disk.",
        ),
        Ended::Limit => Some(
            "The trace reached its largest size, and the recording ended there: what came later \
             is missing. LEAK_MAX_TRACE raises it.",
        ),
        Ended::Recording => Some(
            "The recording goes on: this is what is there so far, and what is alive now may still \
             be freed.",
        ),
        Ended::Truncated => Some(
            "The trace was cut short, it has no end: what is missing after its last whole record \
             is not known. Everything before it is reported.",
        ),
    }
}

/// The command that matters, escaped.
pub(super) fn main_command(input: &Input<'_>) -> Option<String> {
    let (process, _) = main_process(input)?;
    Some(escaped(&command(process)).into_owned())
}

/// Processes, time, requests, events, and what became of the memory: a paragraph each.
pub(super) fn seen(input: &Input<'_>) -> Vec<String> {
    let facts = input.facts;
    let mut all = Vec::new();
    if let Some((process, others)) = main_process(input) {
        let mut parts = vec![format!("pid {}, {}", process.pid, outcome(process, facts))];
        parts.extend(told(&others));
        if !facts.host.is_empty() {
            parts.push(format!("on {}", escaped(&facts.host)));
        }
        all.push(parts.join(", "));
    }
    let second = facts.started_at_ns / 1_000_000_000 * 1_000_000_000;
    let begin = moment(second).replace('T', " ").replace('Z', " UTC");
    all.push(format!("from {begin} for {}", duration(facts.duration_ns)));
    let mut parts = vec![requests(input), counted(input.analysis.events, "event")];
    if crate::report::is_complete(facts) && input.analysis.untraced.is_empty() {
        let what = if facts.sample_bytes > 0 {
            "the sample"
        } else {
            "all"
        };
        parts.push(format!("{what} recorded"));
    }
    if facts.waited_ns > 1_000_000_000 {
        let waited = duration(facts.waited_ns);
        parts.push(format!("threads waited {waited} for the recorder"));
    }
    all.push(parts.join(", "));
    all.extend(whose(&input.analysis.totals.ownership));
    all.extend(growth(&input.analysis.growth));
    all
}

/// How memory grew while requests were served, and what explains that; `None` where it hardly did.
fn growth(growth: &Growth) -> Option<String> {
    let grown = growth.bytes();
    if grown < LITTLE {
        return None;
    }
    let sum = |wanted: &[Verdict]| -> u64 {
        let of = growth.by_verdict.iter();
        let of = of.filter(|(verdict, _)| wanted.contains(verdict));
        of.map(|(_, amount)| amount.bytes).sum()
    };
    let parts = [
        (sum(&[Verdict::Leak, Verdict::GrowingBuffer]), "leaks"),
        (sum(&[Verdict::Bounded]), "bounded"),
        (
            sum(&[Verdict::WarmUp, Verdict::FreedLater, Verdict::Clean]),
            "warm-up or freed later",
        ),
        (growth.undecided_bytes(), "can't be told yet"),
    ];
    let shown = parts.iter().filter(|(part, _)| *part > 0);
    let shown: Vec<String> = shown
        .map(|(part, what)| format!("{} {what}", bytes(*part)))
        .collect();
    let made: u64 = parts.iter().map(|(part, _)| part).sum();
    let gone = match made.saturating_sub(growth.bytes()) {
        gone if gone * 10 < made => String::new(),
        gone => format!("; {} of what was there before is gone", bytes(gone)),
    };
    Some(format!(
        "live memory while serving: {} to {}, of the growth {}{gone}",
        bytes(growth.from_bytes),
        bytes(growth.to_bytes),
        shown.join(", ")
    ))
}

/// Growth that is not worth a line.
const LITTLE: u64 = 64 << 10;

/// How it is known whose the retained bytes are; `None` where there are none.
fn whose(ownership: &Ownership) -> Option<String> {
    let parts = [
        (ownership.proved_bytes, "proved"),
        (ownership.associated_bytes, "associated"),
        (ownership.unknown_bytes, "not known"),
    ];
    let whole: u64 = parts.iter().map(|(bytes, _)| bytes).sum();
    let shown = parts.iter().filter(|(bytes, _)| *bytes > 0);
    let shown: Vec<String> = shown
        .map(|(bytes, what)| format!("{} {what}", share(*bytes, whole)))
        .collect();
    (whole > 0).then(|| {
        format!(
            "whose: {} of the {} that outlived requests",
            shown.join(", "),
            bytes(whole)
        )
    })
}

fn requests(input: &Input<'_>) -> String {
    let analysis = input.analysis;
    let number = analysis.requests.iter().map(|r| u64::from(r.count)).sum();
    let sources: Vec<&str> = analysis.boundaries.iter().map(|s| s.name()).collect();
    match number {
        0 => "no requests".into(),
        _ if sources.is_empty() => counted(number, "request"),
        _ => format!("{} ({})", counted(number, "request"), sources.join(", ")),
    }
}

fn command(process: &Process) -> String {
    if process.arguments.is_empty() {
        return match process.executable.is_empty() {
            true => "(a program of unknown name)".into(),
            false => process.executable.clone(),
        };
    }
    let word = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    };
    let words: Vec<String> = process.arguments.iter().map(word).collect();
    words.join(" ")
}

fn outcome(process: &Process, facts: &Facts) -> String {
    let runs_on = facts.warnings.iter().any(|w| w.code == ENDED_EARLY);
    match process.outcome {
        Outcome::Running if facts.ended == Ended::Recording => "still running".into(),
        Outcome::Running if runs_on => "running on".into(),
        Outcome::Running | Outcome::Unknown => "its end was not seen".into(),
        Outcome::Exit(Some(code)) => format!("exit status {code}"),
        Outcome::Exit(None) => "exited".into(),
        Outcome::Exec => "went on as another program".into(),
        Outcome::Killed(Some(number)) => format!("killed by {}", signal(number)),
        Outcome::Killed(None) => "killed by a signal".into(),
    }
}

/// The process that matters: with the most requests, else the most allocations. And the others.
fn main_process<'r>(input: &Input<'r>) -> Option<(&'r Process, Vec<&'r Process>)> {
    let weight = |at: usize| {
        let figures = input.analysis.processes.get(at);
        figures.map_or((0, 0), |figures| (figures.requests, figures.allocations))
    };
    let processes = &input.facts.processes;
    // The first of several with the same weight.
    let main = (0..processes.len()).rev().max_by_key(|at| weight(*at))?;
    let others = processes.iter().enumerate().filter(|(at, _)| *at != main);
    let others = others.map(|(_, process)| process).collect();
    Some((processes.get(main)?, others))
}

fn told(others: &[&Process]) -> Option<String> {
    let killed = others
        .iter()
        .filter(|p| matches!(p.outcome, Outcome::Killed(_)));
    let killed = match killed.count() {
        0 => String::new(),
        number => format!(" ({number} killed by a signal)"),
    };
    match others.len() {
        0 => None,
        1 => Some(format!("1 more process{killed}")),
        number => Some(format!("{} more processes{killed}", count(number as u64))),
    }
}
