//! Python: `http.server`, Flask and Django under their own servers, gunicorn, uvicorn.

use leak_tests::artifacts;
use leak_tests::http::Request;
use leak_tests::real::{self, line};
use leak_tests::report::{Report, number, sum};
use leak_tests::run::Place;
use leak_tests::stated::Sum;

fn http_server(protocol: &'static str) -> impl Fn(&Place, u16) -> Vec<String> {
    move |place, port| {
        let site = real::site(place);
        line([
            "/usr/bin/python3",
            "-m",
            "http.server",
            &port.to_string(),
            "--bind=127.0.0.1",
            &format!("--protocol={protocol}"),
            &format!("--directory={site}"),
        ])
    }
}

#[test]
fn http_server_with_a_connection_for_each_request() {
    let requests = real::site_requests(1000);
    real::check_http(&http_server("HTTP/1.0"), libc::SIGINT, 4, &requests);
}

#[test]
fn http_server_with_keep_alive() {
    let requests = real::site_requests(1000);
    real::check_http(&http_server("HTTP/1.1"), libc::SIGINT, 4, &requests);
}

fn flask(_: &Place, port: u16) -> Vec<String> {
    let script = artifacts::source("targets/real/app.py");
    line([
        &real::python(),
        &script.display().to_string(),
        &port.to_string(),
    ])
}

#[test]
fn flask_with_threads() {
    let request = |number: usize| match number % 4 {
        0 => Request::get("/hello"),
        1 => Request::get(format!("/items/{number}")),
        2 => Request::post("/echo", format!("body of {number}")),
        _ => Request::get("/fail"),
    };
    let requests: Vec<Request> = (0..1000).map(request).collect();
    real::check_http(&flask, libc::SIGINT, 8, &requests);
}

/// Requests of each of five endpoints.
const EACH: u64 = 200;

/// What the servers below serve in common.
fn kept_requests() -> Vec<Request> {
    let request = |number: usize| match number % 5 {
        0 => Request::get("/hello"),
        1 => Request::get(format!("/items/{}", number % 7)),
        2 => Request::post("/echo", format!("body of {number}")),
        3 => Request::get("/fail"),
        _ => Request::get("/leak"),
    };
    let requests = (0..5 * EACH as usize).map(request);
    // The signal that ends the server may come before the last ones have ended; none of `/leak` is among
    // them.
    let last = (0..40).map(|_| Request::get("/hello"));
    requests.chain(last).collect()
}

fn gunicorn(worker: &'static str) -> impl Fn(&Place, u16) -> Vec<String> {
    move |_, port| {
        let directory = artifacts::source("targets/real").display().to_string();
        line([
            &real::python(),
            "-m",
            "gunicorn",
            "--workers=2",
            &format!("--worker-class={worker}"),
            "--threads=4",
            "--keep-alive=60",
            "--log-level=error",
            &format!("--chdir={directory}"),
            &format!("--bind=127.0.0.1:{port}"),
            "wsgi:app",
        ])
    }
}

fn uvicorn(_: &Place, port: u16) -> Vec<String> {
    let directory = artifacts::source("targets/real").display().to_string();
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--http=h11",
        "--log-level=error",
        &format!("--app-dir={directory}"),
        &format!("--port={port}"),
        "asgi:app",
    ])
}

fn gevent(_: &Place, port: u16) -> Vec<String> {
    let script = artifacts::source("targets/real/gevent_server.py");
    line([
        &real::python(),
        &script.display().to_string(),
        &port.to_string(),
    ])
}

fn django(_: &Place, port: u16) -> Vec<String> {
    let script = artifacts::source("targets/real/django_site.py");
    line([
        &real::python(),
        &script.display().to_string(),
        &port.to_string(),
    ])
}

/// What is retained where, a line for each site.
fn leaking_sites(report: &Report) -> String {
    let line = |site: &serde_json::Value| {
        let (retained, live) = (sum(site, "retained"), sum(site, "live"));
        format!("{retained:?} live {live:?} {}\n", site["labels"])
    };
    report.list("/sites").iter().map(line).collect()
}

/// The buffers that `/leak` keeps: all retained, by no other endpoint.
fn assert_kept(report: &Report) {
    let kept = Sum {
        blocks: EACH,
        bytes: EACH * 1001,
    };
    let by_leak = |site: &&serde_json::Value| {
        let labels = site["labels"].as_array().expect("a list");
        labels
            .iter()
            .any(|row| row["label"] == "GET /leak" && sum(row, "retained") == kept)
    };
    let sites: Vec<_> = report.list("/sites").iter().filter(by_leak).collect();
    assert_eq!(sites.len(), 1, "{}", leaking_sites(report));
    assert_eq!(sum(sites[0], "retained"), kept);
    assert_eq!(sites[0]["verdict"], "leak");
    assert_eq!(number(&sites[0]["inferred_blocks"], "inferred"), 0);
    // A few may seem to leak: freed floats and contexts of asyncio's callbacks that CPython keeps for later
    // use (they show no type then), and the list of pending events that libev grows once.
    for endpoint in report.list("/endpoints") {
        let leaking = number(&endpoint["leaking_requests"], "leaking");
        match endpoint["label"] == "GET /leak" {
            true => assert_eq!(leaking, EACH, "{endpoint:#}"),
            false => assert!(leaking <= EACH / 10, "{endpoint:#}"),
        }
    }
}

fn check_kept(start: real::Start<'_>, signal: i32) {
    for connections in [1, 8] {
        let report = real::check_http(start, signal, connections, &kept_requests());
        assert_kept(&report);
    }
}

#[test]
fn gunicorn_with_processes() {
    check_kept(&gunicorn("sync"), libc::SIGTERM);
}

#[test]
fn gunicorn_with_threads() {
    check_kept(&gunicorn("gthread"), libc::SIGTERM);
}

#[test]
fn django_with_threads() {
    check_kept(&django, libc::SIGINT);
}

/// A greenlet begins on the stack of the one that started it: what lies outside Python's innermost loop sets no
/// call sites apart.
#[test]
fn gevent_with_greenlets() {
    let report = real::check_http(&gevent, libc::SIGTERM, 8, &kept_requests());
    assert_kept(&report);
}

/// Its requests take turns on one thread; each is the work of a task of its own.
#[test]
fn uvicorn_with_interleaved_requests() {
    check_kept(&uvicorn, libc::SIGINT);
}
