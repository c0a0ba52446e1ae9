//! Workers that are replaced: the first of them has another stack than those that follow, and what its requests leak is
//! a leak all the same.

use leak_tests::http::{self, Request};
use leak_tests::python;
use leak_tests::report::{number, text};
use leak_tests::run::{LIMIT, Place};

const WORKERS: usize = 6;
/// Requests of each endpoint that a worker serves.
const EACH: usize = 15;

#[test]
fn what_the_first_worker_leaks_is_a_leak() {
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(python::SYSTEM);
    command.arg(python::script("replaced.py"));
    command.args([port.to_string(), WORKERS.to_string()]);
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    for _ in 0..WORKERS {
        let pairs = (0..EACH).flat_map(|_| [Request::get("/leak"), Request::get("/clean")]);
        http::drive(port, 1, None, &pairs.collect::<Vec<_>>());
    }
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    let leak = report.endpoint("GET /leak");
    assert_eq!(text(&leak["verdict"], "verdict"), "leak");
    let all = (WORKERS * EACH) as u64;
    assert_eq!(
        number(&leak["leaking_requests"], "requests"),
        all,
        "{leak:#}"
    );
    let clean = report.endpoint("GET /clean");
    assert_ne!(text(&clean["verdict"], "verdict"), "leak");
    let kept = report.list("/sites").iter().filter(|site| {
        let frame = &site["python_frames"][0];
        frame["function"] == "keep" && site["types"][0]["name"] == "__main__.Kept"
    });
    let verdicts: Vec<&str> = kept.map(|site| text(&site["verdict"], "verdict")).collect();
    assert_eq!(verdicts, ["leak", "leak"]);
}
