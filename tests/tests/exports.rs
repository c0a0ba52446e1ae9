//! What is handed on to other tools, checked by those tools: Go's pprof, DuckDB, speedscope in a browser, the Firefox
//! Profiler from npm, a shell. The trace is of `targets/servers/after.c`, whose sums `builds.h` states.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::leak_analyze;
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// Requests of each target, and what they leave.
const TRAFFIC: [(&str, u64, u64); 6] = [
    ("/added", 40, 500),
    ("/same", 50, 48),
    ("/worse", 30, 250),
    ("/sometimes", 30, 0),
    ("/sometimes?fail", 20, 700),
    ("/clean", 60, 0),
];
const ALL: u64 = 40 * 500 + 50 * 48 + 30 * 250 + 20 * 700;

/// Records the server; its trace, and its port.
fn record(place: &Place) -> (PathBuf, u16) {
    let source = Source::read("servers/after.c");
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let requests = TRAFFIC.iter().flat_map(|(target, count, _)| {
        (0..*count).map(move |number| match target.split_once('?') {
            // Paths of their own, one label.
            None if *target == "/clean" => Request::get(format!("/clean/{number}")),
            _ => Request::get(*target),
        })
    });
    let mut requests: Vec<Request> = requests.collect();
    requests.push(Request::post("/same", "body"));
    http::drive(port, 1, None, &requests);
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    server.assert_nothing_left(LIMIT);
    (place.trace(), port)
}

fn printed(arguments: &[&str]) -> Vec<u8> {
    let output = leak_analyze(arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {err}");
    output.stdout
}

fn text(trace: &Path, options: &[&str]) -> String {
    let mut arguments = vec![trace.to_str().expect("UTF-8")];
    arguments.extend(options);
    String::from_utf8(printed(&arguments)).expect("UTF-8")
}

fn ran(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let err = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {err}");
    String::from_utf8(stdout).expect("UTF-8")
}

/// `go tool pprof -top`, as bytes by function.
fn top(profile: &Path, options: &[&str]) -> Vec<(String, u64)> {
    let mut command = Command::new("go");
    command.args([
        "tool",
        "pprof",
        "-top",
        "-unit=B",
        "-nodecount=1000",
        "-nodefraction=0",
    ]);
    command
        .args(options)
        .arg(profile)
        .env("HOME", "/nonexistent")
        .env("GOFLAGS", "-mod=mod");
    let out = ran(&mut command);
    let rows = out
        .lines()
        .skip_while(|line| !line.contains("flat%"))
        .skip(1);
    rows.map(|line| {
        let mut words = line.split_whitespace();
        let flat = words.next().expect("a size").trim_end_matches('B');
        let name = words.skip(4).collect::<Vec<_>>().join(" ");
        (
            name,
            flat.parse()
                .unwrap_or_else(|error| panic!("{line}: {error}")),
        )
    })
    .collect()
}

fn of(rows: &[(String, u64)], name: &str) -> u64 {
    let found = rows.iter().find(|(row, _)| row == name);
    found.unwrap_or_else(|| panic!("no {name}: {rows:?}")).1
}

#[test]
fn pprof_reads_it() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let profile = place.path("leak.pb.gz");
    text(
        &trace,
        &["--format", "pprof", "-o", profile.to_str().expect("UTF-8")],
    );
    let rows = top(&profile, &[]);
    assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), ALL + 48);
    assert_eq!(of(&rows, "keep_added"), 40 * 500);
    assert_eq!(of(&rows, "keep_sometimes"), 20 * 700);
    let objects = top(&profile, &["-sample_index=retained_objects", "-unit=auto"]);
    assert_eq!(of(&objects, "keep_same"), 51);
    // A label as the root, and as a filter.
    let rooted = top(&profile, &["-tagroot=endpoint", "-cum"]);
    assert!(
        rooted.iter().any(|(name, _)| name == "GET /worse"),
        "{rooted:?}"
    );
    let focused = top(&profile, &["-tagfocus=status=500"]);
    assert_eq!(of(&focused, "keep_sometimes"), 20 * 700);
    assert_eq!(focused.iter().map(|row| row.1).sum::<u64>(), 20 * 700);
    let raw = ran(Command::new("go")
        .args(["tool", "pprof", "-raw"])
        .arg(&profile));
    for expected in [
        "verdict:[leak]",
        "process:[after",
        "status:[200]",
        "builds.h:",
    ] {
        assert!(raw.contains(expected), "no {expected}: {raw}");
    }
    let report = text(&trace, &["--format", "json", "--requests", "none"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let modules = report["modules"].as_array().expect("a list");
    let build_id = modules
        .iter()
        .find_map(|module| module["build_id"].as_str());
    assert!(raw.contains(build_id.expect("a build-id")), "{raw}");
    // Live when the exit began: as the report has it.
    let live = top(&profile, &["-sample_index=inuse_space"]);
    let live: u64 = live.iter().map(|row| row.1).sum();
    assert_eq!(report["totals"]["before_exit_bytes"], live);
}

#[test]
fn duckdb_reads_it() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let folder = place.path("tables");
    text(
        &trace,
        &["--format", "tables", "-o", folder.to_str().expect("UTF-8")],
    );
    let script = "\
import duckdb, sys
rows = duckdb.sql('''select label, count(*), sum(retained_bytes) from 'requests.ndjson'
    group by 1 having sum(retained_bytes) > 0 order by 1''').fetchall()
print(rows)
print(duckdb.sql('''select f.function, r.label, r.status, r.leaked_bytes from 'retained.ndjson' r
    join 'frames.ndjson' f using (site_id) where f.depth = 0 and r.status = 500''').fetchall())
for table in 'processes endpoints sites types timeline'.split():
    print(table, duckdb.sql(f\"select count(*) from '{table}.ndjson'\").fetchall()[0][0] > 0)
";
    let python = artifacts::source("../target/venv/bin/python");
    let out = ran(Command::new(python)
        .args(["-c", script])
        .current_dir(&folder));
    let rows = "[('GET /added', 40, 20000), ('GET /same', 50, 2400), ('GET /sometimes', 50, 14000), \
                ('GET /worse', 30, 7500), ('POST /same', 1, 48)]";
    assert!(out.starts_with(rows), "{out}");
    assert!(
        out.contains("[('keep_sometimes', 'GET /sometimes', 500, 14000)]"),
        "{out}"
    );
    assert_eq!(out.matches("True").count(), 5, "{out}");
    let none = leak_analyze(&[trace.to_str().expect("UTF-8"), "--format", "tables"]);
    assert_eq!(none.status.code(), Some(2));
}

/// speedscope itself, from npm, in a browser: the title is the profile that it has opened.
#[test]
fn speedscope_reads_it() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let profile = printed(&[trace.to_str().expect("UTF-8"), "--format", "speedscope"]);
    let file: Value = serde_json::from_slice(&profile).expect("JSON");
    let sums: u64 = file["profiles"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|profile| profile["endValue"].as_u64().expect("a number"))
        .sum();
    assert_eq!(sums, ALL + 48);
    let bytes: Vec<String> = profile.iter().map(u8::to_string).collect();
    let load = format!(
        "speedscope.loadFileFromBase64('leak.json', btoa(String.fromCharCode(...[{}])))",
        bytes.join(",")
    );
    let script = place.path("load.js");
    fs::write(&script, load).expect("it can be written");
    let page = artifacts::source("../target/speedscope/package/dist/release/index.html");
    assert!(page.exists(), "scripts/setup brings speedscope");
    let address = format!(
        "file://{}#localProfilePath={}",
        page.display(),
        script.display()
    );
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
    ]);
    browser.arg(format!(
        "--user-data-dir={}",
        place.path("browser").display()
    ));
    browser.args(["--virtual-time-budget=20000", "--dump-dom", &address]);
    let page = ran(&mut browser);
    assert!(
        page.contains("<title>libleak: retained of "),
        "no profile was opened"
    );
    for label in ["GET /added", "GET /worse", "GET /sometimes"] {
        assert!(page.contains(label), "no {label} among the profiles");
    }
}

