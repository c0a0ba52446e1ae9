//! Blocks of known number, in every mode of the interpreter's allocators.

use std::path::Path;

use leak_tests::python::{self, SYSTEM};
use leak_tests::report::Report;
use leak_tests::run::Place;
use leak_tests::stated::Sum;

/// Runs `instances.py how` under libleak.
fn report(interpreter: &Path, options: &[&str], how: &str, variables: &[(&str, &str)]) -> Report {
    let place = Place::new();
    let mut command = place.traced(interpreter);
    command
        .args(options)
        .arg(python::script("instances.py"))
        .arg(how);
    command.envs(variables.iter().copied());
    let ended = place.run(command);
    assert!(ended.status.success(), "{interpreter:?}: {}", ended.err);
    let report = place.report();
    assert_eq!(report.at("/trace/complete"), true);
    // Small blocks from before the first traced one, given back by the interpreter's own end.
    assert!(report.number("/totals/unknown_frees") <= 2);
    report
}

/// The blocks of `instances.py`, each once, where Python asked for them.
fn assert_exact(report: &Report, of: &str) {
    let expected = [
        (12, 10_000, 48),
        // 1,000 bytes, and a head of 33.
        (19, 300, 1033),
        (29, 50, 5001),
    ];
    for (line, blocks, bytes) in expected {
        // Native callers set sites apart: how the interpreter calls the first time, how a block was moved.
        // 16 bytes for the collector's head, to 3.8 also 8 more.
        let fits =
            |sum: &Sum| (sum.blocks * bytes..=sum.blocks * (bytes + 16)).contains(&sum.bytes);
        let live = python::live_at(report, "instances.py", line);
        let found: u64 = live
            .iter()
            .filter(|sum| fits(sum))
            .map(|sum| sum.blocks)
            .sum();
        assert_eq!(found, blocks, "{of}: line {line}: {live:?}");
    }
    assert_eq!(
        python::live_at(report, "instances.py", 36),
        [],
        "{of}: what was freed"
    );
    let warnings = report.list("/trace/warnings").iter();
    let codes: Vec<&serde_json::Value> = warnings.map(|warning| &warning["code"]).collect();
    // Nothing names the free lists of these.
    match of.contains("python3.8") || of.contains("python3.9") {
        true => assert_eq!(codes, ["free_lists_unread"], "{of}"),
        false => assert_eq!(codes, [] as [&str; 0], "{of}"),
    }
}

#[test]
fn every_interpreter() {
    for interpreter in python::interpreters() {
        let report = report(&interpreter, &[], "plain", &[]);
        assert_exact(&report, &interpreter.display().to_string());
        assert!(python::live(&report) > 10_350);
        // Calls that the interpreter has specialised come from elsewhere in its loop; from 3.11 on that sets
        // no call sites apart.
        let name = interpreter.to_string_lossy();
        let minor: u32 = name.rsplit('.').next().expect("3.x").parse().expect("3.x");
        let vehicles = Sum {
            blocks: 10_000,
            bytes: 480_000,
        };
        let live = python::live_at(&report, "instances.py", 12);
        assert!(minor < 11 || live.contains(&vehicles), "{name}: {live:?}");
    }
}

#[test]
fn every_allocator() {
    for allocator in ["malloc", "debug", "malloc_debug", "pymalloc_debug"] {
        let variables = [("PYTHONMALLOC", allocator)];
        let report = report(Path::new(SYSTEM), &[], "plain", &variables);
        assert_exact(&report, allocator);
    }
    for interpreter in python::interpreters() {
        let report = report(&interpreter, &[], "plain", &[("PYTHONMALLOC", "malloc")]);
        assert_exact(&report, &format!("{}, malloc", interpreter.display()));
    }
}

#[test]
fn every_way_to_start() {
    for options in [
        ["-E"].as_slice(),
        &["-I"],
        &["-S"],
        &["-X", "dev"],
        &["-X", "importtime"],
    ] {
        let report = report(Path::new(SYSTEM), options, "plain", &[]);
        assert_exact(&report, &format!("{options:?}"));
    }
    for interpreter in python::interpreters() {
        let report = report(&interpreter, &["-EIS", "-X", "dev"], "plain", &[]);
        assert_exact(&report, &format!("{}, all", interpreter.display()));
    }
}

#[test]
fn a_forked_child_goes_on() {
    let report = report(Path::new(SYSTEM), &[], "fork", &[]);
    assert_exact(&report, "forked");
    assert_eq!(report.list("/processes").len(), 2);
}

#[test]
fn switched_off() {
    let report = report(Path::new(SYSTEM), &[], "plain", &[("LEAK_PYTHON", "off")]);
    assert_eq!(python::live(&report), 0);
    let python = report.list("/sites").iter().filter(|site| {
        site["python_frames"]
            .as_array()
            .is_some_and(|frames| !frames.is_empty())
    });
    assert_eq!(python.count(), 0);
}
