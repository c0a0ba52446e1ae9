//! Tasks of a runtime (tokio's and the like): whatever thread polls one, what it leaves is its request's, and proved.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server};
use leak_tests::report::{Report, leak_analyze, number};
use leak_tests::run::Place;
use serde_json::Value;

/// Requests of each endpoint.
const EACH: u64 = 400;
/// At once: each thread polls tasks of several requests in turn.
const CONNECTIONS: usize = 8;

/// The server, with these variables set.
fn start(variables: &[(&str, &str)]) -> Server {
    let place = Place::new();
    let mut command = place.traced(Source::read("servers/polled.c").program());
    let port = http::free_port();
    command.arg(port.to_string());
    command.envs(variables.iter().copied());
    Server::listening(place, port, command)
}

fn drive(server: &Server) {
    let requests: Vec<Request> = (0..2 * EACH)
        .map(|number| Request::get(["/leak", "/clean"][number.count_ones() as usize % 2]))
        .collect();
    let answers = http::drive(server.port, CONNECTIONS, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// The report on the server, with these variables set.
fn report(variables: &[(&str, &str)]) -> Report {
    let server = start(variables);
    drive(&server);
    let report = server.stop(libc::SIGTERM).report();
    real::assert_whole(&report);
    report
}

/// Blocks of `keep` that the label's requests retain, and how many of them are proved to be theirs.
fn kept(report: &Report, label: &str) -> (u64, u64) {
    let calls_keep = |site: &&Value| {
        let frames = site["frames"].as_array().expect("a list");
        frames.iter().any(|frame| frame["function"] == "keep")
    };
    let rows = report.list("/sites").iter().filter(calls_keep);
    let rows = rows.flat_map(|site| site["labels"].as_array().expect("a list"));
    rows.filter(|row| row["label"] == label)
        .fold((0, 0), |(all, proved), row| {
            let blocks = number(&row["retained_blocks"], "blocks");
            let of_it = number(&row["proved_blocks"], "proved blocks");
            (all + blocks, proved + of_it)
        })
}

#[test]
fn each_is_its_request_s_whatever_thread_polls_it() {
    let report = report(&[]);
    assert_eq!(kept(&report, "GET /leak"), (EACH, EACH));
    assert_eq!(kept(&report, "GET /clean"), (0, 0));
    assert_eq!(report.endpoint("GET /leak")["leaking_requests"], EACH);
}

/// In a sample a task's end is known all the same: what comes to lie in its block is another one.
#[test]
fn they_are_told_apart_in_a_sample() {
    let report = report(&[("LEAK_SAMPLE", "64")]);
    let (blocks, proved) = kept(&report, "GET /leak");
    assert_eq!(blocks, proved);
    assert!(blocks > EACH / 2, "{blocks}");
    assert_eq!(kept(&report, "GET /clean"), (0, 0));
}

/// Recording that was stopped and begins again knows nothing of what was polled before.
#[test]
fn they_are_told_apart_in_the_next_window() {
    let server = start(&[]);
    drive(&server);
    let pid = server.pid().to_string();
    for what in ["stop", "start"] {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Recording begins with the next call that the library sees.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    http::drive(server.port, 1, None, &[Request::get("/clean")]);
                }
            });
            let output = leak_analyze(&[what, &pid]);
            done.store(true, Ordering::Relaxed);
            assert!(output.status.success(), "{what}: {output:?}");
        });
        drive(&server);
    }
    let report = server.stop(libc::SIGTERM).report();
    assert_eq!(kept(&report, "GET /leak"), (EACH, EACH));
    assert_eq!(kept(&report, "GET /clean"), (0, 0));
}

/// The doctor says beforehand whether they will be.
#[test]
fn the_doctor_says_whether_they_are_told_apart() {
    for (variables, said) in [
        (
            &[][..],
            "ok     tasks       its tasks are told apart, by detours at 1 poll",
        ),
        (
            &[("LEAK_TASKS", "off")],
            "note   tasks       it runs tasks, and LEAK_TASKS=off",
        ),
        (
            &[("LEAK_START", "off")],
            "note   tasks       it runs tasks, which are told apart only where recording begins with the program",
        ),
    ] {
        let place = Place::new();
        let mut doctor = place.plain(artifacts::leak_analyze());
        doctor
            .args(["doctor", "--"])
            .arg(Source::read("servers/polled.c").program());
        doctor.envs(variables.iter().copied());
        let output = doctor.output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.lines().any(|line| line.starts_with(said)), "{told}");
    }
}

/// Without them threads serve several at once, which proves nothing.
#[test]
fn they_can_be_left_alone() {
    let report = report(&[("LEAK_TASKS", "off")]);
    let (_, proved) = kept(&report, "GET /leak");
    assert!(proved < EACH / 2, "{proved}");
}
