//! `leak-analyze diff` on two builds of one server under unequal traffic: `targets/servers/builds.h` says what each
//! of them leaves behind.

use std::path::{Path, PathBuf};
use std::process::Output;

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::leak_analyze;
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// So many requests of each target.
type Traffic<'t> = &'t [(&'t str, usize)];

const BEFORE: Traffic<'_> = &[
    ("/fixed", 200),
    ("/added", 60),
    ("/same", 200),
    ("/worse", 150),
    ("/better", 150),
    ("/sometimes", 100),
    ("/sometimes?fail", 100),
    ("/rare", 200),
    ("/moved", 200),
    ("/clean", 300),
    ("/old", 20),
];
const AFTER: Traffic<'_> = &[
    ("/fixed", 300),
    ("/added", 250),
    ("/same", 90),
    ("/worse", 300),
    ("/better", 200),
    ("/sometimes", 360),
    ("/sometimes?fail", 40),
    ("/rare", 3),
    ("/moved", 100),
    ("/clean", 100),
    ("/new", 4),
];

/// Records `build` under this traffic, one connection, targets taking turns.
fn record(place: &Place, build: &str, traffic: Traffic<'_>, variables: &[(&str, &str)]) -> PathBuf {
    let source = Source::read(&format!("servers/{build}.c"));
    let trace = place.path(format!("{build}.trace"));
    let mut command = place.traced(source.program());
    let port = http::free_port();
    command.arg(port.to_string()).env("LEAK_TRACE", &trace);
    command.envs(variables.iter().copied());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let most = traffic.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let rounds = (0..most).flat_map(|round| {
        let due = traffic.iter().filter(move |(_, count)| round < *count);
        due.map(|(target, _)| Request::get(*target))
    });
    let requests: Vec<Request> = rounds.collect();
    http::drive(port, 1, None, &requests);
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    server.assert_nothing_left(LIMIT);
    trace
}

fn diff(before: &Path, after: &Path, options: &[&str]) -> Output {
    let mut arguments: Vec<&std::ffi::OsStr> =
        vec!["diff".as_ref(), before.as_ref(), after.as_ref()];
    arguments.extend(options.iter().map(std::ffi::OsStr::new));
    leak_analyze(&arguments)
}

fn json(before: &Path, after: &Path) -> Value {
    let output = diff(before, after, &["--format", "json"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let faults = leak_tests::schema::diff_faults(&json);
    assert!(faults.is_empty(), "{faults:#?}");
    json
}

/// The states by label, sorted.
fn states(json: &Value) -> Vec<(String, String)> {
    let rows = json["endpoints"].as_array().expect("a list").iter();
    let mut states: Vec<(String, String)> = rows
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            (text("label"), text("state"))
        })
        .collect();
    states.sort();
    states
}

fn endpoint<'j>(json: &'j Value, label: &str) -> &'j Value {
    let rows = json["endpoints"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["label"] == label);
    row.unwrap_or_else(|| panic!("no {label}"))
}

#[test]
fn two_builds_under_unequal_traffic() {
    let place = Place::new();
    let before = record(&place, "before", BEFORE, &[]);
    let after = record(&place, "after", AFTER, &[]);
    let found = json(&before, &after);
    let expected = [
        ("GET /added", "new"),
        ("GET /better", "better"),
        ("GET /clean", "same"),
        ("GET /fixed", "fixed"),
        ("GET /moved", "same"),
        ("GET /new", "not_comparable"),
        ("GET /old", "not_comparable"),
        ("GET /rare", "not_comparable"),
        ("GET /same", "same"),
        ("GET /sometimes", "same"),
        ("GET /worse", "worse"),
    ];
    let expected = expected.map(|(label, state)| (label.to_owned(), state.to_owned()));
    assert_eq!(states(&found), expected);
    assert_eq!(
        endpoint(&found, "GET /rare")["reason"],
        "3 requests only after, where 200 of 200 leak"
    );
    let worse = endpoint(&found, "GET /worse");
    let each = "leaked_bytes_per_leaking_request_range";
    assert_eq!(worse["before"][each], serde_json::json!([100, 100]));
    assert_eq!(worse["after"][each], serde_json::json!([250, 250]));
    check_sites(&found);
    let changed: Vec<&str> = found["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["what"].as_str())
        .collect();
    assert_eq!(changed, ["program", "arguments", "build"]);
    // The other way round, what was new is fixed, and what was fixed is new.
    let back = json(&after, &before);
    for (label, state) in [
        ("GET /added", "fixed"),
        ("GET /fixed", "new"),
        ("GET /worse", "better"),
        ("GET /better", "worse"),
        ("GET /same", "same"),
        ("GET /sometimes", "same"),
        ("GET /rare", "not_comparable"),
    ] {
        assert_eq!(endpoint(&back, label)["state"], state, "{label}");
    }
}

/// Lines, addresses and the program's name differ between the builds: functions do not.
fn check_sites(found: &Value) {
    let rows = found["sites"].as_array().expect("a list").iter();
    let mut sites: Vec<(&str, &str)> = rows
        .clone()
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("text");
            (text("function"), text("state"))
        })
        .collect();
    sites.sort_unstable();
    let expected = [
        ("keep_added", "new"),
        ("keep_better", "better"),
        ("keep_fixed", "fixed"),
        ("keep_moved", "same"),
        ("keep_rare", "not_comparable"),
        ("keep_same", "same"),
        ("keep_sometimes", "same"),
        ("keep_worse", "worse"),
    ];
    assert_eq!(sites, expected);
    let mut rows = rows;
    let moved = rows.find(|row| row["function"] == "keep_moved");
    let likeness = moved.expect("keep_moved")["likeness"].as_array();
    let [common, all] = &likeness.expect("taken for one by likeness")[..] else {
        panic!("two numbers");
    };
    assert_eq!(common.as_u64().map(|common| common + 1), all.as_u64());
}

