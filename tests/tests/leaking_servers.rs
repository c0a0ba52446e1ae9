//! HTTP servers with an endpoint of every kind: blocks, bytes, statuses and verdicts of each are exact.

use std::process::Command;

use leak_tests::compile::Source;
use leak_tests::http::{self, Answer, Request};
use leak_tests::process::Group;
use leak_tests::report::{Report, leak_analyze, number, sum, text};
use leak_tests::run::{LIMIT, Place};
use leak_tests::stated::Sum;
use serde_json::Value;

/// Requests of each endpoint; the sums that are stated in all hold for 513 to 1024.
const REQUESTS: usize = 600;

macro_rules! servers {
    ($($name:ident: $source:literal)*) => {
        $(mod $name {
            #[test]
            fn one_connection() {
                crate::check($source, 1);
            }

            #[test]
            fn eight_connections() {
                crate::check($source, 8);
            }
        })*
    };
}

servers! {
    c_threads: "threads.c"
    c_epoll: "epoll.c"
    c_pool: "pool.c"
    cpp_exceptions: "exceptions.cpp"
    rust_threads: "threads.rs"
}

/// `// endpoint: LABEL; VERDICT; N blocks, M bytes each|all [STATUS]`.
#[derive(Debug)]
struct Expected {
    label: String,
    verdict: String,
    sum: Sum,
    each: bool,
    status: Option<u64>,
}

/// In a sample: the endpoints that leak are named, those that leave nothing are not, and what they retain is
/// as near to the truth as is said. (Six standard errors: one chance in a hundred million.)
#[test]
fn sampled() {
    const MEAN: u64 = 3_000;
    let source = Source::read("servers/epoll.c");
    let (expected, _) = table(&source);
    let place = Place::new();
    let mut command = place.traced(source.program());
    command.env("LEAK_SAMPLE", MEAN.to_string());
    let (_, _, server) = serve(&place, command, 2, &requests());
    let report = place.report();
    server.assert_nothing_left(LIMIT);
    assert_eq!(report.number("/trace/sample_bytes"), MEAN);
    assert_eq!(report.number("/totals/unknown_frees"), 0);
    for row in &expected {
        let endpoint = report.endpoint(&row.label);
        assert_eq!(number(&endpoint["requests"], "requests"), REQUESTS as u64);
        let retained = sum(endpoint, "retained").bytes as f64;
        if row.verdict == "clean" {
            // The sample may hold a background block or two that were each allocated beside one request:
            // nothing then says that their site grows while there is none, too. The report says "inferred".
            assert_eq!(
                endpoint["retained_blocks"], endpoint["inferred_blocks"],
                "{endpoint:#}"
            );
            let blamed = number(&endpoint["leaking_requests"], "leaking");
            assert!(blamed <= 2, "{endpoint:#}");
            if retained == 0.0 {
                assert_eq!(blamed, 0, "{endpoint:#}");
                assert_eq!(endpoint["verdict"], "clean", "{endpoint:#}");
                // Five times the mean would hardly leave no block in the sample.
                let hidden = number(&endpoint["hidden_bytes_per_request"], "hidden");
                assert_eq!(hidden, 5 * MEAN / REQUESTS as u64, "{endpoint:#}");
            }
        } else if row.each && row.sum.bytes > 100 {
            let leaking = if row.status.is_some() {
                REQUESTS / 2
            } else {
                REQUESTS
            };
            let truth = (row.sum.bytes * leaking as u64) as f64;
            let error = (truth * MEAN as f64).sqrt();
            assert!(
                (retained - truth).abs() <= 6.0 * error,
                "{truth}: {endpoint:#}"
            );
            assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
            let said = number(&endpoint["retained_bytes_error"], "error") as f64;
            assert!((said / error - 1.0).abs() < 0.5, "{error}: {endpoint:#}");
            let seen = number(&endpoint["leaking_requests"], "leaking");
            assert!((3..=leaking as u64).contains(&seen), "{endpoint:#}");
            let range = &endpoint["leaking_requests_range"];
            let [low, high] = [0, 1].map(|at| number(&range[at], "a bound"));
            assert_eq!(low, seen, "{endpoint:#}");
            assert!(high >= leaking as u64, "{endpoint:#}");
        }
    }
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("text");
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("! This is a sample"), "{first}");
}

