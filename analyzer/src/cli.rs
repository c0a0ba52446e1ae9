//! The command line. Only this room knows clap.

pub mod diff;
pub mod doctor;
pub mod report;
pub mod requests;
pub mod traffic;
pub mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use leak_wire::build::BUILD_TEXT;

use crate::run;
use report::{ReportArguments, ReportOptions};

/// Says which requests of a server leave memory behind
#[derive(Parser, Debug)]
#[command(version = VERSION.as_str(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Something else than a report.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The report.
    #[command(flatten)]
    pub report: ReportArguments,
}

/// The version, and the build, by which this program and libleak.so are known to fit together.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (build {BUILD_TEXT})", env!("CARGO_PKG_VERSION")));

/// Everything but the report.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a program under libleak and report when it ends
    Run(Box<RunArguments>),
    /// Compare two traces, request by request
    Diff(Box<diff::DiffArguments>),
    /// List requests, those that leak say, to send them again
    Requests(Box<requests::RequestsArguments>),
    /// Say of a program that is being recorded what is left over, again and again
    Watch(Box<watch::WatchArguments>),
    /// Tell whether a program can be traced, and what will not be seen, before anything is
    Doctor(Box<doctor::DoctorArguments>),
    /// Mark a moment in a running program, from outside
    Mark(MarkArguments),
    /// Begin to record a running program that was started with LEAK_START=off
    Start(ProcessArguments),
    /// End the recording of a running program, which goes on
    Stop(ProcessArguments),
    /// Report on a running program as it is now, and go on recording
    Snapshot(Box<SnapshotArguments>),
    /// Tell how a recording stands: since when, events a second, what it costs
    Status(StatusArguments),
    /// The recorder (started by libleak.so)
    #[command(hide = true)]
    Record(RecordArguments),
    /// Print a trace event by event
    #[command(hide = true)]
    Dump(DumpArguments),
}

/// `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Where the trace goes; %p pid, %e program, %h host, %t time (LEAK_TRACE)
    #[arg(long, value_name = "FILE")]
    pub trace: Option<OsString>,
    /// libleak.so, where it does not lie beside this program (LEAK_PRELOAD)
    #[arg(long, value_name = "FILE")]
    pub preload: Option<PathBuf>,
    /// Program names to trace, as globs, comma separated (LEAK_ONLY)
    #[arg(long, value_name = "GLOB,...")]
    pub only: Option<OsString>,
    /// Trace child processes too: 1 or 0 (LEAK_FOLLOW)
    #[arg(long, value_name = "0|1")]
    pub follow: Option<OsString>,
    /// What a full lane does: wait or drop (LEAK_FULL)
    #[arg(long, value_name = "WHAT")]
    pub full: Option<OsString>,
    /// All lanes together, at most (LEAK_MEMORY)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<OsString>,
    /// Where recording ends (LEAK_MAX_TRACE)
    #[arg(long, value_name = "SIZE")]
    pub max_trace: Option<OsString>,
    /// Frames kept of a backtrace (LEAK_DEPTH)
    #[arg(long, value_name = "N")]
    pub depth: Option<OsString>,
    /// Mean bytes between samples, 0 for every event (LEAK_SAMPLE)
    #[arg(long, value_name = "SIZE")]
    pub sample: Option<OsString>,
    /// Which blocks are written one by one: all, or lasting ones (LEAK_KEEP)
    #[arg(long, value_name = "WHAT")]
    pub keep: Option<OsString>,
    /// Trace the Python interpreter's own blocks: auto or off (LEAK_PYTHON)
    #[arg(long, value_name = "WHAT")]
    pub python: Option<OsString>,
    /// Have Python collect garbage every N requests: off or boundary:N (LEAK_GC)
    #[arg(long, value_name = "WHEN")]
    pub gc: Option<OsString>,
    /// Record the values of these request headers, such as traceparent,x-request-id (LEAK_HEADERS)
    #[arg(long, value_name = "NAME,...")]
    pub headers: Option<OsString>,
    /// Trace allocators that the program brings by detours: auto or off (LEAK_OWN_MALLOC)
    #[arg(long, value_name = "WHAT")]
    pub own_malloc: Option<OsString>,
    /// Have runtimes in the program (tokio, smol) tell which tasks they run, by detours: auto or off (LEAK_TASKS)
    #[arg(long, value_name = "WHAT")]
    pub tasks: Option<OsString>,
    /// When recording begins: on, off (leak-analyze start PID) or a condition such as 'rss>70%' (LEAK_START)
    #[arg(long, value_name = "WHEN")]
    pub start: Option<OsString>,
    /// No notices on stderr (LEAK_QUIET)
    #[arg(short, long)]
    pub quiet: bool,
    /// How to drive it.
    #[command(flatten)]
    pub traffic: traffic::TrafficOptions,
    /// The report at the end.
    #[command(flatten)]
    pub report: ReportOptions,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<OsString>,
}

impl RunArguments {
    /// What to run, and how.
    pub fn options(&self) -> run::Options {
        run::Options {
            command: self.command.clone(),
            preload: self.preload.clone(),
            variables: self.variables(),
            traffic: self.traffic.traffic(),
        }
    }

    /// The `LEAK_*` variables that the options stand for.
    fn variables(&self) -> Vec<(&'static str, OsString)> {
        let given = [
            ("LEAK_TRACE", &self.trace),
            ("LEAK_ONLY", &self.only),
            ("LEAK_FOLLOW", &self.follow),
            ("LEAK_FULL", &self.full),
            ("LEAK_MEMORY", &self.memory),
            ("LEAK_MAX_TRACE", &self.max_trace),
            ("LEAK_DEPTH", &self.depth),
            ("LEAK_SAMPLE", &self.sample),
            ("LEAK_KEEP", &self.keep),
            ("LEAK_PYTHON", &self.python),
            ("LEAK_GC", &self.gc),
            ("LEAK_HEADERS", &self.headers),
            ("LEAK_OWN_MALLOC", &self.own_malloc),
            ("LEAK_TASKS", &self.tasks),
            ("LEAK_START", &self.start),
        ];
        let quiet = self.quiet.then(|| ("LEAK_QUIET", OsString::from("1")));
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .chain(quiet)
            .collect()
    }
}

/// `mark`.
#[derive(Args, Debug)]
pub struct MarkArguments {
    /// The process, a traced one
    pub pid: u32,
    /// What to call the interval that begins
    pub label: String,
}

/// `start` and `stop`.
#[derive(Args, Debug)]
pub struct ProcessArguments {
    /// The process
    pub pid: u32,
}

/// `snapshot`.
#[derive(Args, Debug)]
pub struct SnapshotArguments {
    /// The process, a recorded one
    pub pid: u32,
    /// How to report.
    #[command(flatten)]
    pub report: ReportOptions,
}

/// `status`.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// The process
    pub pid: u32,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `record`.
#[derive(Args, Debug)]
pub struct RecordArguments {
    /// The inherited descriptor on which the target waits
    #[arg(long, value_name = "FD")]
    pub socket: i32,
    /// The build of the target's libleak.so
    #[arg(long, value_name = "BUILD")]
    pub build: Option<String>,
    /// The target has run for a while
    #[arg(long)]
    pub late: bool,
}

/// `dump`.
#[derive(Args, Debug)]
pub struct DumpArguments {
    /// The trace
    #[arg(default_value = "trace.bin")]
    pub trace: PathBuf,
}
