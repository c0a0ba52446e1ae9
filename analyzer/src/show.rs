//! The report command: reads a trace, analyses it, prints it, and tells by a status what was found.

pub mod diff;
mod gate;
pub mod requests;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wildmatch::WildMatch;

use crate::analysis::Analysis;
use crate::analyze::{self, analyze};
use crate::cli::report::{Boundary, Format, ReportOptions, Requests, Scope, What};
use crate::notice;
use crate::progress::Progress;
use crate::report::{self, Criteria, Finding, RequestFilter};
use crate::run::Finished;
use crate::sites::Sites;
use crate::symbols::{Files, SymbolOptions, Symbolizer};
use crate::trace::{self, Facts, Trace};

/// The trace was read.
pub const READ: u8 = 0;
/// `--fail-on`: nothing was found, but the trace can't rule it out.
pub const CANNOT_TELL: u8 = 3;
/// `--fail-on`: found.
pub const FOUND: u8 = 23;

/// Reports the trace at `path`.
///
/// # Errors
/// One line: why it can't be reported.
pub fn show(path: &Path, options: &ReportOptions) -> Result<u8, String> {
    let criteria = criteria(options);
    let output = options
        .output
        .as_deref()
        .filter(|output| *output != Path::new("-"));
    if let Some(output) = output {
        refuse_same(path, output)?;
    }
    refuse_early(options, output)?;
    let known = options
        .gate
        .is_used()
        .then(|| gate::Known::read(&options.gate));
    let known = known.transpose()?;
    let Read {
        trace,
        analysis,
        sites,
    } = read_from(path, request_options(options), options.gate.judge_from)?;
    let facts = trace.facts();
    print(path, output, facts, &analysis, &sites, options)?;
    if let Some(known) = known {
        return gate::check(&known, facts, &analysis, &sites, options);
    }
    let finding = report::check(facts, &analysis, &criteria);
    Ok(match finding {
        Finding::Nothing => READ,
        Finding::Found(text) => {
            notice::say(&format!("--fail-on: {text}"));
            FOUND
        }
        Finding::CannotTell(text) => {
            notice::say(&format!("--fail-on: nothing found, but {text}"));
            CANNOT_TELL
        }
    })
}

/// Refuses options that can't be followed, before a program is run for them.
///
/// # Errors
/// One line: which, and why.
pub fn refuse(options: &ReportOptions) -> Result<(), String> {
    let output = options.output.as_deref();
    refuse_early(options, output.filter(|output| *output != Path::new("-")))?;
    match options.gate.is_used() {
        true => gate::Known::read(&options.gate).map(drop),
        false => Ok(()),
    }
}

/// What can't be printed is refused before minutes are spent on reading.
fn refuse_early(options: &ReportOptions, output: Option<&Path>) -> Result<(), String> {
    let is_narrowed = options.min_bytes > 0 || options.label.is_some();
    match (options.format, output) {
        (Format::Tables, None) => Err("--format tables writes files: name a folder with -o".into()),
        (Format::Pprof, None) if io::stdout().is_terminal() => {
            Err("--format pprof is nothing for a terminal: name a file with -o".into())
        }
        _ if options.brief && options.format != Format::Json => {
            Err("--brief is for --format json".into())
        }
        _ if is_narrowed && options.fail_on.is_empty() && !options.gate.is_used() => {
            Err("--min-bytes and --label are for --fail-on or --baseline: give one".into())
        }
        _ => Ok(()),
    }
}

/// A trace, read and analysed.
struct Read {
    trace: Trace,
    analysis: Analysis,
    sites: Sites,
}

fn read(path: &Path, options: &analyze::Options) -> Result<Read, String> {
    read_from(path, options.clone(), None)
}

/// Reads a trace of which a warm-up may be no part.
fn read_from(
    path: &Path,
    mut options: analyze::Options,
    judge_from: Option<SystemTime>,
) -> Result<Read, String> {
    let trace = trace::open(path).map_err(|error| error.to_string())?;
    if let Some(from) = judge_from {
        let since_1970 = from.duration_since(UNIX_EPOCH).unwrap_or_default();
        let from_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        options.judge_from_ns = from_ns.saturating_sub(trace.facts().started_at_ns);
    }
    let mut sites = Sites::default();
    let mut progress = Progress::of(format!("Reading {}", path.display()));
    let told = |part| progress.at(part);
    let analysis =
        analyze(&trace, &mut sites, &options, told).map_err(|error| error.to_string())?;
    Ok(Read {
        trace,
        analysis,
        sites,
    })
}

/// Reports what `run` recorded. Its status is the program's own, unless the check has something to say: what it found,
/// or, of a program that succeeded, that it can't tell. Traffic that failed is a trouble, unless something was found.
///
/// # Errors
/// One line: why there is no report, of a program that succeeded; why the traffic proves nothing.
pub fn after_run(finished: &Finished, options: &ReportOptions) -> Result<u8, String> {
    let mut options = options.clone();
    options.gate.judge_from = finished.judge_from.or(options.gate.judge_from);
    let checks = !options.fail_on.is_empty() || options.gate.baseline.is_some();
    let shown = match &finished.trace {
        Some(trace) => show(trace, &options),
        None if !checks => Ok(READ),
        None => {
            notice::say("--fail-on: nothing was recorded");
            Ok(CANNOT_TELL)
        }
    };
    match (shown, &finished.trouble) {
        (Ok(FOUND), _) => Ok(FOUND),
        (Err(text), Some(trouble)) => {
            notice::say(&text);
            Err(trouble.clone())
        }
        (_, Some(trouble)) => Err(trouble.clone()),
        (Err(text), None) if finished.status != READ => {
            notice::say(&text);
            Ok(finished.status)
        }
        (_, None) if finished.status != READ => Ok(finished.status),
        (shown, None) => shown,
    }
}

