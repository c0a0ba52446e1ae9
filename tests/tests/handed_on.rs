//! Work that one thread gives to another: what it leaves behind is the request's that had it done, also after the
//! answer.

use leak_tests::artifacts;
use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::{Report, number, text};
use leak_tests::run::Place;

/// Requests of each endpoint.
const EACH: usize = 80;
/// Objects that may be some other call site's: a function's first calls have frames of their own, before the interpreter
/// specialises it, and a thread's first job is there before the thread waits. In percent.
const OTHERS: usize = 15;

const PATHS: [&str; 5] = ["/after", "/fire", "/thread", "/clean", "/ok"];

fn uvicorn(_: &Place, port: u16) -> Vec<String> {
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--log-level=error",
        &format!("--app-dir={}", artifacts::source("targets/real").display()),
        &format!("--port={port}"),
        "--factory",
        "handed_on:app",
    ])
}

/// How many of the class's objects were left by the label's requests.
fn left(report: &Report, label: &str, class: &str) -> u64 {
    let types = report.endpoint(label)["types"].as_array().expect("a list");
    let mut own = types.iter().filter(|of_type| of_type["name"] == class);
    own.next()
        .map_or(0, |of_type| number(&of_type["blocks"], "blocks"))
}

fn check(connections: usize) {
    let server = Server::start(true, &uvicorn);
    // In an order without a pattern, the same in each run.
    let mut order: Vec<u64> = (0..(EACH * PATHS.len()) as u64).collect();
    order.sort_by_key(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_003);
    let path = |number: u64| PATHS[number as usize % PATHS.len()];
    let requests: Vec<Request> = order.into_iter().map(path).map(Request::get).collect();
    let answers = http::drive(server.port, connections, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let report = server.stop(libc::SIGINT).report();
    // Where all of an executor's threads are busy, one takes its next job without a wait: of a part of what nobody
    // waits for is not known whose it is.
    let fired = if connections == 1 { OTHERS } else { 50 };
    let classes = [
        ("/after", "After", OTHERS),
        ("/fire", "Fire", fired),
        ("/thread", "Thread", OTHERS),
    ];
    for (path, class, unknown) in classes {
        let (label, class) = (format!("GET {path}"), format!("handed_on.{class}"));
        let endpoint = report.endpoint(&label);
        assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
        let own = left(&report, &label, &class);
        let least = (EACH - EACH * unknown / 100) as u64;
        assert!((least..=EACH as u64).contains(&own), "{own}: {endpoint:#}");
        let most = number(&endpoint["leaking_requests_range"][1], "requests");
        assert!(most as usize >= EACH - EACH * OTHERS / 100, "{endpoint:#}");
        for other in PATHS.iter().filter(|other| **other != path) {
            let wrong = left(&report, &format!("GET {other}"), &class);
            assert!(
                wrong * 50 <= EACH as u64,
                "{wrong} of {label} are {other}'s"
            );
        }
    }
    for path in ["/clean", "/ok"] {
        let endpoint = report.endpoint(&format!("GET {path}"));
        assert_ne!(
            text(&endpoint["verdict"], "verdict"),
            "leak",
            "{endpoint:#}"
        );
    }
}

#[test]
fn by_one_connection() {
    check(1);
}

#[test]
fn by_six_connections() {
    check(6);
}
