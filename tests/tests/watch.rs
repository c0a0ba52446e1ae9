//! `leak-analyze watch` says while a program runs what its requests leave behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use leak_tests::compile::Source;
use leak_tests::http::{self, Connection, Request};
use leak_tests::process::Group;
use leak_tests::report::Report;
use leak_tests::run::{LIMIT, Place};
use leak_tests::{artifacts, python};

/// A watch, and the lines that it prints.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(target: &str, arguments: &[&str]) -> Watch {
        let mut command = Command::new(artifacts::leak_analyze());
        command.args(["watch", target]).args(arguments);
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("it can be started");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Watch { child, lines }
    }

    /// The first line from now on that is `wanted`; all that came before it.
    fn until(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Result<String, String> {
        let until = Instant::now() + limit;
        let mut seen = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(line) => seen += &(line + "\n"),
                Err(_) => return Err(seen),
            }
        }
    }

    /// The last line, once it has ended by itself.
    fn last(mut self) -> String {
        let mut last = String::new();
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            last = line;
        }
        assert!(self.child.wait().expect("it ends").success());
        last
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn city(place: &Place, port: u16) -> Group {
    let mut command = place.traced(python::SYSTEM);
    command.arg(python::script("city.py")).arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    server
}

fn ask(port: u16, path: &str) -> u16 {
    let mut connection = Connection::open(port);
    let answer = connection.ask(&Request::get(path));
    connection.close();
    answer.status
}

#[test]
fn each_failing_request_adds_ten_thousand_vehicles() {
    let place = Place::new();
    let port = http::free_port();
    let mut server = city(&place, port);
    let every = Duration::from_secs(4);
    let watch = Watch::start(&server.pid().to_string(), &["--plain", "--every", "4s"]);
    let first = watch.until(|line| line.contains("since start"), LIMIT);
    first.expect("a block at once");
    for area in [2, 4] {
        assert_eq!(ask(port, &format!("/areas/{area}/vehicles")), 200);
    }
    for area in [1, 3] {
        assert_eq!(ask(port, &format!("/areas/{area}/vehicles")), 500);
    }
    // The block after the second failure, and the three seconds that the recorder may take; on a machine that is as
    // busy as it likes a few more.
    let told = |line: &str| {
        line.trim_start().starts_with("+20,000")
            && line.ends_with("__main__.FloatingVehicle: 10,000 a request")
    };
    let limit = every + Duration::from_secs(3) + Duration::from_secs(20);
    watch.until(told, limit).expect("20,000 since the start");
    assert_eq!(ask(port, "/areas/5/vehicles"), 500);
    let told = |line: &str| {
        line.trim_start().starts_with("+30,000")
            && line.ends_with("__main__.FloatingVehicle: 10,000 a request")
    };
    watch.until(told, limit).expect("30,000 since the start");
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    let ended = watch.until(|line| line.contains("the program has ended"), LIMIT);
    ended.expect("the end is told");
}

/// What is left of a label, by the last line of a watch of a whole trace.
fn left<'l>(line: &'l Value, label: &str) -> &'l Value {
    let endpoints = line["endpoints"].as_array().expect("endpoints");
    let found = endpoints.iter().find(|row| row["label"] == label);
    found.unwrap_or_else(|| panic!("no {label} in {line}"))
}

fn figure(row: &Value, name: &str) -> u64 {
    let figure = row[name].as_u64();
    figure.unwrap_or_else(|| panic!("{name} is no count: {row}"))
}

/// A server in C with exact sums, asked by many at once.
fn leaky(place: &Place, requests: usize) {
    let port = http::free_port();
    let program = Source::read("servers/threads.c").program();
    let mut command = place.traced(program);
    command
        .arg(port.to_string())
        .env("COUNTS", place.path("counts"));
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let pid = server.pid();
    let mut viewers: Vec<Watch> = (0..3)
        .map(|_| Watch::start(&pid.to_string(), &["--json", "--every", "1s"]))
        .collect();
    for number in 0..requests {
        let path = ["/clean", "/leak", "/list"][number % 3];
        assert_eq!(ask(port, path), 200);
        if number == requests / 2 {
            // One leaves, another comes: the program does not notice.
            viewers.pop();
            viewers.push(Watch::start(&pid.to_string(), &["--json", "--every", "1s"]));
        }
    }
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    let lasts: Vec<Value> = viewers
        .into_iter()
        .map(|viewer| serde_json::from_str(&viewer.last()).expect("JSON"))
        .collect();
    for last in &lasts {
        check(place, last);
    }
}

