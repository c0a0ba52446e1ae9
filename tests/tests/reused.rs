//! Free lists excuse no leak: what requests keep is theirs, also where it lies in blocks that were allocated for others
//! and used again. Real servers, and beside the report what they count themselves.

use std::sync::{Mutex, PoisonError};

use leak_tests::artifacts;
use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::{Report, number, text};
use leak_tests::run::Place;
use serde_json::Value;

/// Requests of each endpoint.
const EACH: usize = 60;
/// Objects of the same types that a framework keeps from the first request of a kind.
const KEPT_BY_FRAMEWORK: u64 = 120;

fn directory() -> String {
    artifacts::source("targets/real").display().to_string()
}

fn gunicorn(_: &Place, port: u16) -> Vec<String> {
    line([
        &real::python(),
        "-m",
        "gunicorn",
        "--worker-class=gthread",
        "--threads=2",
        "--keep-alive=60",
        "--log-level=error",
        &format!("--chdir={}", directory()),
        &format!("--bind=127.0.0.1:{port}"),
        "reused:flask_app()",
    ])
}

fn waitress(_: &Place, port: u16) -> Vec<String> {
    let script = format!(
        "import sys; sys.path.insert(0, {:?}); import reused, waitress; \
         waitress.serve(reused.flask_app(), host='127.0.0.1', port={port}, threads=3)",
        directory()
    );
    line([&real::python(), "-c", &script])
}

fn uvicorn(_: &Place, port: u16) -> Vec<String> {
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--http=h11",
        "--log-level=error",
        &format!("--app-dir={}", directory()),
        &format!("--port={port}"),
        "--factory",
        "reused:fastapi_app",
    ])
}

/// What `endpoint`'s requests left of a type.
fn left(endpoint: &Value, name: &str) -> u64 {
    let types = endpoint["types"].as_array().expect("a list").iter();
    let mut rows = types.filter(|row| row["name"] == name);
    rows.next()
        .map_or(0, |row| number(&row["blocks"], "blocks"))
}

