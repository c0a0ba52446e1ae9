//! The memory limit: whether the program was killed at it, which stands in the first line, and when it will be reached.

use super::page::Page;
use crate::analysis::{Outlook, Pace};
use crate::escape::escaped;
use crate::figures::{bytes, count, duration};
use crate::report::Input;
use crate::trace::{Ended, LimitKind, Rss};

/// A program whose last reading was so near its limit, of 100 parts, was likely killed there.
const NEAR: u64 = 85;

/// That the kernel killed the program for lack of memory, or likely did; `None`: nothing tells of it.
pub(super) fn killed(input: &Input<'_>) -> Option<String> {
    let outlook = &input.analysis.outlook;
    let Some(first) = outlook.killed.first() else {
        return likely_killed(input);
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
