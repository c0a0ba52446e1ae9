//! Memory that no request which ends can be blamed for: of one long connection of a protocol without answers, and of a
//! parent that serves by its children.

use std::io::Write;
use std::net::TcpStream;

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::{Report, leak_analyze, number};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// Lines of each connection; every other one is kept.
const LINES: usize = 400;
/// So many are sent at once, before the next ones are.
const EACH: usize = 10;
/// Bytes of one.
const KEPT: usize = 300;

/// The site at which this function allocates.
fn site<'r>(report: &'r Report, function: &str) -> &'r Value {
    let mut sites = report.list("/sites").iter();
    let of = |site: &&Value| {
        let frames = site["frames"].as_array().expect("a list");
        frames.iter().any(|frame| frame["function"] == function)
    };
    sites.find(of).unwrap_or_else(|| panic!("no {function}"))
}

/// Sends lines on so many connections, which stay open to the end; gives the report.
fn lines(place: &Place, connections: usize) -> Report {
    let source = Source::read("servers/lines.c");
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let open = || TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut open: Vec<TcpStream> = (0..connections).map(|_| open()).collect();
    for _ in 0..LINES / EACH {
        for connection in &mut open {
            let text = "keep this\nlet go\n".repeat(EACH / 2);
            connection.write_all(text.as_bytes()).expect("a write");
        }
        // All is read when the loop waits.
        server.wait_until_idle(LIMIT);
    }
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    let kept = connections * LINES / 2;
    assert_eq!(ended.out, format!("{kept}\n").into_bytes());
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    report.assert_complete();
    report
}

#[test]
fn one_long_connection_that_keeps_lines_leaks() {
    let place = Place::new();
    let report = lines(&place, 1);
    let keep = site(&report, "keep");
    assert_eq!(keep["verdict"], "leak", "{keep:#}");
    let [open] = keep["open"].as_array().expect("a list").as_slice() else {
        panic!("{keep:#}");
    };
    assert_eq!(open["verdict"], "leak", "{keep:#}");
    assert_eq!(number(&open["requests"], "requests"), 1);
    assert_eq!(open["live_blocks"], LINES / 2);
    assert_eq!(open["live_bytes"], KEPT * LINES / 2);
    let [endpoint] = report.list("/endpoints") else {
        panic!("{:?}", report.list("/endpoints"));
    };
    assert_eq!(endpoint["verdict"], "leak");
    assert_eq!(endpoint["open_requests"], 1);
    assert_eq!(endpoint["retained_blocks"], 0);
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("text");
    assert!(text.starts_with("The only endpoint leaks: tcp:"), "{text}");
    assert!(!text.contains("No leak"), "{text}");
}

/// Nothing proves for which of them a loop works: what is kept has no owner, and grows.
#[test]
fn several_of_them_leak_without_an_owner() {
    let place = Place::new();
    let report = lines(&place, 4);
    let keep = site(&report, "keep");
    assert_eq!(keep["verdict"], "leak", "{keep:#}");
    assert_eq!(keep["live_blocks"], 4 * LINES / 2);
    let gate = leak_analyze(&[
        place.trace().as_os_str(),
        "--fail-on".as_ref(),
        "leak".as_ref(),
    ]);
    assert_eq!(gate.status.code(), Some(23), "{gate:?}");
}

/// What a parent keeps while its children serve.
fn parent(ring: bool) -> Report {
    const REQUESTS: usize = 150;
    let source = Source::read("servers/parent.c");
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    command.args(ring.then_some("ring"));
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    for _ in 0..REQUESTS {
        let mut connection = http::Connection::open(port);
        assert_eq!(connection.ask(&Request::get("/")).status, 200);
    }
    server.signal(libc::SIGTERM);
    assert!(server.wait(LIMIT).status.success());
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    report.assert_complete();
    report
}

#[test]
fn a_forking_parent_that_keeps_something_of_each_child_leaks() {
    let report = parent(false);
    let remember = site(&report, "remember");
    assert_eq!(remember["verdict"], "leak", "{remember:#}");
    let kept = number(&remember["outside_blocks"], "blocks");
    assert!(kept >= 150, "{remember:#}");
    // What it made of connections before the first child began to read is from before.
    let grown = number(&remember["outside_grown_blocks"], "grown");
    assert!((140..=kept).contains(&grown), "{remember:#}");
}

#[test]
fn a_forking_parent_that_keeps_the_newest_alone_is_not_said_to_leak() {
    let report = parent(true);
    let remember = site(&report, "remember");
    assert_eq!(remember["live_blocks"], 16);
    assert_eq!(remember["verdict"], "too_few_requests", "{remember:#}");
}
