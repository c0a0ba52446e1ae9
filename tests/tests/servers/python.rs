//! Python: `http.server`, and a Flask app under its threaded server.

use leak_tests::artifacts;
use leak_tests::http::Request;
use leak_tests::real::{self, line};
use leak_tests::run::Place;

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
