//! Nobody is blamed for what others hold: endpoints that make many objects of Python's plain types and leave none, beside
//! some that keep such. Real packages, as people use them, eight clients at once.

use leak_tests::artifacts;
use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::{Report, number};
use leak_tests::run::Place;

/// Requests at once.
const CLIENTS: usize = 8;
/// Objects of the type of what is kept that the first requests leave besides.
const FIRST: u64 = 30;

fn directory() -> String {
    artifacts::source("targets/real").display().to_string()
}

fn gunicorn(application: &str, port: u16) -> Vec<String> {
    line([
        &real::python(),
        "-m",
        "gunicorn",
        "--worker-class=gthread",
        "--threads=1",
        "--keep-alive=60",
        "--log-level=error",
        &format!("--chdir={}", directory()),
        &format!("--bind=127.0.0.1:{port}"),
        &format!("blamed:{application}()"),
    ])
}

fn uvicorn(application: &str, port: u16) -> Vec<String> {
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--log-level=error",
        &format!("--app-dir={}", directory()),
        &format!("--port={port}"),
        "--factory",
        &format!("blamed:{application}"),
    ])
}

/// Serves so many requests of each of `paths` in turn; gives the report, and what the server says that it keeps.
fn serve(start: real::Start<'_>, each: usize, paths: &[&str]) -> (Report, String) {
    let order: Vec<&str> = (0..each * paths.len())
        .map(|number| paths[number % paths.len()])
        .collect();
    serve_all(start, &order)
}

/// The same in an order that is mixed, and the same each time (Fisher and Yates; D. H. Lehmer's generator).
fn serve_mixed(start: real::Start<'_>, each: usize, paths: &[&str]) -> (Report, String) {
    let mut order: Vec<&str> = paths.iter().flat_map(|path| vec![*path; each]).collect();
    let mut random = 1_u64;
    for place in (1..order.len()).rev() {
        random = random * 48_271 % 0x7fff_ffff;
        order.swap(place, random as usize % (place + 1));
    }
    serve_all(start, &order)
}

/// Serves requests of these paths, of which some may fail.
fn serve_all(start: real::Start<'_>, order: &[&str]) -> (Report, String) {
    let server = Server::start(true, start);
    let requests: Vec<Request> = order.iter().copied().map(Request::get).collect();
    let answers = http::drive(server.port, CLIENTS, None, &requests);
    assert!(
        answers
            .iter()
            .all(|answer| [200, 500].contains(&answer.status))
    );
    let truth = http::drive(server.port, 1, None, &[Request::get("/truth")]);
    let truth = String::from_utf8(truth[0].body.clone()).expect("text");
    (server.stop(libc::SIGINT).report(), truth)
}

/// All `each` requests leak.
fn assert_leaks(report: &Report, label: &str, each: usize) {
    let endpoint = report.endpoint(label);
    assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
    let range = &endpoint["leaking_requests_range"];
    let [low, high] = [0, 1].map(|end| number(&range[end], "an end of the range"));
    assert!((low..=high).contains(&(each as u64)), "{endpoint:#}");
}

/// One of the type each.
fn assert_left(report: &Report, label: &str, each: usize, of_type: &str) {
    let endpoint = report.endpoint(label);
    let types = endpoint["types"].as_array().expect("a list").iter();
    let left = types.filter(|row| row["name"] == of_type);
    let left: u64 = left.map(|row| number(&row["blocks"], "blocks")).sum();
    let each = each as u64;
    assert!((each..each + FIRST).contains(&left), "{left}: {endpoint:#}");
}

/// The log's dicts come from the same free list as what is kept, and are no part of what the endpoint leaks that makes
/// both.
#[test]
fn djangos_log_of_queries() {
    const EACH: usize = 80;
    let start = |_: &Place, port| gunicorn("django_app", port);
    let (report, truth) = serve(&start, EACH, &["/query", "/login", "/ok"]);
    assert_eq!(truth, format!("{EACH} {}", EACH * 9));
    assert_leaks(&report, "GET /login", EACH);
    assert_left(&report, "GET /login", EACH, "dict");
    report.assert_clean("GET /query");
    report.assert_clean("GET /ok");
}

