//! The report command: reads a trace, analyses it, prints it, and tells by a status what was found.

mod access;
pub mod diff;
mod gate;
mod reading;
pub mod requests;
mod views;
pub mod watch;

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::access::AccessLog;
use crate::analysis::Analysis;
use crate::cli::report::{Format, ReportOptions, View};
use crate::notice;
use crate::report::{self, Finding};
use crate::run::Finished;
use crate::sites::Sites;
use crate::symbols::{Files, Symbolizer};
use crate::trace::Facts;
pub use reading::{CANNOT_TELL, FOUND, READ};
use reading::{
    Read, cannot_write, criteria, printing, read_from, refuse_same, request_options, symbol_options,
};

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
    refuse_early(options, output)?;
    if options.view != View::Leaks {
        return views::show(path, output, options).map(|()| READ);
    }
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
    let log = options.access_log.as_deref();
    let log = log
        .map(|log| access::read(log, facts, &analysis))
        .transpose()?;
    print(path, output, facts, &analysis, &sites, (options, log))?;
    if let Some(page) = output.filter(|_| options.open) {
        report::open_page(page).unwrap_or_else(|text| notice::say(&text));
    }
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
        _ if options.view != View::Leaks && options.format != Format::Text => {
            Err("--view is for text: leave --format out".into())
        }
        _ if options.view != View::Leaks
            && (options.gate.is_used() || !options.fail_on.is_empty()) =>
        {
            Err("--view checks nothing: leave --fail-on and --baseline out, or --view".into())
        }
        _ if options.examples.is_some()
            && (options.format != Format::Text || options.view != View::Leaks) =>
        {
            Err("--examples is for the text report: leave --format and --view out".into())
        }
        _ if options.access_log.is_some() && options.examples.is_none() => Err(
            "--access-log is for --examples, or for leak-analyze requests: give --examples N"
                .into(),
        ),
        _ if options.brief && options.format != Format::Json => {
            Err("--brief is for --format json".into())
        }
        _ if is_narrowed && options.fail_on.is_empty() && !options.gate.is_used() => {
            Err("--min-bytes and --label are for --fail-on or --baseline: give one".into())
        }
        _ => Ok(()),
    }
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
    (options, log): (&ReportOptions, Option<AccessLog>),
) -> Result<(), String> {
    let files = Files::default();
    let mut symbolizer = Symbolizer::new(
        &files,
        sites.modules(),
        symbol_options(facts, &options.debug_dir),
    );
    let printing = report::Options {
        access_log: log,
        ..printing(path, output, options)
    };
    let symbolizer = &mut symbolizer;
    let print = match options.format {
        Format::Text => report::text,
        Format::Json if options.brief => report::brief,
        Format::Json => report::json,
        Format::Html => report::html,
        Format::Markdown => report::markdown,
        Format::Pprof => report::pprof,
        Format::Folded => report::folded,
        Format::Speedscope => report::speedscope,
        Format::Firefox => report::firefox,
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
        Format::Html => Ok(()),
        _ if options.open => {
            Err("--open opens a page; ask for one: --format html -o leak.html".into())
        }
        _ => Ok(()),
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
