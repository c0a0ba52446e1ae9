//! Real servers, run twice: as they are, and under libleak.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::artifacts;
use crate::http::{self, Answer, Request};
use crate::process::Group;
use crate::report::Report;
use crate::run::{LIMIT, Place};

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub place: Place,
    /// It listens there.
    pub port: u16,
    group: Group,
}

/// How to start a server: a program and its arguments, for a place and a port.
pub type Start<'a> = &'a dyn Fn(&Place, u16) -> Vec<String>;

impl Server {
    /// Starts the server that `start` describes and waits until it listens.
    pub fn start(traced: bool, start: Start<'_>) -> Server {
        let (place, port) = (Place::new(), http::free_port());
        let line = start(&place, port);
        let (program, arguments) = line.split_first().expect("a program");
        let mut command = if traced {
            place.traced(program)
        } else {
            place.plain(program)
        };
        command.args(arguments);
        Server::listening(place, port, command)
    }

    /// Starts `command` and waits until it listens on `port`.
    pub fn listening(place: Place, port: u16, command: Command) -> Server {
        let mut group = place.start(command);
        http::wait_for_port(&mut group, port);
        Server { place, port, group }
    }

    /// Its first process.
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// What it has said on standard error.
    pub fn err(&self) -> String {
        self.group.err()
    }

    /// Ends it with `signal` once it is idle, waits for all that it started, and gives the place back.
    /// (A request whose thread is still busy after the answer would end amid what a shutdown frees.)
    pub fn stop(mut self, signal: i32) -> Place {
        self.group.wait_until_idle(LIMIT);
        self.group.signal(signal);
        let ended = self.group.wait(LIMIT);
        assert!(!ended.err.contains("libleak:"), "{}", ended.err);
        self.group.assert_nothing_left(LIMIT);
        self.place
    }
}

/// Drives an HTTP server with `requests` as it is and under libleak; the answers must be the same, and
/// the trace must have one request for each.
pub fn check_http(
    start: Start<'_>,
    signal: i32,
    connections: usize,
    requests: &[Request],
) -> Report {
    let serve = |traced| -> (Vec<Answer>, Place) {
        let server = Server::start(traced, start);
        // Apache listens before it has all its threads, and closes idle connections where none is free.
        server.group.wait_until_idle(LIMIT);
        let answers = http::drive(server.port, connections, None, requests);
        (answers, server.stop(signal))
    };
    let (plain, _) = serve(false);
    let (traced, place) = serve(true);
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(traced[number], plain[number], "{}", request.target);
    }
    let report = place.report();
    assert_whole(&report);
    assert_eq!(report.labels_sorted(), labels(requests));
    assert_statuses(&report, &traced);
    report
}

/// Nothing dropped, nothing unseen, the end known.
pub fn assert_whole(report: &Report) {
    let trace = report.at("/trace");
    assert_eq!(trace["ended"], "complete", "{trace:#}");
    assert_eq!(trace["dropped_events"], 0, "{trace:#}");
    assert_eq!(trace["unseen"], serde_json::json!([]), "{trace:#}");
}

/// As many requests of each status as there were answers.
fn assert_statuses(report: &Report, answers: &[Answer]) {
    let count_of = |status: u64| {
        let rows = report.list("/endpoints").iter();
        let rows = rows.flat_map(|endpoint| endpoint["statuses"].as_array().into_iter().flatten());
        let rows = rows.filter(|row| row["status"] == status);
        rows.filter_map(|row| row["requests"].as_u64()).sum::<u64>()
    };
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    for same in statuses.chunk_by(|a, b| a == b) {
        let status = u64::from(same[0]);
        assert_eq!(count_of(status), same.len() as u64, "of status {status}");
    }
}

/// The labels that `requests` must have, with their number.
fn labels(requests: &[Request]) -> Vec<(String, u64)> {
    let mut labels: Vec<String> = requests.iter().map(label).collect();
    labels.sort();
    let counted = labels.chunk_by(|a, b| a == b);
    counted
        .map(|same| (same[0].clone(), same.len() as u64))
        .collect()
}

fn label(request: &Request) -> String {
    let path = request.target.split('?').next().unwrap_or_default();
    let folded = path.split('/').map(|segment| {
        let number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        if number { "{id}" } else { segment }
    });
    let folded: Vec<&str> = folded.collect();
    format!("{} {}", request.method, folded.join("/"))
}

/// A directory of files to serve: `index.html`, `a.txt`, `items/1` to `items/9`.
pub fn site(place: &Place) -> String {
    let site = place.path("site");
    fs::create_dir_all(site.join("items")).expect("our directory");
    let write = |name: &str, text: String| fs::write(site.join(name), text).expect("our directory");
    write("index.html", "<p>index".to_string());
    write("a.txt", "a line\n".repeat(3000));
    for number in 1..10 {
        write(&format!("items/{number}"), format!("item {number}\n"));
    }
    site.display().to_string()
}

/// `count` requests for the files of [`site`], and for some that are not there.
pub fn site_requests(count: usize) -> Vec<Request> {
    let request = |number: usize| match number % 5 {
        0 => Request::get("/"),
        1 => Request::get(format!("/a.txt?number={number}")),
        2 => Request::get(format!("/items/{}", 1 + number % 9)),
        3 => Request::get("/missing"),
        _ => Request::get("/index.html"),
    };
    (0..count).map(request).collect()
}

/// Sends `bytes` and reads until the answer ends with `end`.
pub fn exchange(stream: &mut TcpStream, bytes: &[u8], end: &[u8]) -> Vec<u8> {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a limit above 0");
    stream.write_all(bytes).expect("the server reads");
    let mut answer = Vec::new();
    while !answer.ends_with(end) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("the server answers");
        assert!(
            count > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend(&buffer[..count]);
    }
    answer
}

/// Runs a client to its successful end and gives back what it printed.
pub fn client(place: &Place, line: &[&str]) -> String {
    let (program, arguments) = line.split_first().expect("a program");
    let mut command = place.plain(program);
    command.args(arguments);
    let ended = place.run(command);
    let out = String::from_utf8_lossy(&ended.out).into_owned();
    assert!(ended.status.success(), "{line:?}: {out}{}", ended.err);
    out
}

/// The Python of the virtual environment that `scripts/setup` makes.
pub fn python() -> String {
    let target = artifacts::directory();
    let target = target.parent().expect("a profile lies in target/");
    let python = target.join("venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/setup",
        python.display()
    );
    python.display().to_string()
}

/// `words` as a command line.
pub fn line<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_string).to_vec()
}
