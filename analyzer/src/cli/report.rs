//! Options of the report: `leak-analyze trace.bin [...]`, and what `run` shares with it.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, ValueEnum};

use crate::analysis::Verdict;

/// The default command: a trace, and how to report it.
#[derive(Args, Clone, Debug)]
pub struct ReportArguments {
    /// The trace to report
    #[arg(value_name = "TRACE", default_value = "trace.bin")]
    pub trace: PathBuf,
    /// How.
    #[command(flatten)]
    pub options: ReportOptions,
}

/// How to analyse and print a trace.
#[derive(Args, Clone, Debug)]
pub struct ReportOptions {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// With --format json: an object of at most 8 KB
    #[arg(long)]
    pub brief: bool,
    /// Where to print it, instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// With --format html: have the source lines of the program's own frames in the page, where its files are here and
    /// were not changed since
    #[arg(long)]
    pub with_source: bool,
    /// With --format html: open the page in the browser
    #[arg(long, requires = "output")]
    pub open: bool,
    /// What a request is (auto: marks if there are any, else for each connection http, else turn)
    #[arg(long, value_enum, default_value_t = Boundary::Auto)]
    pub boundary: Boundary,
    /// Whose a block is (auto: the thread's request, else the only one in flight; thread: the thread's
    /// alone; process: the oldest request in flight)
    #[arg(long, value_enum, default_value_t = Scope::Auto)]
    pub scope: Scope,
    /// Fold the paths of labels that match, such as '/users/*', into one label; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub route: Vec<String>,
    /// Which requests are listed in json
    #[arg(long, value_enum, default_value_t = Requests::All)]
    pub requests: Requests,
    /// A place to look for debug files, a build-id tree or plain files; may be repeated
    #[arg(long, value_name = "DIR")]
    pub debug_dir: Vec<PathBuf>,
    /// Call sites to print at most, in each part of the text report
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub sites: usize,
    /// Endpoints to print at most, in each part of the text report [default: as many as fit on the first screen]
    #[arg(long, value_name = "N")]
    pub endpoints: Option<usize>,
    /// Leaking requests to list of each endpoint, at most, with what is known of each
    #[arg(long, value_name = "N")]
    pub examples: Option<usize>,
    /// With --examples: the server's access log, for what it knows of each request: common, combined or JSON lines
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// Types to print at most, in tables of each leaking endpoint, of each call site and of all blocks
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "25")]
    pub types: Option<usize>,
    /// Call sites to print at most that keep free memory from being given back
    #[arg(long, value_name = "N")]
    pub pins: Option<usize>,
    /// What to show as text: which requests leave memory behind, or of all blocks, what was live when most was, what was
    /// freed at once, how large they are
    #[arg(long, value_enum, default_value_t = View::Leaks)]
    pub view: View,
    /// Which blocks pprof (its default), folded, speedscope and firefox are of
    #[arg(long, value_enum, default_value_t = What::Retained)]
    pub what: What,
    /// Begin folded stacks with the outermost frame rather than with the endpoint and the status
    #[arg(long)]
    pub no_endpoint: bool,
    /// Exit with 23 if a call site has one of these verdicts, with 3 if the trace can't tell
    #[arg(long, value_name = "VERDICT,...", value_enum, value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
    /// For --fail-on: overlook call sites that hold less than this, such as 4096 or 64K
    #[arg(long, value_name = "N", default_value = "0", value_parser = bytes)]
    pub min_bytes: u64,
    /// For --fail-on: look at the endpoints whose labels match only
    #[arg(long, value_name = "GLOB")]
    pub label: Option<String>,
    /// A check by what is known.
    #[command(flatten)]
    pub gate: GateOptions,
}

