//! Garbage in cycles, which waits for CPython's collector: it is no leak, where that can be told, and the report says
//! what can't.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use leak_tests::http::{Connection, Request};
use leak_tests::python;
use leak_tests::real::{self, Server};
use leak_tests::report::{Report, leak_analyze, number, text};
use leak_tests::run::Place;
use serde_json::Value;

/// Requests of each endpoint.
const EACH: u64 = 60;
/// Objects of a cycle.
const KNOTS: u64 = 5;

/// How a server is traced, and ends.
struct Way {
    gc: &'static str,
    signal: Option<i32>,
}

/// What a run of `garbage.py` left.
struct Told {
    report: Report,
    /// The first lines of the text.
    head: String,
    /// Objects of cycles by the program's own count when it ended, and how often its collector had run.
    counts: Vec<u64>,
}

fn run(interpreter: &Path, way: &Way, first: &[&str]) -> Told {
    let place = Place::new();
    let port = leak_tests::http::free_port();
    let mut command = place.traced(interpreter);
    command.arg(python::script("garbage.py"));
    command.arg(port.to_string()).env("LEAK_GC", way.gc);
    let server = Server::listening(place, port, command);
    let mut client = Connection::open(port);
    for target in first {
        client.ask(&Request::get(*target));
    }
    for _ in 0..EACH {
        for target in ["/cycle", "/keep", "/none"] {
            client.ask(&Request::get(target));
        }
    }
    let (counts, place) = match way.signal {
        None => {
            let counts = client.ask(&Request::get("/end")).body;
            (counts, server.stop(0))
        }
        Some(signal) => (b"[]".to_vec(), server.stop(signal)),
    };
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    Told {
        report: place.report(),
        head: text
            .split_whitespace()
            .take(120)
            .collect::<Vec<_>>()
            .join(" "),
        counts: serde_json::from_slice(&counts).expect("numbers"),
    }
}

/// Interpreters whose collector has generations: 3.14's works in steps, and nothing is known of it.
fn interpreters() -> impl Iterator<Item = std::path::PathBuf> {
    let all = python::interpreters().into_iter();
    all.filter(|path| !path.ends_with("python3.14"))
}

fn verdict<'r>(report: &'r Report, label: &str) -> &'r str {
    text(&report.endpoint(label)["verdict"], "verdict")
}

fn leaking(report: &Report, label: &str) -> u64 {
    let endpoint = report.endpoint(label);
    number(&endpoint["leaking_requests"], "leaking_requests")
}

/// What was kept leaks, whatever is thought of garbage.
fn assert_kept(told: &Told) {
    assert_eq!(verdict(&told.report, "GET /keep"), "leak");
    assert_eq!(leaking(&told.report, "GET /keep"), EACH);
    assert_eq!(leaking(&told.report, "GET /none"), 0);
}

/// Its runs are those of the program's own count; nothing tells before the exit whether cycles are garbage, and the
/// exit's own run frees them.
#[test]
fn garbage_that_the_exit_collects_is_not_called_a_leak() {
    let way = Way {
        gc: "off",
        signal: None,
    };
    for interpreter in interpreters() {
        let told = run(&interpreter, &way, &[]);
        let whole = format!("{}\n{}", interpreter.display(), told.head);
        let [knots, ref runs @ ..] = told.counts[..] else {
            panic!("{:?}", told.counts);
        };
        assert_eq!(knots, KNOTS * EACH, "{whole}");
        let collections = told.report.at("/processes/0/collections");
        let by = ["young", "middle", "full"].map(|name| collections[name].as_u64());
        assert_eq!(by, [runs[0], runs[1], runs[2]].map(Some), "{whole}");
        assert_eq!(collections["asked"], 0);
        assert_kept(&told);
        assert_eq!(
            verdict(&told.report, "GET /cycle"),
            "too_few_requests",
            "{whole}"
        );
    }
}

/// The collector is asked to run every ten requests: what is left of cycles is what came since.
#[test]
fn garbage_that_is_collected_while_it_serves_is_no_leak() {
    let way = Way {
        gc: "boundary:10",
        signal: None,
    };
    for interpreter in interpreters() {
        let told = run(&interpreter, &way, &[]);
        let whole = format!("{}\n{}", interpreter.display(), told.head);
        // One of the end's own comes on top, which is answered while nothing is left to be asked for.
        let asked = 3 * EACH / 10;
        assert_eq!(
            told.report.number("/processes/0/collections/asked"),
            asked,
            "{whole}"
        );
        assert_eq!(
            told.report.number("/processes/0/collections/full"),
            asked,
            "{whole}"
        );
        assert!(told.counts[0] <= KNOTS * 4, "{whole}: {:?}", told.counts);
        assert!(
            told.head
                .contains("LEAK_GC asked Python for 18 collections; 18 full ones were made"),
            "{whole}"
        );
        assert_kept(&told);
        assert_eq!(leaking(&told.report, "GET /cycle"), 0, "{whole}");
    }
}

