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
    check(&[], 1, &["/ok", "/leak", "/other"]);
}

#[test]
fn by_four_connections() {
    check(&[], 4, &["/leak", "/other", "/ok"]);
}

/// A loop answers several in a round, and makes memory for the next ones of all of them.
#[test]
fn by_a_loop() {
    for connections in [1, 4, 8] {
        check(&["loop"], connections, &["/ok", "/leak", "/other"]);
    }
}

fn check(options: &[&str], connections: usize, paths: &[&str]) {
    let source = Source::read("servers/ahead.c");
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string()).args(options);
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
    // A loop may make what a connection's first request has after the answer to another connection's: that is taken for
    // the next request's there.
    let unknown = if options.is_empty() { 0 } else { connections };
    let found = EACH.saturating_sub(unknown)..=EACH;
    let requests = number(&leak["leaking_requests"], "requests") as usize;
    let blocks = sum(leak, "retained").blocks;
    assert!(
        found.contains(&requests) && found.contains(&(blocks as usize)),
        "{leak:#}"
    );
    assert_eq!(number(&leak["associated_blocks"], "blocks"), blocks);
    for label in ["GET /ok", "GET /other"] {
        let endpoint = report.endpoint(label);
        let wrong = sum(endpoint, "retained").blocks as usize;
        assert!(wrong <= unknown, "{endpoint:#}");
        assert_ne!(
            text(&endpoint["verdict"], "verdict"),
            "leak",
            "{endpoint:#}"
        );
    }
}