/// The Firefox Profiler's own command line, from npm: it opens a profile as profiler.firefox.com does, and adds up.
/// Has the profiler's command line load the profile. Its daemon has half a second to come up, whatever else the machine
/// does, and says that one may try again.
fn load(script: &Path, profile: &str, sessions: &Path) {
    let mut command = Command::new("node");
    command.arg(script).args(["load", profile]);
    command.env("PROFILER_CLI_SESSION_DIR", sessions);
    for _ in 0..20 {
        let output = command.output().expect("node runs");
        let err = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return;
        }
        assert!(err.contains("did not become ready"), "{command:?}: {err}");
    }
    panic!("{command:?}: never ready");
}

#[test]
fn the_firefox_profiler_reads_it() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let profile = place.path("leak.json");
    let path = profile.to_str().expect("UTF-8");
    text(&trace, &["--format", "firefox", "-o", path]);
    let script = artifacts::source("../target/profiler-cli/package/dist/profiler-cli.js");
    assert!(
        script.exists(),
        "scripts/setup brings the profiler's command line"
    );
    let profiler = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.arg(&script).args(arguments);
        ran(command.env("PROFILER_CLI_SESSION_DIR", place.path("sessions")))
    };
    load(&script, path, &place.path("sessions"));
    let tree = profiler(&[
        "thread",
        "samples-top-down",
        "--json",
        "--max-lines",
        "1000",
    ]);
    let markers = profiler(&["thread", "markers", "--json", "--list", "--limit", "1000"]);
    let about = profiler(&["profile", "meta"]);
    profiler(&["stop"]);
    let tree: Value = serde_json::from_str(&tree).expect("JSON");
    assert_eq!(tree["weightType"], "bytes");
    let root = &tree["regularCallTree"];
    assert_eq!(root["totalSamples"], ALL + 48);
    let sometimes = child(root, "GET /sometimes");
    assert_eq!(sometimes["totalSamples"], 20 * 700);
    let failed = child(sometimes, "500");
    assert_eq!(failed["totalSamples"], 20 * 700);
    let mut innermost = failed;
    while let Some(next) = innermost["children"].as_array().and_then(|all| all.first()) {
        innermost = next;
    }
    assert_eq!(innermost["name"], "keep_sometimes");
    assert_eq!(innermost["selfSamples"], 20 * 700);
    assert_eq!(child(root, "GET /worse")["totalSamples"], 30 * 250);
    let count = |label: &str| markers.matches(&format!("\"name\": \"{label}\"")).count();
    assert_eq!(count("GET /added"), 40, "{markers}");
    assert_eq!(count("GET /sometimes"), 20);
    assert_eq!(count("GET /clean/{id}"), 0);
    assert!(about.contains("bytes retained"), "{about}");
}

