//! node's `http`.

use leak_tests::artifacts;
use leak_tests::http::Request;
use leak_tests::real::{self, line};
use leak_tests::run::Place;

fn start(_: &Place, port: u16) -> Vec<String> {
    let script = artifacts::source("targets/real/server.js");
    line(["node", &script.display().to_string(), &port.to_string()])
}

#[test]
fn http() {
    let request = |number: usize| match number % 4 {
        0 => Request::get("/hello"),
        1 => Request::get(format!("/items/{number}")),
        2 => Request::post("/echo", format!("body of {number}")),
        _ => Request::get("/missing"),
    };
    let requests: Vec<Request> = (0..1200).map(request).collect();
    real::check_http(&start, libc::SIGTERM, 8, &requests);
}