/// Killed, and without a full run: nothing tells garbage from what is kept, and the first lines say of how much.
#[test]
fn what_nothing_tells_from_garbage_is_said() {
    let way = Way {
        gc: "off",
        signal: Some(libc::SIGKILL),
    };
    let told = run(python::SYSTEM.as_ref(), &way, &[]);
    assert_kept(&told);
    let waiting = "might be garbage in cycles: no run of Python's collector could tell";
    assert!(told.head.contains(waiting), "{}", told.head);
    let mut warnings = told.report.list("/trace/warnings").iter();
    assert!(warnings.any(|warning| warning["code"] == "garbage_waits"));
    for site in told.report.list("/sites") {
        let is_of_cycles = |row: &Value| row["label"] == "GET /cycle";
        let mut labels = site["labels"].as_array().expect("a list").iter();
        if site["verdict"] == "leak" && labels.any(is_of_cycles) {
            assert_eq!(site["evidence"]["confidence"], "low", "{site:#}");
        }
    }
}

/// The same where a run while it served has freed some.
#[test]
fn one_full_run_tells_the_rest_by_what_it_freed() {
    let way = Way {
        gc: "off",
        signal: Some(libc::SIGKILL),
    };
    let first = ["/cycle", "/cycle", "/collect"];
    let told = run(python::SYSTEM.as_ref(), &way, &first);
    assert_kept(&told);
    assert_eq!(
        verdict(&told.report, "GET /cycle"),
        "too_few_requests",
        "{}",
        told.head
    );
}

#[test]
fn a_wrong_setting_is_told_in_a_line() {
    let place = Place::new();
    let mut command = place.traced("/bin/true");
    command.env("LEAK_GC", "boundary:0");
    let ended = place.run(command);
    assert_eq!(
        ended.err.lines().collect::<Vec<_>>(),
        [
            "libleak: LEAK_GC=boundary:0 can't be used: it takes off or boundary:N, such as boundary:50, N requests \
          from one collection to the next; this program is not traced"
        ]
    );
}

/// Asks on a connection of its own, which both sides then close.
fn ask_once(port: u16, target: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{target}");
}

/// FastAPI under hypercorn: of each request some thirty objects wait for the collector.
fn hypercorn(gc: &'static str) -> Report {
    let (place, port) = (Place::new(), leak_tests::http::free_port());
    let mut command = place.traced(real::python());
    command.args(["-m", "hypercorn", "fast:app"]);
    command.arg(format!("--bind=127.0.0.1:{port}"));
    let directory = leak_tests::artifacts::source("targets/real");
    command.env("PYTHONPATH", directory).env("LEAK_GC", gc);
    let server = Server::listening(place, port, command);
    for number in 0..EACH {
        ask_once(server.port, "/ok");
        ask_once(server.port, &format!("/items/{number}"));
    }
    server.stop(libc::SIGINT).report()
}

#[test]
fn hypercorn_leaves_garbage_and_no_leak() {
    let report = hypercorn("off");
    assert_eq!(leaking(&report, "GET /ok"), 0);
    assert_ne!(verdict(&report, "GET /ok"), "leak");
    let of_server = |row: &Value| {
        let name = text(&row["name"], "a type's name");
        ["hypercorn.", "h11.", "asyncio."]
            .iter()
            .any(|module| name.starts_with(module))
    };
    for site in report
        .list("/sites")
        .iter()
        .filter(|site| site["verdict"] == "leak")
    {
        let types = site["types"].as_array().expect("a list");
        assert!(!types.iter().any(of_server), "{site:#}");
    }
    assert_eq!(verdict(&report, "GET /items/{id}"), "leak");
    assert_eq!(leaking(&report, "GET /items/{id}"), EACH);
    let kept = |row: &&Value| row["name"] == "fast.Order";
    let types = report.list("/types");
    let kept = types.iter().find(kept).expect("what is kept");
    assert_eq!(number(&kept["blocks"], "blocks"), 50 * EACH);
}

/// What its requests leave is collected every ten of them, and the endpoint that keeps nothing is known to be clean.
#[test]
fn hypercorn_is_asked_to_collect() {
    let report = hypercorn("boundary:10");
    let asked = 2 * EACH / 10;
    let mut processes = report.list("/processes").iter();
    let serving = processes.find(|process| process["requests"].as_u64() > Some(0));
    let collections = &serving.expect("a worker")["collections"];
    assert_eq!(collections["asked"], asked, "{collections}");
    assert!(collections["full"].as_u64() >= Some(asked), "{collections}");
    assert_eq!(leaking(&report, "GET /ok"), 0);
    assert!(["clean", "freed_later", "warm_up", "bounded"].contains(&verdict(&report, "GET /ok")));
    assert_eq!(verdict(&report, "GET /items/{id}"), "leak");
    assert_eq!(leaking(&report, "GET /items/{id}"), EACH);
}
