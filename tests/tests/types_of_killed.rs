//! Servers that are killed half a second after their last request: the types of all that they left are known.
//!
//! The recorder has that time, of which it needs a twentieth for what these leave.

use std::process::Command;
use std::thread;
use std::time::Duration;

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::python;
use leak_tests::report::{Report, number, text};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// What is promised to be enough.
const IDLE: Duration = Duration::from_millis(500);

/// Drives what `command` starts on a port, lets it rest, and ends it by a signal that it does not handle.
fn killed(command: impl Fn(&Place) -> Command, requests: &[Request], signal: i32) -> Report {
    let place = Place::new();
    let port = http::free_port();
    let mut command = command(&place);
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    http::drive(port, 1, None, requests);
    thread::sleep(IDLE);
    server.signal(signal);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    assert_eq!(report.text("/processes/0/end"), "killed");
    assert_eq!(report.number("/processes/0/signal"), signal as u64);
    report
}

/// Names and numbers of blocks, by name.
fn types(row: &Value) -> Vec<(&str, u64)> {
    let rows = row["types"].as_array().expect("a list").iter();
    let pair = |row: &'_ Value| number(&row["blocks"], "blocks");
    let mut types: Vec<(&str, u64)> = rows
        .map(|row| (text(&row["name"], "name"), pair(row)))
        .collect();
    types.sort_unstable();
    types
}

/// Good requests, then failing ones, each of which keeps so many vehicles.
const GOOD: usize = 40;
const FAILING: usize = 6;
const VEHICLES: u64 = 1000;

fn vehicles_of_a_python_server(signal: i32) {
    let mut requests = vec![Request::get("/vehicles"); GOOD];
    requests.extend(vec![Request::get("/vehicles/lost"); FAILING]);
    let command = |place: &Place| {
        let mut command = place.traced(python::SYSTEM);
        command.arg(python::script("lost.py"));
        command
    };
    let report = killed(command, &requests, signal);
    let (vehicle, left) = ("__main__.FloatingVehicle", FAILING as u64 * VEHICLES);
    let of_endpoint = types(report.endpoint("GET /vehicles/lost"));
    assert!(of_endpoint.contains(&(vehicle, left)), "{of_endpoint:?}");
    let attributes = ("__main__.FloatingVehicle (attributes)", left);
    assert!(of_endpoint.contains(&attributes), "{of_endpoint:?}");
    let sites = report.list("/sites").iter().map(types);
    let sites: Vec<_> = sites
        .filter(|types| types.contains(&(vehicle, left)))
        .collect();
    assert_eq!(sites, [[(vehicle, left)]]);
}

#[test]
fn vehicles_of_a_python_server_that_is_killed() {
    vehicles_of_a_python_server(libc::SIGKILL);
}

#[test]
fn vehicles_of_a_python_server_that_is_terminated() {
    vehicles_of_a_python_server(libc::SIGTERM);
}

#[test]
fn objects_of_a_cpp_server_that_is_killed() {
    let program = Source::read("servers/fleet.cpp").program();
    let requests = vec![Request::get("/keep"); 10];
    let report = killed(|place| place.traced(&program), &requests, libc::SIGKILL);
    let kept = [("Vehicle", 5_000), ("Vessel", 5_000)];
    assert_eq!(types(report.endpoint("GET /keep")), kept);
}