/// What the threads do that a request makes and joins is proved to be the request's, beside seven others: the one that
/// serves it does nothing. (The C library's own tables of threads are whose thread came at the time: they are in the
/// sums of endpoints.)
#[test]
fn helped_requests() {
    let place = Place::new();
    let source = Source::read("servers/helpers.c");
    let requests: Vec<Request> = (0..REQUESTS)
        .flat_map(|_| ["/leak", "/list", "/clean"].map(Request::get))
        .collect();
    let (_, _, server) = serve(&place, place.traced(source.program()), 8, &requests);
    let report = place.report();
    server.assert_nothing_left(LIMIT);
    report.assert_complete();
    let of = |function: &str, label: &str| {
        let sites = report.list("/sites").iter();
        let sites = sites.filter(|site| {
            let frames = site["frames"].as_array().expect("a list");
            frames.iter().any(|frame| frame["function"] == function)
        });
        let rows: Vec<(&Value, u64)> = sites
            .map(|site| (site, number(&site["retained_blocks"], "blocks")))
            .filter(|(_, blocks)| *blocks > 0)
            .collect();
        for (site, blocks) in &rows {
            assert_eq!(site["proved_blocks"], *blocks, "{site:#}");
            let labels = site["labels"].as_array().expect("a list");
            assert_eq!(labels.len(), 1, "{site:#}");
            assert_eq!(labels[0]["label"], label);
            assert_eq!(number(&labels[0]["requests"], "requests"), REQUESTS as u64);
        }
        rows.iter().map(|row| row.1).sum::<u64>()
    };
    assert_eq!(of("leave_three", "GET /leak"), 3 * REQUESTS as u64);
    assert_eq!(of("listed", "GET /list"), REQUESTS as u64);
    assert_eq!(report.endpoint("GET /leak")["leaking_requests"], REQUESTS);
}

fn check(name: &str, connections: usize) {
    let source = Source::read(&format!("servers/{name}"));
    let (expected, background) = table(&source);
    let requests = requests();
    let place = Place::new();
    let plain = place.plain(source.program());
    let (plain, _, _) = serve(&place, plain, connections, &requests);
    let traced = place.traced(source.program());
    let (traced, out, server) = serve(&place, traced, connections, &requests);
    assert_eq!(traced, plain);

    let report = place.report();
    server.assert_nothing_left(LIMIT);
    report.assert_complete();
    let total = requests.len() + connections;
    assert_eq!(report.number("/processes/0/requests"), total as u64);
    assert_eq!(report.list("/trace/boundaries"), ["http"]);
    for endpoint in &expected {
        check_endpoint(&report, endpoint);
    }
    let hello = report.endpoint("GET /hello");
    assert_eq!(number(&hello["requests"], "requests"), connections as u64);
    assert_eq!(report.list("/endpoints").len(), expected.len() + 1);
    check_leak_site(&report, name);
    let grown = out.trim().strip_prefix("background ").expect("its count");
    let blocks = grown.parse().expect("a number");
    let bytes = blocks * background;
    check_background(&report, Sum { blocks, bytes });
}

fn table(source: &Source) -> (Vec<Expected>, u64) {
    let shared;
    let source = if source.text.contains("endpoints.h\"") {
        shared = Source::read("servers/endpoints.h");
        &shared
    } else {
        source
    };
    let lines = source.text.lines();
    let rows = lines.filter_map(|line| line.strip_prefix("// endpoint: "));
    let rows: Vec<Expected> = rows.map(row).collect();
    assert_eq!(rows.len(), targets(0).len(), "a row for each endpoint");
    let mut lines = source.text.lines();
    let background = lines.find_map(|line| line.strip_prefix("// background: "));
    let background = background.and_then(|line| line.strip_suffix(" bytes"));
    let bytes = background.and_then(|bytes| bytes.parse().ok());
    (rows, bytes.expect("a background line"))
}

