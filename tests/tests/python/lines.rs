//! What one Python line makes of one type is one call site, from its first call on.

use std::fs;
use std::path::Path;

use leak_tests::python;
use leak_tests::real;
use leak_tests::report::{Report, number};
use leak_tests::run::Place;

/// Calls of each function of `lines.py`.
const CALLS: u64 = 1000;

fn report(interpreter: &Path, arguments: &[&str]) -> Report {
    let place = Place::new();
    let mut command = place.traced(interpreter);
    command.arg(python::script("lines.py")).args(arguments);
    let ended = place.run(command);
    assert!(ended.status.success(), "{interpreter:?}: {}", ended.err);
    place.report()
}

/// The lines of `lines.py` that say of what type their objects are, and the type.
fn marked() -> Vec<(u64, String)> {
    let text = fs::read_to_string(python::script("lines.py")).expect("the script");
    let lines = (1..).zip(text.lines());
    let marked = lines.filter_map(|(number, line)| Some((number, line.split_once("# line: ")?.1)));
    marked.map(|(line, name)| (line, name.to_owned())).collect()
}

/// How many blocks of the type were live when the exit began, at each site whose innermost frame is at the line.
fn counts(report: &Report, line: u64, of_type: &str) -> Vec<u64> {
    let here = python::sites_at(report, "lines.py", line);
    let counts = here.flat_map(|site| site["types"].as_array().cloned().unwrap_or_default());
    counts
        .filter(|row| row["name"].as_str() == Some(of_type))
        .map(|row| number(&row["blocks"], "blocks"))
        .collect()
}

#[test]
fn calls_before_an_instruction_is_specialised_are_no_other_site() {
    for interpreter in python::interpreters() {
        let report = report(&interpreter, &[]);
        for (line, of_type) in marked().iter().take(4) {
            let counts = counts(&report, *line, of_type);
            assert_eq!(counts, [CALLS], "{interpreter:?}: line {line}, {of_type}");
        }
    }
}

#[test]
fn the_same_of_packages() {
    let report = report(Path::new(&real::python()), &["packages"]);
    let marked = marked();
    assert_eq!(marked.len(), 8);
    for (line, of_type) in &marked {
        let counts = counts(&report, *line, of_type);
        assert_eq!(counts, [CALLS], "line {line}, {of_type}");
    }
    // numpy's own memory: allocated by C code, called by specialised calls and others.
    let arrays = python::line_of("lines.py", "numpy.zeros(100)");
    let data = python::sites_at(&report, "lines.py", arrays)
        .filter(|site| number(&site["before_exit_bytes"], "bytes") == 800 * CALLS);
    assert_eq!(data.count(), 1);
}