fn child<'v>(node: &'v Value, name: &str) -> &'v Value {
    let children = node["children"].as_array().expect("a list");
    let found = children.iter().find(|child| child["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {node}"))
}

#[test]
fn stacks_in_lines() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let lines = text(&trace, &["--format", "folded"]);
    let sum: u64 = lines
        .lines()
        .map(|line| {
            let (stack, bytes) = line.rsplit_once(' ').expect("a stack and bytes");
            assert!(stack.contains(";converse;status_of;"), "{line}");
            bytes.parse::<u64>().expect("a number")
        })
        .sum();
    assert_eq!(sum, ALL + 48);
    assert!(lines.contains("GET /sometimes;500;"), "{lines}");
    let without = text(&trace, &["--format", "folded", "--no-endpoint"]);
    assert!(!without.contains("GET /"), "{without}");
    let same = without.lines().filter(|line| line.contains("keep_same"));
    assert!(
        same.map(|line| line.ends_with(" 2448")).eq([true]),
        "{without}"
    );
}

#[test]
fn briefs_are_short() {
    let place = Place::new();
    let (trace, _) = record(&place);
    let brief = text(&trace, &["--format", "json", "--brief"]);
    assert!(brief.len() <= 8_000, "{} bytes", brief.len());
    let brief: Value = serde_json::from_str(&brief).expect("JSON");
    assert_eq!(brief["endpoints"][0]["label"], "GET /added");
    assert_eq!(brief["endpoints"][0]["verdict"], "leak");
    let sites = brief["sites"].as_array().expect("a list");
    let frame = sites[0]["frames"][0].as_str().expect("text");
    assert!(frame.starts_with("keep_added "), "{frame}");
    let markdown = text(&trace, &["--format", "markdown"]);
    assert!(markdown.starts_with("### libleak: 4 of "), "{markdown}");
    assert!(markdown.lines().count() <= 80);
    let row = "| `GET /sometimes` | leak (only 500) | 50 | 20 | 700 B | 13.7 KiB | 0 % |";
    assert!(markdown.lines().any(|line| line == row), "{markdown}");
    let refused = leak_analyze(&[trace.to_str().expect("UTF-8"), "--brief"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// What leaked can be sent again: by a shell, to the same server, which then leaks the same.
#[test]
fn requests_can_be_sent_again() {
    let place = Place::new();
    let (trace, port) = record(&place);
    let trace = trace.to_str().expect("UTF-8");
    let requests = |options: &[&str]| {
        let mut arguments = vec!["requests", trace];
        arguments.extend(options);
        let output = leak_analyze(&arguments);
        assert!(output.status.success());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    };
    let (urls, notices) = requests(&["--leaking", "--format", "urls"]);
    assert_eq!(urls.lines().count(), 40 + 50 + 30 + 20);
    let added = format!("http://localhost:{port}/added");
    assert_eq!(urls.lines().filter(|line| *line == added).count(), 40);
    assert!(notices.contains("not in a trace"), "{notices}");
    let (urls, _) = requests(&["--format", "urls", "--base", "http://host/"]);
    assert!(
        urls.lines().any(|line| line == "http://host/clean/17"),
        "{urls}"
    );
    let (rows, _) = requests(&["--label", "GET /clean/*"]);
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 60);
    assert_eq!(rows[5]["path"], "/clean/5");
    assert_eq!(rows[5]["label"], "GET /clean/{id}");
    assert_eq!(rows[5]["leaking"], false);
    let again = Place::new();
    let source = Source::read("servers/after.c");
    let mut command = again.traced(source.program());
    command.arg(port.to_string());
    let mut server = again.start(command);
    http::wait_for_port(&mut server, port);
    let (commands, _) = requests(&["--leaking", "--format", "curl"]);
    let (posts, _) = requests(&["--label", "POST *", "--format", "curl"]);
    assert!(posts.contains("--request 'POST' "), "{posts}");
    ran(Command::new("sh").args(["-e", "-c", &commands]));
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let report = again.report();
    // The query that made requests fail is in no trace.
    for (label, leaking) in [("GET /added", 40), ("GET /same", 50), ("GET /sometimes", 0)] {
        assert_eq!(
            report.endpoint(label)["leaking_requests"],
            leaking,
            "{label}"
        );
    }
}
