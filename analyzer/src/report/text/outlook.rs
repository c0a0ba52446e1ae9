//! The memory limit: whether the program was killed at it, which stands in the first line, and when it will be reached.

use super::page::Page;
use crate::analysis::{Outlook, Pace};
use crate::escape::escaped;
use crate::figures::{bytes, count, duration};
use crate::report::Input;
use crate::trace::{Ended, LimitKind, Outcome, ProcessId, Rss};

/// A program whose last reading was so near its limit, of 100 parts, was likely killed there.
const NEAR: u64 = 85;

/// That the kernel killed the program for lack of memory, or likely did; `None`: nothing tells of it.
pub(super) fn killed(input: &Input<'_>) -> Option<String> {
    let outlook = &input.analysis.outlook;
    let Some(first) = outlook.killed.first() else {
        return likely_killed(input).or_else(|| ended_at_limit(input));
    };
    let process = input.facts.processes.get(*first as usize)?;
    let name = process.executable.rsplit('/').next().unwrap_or_default();
    let more = match outlook.killed.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let at = match outlook.limit {
        Some((LimitKind::Cgroup, limit)) => {
            format!("at its memory limit ({}, cgroup)", bytes(limit))
        }
        _ => "for lack of memory on the machine".to_owned(),
    };
    Some(format!(
        "killed {at}: {} (pid {}){more}, by the kernel. The report stands on all that was recorded up to that moment.",
        escaped(name),
        process.pid
    ))
}

/// The recorder may have been killed with the program.
fn likely_killed(input: &Input<'_>) -> Option<String> {
    let (LimitKind::Cgroup, limit) = input.analysis.outlook.limit? else {
        return None;
    };
    let last = input
        .facts
        .rss
        .iter()
        .max_by_key(|reading: &&Rss| reading.stamp)?;
    let is_near = last.bytes / NEAR >= limit / 100;
    (input.facts.ended == Ended::Truncated && is_near).then(|| {
        format!(
            "likely killed at its memory limit ({}, cgroup): the last reading of its resident memory was {}, and the \
             recorder was gone at once, too.",
            bytes(limit),
            bytes(last.bytes)
        )
    })
}

/// A process that ended badly with its addresses near their limit, beyond which an allocation fails.
fn ended_at_limit(input: &Input<'_>) -> Option<String> {
    let (LimitKind::AddressSpace, limit) = input.analysis.outlook.limit? else {
        return None;
    };
    let mut processes = (0..).zip(&input.facts.processes);
    let (process, mapped) = processes.find_map(|(id, process)| {
        let mapped = addresses_at_end(input, id)?;
        let is_near = mapped / NEAR >= limit / 100;
        (is_near && went_wrong(process.outcome)).then_some((process, mapped))
    })?;
    let name = process.executable.rsplit('/').next().unwrap_or_default();
    Some(format!(
        "likely ended by the limit of its address space ({}, ulimit -v): {} (pid {}) had some {} mapped at its end, and \
         beyond the limit allocations fail.",
        bytes(limit),
        escaped(name),
        process.pid,
        bytes(mapped)
    ))
}

/// As a program ends that gets no memory: with a status, by `abort`, or where it wrote through a null pointer.
fn went_wrong(outcome: Outcome) -> bool {
    /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGSEGV.
    const FAULTS: [i32; 5] = [4, 5, 6, 7, 11];
    match outcome {
        Outcome::Exit(Some(code)) => code != 0,
        Outcome::Killed(Some(signal)) => FAULTS.contains(&signal),
        _ => false,
    }
}

/// What a process had mapped when that was read last, and what it allocated more until its end.
fn addresses_at_end(input: &Input<'_>, process: ProcessId) -> Option<u64> {
    let mut readings = input.facts.rss.iter().rev();
    let last = readings.find(|reading| reading.process == process && reading.space > 0)?;
    let read_at = input.facts.clock.ns(last.stamp);
    let points = input.analysis.timeline.iter();
    let mut points = points.filter(|point| point.process == process);
    let live_then = points
        .clone()
        .take_while(|point| point.t_ns <= read_at)
        .last();
    let live_then = live_then.map_or(0, |point| point.live_bytes);
    let live = points.next_back().map_or(0, |point| point.live_bytes);
    Some(last.space + live.saturating_sub(live_then))
}

/// When the limit will be reached, and what to do until the leak is mended.
pub(super) fn write(page: &mut Page, outlook: &Outlook) {
    let (Some((kind, limit)), Some(seconds), Some(pace)) =
        (outlook.limit, outlook.seconds_to_limit, &outlook.to_limit)
    else {
        return;
    };
    let by = match kind {
        LimitKind::Cgroup => "cgroup",
        LimitKind::AddressSpace => "address space",
        LimitKind::Machine => "the machine's memory",
    };
    let text = format!(
        "At this pace ({} a second) the limit ({}, {by}) is reached in {}{}",
        bytes(pace.bytes_per_second as u64),
        bytes(limit),
        duration(seconds.saturating_mul(1_000_000_000)),
        remedy(kind, limit, pace)
    );
    page.paragraph("  ", page.ink.warn, &text);
}

/// How many requests all processes together may serve from now on.
fn remedy(kind: LimitKind, limit: u64, pace: &Pace) -> String {
    let left = limit.saturating_sub(pace.reached_bytes);
    let each = pace.bytes_per_request.filter(|each| *each > 0);
    let Some((each, requests)) = each.map(|each| (each, left / each / 2)) else {
        return ".".to_owned();
    };
    let what = match kind {
        LimitKind::AddressSpace => "addresses",
        LimitKind::Cgroup | LimitKind::Machine => "resident memory",
    };
    format!(
        ": {} of {what} for each request. Until that is mended: with workers replaced after {} requests, of all \
         together, half of what is left stays free (--max-requests, or the like).",
        bytes(each),
        count(requests)
    )
}