/// A check by what is known, and where its result goes.
#[derive(Args, Clone, Debug, Default)]
pub struct GateOptions {
    /// Known leaks: exit with 23 only for others, or where one is worse (--fail-on leak,growing_buffer by default)
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write what leaks now into the file of --baseline, instead of comparing
    #[arg(long, requires = "baseline")]
    pub update_baseline: bool,
    /// A suppression file of LeakSanitizer: leaks through these functions, files or modules are known; may be repeated
    #[arg(long, value_name = "FILE")]
    pub suppressions: Vec<PathBuf>,
    /// Print annotations for GitHub's workflows, and the report into the job's summary
    #[arg(long)]
    pub github: bool,
    /// Write a JUnit file: a case for each endpoint
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// When the warm-up ended (2027-01-31T12:00:00Z): requests from before are listed as {warm-up}, and fail nothing
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub judge_from: Option<SystemTime>,
}

impl GateOptions {
    /// Whether more than verdicts is to be checked.
    pub fn is_used(&self) -> bool {
        self.baseline.is_some()
            || !self.suppressions.is_empty()
            || self.github
            || self.junit.is_some()
    }
}

fn moment(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "takes a moment of RFC 3339, such as 2027-01-31T12:00:00Z".into())
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs: one object, schema 1
    Json,
    /// To look at and to hand on: one page that needs no network
    Html,
    /// For pull requests, tickets and incidents: at most 80 lines
    Markdown,
    /// For go tool pprof and what reads its files
    Pprof,
    /// For flame graphs: stacks in lines
    Folded,
    /// For speedscope.app
    Speedscope,
    /// For profiler.firefox.com
    Firefox,
    /// For DuckDB and its like: files of JSON lines in the folder of -o
    Tables,
}

/// `--what`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Of requests that had ended, live when serving ended
    Retained,
    /// Live when their request ended
    Survivors,
    /// Live when the exit began, or at the end where there was none
    Live,
}

/// `--view`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// Requests that leave memory behind
    Leaks,
    /// Call sites of what was live when most was
    Peak,
    /// Call sites whose blocks are freed by their thread's next event
    Temporary,
    /// A histogram of sizes
    Sizes,
}

/// `--boundary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Boundary {
    /// Marks if there are any, else for each connection http, else turn
    Auto,
    /// HTTP requests
    Http,
    /// Reads and answers of any protocol
    Turn,
    /// Explicit marks
    Mark,
    /// From accept to close
    Connection,
}

/// `--scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// The thread's request, else the only one in flight
    Auto,
    /// The thread's request alone
    Thread,
    /// The oldest request in flight
    Process,
}

/// `--requests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Requests {
    /// Every request
    All,
    /// Those that retained blocks at a leaking or growing call site
    Leaking,
    /// None
    None,
}

/// A verdict that fails a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum FailOn {
    /// Memory left behind again and again
    Leak,
    /// A block that grows by realloc
    GrowingBuffer,
    /// A cache or a pool that stops growing
    Bounded,
    /// Only the first requests left something
    WarmUp,
    /// Survivors, freed later
    FreedLater,
}

impl FailOn {
    /// The verdict that it stands for.
    pub fn verdict(self) -> Verdict {
        match self {
            FailOn::Leak => Verdict::Leak,
            FailOn::GrowingBuffer => Verdict::GrowingBuffer,
            FailOn::Bounded => Verdict::Bounded,
            FailOn::WarmUp => Verdict::WarmUp,
            FailOn::FreedLater => Verdict::FreedLater,
        }
    }
}

/// A number of bytes with an optional binary suffix: `4096`, `64K`, `1MiB`.
fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower.get(digits.len()..).unwrap_or_default() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err("takes bytes, or K, M, G after the number".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| String::from("takes bytes, or K, M, G after the number"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| String::from("is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        report: ReportArguments,
    }

    fn parse(line: &str) -> Result<ReportArguments, clap::Error> {
        let words = std::iter::once("leak-analyze").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.report)
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("64K"), Ok(65536));
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert!(bytes("1X").is_err());
        assert!(bytes("K").is_err());
        assert!(bytes("99999999T").is_err());
    }

    #[test]
    fn verdicts_by_their_schema_names() {
        let fail_on = parse("t --fail-on leak,growing_buffer")
            .unwrap()
            .options
            .fail_on;
        assert_eq!(fail_on, [FailOn::Leak, FailOn::GrowingBuffer]);
        assert!(parse("t --fail-on leaks").is_err());
        assert!(parse("t --update-baseline").is_err());
    }
}
