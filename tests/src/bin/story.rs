//! Runs the founding story on the CPython interpreters that are named, or on all that can be found, and prints a
//! table. `--show` prints the first lines of each report, too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use leak_tests::python;
use leak_tests::story::{kept_by_each, run, variants};

fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let show = options.iter().any(|option| option == "--show");
    let mut interpreters: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
    if interpreters.is_empty() {
        interpreters = python::interpreters();
    }
    let failed: usize = interpreters.iter().map(|python| tell(python, show)).sum();
    let runs = interpreters.len() * variants().len();
    println!("{} passed, {failed} failed", runs - failed);
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs all variants on one interpreter; how many failed.
fn tell(python: &Path, show: bool) -> usize {
    let each = kept_by_each(python);
    println!("{}: a failed request keeps {each} bytes", python.display());
    let mut failed = 0;
    for variant in variants() {
        let told = run(python, variant, each);
        let faults = told.faults();
        let outcome = match faults.is_empty() {
            true => "as it should be".to_owned(),
            false => faults.join("; "),
        };
        println!("  {:<24}{outcome}", variant.to_string());
        if show {
            println!("{}", told.first_lines());
        }
        failed += usize::from(!faults.is_empty());
    }
    failed
}
