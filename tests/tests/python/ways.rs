//! Other ways to an interpreter than `python program.py`: exact counts in each.

use std::path::Path;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::python::{self, SYSTEM};
use leak_tests::real;
use leak_tests::report::{Report, number, text};
use leak_tests::run::Place;

const LIBRARY: &str = "libpython3.11.so.1.0";

fn run(place: &Place, command: Command) -> Report {
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let report = place.report();
    assert_eq!(report.at("/trace/complete"), true);
    report
}

/// How many objects of classes called `name` are there.
fn count(report: &Report, name: &str) -> u64 {
    let rows = report.list("/types").iter();
    let of_type = rows.filter(|row| text(&row["name"], "name").rsplit('.').next() == Some(name));
    of_type.map(|row| number(&row["blocks"], "blocks")).sum()
}

fn made_at(report: &Report, file: &str, line: u64) -> u64 {
    let live = python::live_at(report, file, line);
    live.iter().map(|sum| sum.blocks).sum()
}

#[test]
fn embedded() {
    let place = Place::new();
    let command = place.traced(Source::read("python/embedded.c").program());
    let report = run(&place, command);
    assert_eq!(count(&report, "Vehicle"), 1000);
    assert!(made_at(&report, "<string>", 2) >= 1000);
}

#[test]
fn loaded_by_the_program() {
    let place = Place::new();
    let mut command = place.traced(Source::read("python/late.c").program());
    command.arg(LIBRARY);
    let report = run(&place, command);
    assert_eq!(count(&report, "Vehicle"), 1000);
    assert!(made_at(&report, "<string>", 2) >= 1000);
}

#[test]
fn loaded_and_closed_by_the_program() {
    let place = Place::new();
    let mut command = place.traced(Source::read("python/late.c").program());
    command.args([LIBRARY, "close"]);
    let report = run(&place, command);
    assert!(report.number("/totals/allocations") > 2000);
}

#[test]
fn sub_interpreters() {
    for interpreter in python::interpreters() {
        let place = Place::new();
        let mut command = place.traced(&interpreter);
        command.arg(python::script("subinterpreter.py"));
        let report = run(&place, command);
        let counts = (count(&report, "Vehicle"), count(&report, "Car"));
        assert_eq!(counts, (1000, 500), "{}", interpreter.display());
    }
}

#[test]
fn greenlets() {
    let place = Place::new();
    let mut command = place.traced(real::python());
    command.arg(python::script("greenlets.py"));
    let report = run(&place, command);
    assert_eq!(count(&report, "Vehicle"), 1000);
    assert_eq!(made_at(&report, "greenlets.py", 17), 1000);
}

#[test]
fn children_of_multiprocessing() {
    for method in ["fork", "spawn", "forkserver"] {
        let place = Place::new();
        let mut command = place.traced(SYSTEM);
        command.arg(python::script("processes.py")).arg(method);
        let report = run(&place, command);
        assert_eq!(count(&report, "Vehicle"), 3000, "{method}");
    }
}

/// The codes of the warnings.
fn warnings(report: &Report) -> Vec<&str> {
    let rows = report.list("/trace/warnings").iter();
    rows.map(|row| text(&row["code"], "code")).collect()
}

#[test]
fn builds_without_the_gil() {
    for interpreter in python::free_threaded() {
        for gil in ["0", "1"] {
            let place = Place::new();
            let mut command = place.traced(&interpreter);
            command.env("PYTHON_GIL", gil);
            command.arg(python::script("instances.py")).arg("thread");
            let report = run(&place, command);
            assert_eq!(warnings(&report), ["python_free_threaded"], "GIL: {gil}");
            assert_eq!(python::live(&report), 0);
            assert_eq!(report.number("/totals/unknown_frees"), 0);
        }
    }
}

#[test]
fn versions_that_are_not_known() {
    for (version, warning) in [
        ("3.99.0 (main, Nov 23 2099)", "python_unknown"),
        ("4.0.0 (main)", "python_unknown"),
        ("", "python_unknown"),
        ("3.14.7 free-threading build (main)", "python_free_threaded"),
        // Of a known one, but without what it tells of itself.
        ("3.14.7 (main, Nov 23 2026)", "python_unknown"),
    ] {
        let place = Place::new();
        let mut command = place.traced(Source::read("python/pretender.c").program());
        command.env("VERSION", version);
        let report = run(&place, command);
        assert_eq!(warnings(&report), [warning], "{version}");
        assert_eq!(report.number("/totals/live_blocks"), 10, "{version}");
    }
}

/// Its recorder is of the same user, and that does not suffice here.
#[test]
fn a_process_that_lets_nobody_read_it() {
    let place = Place::new();
    let copy = |from: &Path| {
        let to = place.path(from.file_name().expect("a file has a name"));
        std::fs::copy(from, &to).expect("the directory is ours");
        to
    };
    // Where a user without rights can reach it.
    let libleak = copy(&artifacts::libleak());
    copy(&artifacts::leak_analyze());
    let script = copy(&python::script("closed.py"));
    // SAFETY: it only gives a number.
    let mut command = match unsafe { libc::geteuid() } {
        0 => {
            let mut command = place.plain("setpriv");
            command.args(["--reuid=65534", "--clear-groups", "env"]);
            command
        }
        _ => place.plain("env"),
    };
    command.arg(format!("LD_PRELOAD={}", libleak.display()));
    command.arg(SYSTEM).arg(script);
    let report = run(&place, command);
    assert_eq!(warnings(&report), ["types_unreadable"]);
    let advice = text(report.at("/trace/warnings/0/text"), "text");
    assert!(advice.contains("ptrace_scope") && advice.contains("CAP_SYS_PTRACE"));
    assert!(
        python::live(&report) > 1000,
        "its blocks are counted all the same"
    );
}
