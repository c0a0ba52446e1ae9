//! `leak-analyze run` as the gate of a CI job: it starts a server, waits for it, drives it, stops it and judges, by what
//! is known. The server is `targets/servers/builds.h` in two builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::http;
use leak_tests::process::Ended;
use leak_tests::run::Place;
use serde_json::Value;

/// A run of one build on a port of its own.
struct Gate<'p> {
    place: &'p Place,
    port: u16,
    command: Command,
}

impl<'p> Gate<'p> {
    fn new(place: &'p Place) -> Gate<'p> {
        let mut command = place.plain(artifacts::leak_analyze());
        command
            .arg("run")
            .arg("--preload")
            .arg(artifacts::libleak());
        for variable in ["GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(variable);
        }
        Gate {
            place,
            port: http::free_port(),
            command,
        }
    }

    fn with(mut self, options: &[&str]) -> Self {
        self.command.args(options);
        self
    }

    /// With curl as traffic: so many requests of each target, one after the other.
    fn traffic(mut self, option: &str, targets: &[(&str, usize)]) -> Self {
        self.command.arg(option).arg(curl(self.port, targets));
        self
    }

    fn run(mut self, build: &str) -> Ran {
        let source = Source::read(&format!("servers/{build}.c"));
        let port = self.port.to_string();
        self.command.arg("--").arg(source.program()).arg(port);
        let Ended {
            status, out, err, ..
        } = self.place.run(self.command);
        Ran {
            status: status.code().expect("an exit status"),
            out: String::from_utf8(out).expect("text"),
            err,
        }
    }
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

/// A shell's command: curl takes several addresses at once over one connection.
fn curl(port: u16, targets: &[(&str, usize)]) -> String {
    let parts = targets.iter().map(|(target, count)| {
        // A range in brackets is curl's own loop; its number is a query, which is no part of a label.
        let mark = if target.contains('?') { "&" } else { "?" };
        format!("'http://127.0.0.1:{port}{target}{mark}[1-{count}]'")
    });
    let addresses: Vec<String> = parts.collect();
    format!("curl -sS {} > /dev/null", addresses.join(" "))
}

const SAME: [(&str, usize); 3] = [("/same", 40), ("/clean", 40), ("/sometimes?fail", 30)];

fn leaks(path: &Path) -> String {
    fs::read_to_string(path).expect("the baseline")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The whole life of a baseline: written, kept to, broken by a new leak, and told when it is out of date.
#[test]
fn a_baseline_fails_for_what_is_new_alone() {
    let place = Place::new();
    let baseline = place.path("leaks.toml");
    let known = ["--baseline", text(&baseline)];
    let written = Gate::new(&place)
        .with(&known)
        .with(&["--update-baseline"])
        .traffic("--traffic", &[&SAME[..], &[("/fixed", 20)]].concat())
        .run("before");
    assert_eq!(written.status, 0, "{}", written.err);
    let entries = leaks(&baseline);
    assert_eq!(entries.matches("[[leak]]").count(), 3, "{entries}");
    for expected in [
        "label = \"GET /sometimes\"",
        "at = \"keep_same builds.h\"",
        "each_max = 48",
        "each_max = 700",
    ] {
        assert!(entries.contains(expected), "no {expected}: {entries}");
    }
    let kept = Gate::new(&place)
        .with(&known)
        .traffic("--traffic", &[&SAME[..], &[("/fixed", 20)]].concat())
        .run("before");
    assert_eq!(kept.status, 0, "{}", kept.err);
    assert!(
        kept.err.contains("covers 1.9 KiB (GET /same)"),
        "{}",
        kept.err
    );
    // Another build, with lines and addresses of its own, and a leak more; another one is gone.
    let junit = place.path("junit.xml");
    let summary = place.path("summary.md");
    let mut gate = Gate::new(&place)
        .with(&known)
        .with(&[
            "--junit",
            text(&junit),
            "--github",
            "--output",
            "report.txt",
        ])
        .traffic(
            "--traffic",
            &[&SAME[..], &[("/added", 25), ("/fixed", 20)]].concat(),
        );
    gate.command.env("GITHUB_STEP_SUMMARY", &summary);
    gate.command
        .env("GITHUB_WORKSPACE", artifacts::source("targets"));
    let broken = gate.run("after");
    assert_eq!(broken.status, 23, "{}", broken.err);
    assert!(
        broken
            .err
            .contains("not known: leak GET /added at keep_added"),
        "{}",
        broken.err
    );
    assert!(
        broken
            .err
            .contains("1 leak that nothing covers, beside 2 known ones"),
        "{}",
        broken.err
    );
    assert!(
        broken
            .err
            .contains("GET /fixed covers nothing, in 20 requests"),
        "{}",
        broken.err
    );
    let annotations: Vec<&str> = broken.out.lines().collect();
    assert_eq!(annotations.len(), 1, "{}", broken.out);
    let expected = "::error file=servers/builds.h,line=";
    assert!(annotations[0].starts_with(expected), "{}", broken.out);
    assert!(
        annotations[0].contains("title=libleak%3A leak GET /added::leak GET /added"),
        "{}",
        broken.out
    );
    let junit = leaks(&junit);
    assert!(junit.contains("failures=\"1\" errors=\"0\""), "{junit}");
    assert!(
        junit.contains("name=\"GET /added\"><failure type=\"leak\""),
        "{junit}"
    );
    assert!(leaks(&summary).starts_with("### libleak: 3 of "));
    // What it says of a trace, it says of the same trace read later.
    let again = leak_tests::report::leak_analyze(&[text(&place.trace()), known[0], known[1]]);
    assert_eq!(again.status.code(), Some(23));
    let updated = Gate::new(&place)
        .with(&known)
        .with(&["--update-baseline"])
        .traffic(
            "--traffic",
            &[&SAME[..], &[("/added", 25), ("/fixed", 20)]].concat(),
        )
        .run("after");
    assert_eq!(updated.status, 0, "{}", updated.err);
    let entries = leaks(&baseline);
    assert!(
        entries.contains("GET /added") && !entries.contains("GET /fixed"),
        "{entries}"
    );
}

#[test]
fn a_leak_that_grows_is_not_known_any_more() {
    let place = Place::new();
    let baseline = place.path("leaks.toml");
    let known = ["--baseline", text(&baseline)];
    let worse = [("/worse", 40), ("/clean", 20)];
    let gate = || Gate::new(&place).with(&known).traffic("--traffic", &worse);
    assert_eq!(gate().with(&["--update-baseline"]).run("before").status, 0);
    let found = gate().run("after");
    assert_eq!(found.status, 23, "{}", found.err);
    let why = "each leaves 250 B, and 100 B at most are known";
    assert!(found.err.contains(why), "{}", found.err);
}

#[test]
fn suppressions_are_leak_sanitizers() {
    let place = Place::new();
    let file = place.path("lsan.supp");
    fs::write(
        &file,
        "# known\nleak:^keep_same$\nleak:nowhere\nrace:other\n",
    )
    .expect("a file");
    let options = ["--suppressions", text(&file), "--fail-on", "leak"];
    let gate = |targets: &[(&str, usize)]| {
        Gate::new(&place)
            .with(&options)
            .traffic("--traffic", targets)
            .run("before")
    };
    let covered = gate(&[("/same", 40), ("/clean", 20)]);
    assert_eq!(covered.status, 0, "{}", covered.err);
    assert!(
        covered
            .err
            .contains("suppression ^keep_same$ covers 1.9 KiB"),
        "{}",
        covered.err
    );
    assert!(
        covered.err.contains("suppression nowhere covers nothing"),
        "{}",
        covered.err
    );
    // The report's sums know nothing of it.
    assert!(covered.out.contains("GET /same"), "{}", covered.out);
    let found = gate(&[("/same", 40), ("/better", 40)]);
    assert_eq!(found.status, 23, "{}", found.err);
    fs::write(&file, "leek:keep\nmalloc\n").expect("a file");
    let wrong = gate(&[("/same", 1)]);
    assert_eq!(wrong.status, 2);
    assert!(
        wrong.err.contains("line 2 is no suppression"),
        "{}",
        wrong.err
    );
}

/// Requests of the warm-up are none that are judged, even where they leak.
#[test]
fn a_warm_up_is_not_judged() {
    let place = Place::new();
    let gate = Gate::new(&place)
        .with(&["--fail-on", "leak", "--format", "json"])
        .traffic("--warm-up", &[("/same", 40), ("/clean", 10)])
        .traffic("--traffic", &[("/clean", 60)]);
    let ran = gate.run("before");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let endpoints = report["endpoints"].as_array().expect("a list");
    let mut labels: Vec<(&str, u64)> = endpoints
        .iter()
        .map(|row| {
            (
                row["label"].as_str().expect("text"),
                row["requests"].as_u64().expect("a number"),
            )
        })
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, [("GET /clean", 60), ("{warm-up}", 50)]);
    // The same requests, judged, are found.
    let judged = Gate::new(&place)
        .with(&["--fail-on", "leak"])
        .traffic("--traffic", &[("/same", 40), ("/clean", 70)])
        .run("before");
    assert_eq!(judged.status, 23, "{}", judged.err);
}

/// Whatever way it is waited for and stopped.
#[test]
fn ready_and_stop() {
    let place = Place::new();
    let clean = [("/clean", 60)];
    let pid_file = place.path("pid");
    let by_command = format!(
        "echo stop > {}; pkill -TERM -P $PPID -x after.*",
        text(&pid_file)
    );
    for options in [
        vec![],
        vec!["--stop", "TERM", "--settle", "0s"],
        // It has no handler of this one: it ends by it, as it was to.
        vec!["--stop", "INT"],
        vec!["--stop", by_command.as_str()],
    ] {
        let gate = Gate::new(&place)
            .with(&["--fail-on", "leak"])
            .with(&options);
        let port = gate.port.to_string();
        let ran = gate
            .with(&["--ready", &port])
            .traffic("--traffic", &clean)
            .run("after");
        assert_eq!(ran.status, 0, "{options:?}: {}", ran.err);
    }
    assert!(pid_file.exists());
    let gate = Gate::new(&place);
    let url = format!("http://127.0.0.1:{}/health", gate.port);
    let ran = gate
        .with(&["--ready", &url, "--format", "json"])
        .traffic("--traffic", &clean)
        .run("after");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("\"GET /health\""));
}

#[test]
fn what_proves_nothing_is_no_pass() {
    let place = Place::new();
    let run = |options: &[&str]| {
        Gate::new(&place)
            .with(&["--fail-on", "leak"])
            .with(options)
            .run("before")
    };
    let failed = run(&["--traffic", "exit 7"]);
    assert_eq!(failed.status, 2, "{}", failed.err);
    assert!(
        failed
            .err
            .contains("--traffic \"exit 7\" ended with status 7"),
        "{}",
        failed.err
    );
    let never = run(&[
        "--traffic",
        "true",
        "--ready",
        "1",
        "--ready-within",
        "300ms",
    ]);
    assert_eq!(never.status, 2, "{}", never.err);
    assert!(
        never.err.contains("nobody listens on port 1 after"),
        "{}",
        never.err
    );
    let none = run(&["--traffic", "true"]);
    assert_eq!(none.status, 3, "{}", none.err);
    let died = run(&["--traffic", "pkill -KILL -P $PPID -x before.*; sleep 60"]);
    assert_eq!(died.status, 2, "{}", died.err);
    assert!(
        died.err
            .contains("the server ended by itself, with status 137"),
        "{}",
        died.err
    );
    let missing = run(&["--traffic", "true", "--baseline", "/nonexistent/leaks.toml"]);
    assert_eq!(missing.status, 2, "{}", missing.err);
    // A leak that was found stands, whatever became of the traffic.
    let gate = Gate::new(&place).with(&["--fail-on", "leak"]);
    let traffic = format!("{}; exit 9", curl(gate.port, &[("/same", 40)]));
    let found = gate.with(&["--traffic", &traffic]).run("before");
    assert_eq!(found.status, 23, "{}", found.err);
}

/// As the first process that a signal reaches: server and traffic end, and nothing is left.
#[test]
fn an_interrupted_run_leaves_nothing() {
    let place = Place::new();
    let mut gate = Gate::new(&place).with(&["--traffic", "echo begun > begun; sleep 100"]);
    let source = Source::read("servers/before.c");
    let port = gate.port.to_string();
    gate.command.arg("--").arg(source.program()).arg(port);
    let mut group = place.start(gate.command);
    let begun: PathBuf = place.path("begun");
    let until = std::time::Instant::now() + leak_tests::run::LIMIT;
    // The traffic's file is the only sign of it.
    while !begun.exists() {
        assert!(
            std::time::Instant::now() < until && group.runs(),
            "{}",
            group.err()
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    group.signal(libc::SIGTERM);
    let ended = group.wait(leak_tests::run::LIMIT);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    group.assert_nothing_left(leak_tests::run::LIMIT);
}
