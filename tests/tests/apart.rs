//! What goes with leaking, of servers that leak only sometimes: `targets/servers/builds.h` leaks in `/sometimes` where it
//! answers 500, and in `/same` always.

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::{LIMIT, Place};
use serde_json::{Value, json};

/// Drives the server over so many connections at once, requests in this order.
fn record(place: &Place, connections: usize, requests: &[Request]) -> Report {
    let source = Source::read("servers/after.c");
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    http::drive(port, connections, None, requests);
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    server.assert_nothing_left(LIMIT);
    place.report()
}

#[test]
fn the_status_of_those_that_leak() {
    let place = Place::new();
    let requests: Vec<Request> = (0..400)
        .map(|number| match number % 5 {
            0 => Request::get("/sometimes?fail"),
            1 => Request::get("/same"),
            _ => Request::get("/sometimes"),
        })
        .collect();
    let report = record(&place, 1, &requests);
    let apart = &report.endpoint("GET /sometimes")["apart"];
    assert_eq!(apart["single"]["facts"], json!(["status 500"]));
    assert_eq!(apart["single"]["leaking_requests"], 80);
    assert_eq!(apart["single"]["leaking_requests_with"], 80);
    assert_eq!(apart["single"]["other_requests"], 240);
    assert_eq!(apart["single"]["other_requests_with"], 0);
    assert_eq!(apart["pair"], Value::Null);
    // All of them leak: there is nobody to tell them from.
    assert_eq!(report.endpoint("GET /same")["apart"], Value::Null);
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("text");
    let line = "  GET /sometimes  status 500: 80 of 80 leaking, 0 of 240 others";
    assert!(text.lines().any(|found| found == line), "{text}");
    // Curves end at their highest.
    let curve = text
        .lines()
        .find(|line| line.trim_end().ends_with("█  80 blocks"));
    assert!(
        curve.is_some_and(|line| line.starts_with("  GET /sometimes")),
        "{text}"
    );
}

/// Four leaking requests are too few to say anything of them.
#[test]
fn too_few_are_told_nothing_of() {
    let place = Place::new();
    let requests: Vec<Request> = (0..200)
        .map(|number| match number % 50 {
            0 => Request::get("/sometimes?fail"),
            _ => Request::get("/sometimes"),
        })
        .collect();
    let report = record(&place, 1, &requests);
    let endpoint = report.endpoint("GET /sometimes");
    assert_eq!(endpoint["leaking_requests"], 4);
    assert_eq!(endpoint["apart"], Value::Null);
}
