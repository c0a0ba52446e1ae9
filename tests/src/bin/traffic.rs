//! Mixed traffic for the leaking servers of `targets/servers`: `traffic PORT` sends it once the port listens.

use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use leak_tests::http::{self, Request};

const ROUNDS: usize = 600;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Ok(port) = argument.parse() else {
        eprintln!("traffic: takes a port");
        return ExitCode::from(2);
    };
    if !listens(port) {
        eprintln!("traffic: nobody listens on port {port}");
        return ExitCode::FAILURE;
    }
    let requests: Vec<Request> = (0..ROUNDS).flat_map(round).collect();
    let answers = http::drive(port, 8, Some(&Request::get("/hello")), &requests);
    eprintln!("traffic: {} requests over 8 connections", answers.len());
    ExitCode::SUCCESS
}

fn listens(port: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

fn round(number: usize) -> Vec<Request> {
    let error = if number.is_multiple_of(3) {
        "?fail=1"
    } else {
        ""
    };
    let mut round = vec![
        Request::get(format!("/orders/{number}/items")),
        Request::post("/clean", "some body"),
        Request::get(format!("/error{error}")),
    ];
    let others = [
        "/cache", "/warm", "/session", "/grow", "/list", "/late", "/clean",
    ];
    round.extend(others.map(Request::get));
    if number.is_multiple_of(4) {
        round.push(Request::get("/leak"));
    }
    round
}
