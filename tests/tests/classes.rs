//! C++ servers whose leaked objects have virtual functions: their classes are named, with exact counts,
//! in files without symbols, too.

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::{Report, number, text};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// Requests of each endpoint.
const REQUESTS: u64 = 200;

#[test]
fn with_symbols() {
    check("classes.cpp");
}

#[test]
fn stripped() {
    check("classes_stripped.cpp");
}

#[test]
fn stripped_with_its_own_runtime() {
    check("classes_static.cpp");
}

fn check(name: &str) {
    let source = Source::read(&format!("servers/{name}"));
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(source.program());
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let requests: Vec<Request> = (0..REQUESTS).flat_map(targets).collect();
    http::drive(port, 1, None, &requests);
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);

    let report = place.report();
    server.assert_nothing_left(LIMIT);
    report.assert_complete();
    assert_eq!(report.list("/trace/warnings"), &[] as &[Value]);
    let vehicles = [
        ("city::(anonymous namespace)::Hidden", REQUESTS),
        ("city::FloatingVehicle", 2 * REQUESTS),
    ];
    assert_eq!(types(report.endpoint("GET /vehicles")), vehicles);
    let failing = REQUESTS / 2;
    let boxes = [
        ("city::Box<int>", 3 * failing),
        ("city::Vehicle", failing),
        ("unknown", failing),
    ];
    assert_eq!(types(report.endpoint("GET /boxes")), boxes);
    assert_eq!(types(report.endpoint("GET /clean")), []);
    check_sites(&report);
}

fn targets(round: u64) -> Vec<Request> {
    let fail = if round.is_multiple_of(2) {
        "?fail=1"
    } else {
        ""
    };
    vec![
        Request::get("/vehicles"),
        Request::get(format!("/boxes{fail}")),
        Request::get("/clean"),
    ]
}

/// Names and numbers of blocks, by name.
fn types(row: &Value) -> Vec<(&str, u64)> {
    let rows = row["types"].as_array().expect("a list");
    let pair = |row: &'_ Value| number(&row["blocks"], "blocks");
    let mut types: Vec<(&str, u64)> = rows
        .iter()
        .map(|row| (text(&row["name"], "name"), pair(row)))
        .collect();
    types.sort_unstable();
    types
}

/// Each block of a site is counted once, and each object has its size.
fn check_sites(report: &Report) {
    let mut vehicles = 0;
    // Mappings and threads' stacks have no type.
    let sites = report.list("/sites").iter();
    for site in sites.filter(|site| site["kind"] == "malloc") {
        let rows = site["types"].as_array().expect("a list");
        let blocks: u64 = rows
            .iter()
            .map(|row| number(&row["blocks"], "blocks"))
            .sum();
        // Types are of what was retained, else of what was live when the exit began, else of what is live.
        let counted = ["retained_blocks", "before_exit_blocks", "live_blocks"]
            .map(|field| number(&site[field], field))
            .into_iter()
            .find(|&blocks| blocks > 0);
        // A thread that ends between the last answer and the exit gives all that was live at a site back.
        assert_eq!(blocks, counted.unwrap_or(0), "{site:#}");
        for row in rows
            .iter()
            .filter(|row| row["name"] == "city::FloatingVehicle")
        {
            let blocks = number(&row["blocks"], "blocks");
            assert_eq!(number(&row["bytes"], "bytes"), blocks * 64);
            vehicles += blocks;
        }
    }
    assert_eq!(vehicles, 2 * REQUESTS);
}