/// The last line of a watch against the report, and what the server says.
fn check(place: &Place, last: &Value) {
    let report = Report::of(&place.trace());
    assert!(last["ended"].is_string(), "{last}");
    for (label, blocks, bytes) in [("GET /leak", 3, 1524), ("GET /list", 1, 48)] {
        let row = left(last, label);
        let requests = figure(row, "requests");
        assert_eq!(figure(row, "blocks"), requests * blocks, "{label}: {row}");
        assert_eq!(figure(row, "bytes"), requests * bytes, "{label}: {row}");
        let endpoint = report.endpoint(label);
        assert_eq!(figure(endpoint, "requests"), requests, "{label}");
        assert_eq!(figure(endpoint, "retained_bytes"), figure(row, "bytes"));
        assert_eq!(row["verdict"], endpoint["verdict"], "{label}");
    }
    assert_eq!(figure(left(last, "GET /clean"), "blocks"), 0);
    assert_eq!(last["dropped_events"], 0);
}

#[test]
fn any_number_may_watch_and_each_sees_what_the_report_says() {
    let place = Place::new();
    leaky(&place, 60);
    // A copy is as good as the trace.
    let copy = place.path("copy.bin");
    std::fs::copy(place.trace(), &copy).expect("the trace can be copied");
    let copy = copy.to_str().expect("a path of ours");
    let metrics = place.path("leak.prom");
    let metrics = metrics.to_str().expect("a path of ours");
    let watch = Watch::start(copy, &["--json", "--openmetrics", metrics]);
    let last = serde_json::from_str(&watch.last()).expect("JSON");
    check(&place, &last);
    let metrics = std::fs::read_to_string(metrics).expect("figures were written");
    let leak = figure(left(&last, "GET /leak"), "bytes");
    let wanted = format!(
        "libleak_retained_bytes{{endpoint=\"GET /leak\",status=\"200\",verdict=\"leak\",proof=\"proved\"}} {leak}"
    );
    assert!(metrics.lines().any(|line| line == wanted), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
}

#[test]
fn what_can_t_be_watched_is_one_line_and_status_2() {
    let place = Place::new();
    std::fs::write(place.path("foreign"), "no trace at all, and no number").expect("writable");
    for target in ["foreign", "missing", "1", "4294967295"] {
        let output = Command::new(artifacts::leak_analyze())
            .args(["watch", target])
            .current_dir(Path::new(&place.path(".")))
            .output()
            .expect("it can be started");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{target}: {text}");
        assert_eq!(text.lines().count(), 1, "{target}: {text}");
        assert!(output.stdout.is_empty(), "{target}");
    }
}

#[test]
fn since_a_mark_is_what_came_after_it() {
    let place = Place::new();
    let port = http::free_port();
    let mut server = city(&place, port);
    let pid = server.pid().to_string();
    assert_eq!(ask(port, "/areas/1/vehicles"), 500);
    // What the request's threads still let go of would count against what comes after the mark.
    server.wait_until_idle(LIMIT);
    let marked = Command::new(artifacts::leak_analyze())
        .args(["mark", &pid, "deploy"])
        .status();
    assert!(marked.expect("it can be started").success());
    for area in [3, 5] {
        assert_eq!(ask(port, &format!("/areas/{area}/vehicles")), 500);
    }
    let watch = Watch::start(&pid, &["--json", "--every", "1s", "--since", "deploy"]);
    let vehicles = |line: &Value| {
        let types = line["types"].as_array().expect("types").iter();
        let mut named = types.filter(|of| of["name"] == "__main__.FloatingVehicle");
        named.next().map_or(0, |of| figure(of, "blocks"))
    };
    let told = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["since"] == "mark deploy" && vehicles(&line) == 20_000
    };
    let line = watch.until(told, LIMIT).expect("20,000 since the mark");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let row = left(&line, "GET /areas/{id}/vehicles");
    // The mark is no request.
    assert_eq!((figure(row, "requests"), figure(&line, "requests")), (2, 3));
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
}
