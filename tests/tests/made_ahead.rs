//! A server that makes a request's memory before it reads the request, after the answer to the one before: what is kept
//! is the request's that keeps it, whatever comes before that.

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::{number, sum, text};
use leak_tests::run::{LIMIT, Place};

/// Requests of each of the three endpoints.
const EACH: usize = 60;

/// One after the other, so that each leaking request follows the same clean one.
#[test]
fn in_a_fixed_order() {
    check(1, &["/ok", "/leak", "/other"]);
}

#[test]
fn by_four_connections() {
    check(4, &["/leak", "/other", "/ok"]);
}

fn check(connections: usize, paths: &[&str]) {
    let source = Source::read("servers/ahead.c");
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let rounds = (0..EACH).flat_map(|_| paths.iter().map(|path| Request::get(*path)));
    http::drive(port, connections, None, &rounds.collect::<Vec<_>>());
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    let leak = report.endpoint("GET /leak");
    assert_eq!(text(&leak["verdict"], "verdict"), "leak", "{leak:#}");
    assert_eq!(number(&leak["leaking_requests"], "requests"), EACH as u64);
    assert_eq!(sum(leak, "retained").blocks, EACH as u64, "{leak:#}");
    assert_eq!(number(&leak["associated_blocks"], "blocks"), EACH as u64);
    for label in ["GET /ok", "GET /other"] {
        let endpoint = report.endpoint(label);
        assert_eq!(sum(endpoint, "retained").blocks, 0, "{endpoint:#}");
    }
}
