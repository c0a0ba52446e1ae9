//! What goes with leaking, of servers that leak only sometimes: `targets/servers/builds.h` leaks in `/sometimes` where it
//! answers 500, and in `/same` always; `targets/servers/apart.c` at each endpoint by one thing that is known of a request;
//! `targets/servers/in_turn.c` in one of its processes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::http::{self, Connection, Request};
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::{LIMIT, Place};
use serde_json::{Value, json};

/// Drives the server over so many connections at once, requests in this order.
fn record(place: &Place, connections: usize, requests: &[Request]) -> Report {
    served(place, "servers/after.c", |port| {
        http::drive(port, connections, None, requests);
    })
}

/// Runs the server, with this traffic.
fn served(place: &Place, source: &str, traffic: impl FnOnce(u16)) -> Report {
    served_by(place, place.traced(Source::read(source).program()), traffic)
}

/// Runs a server's command, which gets its port, with this traffic.
fn served_by(place: &Place, mut command: Command, traffic: impl FnOnce(u16)) -> Report {
    let port = http::free_port();
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    // The recorder answers: its clock has begun, before which all times are one.
    let pid = server.pid().to_string();
    let snapshot = leak_analyze(&["snapshot", &pid, "--format", "json"]);
    assert!(snapshot.status.success());
    traffic(port);
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
    let mut lines = text.lines();
    let row = lines.find(|line| line.starts_with("  GET /sometimes ") && line.contains("54.7 KiB"));
    assert!(row.is_some(), "{text}");
    let curve = lines.next().unwrap_or_default();
    assert!(curve.starts_with("    ▁") && curve.ends_with('█'), "{text}");
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

/// What is asked for over one connection of the server that leaks at each endpoint by one thing, and the part that leaves
/// something behind.
fn converse(port: u16, number: usize) {
    let leaks = number.is_multiple_of(2);
    // All are as long.
    let one = |yes: &'static str, no: &'static str| Request::get(if leaks { yes } else { no });
    let mut connection = Connection::open(port);
    for _ in 0..4 {
        connection.ask(&Request::get("/first"));
    }
    for id in [7, 8 + number, 100 + number] {
        connection.ask(&Request::get(format!("/item/{id}/x")));
    }
    let size = if leaks { 3_000 } else { 50 };
    connection.ask(&Request::post("/upload", "x".repeat(size)));
    connection.ask(&one("/answer?big", "/answer?few"));
    connection.ask(&one("/slow?slow", "/slow?fast"));
    connection.ask(&one("/status?fail", "/status?good"));
    connection.close();
    let mut third = Connection::open(port);
    for _ in 0..5 {
        third.ask(&Request::get("/third"));
    }
    third.close();
    let mut silent = Connection::open(port);
    let answer = silent.try_ask(&one("/silent?fail", "/silent?good"));
    assert_eq!(answer.is_err(), leaks);
    match leaks {
        // It is closed already.
        true => drop(silent),
        false => silent.close(),
    }
    upload(port, leaks);
}

/// Closes amid the body, if the client `goes`.
fn upload(port: u16, goes: bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let send = |stream: &mut TcpStream, text: &str| stream.write_all(text.as_bytes());
    let head = "POST /gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n";
    send(&mut stream, head).expect("the server reads");
    if !goes {
        send(&mut stream, "a body  ").expect("the server reads");
    }
    let rest = rest(stream);
    assert_eq!(rest.is_empty(), goes, "{rest}");
}

/// All that is still to be read, once the client sends no more.
fn rest(mut stream: TcpStream) -> String {
    let mut rest = String::new();
    stream.shutdown(Shutdown::Write).expect("connected");
    stream.read_to_string(&mut rest).expect("the server closes");
    rest
}

/// One request is in flight while another one begins and is answered.
fn crowd(port: u16) {
    let mut waits = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let head = "GET /crowd?wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
    waits.write_all(head.as_bytes()).expect("the server reads");
    // The server has read the head.
    let mut interim = [0; 25];
    waits.read_exact(&mut interim).expect("an interim answer");
    let mut late = Connection::open(port);
    late.ask(&Request::get("/crowd?late"));
    assert!(rest(waits).ends_with("done"));
    late.ask(&Request::get("/crowd?none"));
    late.close();
}

#[test]
fn each_endpoint_is_told_by_what_its_leak_goes_with() {
    let place = Place::new();
    let report = served(&place, "servers/apart.c", |port| {
        for number in 0..40 {
            converse(port, number);
            crowd(port);
        }
    });
    for (label, fact, leaking, others) in [
        ("GET /first", "first on its connection", 40, 120),
        ("GET /third", "3rd on its connection", 40, 160),
        ("GET /item/{id}/x", "path /item/7/x", 40, 80),
        ("POST /upload", "came with 1,000 bytes or more", 20, 20),
        ("GET /answer", "answered with 10,000 bytes or more", 20, 20),
        ("GET /slow", "lasted 100 ms or longer", 20, 20),
        ("GET /crowd", "1 other or more in flight beside it", 40, 80),
        ("GET /status", "status 500", 20, 20),
        (
            "POST /gone",
            "client closed before its answer was complete",
            20,
            20,
        ),
        ("GET /silent", "not answered", 20, 20),
    ] {
        let apart = &report.endpoint(label)["apart"];
        let expected = json!({
            "facts": [fact],
            "leaking_requests": leaking,
            "leaking_requests_with": leaking,
            "other_requests": others,
            "other_requests_with": 0,
        });
        assert_eq!(apart["single"], expected, "{label}");
        assert_eq!(apart["pair"], Value::Null, "{label}");
        assert_eq!(report.endpoint(label)["apart_unproved"], false, "{label}");
    }
    // Five of them, and how many more there are.
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("text");
    let line = "  … and 5 more endpoints: --format json has all, in apart";
    assert!(text.lines().any(|found| found == line), "{text}");
}

/// Of four processes one leaks, whichever way its requests come: it serves every fourth connection.
#[test]
fn the_worker_that_leaks() {
    let place = Place::new();
    let report = served(&place, "servers/in_turn.c", |port| {
        for _ in 0..80 {
            let mut connection = Connection::open(port);
            connection.ask(&Request::get("/kept"));
            connection.close();
        }
    });
    let kept = report.list("/requests").iter();
    let kept = kept.filter(|request| request["retained_bytes"] == 100);
    let threads: Vec<&Value> = kept.map(|request| &request["thread"]).collect();
    assert_eq!(threads.len(), 20);
    let apart = &report.endpoint("GET /kept")["apart"];
    let expected = json!({
        "facts": [format!("served by thread {}", threads[0])],
        "leaking_requests": 20,
        "leaking_requests_with": 20,
        "other_requests": 60,
        "other_requests_with": 0,
    });
    assert_eq!(apart["single"], expected);
    assert_eq!(apart["pair"], Value::Null);
}

/// A recorder to whom a new hour begins 5 seconds after its start at the latest.
fn recorder_near_an_hour(place: &Place) -> std::path::PathBuf {
    let clock = Source::read("libraries/hour.c").shared();
    let (recorder, analyzer) = (place.path("recorder"), artifacts::leak_analyze());
    let (clock, analyzer) = (clock.display(), analyzer.display());
    let script = format!("#!/bin/sh\nLD_PRELOAD={clock} exec {analyzer} \"$@\"\n");
    fs::write(&recorder, script).expect("our directory");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&recorder, executable).expect("our file");
    recorder
}

/// What leaks from the full hour on, in whatever connection, thread and answer.
#[test]
fn the_hour_in_which_it_leaks() {
    let place = Place::new();
    let mut command = place.traced(Source::read("servers/apart.c").program());
    command.env("LEAK_ANALYZE", recorder_near_an_hour(&place));
    let report = served_by(&place, command, |port| {
        // The recorder runs already.
        let next_hour = Instant::now() + Duration::from_secs(5);
        let ask = |target: &str| {
            let mut connection = Connection::open(port);
            connection.ask(&Request::get(target));
            connection.close();
        };
        (0..40).for_each(|_| ask("/hour?none"));
        thread::sleep(next_hour.saturating_duration_since(Instant::now()));
        (0..20).for_each(|_| ask("/hour?keep"));
    });
    let started: u32 = report.text("/trace/started_at")[11..13]
        .parse()
        .expect("an hour");
    let hour = (started + 1) % 24;
    let expected = json!({
        "facts": [format!("begun from {hour:02}:00 to {hour:02}:59 UTC")],
        "leaking_requests": 20,
        "leaking_requests_with": 20,
        "other_requests": 40,
        "other_requests_with": 0,
    });
    assert_eq!(report.endpoint("GET /hour")["apart"]["single"], expected);
}
