//! `leak-analyze diff`: reads two traces, one after the other, and prints what has changed.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::reading::{
    CANNOT_TELL, FOUND, READ, Read, analysis_boundary, analysis_scope, cannot_write, read,
    refuse_same, symbol_options,
};
use crate::analyze;
use crate::cli::diff::{DiffArguments, DiffFormat, FailOnState};
use crate::figures::counted;
use crate::notice;
use crate::report::{self, Diff, Outline, State};
use crate::symbols::{Files, Symbolizer};

/// Compares two traces.
///
/// # Errors
/// One line: why they can't be compared.
pub fn diff(arguments: &DiffArguments) -> Result<u8, String> {
    let output = arguments.output.as_deref();
    let output = output.filter(|output| *output != Path::new("-"));
    if arguments.format == DiffFormat::Html && output.is_none() && io::stdout().is_terminal() {
        return Err(
            "--format html makes a page for a browser; give it a file: -o diff.html".into(),
        );
    }
    for trace in [&arguments.before, &arguments.after] {
        output.map_or(Ok(()), |output| refuse_same(trace, output))?;
    }
    let before = outline(&arguments.before, arguments)?;
    let after = outline(&arguments.after, arguments)?;
    let diff = report::compare(&before, &after);
    let options = report::Options {
        width: report::width(output),
        color: report::color(output),
        ..report::Options::default()
    };
    report::print_to(output, |out| match arguments.format {
        DiffFormat::Text => report::diff_text(&diff, &options, out),
        DiffFormat::Json => report::diff_json(&diff, out),
        DiffFormat::Html => report::diff_html(&diff, out),
        DiffFormat::Markdown => report::diff_markdown(&diff, out),
    })
    .map_err(|error| cannot_write(output, &error))?;
    Ok(check(&diff, &arguments.fail_on))
}

fn outline(path: &Path, arguments: &DiffArguments) -> Result<Outline, String> {
    let options = analyze::Options {
        boundary: analysis_boundary(arguments.boundary),
        scope: analysis_scope(arguments.scope),
        routes: arguments.route.clone(),
        ..analyze::Options::default()
    };
    let Read {
        trace,
        analysis,
        sites,
    } = read(path, &options)?;
    let facts = trace.facts();
    let files = Files::default();
    let symbol_options = symbol_options(facts, &arguments.debug_dir);
    let mut symbolizer = Symbolizer::new(&files, sites.modules(), symbol_options);
    let name = path.to_string_lossy().into_owned();
    Ok(Outline::new(
        name,
        facts,
        &analysis,
        &sites,
        &mut symbolizer,
    ))
}

fn check(diff: &Diff<'_>, fail_on: &[FailOnState]) -> u8 {
    if fail_on.is_empty() {
        return READ;
    }
    for state in fail_on {
        let state = match state {
            FailOnState::New => State::New,
            FailOnState::Worse => State::Worse,
        };
        let (endpoints, sites) = diff.count(state);
        if endpoints + sites > 0 {
            let endpoints = counted(endpoints as u64, "endpoint");
            let sites = counted(sites as u64, "call site");
            notice::say(&format!(
                "--fail-on: {}: {endpoints}, {sites}",
                state.name()
            ));
            return FOUND;
        }
    }
    match diff.doubt() {
        None => READ,
        Some(text) => {
            notice::say(&format!("--fail-on: nothing found, but {text}"));
            CANNOT_TELL
        }
    }
}