/// Serves `EACH` requests of each of `paths` in turn, over so many connections; gives the report, and what the server
/// says that it keeps.
fn serve(start: real::Start<'_>, clients: usize, paths: &[&str]) -> (Report, Value) {
    // One at a time: threads that wait for a processor take jobs in the midst of others' work, and whose a twentieth of
    // what they do is remains unknown then.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start(true, start);
    let request = |number: usize| match paths[number % paths.len()] {
        "/publish" => Request::post("/publish", ""),
        path => Request::get(path),
    };
    let requests: Vec<Request> = (0..EACH * paths.len()).map(request).collect();
    let answers = http::drive(server.port, clients, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let truth = http::drive(server.port, 1, None, &[Request::get("/truth")]);
    let truth = serde_json::from_slice(&truth[0].body).expect("JSON");
    let report = server.stop(libc::SIGINT).report();
    no_request_counts_twice(&report);
    (report, truth)
}

/// What is proved and what is associated at a call site may be one request's.
fn no_request_counts_twice(report: &Report) {
    for site in report.list("/sites") {
        for part in site["labels"].as_array().expect("a list") {
            let label = text(&part["label"], "label");
            let all = number(&report.endpoint(label)["requests"], "requests");
            assert!(number(&part["requests"], "requests") <= all, "{site:#}");
        }
    }
}

/// Each request of the endpoint leaks, `kept` of the type together.
fn assert_leaks(report: &Report, label: &str, name: &str, kept: &Value) {
    let endpoint = report.endpoint(label);
    assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
    let range = &endpoint["leaking_requests_range"];
    let [low, high] = [0, 1].map(|end| number(&range[end], "an end of the range"));
    assert!((low..=high).contains(&(EACH as u64)), "{endpoint:#}");
    let leaking = number(&endpoint["leaking_requests"], "leaking requests");
    assert!((low..=high).contains(&leaking), "{endpoint:#}");
    if endpoint["associated_blocks"] == 0 {
        assert_eq!(leaking, EACH as u64, "{endpoint:#}");
    }
    let (kept, left) = (number(kept, "kept"), left(endpoint, name));
    let most = kept + KEPT_BY_FRAMEWORK;
    // A first request takes blocks that it allocated itself where it imported and set up: what one or two requests left
    // at a line is a warm-up's there, or can't be told, and so no part of what the endpoint is said to leak.
    let least = kept - kept / 20;
    assert!(
        (least..=most).contains(&left),
        "{left} of {kept}: {endpoint:#}"
    );
}

fn check(start: real::Start<'_>, clients: usize) {
    let paths = ["/publish", "/track", "/note", "/ordered", "/login", "/ok"];
    let (report, truth) = serve(start, clients, &paths);
    assert_eq!(truth["publish"], EACH * 30);
    assert_leaks(&report, "POST /publish", "dict", &truth["publish"]);
    assert_leaks(&report, "GET /track", "tuple", &truth["track"]);
    assert_leaks(&report, "GET /note", "dict", &truth["note"]);
    let ordered = &truth["ordered"];
    for of_type in ["collections.OrderedDict", "collections.OrderedDict (keys)"] {
        assert_leaks(&report, "GET /ordered", of_type, ordered);
    }
    assert_leaks(&report, "GET /login", "reused.Session", &truth["login"]);
    report.assert_clean("GET /ok");
}

#[test]
fn gunicorn_with_threads() {
    check(&gunicorn, 3);
}

#[test]
fn waitress_with_threads() {
    check(&waitress, 1);
}

#[test]
fn fastapi_on_uvicorn() {
    // The same where tasks take turns.
    check(&uvicorn, 1);
}

/// Where no thread has time to wait, the lock of the queue tells one job from the next.
#[test]
fn waitress_with_more_clients_than_threads() {
    let paths = ["/publish", "/track", "/note", "/login", "/ok"];
    let (report, truth) = serve(&waitress, 8, &paths);
    assert_eq!(truth["publish"], EACH * 30);
    report.assert_clean("GET /ok");
    for label in ["POST /publish", "GET /track", "GET /note", "GET /login"] {
        let endpoint = report.endpoint(label);
        assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
        let of = |key: &str| number(&endpoint[key], key);
        let (all, proved) = (of("retained_blocks"), of("proved_blocks"));
        assert!(proved >= all - all / 50, "{endpoint:#}");
        let most = number(&endpoint["leaking_requests_range"][1], "the upper bound");
        assert_eq!(most, EACH as u64, "{endpoint:#}");
    }
}

/// What a collection frees fills all free lists at once. Who takes it from there is who has it.
#[test]
fn what_died_in_masses_is_who_took_its() {
    let (report, truth) = serve(&gunicorn, 1, &["/graph", "/collect", "/ok"]);
    assert_eq!(truth["collect"], EACH * 60);
    assert_leaks(&report, "GET /collect", "dict", &truth["collect"]);
    report.assert_clean("GET /graph");
    report.assert_clean("GET /ok");
}

/// The block of the one slice that waits goes from request to request: whoever keeps it, it is not the one's that made
/// and dropped it.
#[test]
fn a_slice_is_who_keeps_its() {
    for start in [&gunicorn as real::Start<'_>, &uvicorn] {
        let (report, truth) = serve(start, 1, &["/cut", "/mark", "/ok"]);
        assert_eq!(truth["mark"], EACH);
        assert_leaks(&report, "GET /mark", "slice", &truth["mark"]);
        report.assert_clean("GET /cut");
        report.assert_clean("GET /ok");
    }
}

/// The verdict on an endpoint is that of its own requests, whatever else is served.
#[test]
fn other_traffic_changes_no_verdict() {
    for paths in [&["/publish", "/ok"][..], &["/publish", "/ok", "/login"]] {
        let (report, truth) = serve(&gunicorn, 3, paths);
        assert_leaks(&report, "POST /publish", "dict", &truth["publish"]);
        report.assert_clean("GET /ok");
    }
}