fn row(line: &str) -> Expected {
    let mut parts = line.split("; ");
    let mut part = || parts.next().unwrap_or_else(|| panic!("endpoint: {line}"));
    let (label, verdict) = (part().to_string(), part().to_string());
    let words: Vec<&str> = part().split(' ').collect();
    let number = |at: usize| words[at].parse().expect("a number");
    Expected {
        label,
        verdict,
        sum: Sum {
            blocks: number(0),
            bytes: number(2),
        },
        each: words[4] == "each",
        status: words.get(5).map(|status| status.parse().expect("a status")),
    }
}

/// One request of every endpoint, in the order of the tables.
fn targets(round: usize) -> Vec<Request> {
    let error = if round.is_multiple_of(2) {
        ""
    } else {
        "?fail=1"
    };
    let mut targets = vec![
        Request::get(format!("/clean?round={round}")),
        Request::post("/clean", "x".repeat(round % 100 + 1)),
        Request::get(format!("/orders/{round}/items")),
        Request::get("/leak"),
        Request::get(format!("/error{error}")),
    ];
    let others = ["/cache", "/warm", "/session", "/grow", "/list", "/late"];
    targets.extend(others.map(Request::get));
    targets
}

fn requests() -> Vec<Request> {
    let mut requests: Vec<Request> = (0..REQUESTS).flat_map(targets).collect();
    for request in requests.iter_mut().step_by(7) {
        request.in_parts = true;
    }
    requests
}

/// Runs the server, drives it, ends it; its answers and what it printed.
fn serve(
    place: &Place,
    mut command: Command,
    connections: usize,
    requests: &[Request],
) -> (Vec<Answer>, String, Group) {
    let port = http::free_port();
    command.arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let hello = Request::get("/hello");
    let answers = http::drive(port, connections, Some(&hello), requests);
    server.signal(libc::SIGTERM);
    let ended = server.wait(LIMIT);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.err);
    assert_eq!(ended.err, "");
    (answers, String::from_utf8(ended.out).expect("text"), server)
}

fn check_endpoint(report: &Report, expected: &Expected) {
    let endpoint = report.endpoint(&expected.label);
    assert_eq!(number(&endpoint["requests"], "requests"), REQUESTS as u64);
    let leaking = match expected.status {
        Some(_) => REQUESTS as u64 / 2,
        None => REQUESTS as u64,
    };
    let times = if expected.each { leaking } else { 1 };
    let retained = Sum {
        blocks: expected.sum.blocks * times,
        bytes: expected.sum.bytes * times,
    };
    assert_eq!(sum(endpoint, "retained"), retained, "{endpoint:#}");
    assert_eq!(endpoint["verdict"], *expected.verdict, "{endpoint:#}");
    // While another request's body is awaited by the same thread, nothing is proved: the blocks are this one's by
    // association, and all are there.
    let inferred = number(&endpoint["inferred_blocks"], "inferred_blocks");
    let all = spans(report, &expected.label);
    let bodies = spans(report, BODY);
    let beside = all.iter().filter(|span| span.is_beside(&bodies)).count() as u64;
    assert!(inferred <= expected.sum.blocks * beside, "{endpoint:#}");
    if expected.verdict == "clean" {
        assert_eq!(sum(endpoint, "survivor"), Sum::default(), "{endpoint:#}");
    }
    if expected.verdict == "freed_later" {
        check_handed_on(report, endpoint, expected);
    }
    if expected.each {
        assert_eq!(number(&endpoint["leaking_requests"], "leaking"), leaking);
        let each = &endpoint["retained_bytes_per_leaking_request"];
        assert_eq!(number(each, "each"), expected.sum.bytes);
    }
    check_statuses(endpoint, expected, retained);
}

