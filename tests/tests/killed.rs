//! `kill -9` in mid-load: the trace reads to its last record, says so, and is right for what had ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leak_tests::compile::Source;
use leak_tests::http::{self, Connection, Request};
use leak_tests::report::{Report, leak_analyze, number, sum};
use leak_tests::run::{LIMIT, Place};
use leak_tests::stated::Sum;

/// The endpoints in the order of the server's table, with what each request of the first ones leaves.
const ENDPOINTS: [(&str, &str, Sum); 3] = [
    (
        "/clean",
        "GET /clean",
        Sum {
            blocks: 0,
            bytes: 0,
        },
    ),
    (
        "/leak",
        "GET /leak",
        Sum {
            blocks: 3,
            bytes: 1524,
        },
    ),
    (
        "/list",
        "GET /list",
        Sum {
            blocks: 1,
            bytes: 48,
        },
    ),
];
/// Their places in the server's counters.
const PLACES: [usize; 3] = [0, 2, 8];
/// Answers before the kill.
const ENOUGH: u64 = 3000;

/// The server's own counters, in a file that outlives it: answers begun, and those after which the next
/// request of their connection had arrived.
fn counters(place: &Place) -> impl Fn(usize) -> (u64, u64) {
    let bytes = std::fs::read(place.path("counts")).expect("the server made it");
    move |at| {
        let word = |at: usize| {
            let bytes = bytes[at * 8..at * 8 + 8].try_into().expect("eight bytes");
            u64::from_ne_bytes(bytes)
        };
        (word(at), word(16 + at))
    }
}

fn check(source: &str) {
    let place = Place::new();
    let port = http::free_port();
    let program = Source::read(&format!("servers/{source}")).program();
    let mut command = place.traced(program);
    command
        .arg(port.to_string())
        .env("COUNTS", place.path("counts"));
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);

    let killed = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..8 {
            let killed = &killed;
            scope.spawn(move || {
                let mut connection = Connection::open(port);
                for round in client.. {
                    let (path, _, _) = ENDPOINTS[round % ENDPOINTS.len()];
                    if connection.try_ask(&Request::get(path)).is_err() {
                        // SeqCst: paired with the store below; only what was killed may fail.
                        assert!(killed.load(Ordering::SeqCst), "failed before the kill");
                        break;
                    }
                }
            });
        }
        let answered = || PLACES.map(|at| counters(&place)(at).0).iter().sum::<u64>();
        while answered() < ENOUGH {
            thread::yield_now();
        }
        killed.store(true, Ordering::SeqCst);
        server.signal(libc::SIGKILL);
    });
    server.wait(LIMIT);
    let report = place.report();
    server.assert_nothing_left(LIMIT);
    check_report(&report, &counters(&place));
    check_text(&place);
}

fn check_report(report: &Report, counted: &dyn Fn(usize) -> (u64, u64)) {
    let trace = report.at("/trace");
    assert_eq!(trace["ended"], "killed", "{trace:#}");
    assert_eq!(trace["dropped_events"], 0, "{trace:#}");
    assert_eq!(report.text("/processes/0/end"), "killed");
    assert_eq!(report.number("/processes/0/signal"), 9);
    for (place, (_, label, each)) in PLACES.into_iter().zip(ENDPOINTS) {
        let rows = report.list("/requests").iter();
        let rows: Vec<_> = rows.filter(|row| row["label"] == label).collect();
        let ended: Vec<_> = rows.iter().filter(|row| row["end_ns"].is_u64()).collect();
        let (answered, followed) = counted(place);
        let count = ended.len() as u64;
        // A request ends between its answer and the next one's arrival.
        assert!(
            followed <= count && count <= answered,
            "{label}: {count} ended, {followed} to {answered} counted"
        );
        assert!(count > ENOUGH / 8, "{label}: only {count}");
        for row in ended {
            assert_eq!(row["status"], 200, "{row:#}");
            assert_eq!(sum(row, "survivor"), each, "{row:#}");
        }
        for row in rows.iter().filter(|row| row["end_ns"].is_null()) {
            assert_eq!(sum(row, "survivor"), Sum::default(), "still open: {row:#}");
        }
        let endpoint = report.endpoint(label);
        assert_eq!(number(&endpoint["requests"], "requests"), rows.len() as u64);
        let retained = Sum {
            blocks: each.blocks * count,
            bytes: each.bytes * count,
        };
        assert_eq!(sum(endpoint, "retained"), retained, "{label}");
        let verdict = if each.blocks == 0 { "clean" } else { "leak" };
        assert_eq!(endpoint["verdict"], verdict, "{label}");
    }
}

/// The first lines of the text tell that the process was killed.
fn check_text(place: &Place) {
    let output = leak_analyze(&[place.trace()]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first: String = text.lines().take(8).collect::<Vec<_>>().join("\n");
    assert!(first.contains("killed"), "{first}");
}

#[test]
fn with_a_thread_for_each_connection() {
    check("threads.c");
}

#[test]
fn with_an_epoll_loop() {
    check("epoll.c");
}
