//! `--view`: a trace read for something else than requests.

use std::path::Path;

use super::reading::{cannot_write, printing, symbol_options};
use crate::analyze;
use crate::cli::report::{self as cli, ReportOptions};
use crate::progress::Progress;
use crate::report::{self, View};
use crate::sites::Sites;
use crate::symbols::{Files, Symbolizer};
use crate::trace;

/// Shows the view of the trace at `path` that is asked for.
///
/// # Errors
/// One line: why it can't be shown.
pub(super) fn show(
    path: &Path,
    output: Option<&Path>,
    options: &ReportOptions,
) -> Result<(), String> {
    let view = match options.view {
        cli::View::Leaks => View::Leaks,
        cli::View::Peak => View::Peak,
        cli::View::Temporary => View::Temporary,
        cli::View::Sizes => View::Sizes,
    };
    let trace = trace::open(path).map_err(|error| error.to_string())?;
    let facts = trace.facts();
    if view == View::Temporary && facts.sample_bytes > 0 {
        return Err(
            "--view temporary: of a sample the next event of a thread is not known; record without LEAK_SAMPLE".into(),
        );
    }
    let mut sites = Sites::default();
    let mut progress = Progress::of(format!("Reading {}", path.display()));
    let views = analyze::views(&trace, &mut sites, |part| progress.at(part));
    let views = views.map_err(|error| error.to_string())?;
    drop(progress);
    let files = Files::default();
    let asked = symbol_options(facts, &options.debug_dir);
    let mut symbolizer = Symbolizer::new(&files, sites.modules(), asked);
    let printing = printing(path, output, options);
    report::print_to(output, |out| {
        report::views(
            facts,
            (view, &views),
            &sites,
            &mut symbolizer,
            &printing,
            out,
        )
    })
    .map_err(|error| cannot_write(output, &error))
}
