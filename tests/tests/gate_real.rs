//! The gate on servers as people run them, driven by their own tests: pytest asks Flask, nginx and axum.

use std::fs;

use leak_tests::artifacts;
use leak_tests::cargo::{self, Build};
use leak_tests::http;
use leak_tests::process::Ended;
use leak_tests::real;
use leak_tests::run::Place;

/// Requests of each path, as `targets/gate/test_traffic.py` sends them.
const EACH: usize = 200;

/// The gate's exit status, and its report with its lines as one. `server`: the program and its arguments.
fn gate(place: &Place, port: u16, paths: &str, server: &[&str]) -> (i32, String) {
    let python = python();
    let tests = artifacts::source("targets/gate/test_traffic.py");
    let report = place.path("report.txt");
    let traffic = format!(
        "{python} -m pytest -q -p no:cacheprovider {}",
        tests.display()
    );
    let mut command = place.plain(artifacts::leak_analyze());
    command
        .env("GATE_URL", format!("http://127.0.0.1:{port}"))
        .env("GATE_PATHS", paths)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["run", "--fail-on", "leak", "--traffic", &traffic])
        .arg("--preload")
        .arg(artifacts::libleak())
        .arg("--output")
        .arg(&report)
        .arg("--")
        .args(server);
    let Ended { status, .. } = place.run(command);
    let report = fs::read_to_string(&report).unwrap_or_default();
    let words: Vec<&str> = report.split_whitespace().collect();
    (status.code().expect("an exit status"), words.join(" "))
}

fn python() -> String {
    let python = artifacts::source("../target/venv/bin/python");
    python.display().to_string()
}

fn flask(place: &Place, paths: &str) -> (i32, String) {
    let port = http::free_port();
    let app = artifacts::source("targets/gate/flask_app.py");
    let app = app.display().to_string();
    gate(place, port, paths, &[&python(), &app, &port.to_string()])
}

#[test]
fn flask_and_its_tests() {
    let place = Place::new();
    let (status, report) = flask(&place, "/report/N /ping");
    assert_eq!(status, 23, "{report}");
    let found =
        format!("1 of 2 endpoints leaks: GET /report/{{id}}. Of its {EACH} requests all left ");
    assert!(report.contains(&found), "{report}");
    assert!(report.contains("flask_app.py:12"), "{report}");
}

#[test]
fn tests_that_fail_are_no_pass() {
    let place = Place::new();
    let (status, report) = flask(&place, "/nowhere");
    assert_eq!(status, 2, "{report}");
}

/// The truth lab's axum server, on one worker of tokio. Built optimized it would take CI a minute.
#[test]
fn axum_with_a_leak() {
    let place = Place::new();
    let program = cargo::project("axum", Build::Quick).expect("cargo builds it");
    let program = program.display().to_string();
    let port = http::free_port();
    let server = [&program, &port.to_string()[..], "1", "alone"];
    let (status, report) = gate(&place, port, "/leak/N /clean/N", &server);
    assert_eq!(status, 23, "{report}");
    let found =
        format!("1 of 2 endpoints leaks: GET /leak/{{id}}. Of its {EACH} requests all left ");
    assert!(report.contains(&found), "{report}");
    assert!(report.contains("keep_leak"), "{report}");
}

#[test]
fn nginx_without_a_leak() {
    let place = Place::new();
    let site = real::site(&place);
    let port = http::free_port();
    let root = place.path("").display().to_string();
    let conf = place.path("nginx.conf");
    let text = format!(
        "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
         events {{ worker_connections 64; }}
         http {{
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; access_log off;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
             server {{ listen 127.0.0.1:{port}; root {site}; }}
         }}"
    );
    fs::write(&conf, text).expect("our directory");
    let conf = conf.display().to_string();
    let server = ["/usr/sbin/nginx", "-p", &root, "-c", &conf];
    let (status, report) = gate(&place, port, "/a.txt", &server);
    assert_eq!(status, 0, "{report}");
    let found = format!("No leak: {EACH} requests of 1 endpoint checked");
    assert!(report.contains(&found), "{report}");
}