fn print(
    path: &Path,
    output: Option<&Path>,
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    options: &ReportOptions,
) -> Result<(), String> {
    let files = Files::default();
    let mut symbolizer = Symbolizer::new(
        &files,
        sites.modules(),
        symbol_options(facts, &options.debug_dir),
    );
    let printing = printing(path, output, options);
    let symbolizer = &mut symbolizer;
    let print = match options.format {
        Format::Text => report::text,
        Format::Json if options.brief => report::brief,
        Format::Json => report::json,
        Format::Markdown => report::markdown,
        Format::Pprof => report::pprof,
        Format::Folded => report::folded,
        Format::Speedscope => report::speedscope,
        Format::Tables => {
            let folder = output.unwrap_or(Path::new("."));
            return report::tables(facts, analysis, sites, symbolizer, &printing, folder);
        }
    };
    report::print_to(output, |out| {
        print(facts, analysis, sites, symbolizer, &printing, out)
    })
    .map_err(|error| cannot_write(output, &error))
}

fn printing(path: &Path, output: Option<&Path>, options: &ReportOptions) -> report::Options {
    report::Options {
        trace_path: path.to_string_lossy().into_owned(),
        requests: match options.requests {
            Requests::All => RequestFilter::All,
            Requests::Leaking => RequestFilter::Leaking,
            Requests::None => RequestFilter::None,
        },
        most_sites: options.sites,
        types: options.types,
        what: match options.what {
            What::Retained => report::What::Retained,
            What::Survivors => report::What::Survivors,
            What::Live => report::What::Live,
        },
        without_endpoint: options.no_endpoint,
        width: report::width(output),
        color: report::color(output),
    }
}

fn cannot_write(output: Option<&Path>, error: &io::Error) -> String {
    match output {
        Some(output) => format!("{}: {error}", output.display()),
        None => format!("the report can't be written: {error}"),
    }
}

/// The trace is mapped while the report is written: one must not become the other.
fn refuse_same(trace: &Path, output: &Path) -> Result<(), String> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    match real(output) {
        Some(output) if real(trace).as_ref() == Some(&output) => Err(format!(
            "{}: -o names the trace itself; give the report a file of its own",
            output.display()
        )),
        _ => Ok(()),
    }
}

fn criteria(options: &ReportOptions) -> Criteria {
    Criteria {
        verdicts: options
            .fail_on
            .iter()
            .map(|verdict| verdict.verdict())
            .collect(),
        min_bytes: options.min_bytes,
        label: options.label.as_deref().map(WildMatch::new),
    }
}

fn request_options(options: &ReportOptions) -> analyze::Options {
    analyze::Options {
        boundary: analysis_boundary(options.boundary),
        scope: analysis_scope(options.scope),
        routes: options.route.clone(),
        ..analyze::Options::default()
    }
}

fn analysis_boundary(boundary: Boundary) -> analyze::Boundary {
    match boundary {
        Boundary::Auto => analyze::Boundary::Auto,
        Boundary::Http => analyze::Boundary::Http,
        Boundary::Turn => analyze::Boundary::Turn,
        Boundary::Mark => analyze::Boundary::Mark,
        Boundary::Connection => analyze::Boundary::Connection,
    }
}

fn analysis_scope(scope: Scope) -> analyze::Scope {
    match scope {
        Scope::Auto => analyze::Scope::Default,
        Scope::Thread => analyze::Scope::Thread,
        Scope::Process => analyze::Scope::Process,
    }
}

fn symbol_options(facts: &Facts, debug_dirs: &[PathBuf]) -> SymbolOptions {
    let ended = facts.started_at_ns.checked_add(facts.duration_ns);
    SymbolOptions {
        debug_dirs: debug_dirs.to_vec(),
        recorded_until: ended.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_nanos(at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ReportOptions,
    }

    fn status(line: &str, status: u8, trace: Option<&str>) -> Result<u8, String> {
        let words = std::iter::once("run").chain(line.split_whitespace());
        let finished = Finished {
            status,
            trace: trace.map(Into::into),
            ..Finished::default()
        };
        after_run(&finished, &Line::parse_from(words).options)
    }

    #[test]
    fn the_status_of_a_program_that_was_not_recorded_is_its_own() {
        assert_eq!(status("", 0, None), Ok(0));
        assert_eq!(status("", 137, None), Ok(137));
        assert_eq!(status("--fail-on leak", 1, None), Ok(1));
        assert_eq!(status("--fail-on leak", 0, None), Ok(CANNOT_TELL));
    }

    #[test]
    fn a_trace_that_cannot_be_read_hides_no_failure() {
        assert_eq!(status("", 1, Some("/nonexistent")), Ok(1));
        assert!(status("", 0, Some("/nonexistent")).is_err());
    }

    #[test]
    fn an_unusable_output_is_refused_before_anything_is_read() {
        let trace = "/proc/self/exe";
        let error = status("-o /proc/self/exe", 0, Some(trace)).unwrap_err();
        assert!(error.contains("-o names the trace itself"), "{error}");
    }
}
