//! `LEAK_KEEP`: blocks that outlive nothing are only counted, which makes the trace smaller and changes no
//! report.

use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::report::Report;
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// What is another in every run.
const VOLATILE: [&str; 15] = [
    "id",
    "site_ids",
    "path",
    "started_at",
    "duration_ns",
    "waited_ns",
    "events",
    "pid",
    "thread",
    "start_ns",
    "end_ns",
    "timeline",
    "arguments",
    "peak_live_bytes",
    "build_id",
];

/// The report without that, and without what no request reached: a thread there does what it has time for.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let steady = fields
                .iter()
                .filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
            steady
                .map(|(name, value)| (name.clone(), canonical(value)))
                .collect()
        }
        Value::Array(items) => {
            let items = items
                .iter()
                .filter(|item| item["labels"] != Value::Array(Vec::new()));
            items.map(canonical).collect()
        }
        other => other.clone(),
    }
}

fn size(place: &Place) -> u64 {
    std::fs::metadata(place.trace()).expect("a trace").len()
}

/// The server's report, recorded so.
fn served(keep: &str) -> Report {
    let place = Place::new();
    let mut command = place.traced(Source::read("servers/epoll.c").program());
    let port = http::free_port();
    command.arg(port.to_string()).env("LEAK_KEEP", keep);
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let paths = [
        "/clean",
        "/leak",
        "/error?fail=1",
        "/cache",
        "/warm",
        "/session",
        "/grow",
        "/list",
        "/late",
    ];
    let requests = (0..100).flat_map(|_| paths.map(Request::get));
    let requests: Vec<Request> = requests.collect();
    http::drive(port, 1, None, &requests);
    server.signal(libc::SIGTERM);
    assert!(server.wait(LIMIT).status.success());
    place.report()
}

#[test]
fn a_servers_requests() {
    let (all, lasting) = (served("all"), served("lasting"));
    for part in ["/endpoints", "/requests", "/sites"] {
        assert_eq!(
            canonical(lasting.at(part)),
            canonical(all.at(part)),
            "{part}"
        );
    }
}

/// The report of a program that does the same each time.
fn kept(keep: &str) -> (Report, u64) {
    let place = Place::new();
    let mut command = place.traced(Source::read("lasting/passing.c").program());
    command.env("LEAK_KEEP", keep);
    let ended = place.run(command);
    assert!(
        ended.status.success() && ended.err.is_empty(),
        "{}",
        ended.err
    );
    (place.report(), size(&place))
}

#[test]
fn a_programs_totals() {
    let (all, larger) = kept("all");
    let (lasting, smaller) = kept("lasting");
    for part in ["/totals", "/processes", "/sites"] {
        assert_eq!(
            canonical(lasting.at(part)),
            canonical(all.at(part)),
            "{part}"
        );
    }
    let peak = "/totals/peak_live_bytes";
    assert_eq!(lasting.number(peak), all.number(peak));
    assert_eq!(lasting.number("/trace/events"), all.number("/trace/events"));
    assert!(smaller * 5 < larger * 4, "{smaller} of {larger} bytes");
}
