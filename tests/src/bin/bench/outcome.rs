//! What the runs of one workload came to.

use std::time::Duration;

use crate::measure::Usage;
use crate::server::Served;
use crate::stat::Stat;
use crate::tool::Tool;
use crate::workload::Kind;

/// A workload, run under all its tools.
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it ran.
    pub(crate) kind: Kind,
    /// Events of memory in one run, as libleak counted them.
    pub(crate) events: f64,
    /// One for each tool.
    pub(crate) rows: Vec<Row>,
}

/// A workload under one tool.
pub(crate) struct Row {
    /// The tool.
    pub(crate) tool: Tool,
    /// What each run cost.
    pub(crate) runs: Vec<Run>,
    /// What the tool wrote in the last run, in bytes.
    pub(crate) written: u64,
    /// What its text reports cost, each of a run's own recording.
    pub(crate) reports: Vec<Usage>,
    /// Why there is no more.
    pub(crate) failed: Option<String>,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// What it cost.
    pub(crate) usage: Usage,
    /// Of a server.
    pub(crate) served: Option<Served>,
}

impl Run {
    /// CPU time of all processes.
    pub(crate) fn total_cpu(&self) -> Duration {
        self.usage.target.cpu + self.usage.recorder.cpu
    }
}

impl Row {
    /// A figure of all runs.
    pub(crate) fn stat(&self, figure: impl Fn(&Run) -> f64) -> Stat {
        Stat::of(self.runs.iter().map(figure))
    }

    /// Seconds until the target has ended.
    pub(crate) fn wall(&self) -> Stat {
        self.stat(|run| run.usage.wall.as_secs_f64())
    }

    /// CPU seconds of the target.
    pub(crate) fn target_cpu(&self) -> Stat {
        self.stat(|run| run.usage.target.cpu.as_secs_f64())
    }

    /// CPU seconds of all processes.
    pub(crate) fn total_cpu(&self) -> Stat {
        self.stat(|run| run.total_cpu().as_secs_f64())
    }

    /// Peak memory of the target, in bytes.
    pub(crate) fn target_rss(&self) -> Stat {
        self.stat(|run| run.usage.target.rss as f64)
    }

    /// CPU seconds of a text report; `None`: it has none.
    pub(crate) fn report_cpu(&self) -> Option<Stat> {
        self.of_reports(|report| report.target.cpu.as_secs_f64())
    }

    /// Peak memory of a text report, in bytes.
    pub(crate) fn report_rss(&self) -> Option<Stat> {
        self.of_reports(|report| report.target.rss as f64)
    }

    /// A figure of all reports.
    pub(crate) fn of_reports(&self, figure: impl Fn(&Usage) -> f64) -> Option<Stat> {
        let figures = || self.reports.iter().map(figure);
        (!self.reports.is_empty()).then(|| Stat::of(figures()))
    }

    /// Peak memory of what ran beside it.
    pub(crate) fn recorder_rss(&self) -> Stat {
        self.stat(|run| run.usage.recorder.rss as f64)
    }

    /// CPU microseconds of a server for each request.
    pub(crate) fn cpu_per_request(&self) -> Option<Stat> {
        let served: Option<Vec<Served>> = self.runs.iter().map(|run| run.served).collect();
        let served = served.filter(|served| !served.is_empty())?;
        let each = |served: Served| served.cpu.as_secs_f64() * 1e6 / served.requests;
        Some(Stat::of(served.into_iter().map(each)))
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> Option<Stat> {
        let served: Option<Vec<Served>> = self.runs.iter().map(|run| run.served).collect();
        let served = served.filter(|served| !served.is_empty())?;
        let rate = |served: Served| served.requests / served.wall.as_secs_f64();
        Some(Stat::of(served.into_iter().map(rate)))
    }
}

impl Outcome {
    /// The runs under `tool`, where there are any.
    pub(crate) fn row(&self, tool: Tool) -> Option<&Row> {
        let row = self.rows.iter().find(|row| row.tool == tool)?;
        (!row.runs.is_empty()).then_some(row)
    }

    /// What `tool` adds to a figure, by the medians.
    pub(crate) fn added(&self, tool: Tool, figure: impl Fn(&Row) -> Stat) -> Option<f64> {
        let bare = figure(self.row(Tool::Bare)?).median();
        Some(figure(self.row(tool)?).median() - bare)
    }

    /// CPU nanoseconds that `tool` adds in the target for each event.
    pub(crate) fn added_in_target(&self, tool: Tool) -> Option<f64> {
        Some(self.added(tool, Row::target_cpu)? * 1e9 / self.events)
    }

    /// The same in all processes.
    pub(crate) fn added_in_all(&self, tool: Tool) -> Option<f64> {
        Some(self.added(tool, Row::total_cpu)? * 1e9 / self.events)
    }

    /// A server's CPU for each request against bare, round by round.
    pub(crate) fn request_ratio(&self, tool: Tool) -> Option<Stat> {
        let (bare, traced) = (self.row(Tool::Bare)?, self.row(tool)?);
        let each = |run: &Run| {
            run.served
                .map(|served| served.cpu.as_secs_f64() / served.requests)
        };
        let pairs = bare.runs.iter().zip(&traced.runs);
        let ratios: Option<Vec<f64>> = pairs
            .map(|(bare, traced)| Some(each(traced)? / each(bare)?))
            .collect();
        Some(Stat::of(ratios?))
    }

    /// Bytes that `tool` wrote for each event.
    pub(crate) fn bytes_per_event(&self, tool: Tool) -> Option<f64> {
        Some(self.row(tool)?.written as f64 / self.events)
    }

    /// Events a second of CPU to the text report.
    pub(crate) fn report_rate(&self, tool: Tool) -> Option<f64> {
        Some(self.events / self.row(tool)?.report_cpu()?.median())
    }
}
