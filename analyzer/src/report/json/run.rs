//! What is said of the whole run: the trace, its processes, and sums over them.

use super::super::{Input, dropped_events, is_complete, schema};
use super::parts::before_exit;
use crate::analysis::Analysis;
use crate::figures;
use crate::trace::{Ended, Outcome, Warning};

pub(super) fn trace<'r>(input: &Input<'r>, warnings: Vec<Warning>) -> schema::Trace<'r> {
    let facts = input.facts;
    let unseen = input.analysis.unseen.iter();
    schema::Trace {
        path: &input.options.trace_path,
        tool_version: &facts.tool_version,
        host: &facts.host,
        started_at: figures::moment(facts.started_at_ns),
        duration_ns: facts.duration_ns,
        ended: match facts.ended {
            Ended::Complete => "complete",
            Ended::Killed => "killed",
            Ended::DiskFull => "disk_full",
            Ended::Limit => "limit",
            Ended::Recording => "recording",
            Ended::Truncated => "truncated",
        },
        complete: is_complete(facts),
        events: input.analysis.events,
        dropped_events: dropped_events(facts),
        waited_ns: facts.waited_ns,
        sample_bytes: facts.sample_bytes,
        boundaries: input
            .analysis
            .boundaries
            .iter()
            .map(|source| source.name())
            .collect(),
        warnings: warnings
            .into_iter()
            .map(|Warning { code, text }| schema::Warning { code, text })
            .collect(),
        unseen: unseen
            .map(|unseen| schema::Unseen {
                port: &unseen.port,
                connections: unseen.connections,
                reason: &unseen.reason,
            })
            .collect(),
    }
}

pub(crate) fn processes<'r>(input: &Input<'r>) -> Vec<schema::Process<'r>> {
    let figures = input.analysis.processes.iter().cloned();
    // A process of which the analysis says nothing did nothing.
    let figures = figures.chain(std::iter::repeat_with(Default::default));
    let rows = input.facts.processes.iter().zip(figures).enumerate();
    rows.map(|(id, (process, figures))| {
        let (end, exit_code, signal) = match process.outcome {
            Outcome::Running => (Some("running"), None, None),
            Outcome::Unknown => (None, None, None),
            Outcome::Exit(code) => (Some("exit"), code, None),
            Outcome::Exec => (Some("exec"), None, None),
            Outcome::Killed(signal) => (Some("killed"), None, signal),
        };
        schema::Process {
            id,
            pid: process.pid,
            parent_id: process.parent,
            executable: &process.executable,
            arguments: &process.arguments,
            end,
            exit_code,
            signal,
            requests: figures.requests,
            allocations: figures.allocations,
            frees: figures.frees,
            reallocations: figures.reallocations,
            live_blocks: figures.live_blocks,
            live_bytes: figures.live_bytes,
            mapped_live_blocks: figures.mapped.blocks,
            mapped_live_bytes: figures.mapped.bytes,
            before_exit: before_exit(figures.before_exit.map(|before| before.live)),
            inherited_live_blocks: figures.inherited_live_blocks,
            inherited_live_bytes: figures.inherited_live_bytes,
            collections: figures.collections.map(|of| schema::Collections {
                young: of.runs.map(|[young, ..]| young),
                middle: of.runs.map(|[_, middle, _]| middle),
                full: of.runs.map(|[.., full]| full),
                asked: of.asked,
            }),
        }
    })
    .collect()
}

pub(super) fn totals(input: &Input<'_>) -> schema::Totals {
    let totals = &input.analysis.totals;
    schema::Totals {
        allocations: totals.allocations,
        frees: totals.frees,
        reallocations: totals.reallocations,
        allocated_bytes: totals.allocated_bytes,
        live_blocks: totals.live_blocks,
        live_bytes: totals.live_bytes,
        live_bytes_error: input.error(totals.live_bytes),
        before_exit: before_exit(totals.before_exit.map(|before| before.live)),
        peak_live_bytes: totals.peak_live_bytes,
        unknown_frees: totals.unknown_frees,
        mapped_live_blocks: totals.mapped.blocks,
        mapped_live_bytes: totals.mapped.bytes,
        mapped_file_bytes: totals.mapped_files.bytes,
        stack_live_blocks: totals.stacks.blocks,
        stack_live_bytes: totals.stacks.bytes,
        python_live_blocks: totals.python_live_blocks,
        python_live_bytes: totals.python_live_bytes,
        outside: schema::Outside {
            allocations: totals.outside.allocations,
            live_blocks: totals.outside.live_blocks,
            live_bytes: totals.outside.live_bytes,
            mapped_live_blocks: totals.outside_mapped.blocks,
            mapped_live_bytes: totals.outside_mapped.bytes,
        },
        ownership: schema::Ownership {
            proved_bytes: totals.ownership.proved_bytes,
            associated_bytes: totals.ownership.associated_bytes,
            unknown_bytes: totals.ownership.unknown_bytes,
        },
    }
}

pub(crate) fn timeline(analysis: &Analysis) -> Vec<schema::Point> {
    let points = analysis.timeline.iter();
    points
        .map(|point| schema::Point {
            t_ns: point.t_ns,
            process_id: point.process,
            live_bytes: point.live_bytes,
            rss_bytes: point.rss_bytes,
            requests: point.requests,
        })
        .collect()
}
