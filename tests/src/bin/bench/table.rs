//! The results as markdown and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::goals::Goal;
use crate::machine::Machine;
use crate::outcome::{Outcome, Row};
use crate::tool::Tool;

const MIB: f64 = 1024.0 * 1024.0;

/// For a reader.
pub(crate) fn markdown(machine: &Machine, outcomes: &[Outcome], goals: &[Goal]) -> String {
    let mut text = format!(
        "# Benchmark\n\nMade by `scripts/bench`{}; don't edit.\n\n{machine}\n\n\
         Tools alternate within each round; figures are medians, ± half of the interquartile range as a part of \
         the median. CPU is user and system time. *Added* is against bare by the medians, for each event of memory \
         (an allocation and its free are two). jemalloc's and tcmalloc's rows are against bare glibc: the change \
         of allocator is in them. valgrind and tcmalloc run once, servers twice as often as the rest.\n",
        if machine.quick { " --quick" } else { "" }
    );
    let reached = goals.iter().filter(|goal| goal.reached).count();
    let _ = write!(text, "\n## Goals: {reached} of {} reached\n\n", goals.len());
    text += "| what | to reach | measured | |\n| --- | --- | --- | --- |\n";
    for goal in goals {
        let mark = if goal.reached {
            "reached"
        } else {
            "**not reached**"
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {mark} |",
            goal.what, goal.reach, goal.measured
        );
    }
    for outcome in outcomes {
        workload(&mut text, outcome);
    }
    text
}

fn workload(text: &mut String, outcome: &Outcome) {
    let _ = write!(
        text,
        "\n## {} ({:.2} M events)\n\n",
        outcome.name,
        outcome.events / 1e6
    );
    let serves = outcome
        .rows
        .iter()
        .any(|row| row.cpu_per_request().is_some());
    let more = if serves {
        (" requests/s | CPU/request |", " ---: | ---: |")
    } else {
        ("", "")
    };
    let _ = writeln!(
        text,
        "| tool | wall | CPU, target | CPU, all | added, target | added, all | peak, target | peak, recorder | written/event | report |{}",
        more.0
    );
    let _ = writeln!(text, "| --- |{}{}", " ---: |".repeat(9), more.1);
    for row in &outcome.rows {
        if let Some(failed) = &row.failed {
            let _ = writeln!(
                text,
                "| {} | failed: {} |",
                row.tool.name(),
                failed.replace('\n', " ")
            );
            continue;
        }
        let _ = write!(text, "| {} |", row.tool.name());
        for cell in cells(outcome, row) {
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
}

fn cells(outcome: &Outcome, row: &Row) -> Vec<String> {
    let dash = || "–".to_owned();
    let bare = row.tool == Tool::Bare;
    let added = |figure: Option<f64>| match figure {
        Some(figure) if !bare => format!("{figure:.1} ns"),
        _ => dash(),
    };
    let mib = |bytes: f64| {
        if bytes > 0.0 {
            format!("{:.1} MiB", bytes / MIB)
        } else {
            dash()
        }
    };
    let (cpu, all) = (row.target_cpu(), row.total_cpu());
    let noise = |stat: &crate::stat::Stat| format!("±{:.0} %", stat.spread() * 50.0);
    let wall = row.wall();
    let mut cells = vec![
        format!("{:.2} s {}", wall.median(), noise(&wall)),
        format!("{:.3} s {}", cpu.median(), noise(&cpu)),
        format!("{:.3} s {}", all.median(), noise(&all)),
        added(outcome.added_in_target(row.tool)),
        added(outcome.added_in_all(row.tool)),
        mib(row.target_rss().median()),
        mib(row.recorder_rss().median()),
        if row.written == 0 {
            dash()
        } else {
            format!("{:.3} B", row.written as f64 / outcome.events)
        },
        match (row.report_cpu(), row.report_rss()) {
            (Some(cpu), Some(rss)) => format!(
                "{:.2} s, {:.1} M/s, {:.0} MiB",
                cpu.median(),
                outcome.events / cpu.median() / 1e6,
                rss.median() / MIB
            ),
            _ => dash(),
        },
    ];
    if let (Some(rate), Some(each)) = (row.rate(), row.cpu_per_request()) {
        cells.push(format!("{:.0} {}", rate.median(), noise(&rate)));
        cells.push(format!("{:.2} µs {}", each.median(), noise(&each)));
    }
    cells
}

/// For a program.
pub(crate) fn json(machine: &Machine, outcomes: &[Outcome], goals: &[Goal]) -> Value {
    let row = |row: &Row| {
        json!({
            "tool": row.tool.name(),
            "failed": row.failed,
            "wall_s": row.wall().json(),
            "target_cpu_s": row.target_cpu().json(),
            "total_cpu_s": row.total_cpu().json(),
            "target_peak_bytes": row.target_rss().json(),
            "recorder_peak_bytes": row.recorder_rss().json(),
            "written_bytes": row.written,
            "report_cpu_s": row.report_cpu().map(|stat| stat.json()),
            "report_wall_s": row
                .of_reports(|report| report.wall.as_secs_f64())
                .map(|stat| stat.json()),
            "report_peak_bytes": row.report_rss().map(|stat| stat.json()),
            "requests_per_s": row.rate().map(|stat| stat.json()),
            "cpu_us_per_request": row.cpu_per_request().map(|stat| stat.json()),
        })
    };
    let workload = |outcome: &Outcome| {
        let rows: Vec<Value> = outcome.rows.iter().map(row).collect();
        json!({ "name": outcome.name, "events": outcome.events, "tools": rows })
    };
    json!({
        "machine": machine.json(),
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
        "workloads": outcomes.iter().map(workload).collect::<Vec<_>>(),
    })
}
