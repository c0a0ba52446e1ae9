//! What `functools.lru_cache` keeps where it has a size, and a deque with a `maxlen`, is bounded, and no leak, however little of it is in use yet;
//! what grows within an entry, or is kept elsewhere too, is one.

use leak_tests::http::{self, Request};
use leak_tests::python;
use leak_tests::report::{number, text};
use leak_tests::run::{LIMIT, Place};

/// Requests of each endpoint.
const EACH: u64 = 60;

#[test]
fn what_a_cache_of_bounded_size_keeps_is_no_leak() {
    for interpreter in python::interpreters() {
        let place = Place::new();
        let port = http::free_port();
        let mut command = place.traced(&interpreter);
        command
            .arg(python::script("cached.py"))
            .arg(port.to_string());
        let mut server = place.start(command);
        http::wait_for_port(&mut server, port);
        let requests: Vec<Request> = (0..EACH)
            .flat_map(|each| {
                let paths = [
                    ("route", 1000),
                    ("client", 2000),
                    ("kept", 3000),
                    ("named", 4000),
                    ("place", 5000),
                    ("recent", 6000),
                ];
                paths.map(|(name, from)| Request::get(format!("/{name}/{}", from + each)))
            })
            .collect();
        http::drive(port, 1, None, &requests);
        server.signal(libc::SIGINT);
        server.wait(LIMIT);
        server.assert_nothing_left(LIMIT);
        let report = place.report();
        let python = interpreter.display();

        let version = interpreter.to_string_lossy();
        // Where free lists are not read, a tuple is as old as the block that it comes to.
        let old = version.ends_with(".8") || version.ends_with(".9");
        let bounded = ["GET /route/{id}", "GET /place/{id}", "GET /recent/{id}"];
        let known = if old { 1 } else { bounded.len() };
        for label in &bounded[..known] {
            let row = report.endpoint(label);
            let verdict = text(&row["verdict"], "verdict");
            assert_ne!(verdict, "leak", "{python}: {row:#}");
            let leaking = number(&row["leaking_requests"], "requests");
            assert_eq!(leaking, 0, "{python}: {label}");
        }
        // What the request that made an entry has put there is the entry's.
        for (label, of_type, leaking) in [
            ("GET /client/{id}", "__main__.Record", EACH - 1),
            ("GET /kept/{id}", "__main__.Route", EACH),
            ("GET /named/{id}", "__main__.Record", EACH - 1),
        ] {
            let row = report.endpoint(label);
            assert_eq!(
                text(&row["verdict"], "verdict"),
                "leak",
                "{python}: {label}"
            );
            assert_eq!(
                number(&row["leaking_requests"], "requests"),
                leaking,
                "{python}: {label}"
            );
            let types = row["types"].as_array().expect("a list").iter();
            let left = types.filter(|row| row["name"] == of_type);
            let left: u64 = left.map(|row| number(&row["blocks"], "blocks")).sum();
            assert_eq!(left, EACH, "{python}: {label}");
        }
        let evidence = report.list("/sites").iter().map(|site| {
            let evidence = &site["evidence"];
            (
                text(&evidence["text"], "evidence"),
                number(&site["retained_blocks"], "blocks"),
            )
        });
        let cached = evidence.filter(|(text, _)| text.contains("functools.lru_cache"));
        let cached: u64 = cached.map(|(_, blocks)| blocks).sum();
        // Links, and what is recent, at least: a route's sites are also those of what is kept.
        assert!(
            cached >= if old { 1 } else { 5 } * EACH,
            "{python}: {cached}"
        );
    }
}