/// Each request leaves one block, which a later one frees: a survivor, unless that one was served before
/// the first had ended (in a pool, a worker may be late for its wait while the next request is served), or
/// unless nothing proves whose the block was.
fn check_handed_on(report: &Report, endpoint: &Value, expected: &Expected) {
    let rows = spans(report, &expected.label);
    let survivors: u64 = rows.iter().map(|row| row.survivors).sum();
    assert_eq!(survivors, number(&endpoint["survivor_blocks"], "survivors"));
    let bodies = spans(report, BODY);
    for row in &rows {
        let freed_early =
            |other: &&Span| other.id != row.id && other.start <= row.end && other.end >= row.start;
        match row.survivors {
            1 => {}
            0 => assert!(
                rows.iter().any(|other| freed_early(&other)) || row.is_beside(&bodies),
                "{row:?}"
            ),
            _ => panic!("{row:?}"),
        }
    }
}

/// The requests that have bodies, which come in two parts now and then.
const BODY: &str = "POST /clean";

/// A request in time.
#[derive(Debug)]
struct Span {
    id: u64,
    thread: u64,
    start: u64,
    end: u64,
    survivors: u64,
}

fn spans(report: &Report, label: &str) -> Vec<Span> {
    let rows = report.list("/requests").iter();
    rows.filter(|row| row["label"] == *label)
        .map(Span::of)
        .collect()
}

impl Span {
    fn of(row: &Value) -> Span {
        let field = |name| number(&row[name], name);
        Span {
            id: field("id"),
            thread: field("thread"),
            start: field("start_ns"),
            end: field("end_ns"),
            survivors: field("survivor_blocks"),
        }
    }

    /// Whether the same thread had read the head of one of `others`, and had not answered it.
    fn is_beside(&self, others: &[Span]) -> bool {
        others.iter().any(|other| {
            other.thread == self.thread && other.start < self.start && self.end < other.end
        })
    }
}

fn check_statuses(endpoint: &Value, expected: &Expected, retained: Sum) {
    let statuses = endpoint["statuses"].as_array().expect("a list");
    let mut found: Vec<(u64, u64, Sum)> = statuses
        .iter()
        .map(|row| {
            let status = number(&row["status"], "status");
            (
                status,
                number(&row["requests"], "requests"),
                sum(row, "retained"),
            )
        })
        .collect();
    found.sort_by_key(|row| row.0);
    let all = REQUESTS as u64;
    let wanted = match expected.status {
        Some(status) => vec![(200, all / 2, Sum::default()), (status, all / 2, retained)],
        None => vec![(200, all, retained)],
    };
    assert_eq!(found, wanted, "{endpoint:#}");
}

/// The frames of the leak lead to the line that allocates.
fn check_leak_site(report: &Report, source: &str) {
    let file = if source.ends_with(".c") {
        "endpoints.h"
    } else {
        source
    };
    let ids = &report.endpoint("GET /leak")["site_ids"];
    let ids = ids.as_array().expect("a list");
    let sites = report.list("/sites").iter();
    let leaks = sites.filter(|site| ids.contains(&site["id"]) && site["verdict"] == "leak");
    let mut found = 0;
    for site in leaks {
        let frames = site["frames"].as_array().expect("a list");
        let frame = frames.iter().find(|frame| {
            let function = frame["function"].as_str().unwrap_or_default();
            function.contains("leave_three")
        });
        let frame = frame.unwrap_or_else(|| panic!("no leave_three in {frames:#?}"));
        assert!(text(&frame["file"], "file").ends_with(file), "{frame}");
        assert!(number(&frame["line"], "line") > 0);
        found += 1;
    }
    assert_eq!(found, 3, "three sites leak");
}

/// The thread that grows outside requests: a leak of no endpoint.
fn check_background(report: &Report, grown: Sum) {
    let mut sites = report.list("/sites").iter();
    let site = sites.find(|site| {
        sum(site, "live") == grown && site["labels"].as_array().is_some_and(Vec::is_empty)
    });
    let site = site.unwrap_or_else(|| panic!("no site has {grown:?} outside requests"));
    assert_eq!(site["verdict"], "leak", "{site:#}");
    assert_eq!(sum(site, "retained"), Sum::default());
}
