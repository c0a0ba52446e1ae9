//! `LEAK_HEADERS`: values of request headers, of those that were named and of no others, each at the request that sent it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use leak_tests::compile::Source;
use leak_tests::http::{self, Connection, Request};
use leak_tests::process::Group;
use leak_tests::real;
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// No part of it may get into a trace.
const SECRET: &str = "hunter2hunter2";

/// The C server with one loop for all connections.
fn start(place: &Place, headers: Option<&str>) -> (Group, u16) {
    let port = http::free_port();
    let mut command = place.traced(Source::read("servers/epoll.c").program());
    command.arg(port.to_string());
    if let Some(headers) = headers {
        command.env("LEAK_HEADERS", headers);
    }
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    (server, port)
}

fn stop(mut server: Group, place: &Place) -> Report {
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    server.assert_nothing_left(LIMIT);
    place.report()
}

fn get(target: &str) -> Request {
    Request::get(target).with("Authorization", SECRET)
}

/// The id and the headers of each request, in order.
fn sent(report: &Report) -> Vec<(Option<&str>, &Value)> {
    let rows = report.list("/requests").iter();
    rows.map(|row| (row["trace_id"].as_str(), &row["headers"]))
        .collect()
}

#[test]
fn each_request_has_its_own() {
    let place = Place::new();
    let (server, port) = start(&place, Some("traceparent,X-Request-ID"));
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let mut connection = Connection::open(port);
    connection.ask(&get("/leak").with("x-request-id", "one"));
    connection.ask(&get("/leak"));
    connection.ask(
        &get("/clean")
            .with("X-REQUEST-ID", "two")
            .with("Traceparent", &parent),
    );
    let mut split = get("/clean").with("X-Request-Id", "three");
    split.in_parts = true;
    connection.ask(&split);
    let long = "v".repeat(500);
    connection.ask(&get("/clean").with("X-Request-Id", &long));
    connection.close();
    // A head that comes byte by byte, the body that follows looking like one.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let body = "x-request-id: no\r\n\r\n";
    let head = format!(
        "POST /clean HTTP/1.1\r\nX-Request-Id: four\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for byte in head.as_bytes() {
        stream.write_all(&[*byte]).expect("it reads");
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(stream);
    let report = stop(server, &place);
    let sent = sent(&report);
    let ids: Vec<Option<&str>> = sent.iter().map(|row| row.0).collect();
    assert_eq!(
        ids,
        [
            Some("one"),
            None,
            Some(TRACE),
            Some("three"),
            None,
            Some("four")
        ]
    );
    assert_eq!(*sent[1].1, Value::Null);
    assert_eq!(sent[2].1["x-request-id"], "two");
    assert_eq!(sent[2].1["traceparent"], parent.as_str());
    assert_eq!(sent[3].1.as_object().map(|all| all.len()), Some(1));
    assert_eq!(sent[4].1["x-request-id"], "v".repeat(128).as_str());
    assert_eq!(report.at("/requests/4/headers_cut/0"), "x-request-id");
    let cut = report.list("/trace/warnings").iter();
    assert_eq!(
        cut.filter(|warning| warning["code"] == "headers_cut")
            .count(),
        1
    );
    assert_no_secret(&place);
}

/// That nothing else of the heads is in the trace, whatever it is packed with.
fn assert_no_secret(place: &Place) {
    let trace = place.trace();
    let dump = leak_analyze(&["dump", trace.to_str().expect("UTF-8")]);
    assert!(dump.status.success());
    let dump = String::from_utf8_lossy(&dump.stdout);
    assert!(dump.contains("one"), "dump shows headers");
    assert!(!dump.contains(SECRET));
    let bytes = fs::read(&trace).expect("it is there");
    assert!(
        !bytes
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
}

/// Requests that were read together: the answers come together, too, as far as the server writes them so.
#[test]
fn pipelined_requests_are_not_mixed() {
    let place = Place::new();
    let (server, port) = start(&place, Some("x-request-id"));
    let mut connection = Connection::open(port);
    for round in 0..20 {
        let paths = ["/clean", "/leak", "/list", "/clean"];
        let requests: Vec<Request> = (0..paths.len())
            .map(|at| get(paths[at]).with("X-Request-Id", &format!("{round}{}", paths[at])))
            .collect();
        let answers = connection.pipeline(&requests).expect("four answers");
        assert_eq!(answers.len(), 4);
    }
    connection.close();
    let report = stop(server, &place);
    let rows = report.list("/requests");
    let mut named = 0;
    for row in rows {
        let label = row["label"].as_str().expect("a label");
        let path = label.trim_start_matches("GET ");
        let headers = &row["headers"];
        if headers.is_null() {
            // Several, with ids that differ.
            assert!(row["count"].as_u64() > Some(1), "{row}");
            continue;
        }
        named += 1;
        let id = headers["x-request-id"].as_str().expect("an id");
        assert!(id.ends_with(path), "{row}");
    }
    assert!(named >= 60, "{named} of {}", rows.len());
}

#[test]
fn without_the_variable_nothing_is_recorded() {
    let place = Place::new();
    let (server, port) = start(&place, None);
    let mut connection = Connection::open(port);
    connection.ask(&get("/leak").with("X-Request-Id", SECRET));
    connection.close();
    let report = stop(server, &place);
    assert_eq!(sent(&report), [(None, &Value::Null)]);
    let dump = leak_analyze(&["dump", place.trace().to_str().expect("UTF-8")]);
    assert!(!String::from_utf8_lossy(&dump.stdout).contains(SECRET));
}

#[test]
fn names_that_cannot_be_used_are_refused() {
    let long = "n".repeat(65);
    for value in ["a b", "a,,b", "a,b,c,d,e,f,g,h,i", "x:y", &long] {
        let place = Place::new();
        let mut command = place.traced("true");
        command.env("LEAK_HEADERS", value);
        let ended = place.run(command);
        assert!(ended.status.success());
        let line = format!(
            "libleak: LEAK_HEADERS={value} can't be used: it takes names of at most 8 request headers"
        );
        assert!(ended.err.starts_with(&line), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(!place.trace().exists());
    }
}

/// nginx, whose worker reads requests of several connections in turn.
#[test]
fn nginx() {
    let place = Place::new();
    let site = real::site(&place);
    let port = http::free_port();
    let root = place.path("").display().to_string();
    let conf = place.path("nginx.conf");
    let text = format!(
        "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
         events {{ worker_connections 64; }}
         http {{ access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
             server {{ listen 127.0.0.1:{port}; root {site}; }} }}"
    );
    fs::write(&conf, text).expect("our directory");
    let mut command: Command = place.traced("/usr/sbin/nginx");
    command.args(["-p", &root, "-c"]).arg(&conf);
    command.env("LEAK_HEADERS", "x-request-id");
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let mut connections: Vec<Connection> = (0..4).map(|_| Connection::open(port)).collect();
    for round in 0..50 {
        for (at, connection) in connections.iter_mut().enumerate() {
            let path = format!("/{at}-{round}");
            let answer = connection.ask(&Request::get(&path).with("X-Request-Id", &path));
            assert_eq!(answer.status, 404);
        }
    }
    connections.into_iter().for_each(Connection::close);
    server.signal(libc::SIGQUIT);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let trace = place.trace();
    let output = leak_analyze(&["requests", trace.to_str().expect("UTF-8")]);
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let named = rows.iter().filter(|row| row["path"].is_string());
    for row in named.clone() {
        assert_eq!(row["trace_id"], row["path"], "{row}");
        assert_eq!(row["headers"]["x-request-id"], row["path"]);
    }
    assert_eq!(named.count(), 200);
}
