//! The report command: reads a trace, analyses it, prints it, and tells by a status what was found.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use wildmatch::WildMatch;

use crate::analysis::Analysis;
use crate::analyze::{self, analyze};
use crate::cli::report::{Boundary, Format, ReportOptions, Requests, Scope};
use crate::notice;
use crate::progress::Progress;
use crate::report::{self, Criteria, Finding, RequestFilter};
use crate::run::Finished;
use crate::sites::Sites;
use crate::symbols::{Files, SymbolOptions, Symbolizer};
use crate::trace::{self, Facts};

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
    refuse_unopened(options)?;
    let output = options
        .output
        .as_deref()
        .filter(|output| *output != Path::new("-"));
    if let Some(output) = output {
        refuse_same(path, output)?;
    }
    let trace = trace::open(path).map_err(|error| error.to_string())?;
    let mut sites = Sites::default();
    let mut progress = Progress::of(format!("Reading {}", path.display()));
    let told = |part| progress.at(part);
    let analysis = analyze(&trace, &mut sites, &request_options(options), told)
        .map_err(|error| error.to_string())?;
    drop(progress);
    let facts = trace.facts();
    print(path, output, facts, &analysis, &sites, options)?;
    if let Some(page) = output.filter(|_| options.open) {
        report::open_page(page).unwrap_or_else(|text| notice::say(&text));
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

/// Reports what `run` recorded. Its status is the program's own, unless `--fail-on` has something to
/// say: what it found, or, of a program that succeeded, that it can't tell.
///
/// # Errors
/// One line: why there is no report, of a program that succeeded.
pub fn after_run(finished: &Finished, options: &ReportOptions) -> Result<u8, String> {
    let shown = match &finished.trace {
        Some(trace) => show(trace, options),
        None if options.fail_on.is_empty() => return Ok(finished.status),
        None => {
            notice::say("--fail-on: nothing was recorded");
            Ok(CANNOT_TELL)
        }
    };
    match shown {
        Ok(FOUND) => Ok(FOUND),
        Err(text) if finished.status != READ => {
            notice::say(&text);
            Ok(finished.status)
        }
        _ if finished.status != READ => Ok(finished.status),
        shown => shown,
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
    let mut symbolizer = Symbolizer::new(&files, sites.modules(), symbol_options(facts, options));
    let printing = report::Options {
        trace_path: path.to_string_lossy().into_owned(),
        requests: match options.requests {
            Requests::All => RequestFilter::All,
            Requests::Leaking => RequestFilter::Leaking,
            Requests::None => RequestFilter::None,
        },
        most_sites: options.sites,
        types: options.types,
        with_source: options.with_source,
        width: report::width(output),
        color: report::color(output),
    };
    let print = match options.format {
        Format::Text => report::text,
        Format::Json => report::json,
        Format::Html => report::html,
    };
    let symbolizer = &mut symbolizer;
    report::print_to(output, |out| {
        print(facts, analysis, sites, symbolizer, &printing, out)
    })
    .map_err(|error| match output {
        Some(output) => format!("{}: {error}", output.display()),
        None => format!("the report can't be written: {error}"),
    })
}

/// A page is to be looked at in a browser: a terminal shows nothing of it, and only a page can be opened.
fn refuse_unopened(options: &ReportOptions) -> Result<(), String> {
    let to_stdout = options
        .output
        .as_deref()
        .is_none_or(|to| to == Path::new("-"));
    match options.format {
        Format::Html if to_stdout && (options.open || std::io::stdout().is_terminal()) => {
            Err("--format html makes a page for a browser; give it a file: -o leak.html".into())
        }
        Format::Text | Format::Json if options.open => {
            Err("--open opens a page; ask for one: --format html -o leak.html".into())
        }
        _ => Ok(()),
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
        boundary: match options.boundary {
            Boundary::Auto => analyze::Boundary::Auto,
            Boundary::Http => analyze::Boundary::Http,
            Boundary::Turn => analyze::Boundary::Turn,
            Boundary::Mark => analyze::Boundary::Mark,
            Boundary::Connection => analyze::Boundary::Connection,
        },
        scope: match options.scope {
            Scope::Auto => analyze::Scope::Default,
            Scope::Thread => analyze::Scope::Thread,
            Scope::Process => analyze::Scope::Process,
        },
        routes: options.route.clone(),
        periods: options.format == Format::Html,
    }
}

fn symbol_options(facts: &Facts, options: &ReportOptions) -> SymbolOptions {
    let ended = facts.started_at_ns.checked_add(facts.duration_ns);
    SymbolOptions {
        debug_dirs: options.debug_dir.clone(),
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
    fn what_can_be_opened_is_a_page_in_a_file() {
        let trace = Some("/proc/self/exe");
        let error = status("-o /nonexistent/a.txt --open", 0, trace).unwrap_err();
        assert!(error.contains("--format html -o leak.html"), "{error}");
        let error = status("--format html -o - --open", 0, trace).unwrap_err();
        assert!(error.contains("-o leak.html"), "{error}");
    }

    #[test]
    fn an_unusable_output_is_refused_before_anything_is_read() {
        let trace = "/proc/self/exe";
        let error = status("-o /proc/self/exe", 0, Some(trace)).unwrap_err();
        assert!(error.contains("-o names the trace itself"), "{error}");
    }
}
