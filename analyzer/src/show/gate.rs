//! The gate: which leaks of a report are known, and what the job is told.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::reading::{CANNOT_TELL, FOUND, READ, cannot_write, criteria, printing, symbol_options};
use crate::analysis::{Analysis, Verdict};
use crate::cli::report::{GateOptions, ReportOptions};
use crate::figures::counted;
use crate::gate::{self, Baseline, Outcome, Suppressions, Wanted};
use crate::notice;
use crate::report::{self, Outline};
use crate::sites::Sites;
use crate::symbols::{Files, Symbolizer};
use crate::trace::Facts;

/// What is known of leaks, read before the trace is: a mistake in a file is said at once.
pub(super) struct Known {
    baseline: Option<Baseline>,
    suppressions: Suppressions,
}

impl Known {
    pub(super) fn read(options: &GateOptions) -> Result<Known, String> {
        let mut suppressions = Suppressions::default();
        for path in &options.suppressions {
            suppressions.add(path)?;
        }
        let baseline = options.baseline.as_deref();
        let baseline = baseline.map(|path| Baseline::read(path, options.update_baseline));
        Ok(Known {
            baseline: baseline.transpose()?,
            suppressions,
        })
    }
}

/// Checks the trace, tells all who want to know, and says by the status what was found.
pub(super) fn check(
    known: &Known,
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    options: &ReportOptions,
) -> Result<u8, String> {
    let mut criteria = criteria(options);
    if criteria.verdicts.is_empty() {
        criteria.verdicts = vec![Verdict::Leak, Verdict::GrowingBuffer];
    }
    let outline = outline(facts, analysis, sites, options);
    let wanted = Wanted {
        verdicts: criteria.verdicts.clone(),
        min_bytes: criteria.min_bytes,
        label: criteria.label.clone(),
    };
    let leaks = gate::leaks(&outline, &wanted);
    let overlooked = gate::overlooked(&outline, &wanted);
    overlooked.iter().for_each(|note| notice::say(note));
    let doubt = report::doubt(facts, analysis, &criteria);
    if let (Some(baseline), Some(path), true) = (
        &known.baseline,
        &options.gate.baseline,
        options.gate.update_baseline,
    ) {
        return update(baseline, path, &leaks, &outline, doubt.as_deref());
    }
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let today = today.get(..10).unwrap_or_default();
    let outcome = gate::judge(
        &outline,
        leaks,
        known.baseline.as_ref(),
        &known.suppressions,
        today,
    );
    outcome.notes.iter().for_each(|note| notice::say(note));
    tell(&outcome, &outline, doubt.as_deref(), options)?;
    if options.gate.github {
        summarize(facts, analysis, sites, options)?;
    }
    let fails = !options.fail_on.is_empty() || known.baseline.is_some();
    Ok(status(fails, &outcome, doubt))
}

/// The status to end with; says why where that is not the usual one.
fn status(fails: bool, outcome: &Outcome<'_>, doubt: Option<String>) -> u8 {
    match (fails, outcome.found.is_empty(), doubt) {
        (false, _, _) | (true, true, None) => READ,
        (true, false, _) => {
            let known = counted(outcome.covered.len() as u64, "known one");
            for leak in &outcome.found {
                notice::say(&format!("not known: {}", leak.line()));
            }
            let found = counted(outcome.found.len() as u64, "leak");
            notice::say(&format!(
                "--fail-on: {found} that nothing covers, beside {known}"
            ));
            FOUND
        }
        (true, true, Some(text)) => {
            notice::say(&format!("--fail-on: nothing found, but {text}"));
            CANNOT_TELL
        }
    }
}

fn outline(facts: &Facts, analysis: &Analysis, sites: &Sites, options: &ReportOptions) -> Outline {
    let files = Files::default();
    let symbol_options = symbol_options(facts, &options.debug_dir);
    let mut symbolizer = Symbolizer::new(&files, sites.modules(), symbol_options);
    Outline::new(String::new(), facts, analysis, sites, &mut symbolizer)
}

fn update(
    baseline: &Baseline,
    path: &Path,
    leaks: &[gate::Leak<'_>],
    outline: &Outline,
    doubt: Option<&str>,
) -> Result<u8, String> {
    let updated = baseline.updated(leaks, outline, doubt.is_none());
    updated.write(path)?;
    let entries = updated.entries().len() as u64;
    let entries = match entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    let kept = doubt.map_or(String::new(), |doubt| {
        format!("; entries that nothing matched were kept, because {doubt}")
    });
    notice::say(&format!("{} has {entries} now{kept}", path.display()));
    Ok(READ)
}

/// Annotations and the JUnit file.
fn tell(
    outcome: &Outcome<'_>,
    outline: &Outline,
    doubt: Option<&str>,
    options: &ReportOptions,
) -> Result<(), String> {
    if options.gate.github {
        let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
        report::print_to(None, |out| {
            gate::annotations(&outcome.found, workspace.as_deref(), out)
        })
        .map_err(|error| cannot_write(None, &error))?;
    }
    if let Some(path) = &options.gate.junit {
        let text = gate::junit(outline, outcome, doubt);
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Appends the report to the summary of the job, where it is in one.
fn summarize(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    options: &ReportOptions,
) -> Result<(), String> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        return Ok(());
    };
    let files = Files::default();
    let symbol_options = symbol_options(facts, &options.debug_dir);
    let mut symbolizer = Symbolizer::new(&files, sites.modules(), symbol_options);
    let printing = printing(Path::new("trace.bin"), None, options);
    let mut text = Vec::new();
    let written = report::markdown(
        facts,
        analysis,
        sites,
        &mut symbolizer,
        &printing,
        &mut text,
    )
    .and_then(|()| {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(&text)
    });
    written.map_err(|error: io::Error| format!("{}: {error}", path.display()))
}