/// Thousands of dicts and lists die with each client, at once where the collector has to find it.
#[test]
fn boto3s_clients() {
    const EACH: usize = 40;
    let start = |_: &Place, port| gunicorn("boto3_app", port);
    let (report, truth) = serve(&start, EACH, &["/client", "/kept", "/login"]);
    assert_eq!(truth, (2 * EACH).to_string());
    // Some of its dicts come from the free list, at whose line the clients' live until the collector runs.
    assert_leaks(&report, "GET /login", EACH);
    assert_leaks(&report, "GET /kept", EACH);
    assert_left(&report, "GET /kept", EACH, "botocore.client.SQS");
    report.assert_clean("GET /client");
}

/// Buffers of arrays, documents of trees and dictionaries of headers that clean endpoints made are in what others keep:
/// NumPy, lxml and multidict use them again without giving them back.
#[test]
fn lists_of_libraries() {
    const EACH: usize = 80;
    let start = |_: &Place, port| gunicorn("lists_app", port);
    let paths = [
        "/array",
        "/tree",
        "/headers",
        "/kept_array",
        "/kept_tree",
        "/kept_headers",
        "/ok",
    ];
    let (report, truth) = serve(&start, EACH, &paths);
    assert_eq!(truth, (3 * EACH).to_string());
    assert_leaks(&report, "GET /kept_headers", EACH);
    report.assert_clean("GET /headers");
    assert_leaks(&report, "GET /kept_array", EACH);
    assert_leaks(&report, "GET /kept_tree", EACH);
    // The view, and the array that it is of.
    assert_left(&report, "GET /kept_array", 2 * EACH, "numpy.ndarray");
    assert_left(&report, "GET /kept_tree", EACH, "lxml.etree._Element");
    report.assert_clean("GET /array");
    report.assert_clean("GET /tree");
    report.assert_clean("GET /ok");
}

/// A thread of gunicorn's that has no time to wait makes the next request's objects before it reads that one's head.
/// (In turn, the request before would always be the same endpoint's.)
#[test]
fn what_a_busy_thread_makes_for_the_next_request() {
    const EACH: usize = 80;
    const OWN: &str = "gunicorn.http.message.Request";
    let start = |_: &Place, port| gunicorn("errors_app", port);
    let (report, truth) = serve_mixed(&start, EACH, &["/kept_error", "/session", "/ok"]);
    assert_eq!(truth, EACH.to_string());
    assert_leaks(&report, "GET /kept_error", EACH);
    for label in ["GET /session", "GET /ok"] {
        report.assert_clean(label);
        let types = report.endpoint(label)["types"]
            .as_array()
            .expect("a list")
            .iter();
        let of_server = types.filter(|row| row["name"] == OWN);
        let blocks: u64 = of_server.map(|row| number(&row["blocks"], "blocks")).sum();
        // What a connection holds of its last request.
        assert!(blocks <= CLIENTS as u64, "{blocks} at {label}");
    }
}

/// What is shown of an endpoint that leaks is of those answers with which it does.
#[test]
fn types_are_of_the_status_that_leaks() {
    const REQUESTS: usize = 160;
    let start = |_: &Place, port| gunicorn("statuses_app", port);
    let (report, truth) = serve(&start, REQUESTS, &["/work"]);
    assert_eq!(truth, (REQUESTS / 2).to_string());
    assert_leaks(&report, "GET /work", REQUESTS / 2);
    assert_left(&report, "GET /work", REQUESTS / 2, "blamed.Failure");
    let types = report.endpoint("GET /work")["types"]
        .as_array()
        .expect("a list");
    assert!(
        types.iter().all(|row| row["name"] != "blamed.Success"),
        "{types:#?}"
    );
}

/// Clients, requests and answers of asyncio's tasks.
#[test]
fn httpxs_clients() {
    const EACH: usize = 80;
    let start = |_: &Place, port| uvicorn("httpx_app", port);
    let (report, truth) = serve(
        &start,
        EACH,
        &["/client", "/gather", "/kept", "/login", "/ok"],
    );
    assert_eq!(truth, (2 * EACH).to_string());
    assert_leaks(&report, "GET /kept", EACH);
    assert_leaks(&report, "GET /login", EACH);
    assert_left(&report, "GET /kept", EACH, "httpx.Response");
    report.assert_clean("GET /client");
    report.assert_clean("GET /gather");
    report.assert_clean("GET /ok");
}