#[test]
fn statuses_and_texts() {
    let place = Place::new();
    let before = record(&place, "before", BEFORE, &[]);
    let after = record(&place, "after", AFTER, &[]);
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).expect("text");
    let found = diff(&before, &after, &["--fail-on", "new,worse"]);
    assert_eq!(found.status.code(), Some(23));
    let err = String::from_utf8_lossy(&found.stderr);
    assert!(
        err.contains("--fail-on: new: 1 endpoint, 1 call site"),
        "{err}"
    );
    let out = text(&found);
    let first = out
        .lines()
        .position(|line| line.starts_with("new: 1 endpoint, 1 call site"));
    assert!(first.is_some_and(|line| line < 8), "{out}");
    assert!(
        out.contains("GET /rare not comparable: 3 requests only after"),
        "{out}"
    );
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    // Nothing new in the same trace; all of its endpoints have been decided but those that few requests reached.
    let same = diff(&before, &before, &["--fail-on", "new,worse"]);
    assert_eq!(
        same.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&same.stderr)
    );
    assert!(!text(&same).contains("fixed:"));
    let markdown = text(&diff(&before, &after, &["--format", "markdown"]));
    assert!(
        markdown.starts_with("### libleak: 1 endpoint new, 1 endpoint worse"),
        "{markdown}"
    );
    assert!(markdown.contains("| **fixed** | `GET /fixed` | 200 → 300 | 200 → 0 | 300 B → – |"));
    assert!(markdown.lines().count() <= 80);
    for (arguments, status) in [
        (vec!["diff", "/nonexistent", "/nonexistent"], 2),
        (vec!["diff", "/proc/self/exe", "/proc/self/exe"], 2),
        (vec!["diff"], 2),
    ] {
        let output = leak_analyze(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
    }
}

/// A sample that would see next to nothing of a leak can't say that it is fixed.
#[test]
fn a_sample_is_no_proof() {
    let place = Place::new();
    let before = record(&place, "before", BEFORE, &[]);
    let after = record(&place, "after", AFTER, &[("LEAK_SAMPLE", "10000000")]);
    let found = json(&before, &after);
    assert_eq!(endpoint(&found, "GET /fixed")["state"], "not_comparable");
    let output = diff(&before, &after, &["--fail-on", "new"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("after is a sample"), "{text}");
    assert!(text.contains("other LEAK_SAMPLE: 0 → 10000000"), "{text}");
}

/// Most of a stack is never touched: `targets/mapped/threads.c` leaves 15 MiB of them at each of two endpoints.
#[test]
fn stacks_of_threads_are_in_no_sum() {
    let place = Place::new();
    let command = place.traced(Source::read("mapped/threads.c").program());
    assert!(place.run(command).status.success());
    let found = json(&place.trace(), &place.trace());
    for label in ["/unjoined", "/running"] {
        let part = &endpoint(&found, label)["before"];
        let leaked = part["leaked_bytes"].as_u64();
        assert!(
            leaked.is_some_and(|bytes| bytes < 1 << 20),
            "{label}: {part}"
        );
    }
}
