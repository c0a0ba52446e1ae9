//! Memory that waits for the collector of a runtime: V8's, in node. What it may free yet is no leak; what it has left
//! when it collected everything is one.

use leak_tests::artifacts;
use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::{Report, number, text};
use leak_tests::run::Place;

/// Bytes of a kept Buffer.
const KEPT: u64 = 23_000;

fn node(flags: &[&str], port: u16) -> Vec<String> {
    let script = artifacts::source("targets/real/collected.js");
    let mut words = line(["node"]);
    words.extend(flags.iter().map(ToString::to_string));
    words.extend(line([&script.display().to_string(), &port.to_string()]));
    words
}

/// Serves so many requests of each of `paths` in turn, over so many connections.
fn serve(flags: &[&str], connections: usize, each: usize, paths: &[&str]) -> Report {
    let start = |_: &Place, port: u16| node(flags, port);
    let server = Server::start(true, &start);
    let requests: Vec<Request> = (0..each * paths.len())
        .map(|number| Request::get(paths[number % paths.len()]))
        .collect();
    let answers = http::drive(server.port, connections, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let report = server.stop(libc::SIGTERM).report();
    real::assert_whole(&report);
    report
}

/// No endpoint's requests are called leaking, nor one's site.
fn assert_nobody_leaks(report: &Report, but: &str) {
    for endpoint in report.list("/endpoints") {
        let label = text(&endpoint["label"], "label");
        let verdict = text(&endpoint["verdict"], "verdict");
        let blamed = ["leak", "growing_buffer"].contains(&verdict);
        assert!(!blamed || label == but, "{label}: {verdict}");
        assert!(number(&endpoint["leaking_requests"], "leaking_requests") == 0 || label == but);
    }
}

#[test]
fn garbage_that_waits_is_no_leak() {
    for (connections, each) in [(1, 60), (1, 300), (4, 300)] {
        let report = serve(&[], connections, each, &["/plain", "/dropped", "/newest"]);
        assert_nobody_leaks(&report, "");
    }
}

/// Too little is kept for V8 to collect everything.
#[test]
fn what_was_not_looked_at_is_undecided() {
    let report = serve(&[], 1, 200, &["/plain", "/kept"]);
    assert_nobody_leaks(&report, "");
    let kept = report.endpoint("GET /kept");
    assert_eq!(text(&kept["verdict"], "verdict"), "too_few_requests");
    assert!(number(&kept["retained_bytes"], "retained_bytes") >= 200 * KEPT);
    assert_waits(&report, "GET /kept");
}

/// It is said why it can't be told, and what would: nothing has collected everything.
fn assert_waits(report: &Report, label: &str) {
    let sites = report.list("/sites").iter();
    let groups = sites.flat_map(|site| site["groups"].as_array().into_iter().flatten());
    let mut texts = groups
        .filter(|group| group["label"] == label)
        .filter_map(|group| group["evidence"]["text"].as_str());
    let waits = "may be garbage that waits (node --gc-global, or a longer run, would tell)";
    assert!(texts.any(|text| text.contains(waits)), "{label}");
}

#[test]
fn what_it_has_left_is_a_leak() {
    const EACH: usize = 200;
    let paths = ["/plain", "/dropped", "/newest", "/kept"];
    let report = serve(&["--gc-global"], 1, EACH, &paths);
    assert_nobody_leaks(&report, "GET /kept");
    let kept = report.endpoint("GET /kept");
    assert_eq!(text(&kept["verdict"], "verdict"), "leak");
    // After the last one nothing came: it may not have tidied up.
    let leaking = number(&kept["leaking_requests"], "leaking_requests");
    assert!(leaking + 1 >= EACH as u64, "{leaking}");
    assert!(number(&kept["retained_bytes"], "retained_bytes") >= EACH as u64 * KEPT);
}
