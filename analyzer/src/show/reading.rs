//! What all commands that read traces share: options, reading, where to print.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wildmatch::WildMatch;

use crate::analysis::Analysis;
use crate::analyze::{self, analyze};
use crate::cli::report::{Boundary, Format, ReportOptions, Requests, Scope, What};
use crate::progress::Progress;
use crate::report::{self, Criteria, RequestFilter};
use crate::sites::Sites;
use crate::symbols::SymbolOptions;
use crate::trace::{self, Facts, Trace};

/// The trace was read.
pub const READ: u8 = 0;
/// `--fail-on`: nothing was found, but the trace can't rule it out.
pub const CANNOT_TELL: u8 = 3;
/// `--fail-on`: found.
pub const FOUND: u8 = 23;

/// A trace, read and analysed.
pub(super) struct Read {
    pub(super) trace: Trace,
    pub(super) analysis: Analysis,
    pub(super) sites: Sites,
}

pub(super) fn read(path: &Path, options: &analyze::Options) -> Result<Read, String> {
    read_from(path, options.clone(), None)
}

/// Reads a trace of which a warm-up may be no part.
pub(super) fn read_from(
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
    options.phases_of = Some(crate::symbols::phases);
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

pub(super) fn printing(
    path: &Path,
    output: Option<&Path>,
    options: &ReportOptions,
) -> report::Options {
    report::Options {
        trace_path: path.to_string_lossy().into_owned(),
        requests: match options.requests {
            Requests::All => RequestFilter::All,
            Requests::Leaking => RequestFilter::Leaking,
            Requests::None => RequestFilter::None,
        },
        most_sites: options.sites,
        most_endpoints: options.endpoints,
        examples: options.examples.unwrap_or(0),
        access_log: None,
        types: options.types,
        pins: options.pins,
        with_source: options.with_source,
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

pub(super) fn cannot_write(output: Option<&Path>, error: &io::Error) -> String {
    match output {
        Some(output) => format!("{}: {error}", output.display()),
        None => format!("the report can't be written: {error}"),
    }
}

/// The trace is mapped while the report is written: one must not become the other.
pub(super) fn refuse_same(trace: &Path, output: &Path) -> Result<(), String> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    match real(output) {
        Some(output) if real(trace).as_ref() == Some(&output) => Err(format!(
            "{}: -o names the trace itself; give the report a file of its own",
            output.display()
        )),
        _ => Ok(()),
    }
}

pub(super) fn criteria(options: &ReportOptions) -> Criteria {
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

pub(super) fn request_options(options: &ReportOptions) -> analyze::Options {
    analyze::Options {
        boundary: analysis_boundary(options.boundary),
        scope: analysis_scope(options.scope),
        routes: options.route.clone(),
        keep_paths: options.examples.is_some(),
        periods: matches!(options.format, Format::Html | Format::Firefox),
        ..analyze::Options::default()
    }
}

pub(super) fn analysis_boundary(boundary: Boundary) -> analyze::Boundary {
    match boundary {
        Boundary::Auto => analyze::Boundary::Auto,
        Boundary::Http => analyze::Boundary::Http,
        Boundary::Turn => analyze::Boundary::Turn,
        Boundary::Mark => analyze::Boundary::Mark,
        Boundary::Connection => analyze::Boundary::Connection,
    }
}

pub(super) fn analysis_scope(scope: Scope) -> analyze::Scope {
    match scope {
        Scope::Auto => analyze::Scope::Default,
        Scope::Thread => analyze::Scope::Thread,
        Scope::Process => analyze::Scope::Process,
    }
}

pub(super) fn symbol_options(facts: &Facts, debug_dirs: &[PathBuf]) -> SymbolOptions {
    let ended = facts.started_at_ns.checked_add(facts.duration_ns);
    SymbolOptions {
        debug_dirs: debug_dirs.to_vec(),
        recorded_until: ended.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_nanos(at))),
    }
}
