//! `LEAK_START`: nothing until recording is wanted, and then exactly what was done between its begin and its end, as
//! often as one likes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use leak_tests::compile::Source;
use leak_tests::http::{Connection, Request};
use leak_tests::python;
use leak_tests::report::{Report, leak_analyze, number};
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// A program that does what it is told, line by line.
struct Told {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Told {
    fn start(mut command: Command) -> Told {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut told = Told {
            child,
            input,
            output,
        };
        assert_eq!(told.line(), "ready\n");
        told
    }

    fn off(place: &Place, program: &str, arguments: &[&str]) -> Told {
        let mut command = place.traced(Source::read(program).program());
        command.args(arguments).env("LEAK_START", "off");
        Told::start(command)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }

    /// What it says it did.
    fn ask(&mut self, what: &str) -> u64 {
        let input = self.input.as_mut().expect("it runs");
        let line = format!("{what}\n");
        // At once: the program takes what it reads for a line.
        input.write_all(line.as_bytes()).expect("it reads");
        let line = self.line();
        let did = line.strip_prefix("did ").map(str::trim_end);
        did.and_then(|did| did.parse().ok())
            .unwrap_or_else(|| panic!("{line}"))
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ends_well(mut self) {
        drop(self.input.take());
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(what: &str, pid: u32) -> Output {
    leak_analyze(&[what, &pid.to_string()])
}

fn done(what: &str, pid: u32) {
    let output = tool(what, pid);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {error}");
}

/// The line with which it refuses.
fn refused(what: &str, pid: u32) -> String {
    let output = tool(what, pid);
    assert_eq!(output.status.code(), Some(2), "{what}");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// Nothing of libleak's is in the process but the library itself.
fn assert_off(pid: u32) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    assert!(maps.contains("/libleak.so"), "{maps}");
    assert!(!maps.contains("memfd:libleak-"), "{maps}");
}

fn descriptors(pid: u32) -> usize {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    all.count()
}

fn warnings(report: &Report) -> Vec<&str> {
    let all = report.list("/trace/warnings").iter();
    all.map(|warning| warning["code"].as_str().expect("a code"))
        .collect()
}

/// What `function` left.
fn live_at(report: &Report, function: &str) -> u64 {
    let of = |site: &&Value| {
        let frames = site["frames"].as_array().expect("a list");
        frames.iter().any(|frame| frame["function"] == function)
    };
    let sites = report.list("/sites").iter().filter(of);
    sites.map(|site| number(&site["live_blocks"], "live")).sum()
}

#[test]
fn what_happens_between_start_and_stop_is_recorded_and_nothing_else() {
    let place = Place::new();
    let mut program = Told::off(&place, "window/counted.c", &[]);
    let pid = program.pid();
    let before = descriptors(pid);
    program.ask("go 5");
    for window in 0..12 {
        assert_off(pid);
        assert_eq!(descriptors(pid), before);
        done("start", pid);
        let blocks = program.ask("go 20");
        done("stop", pid);
        // Not recorded, and what ends the session in the program.
        program.ask("go 3");
        let report = place.report();
        assert_eq!(report.number("/totals/allocations"), 2 * blocks);
        assert_eq!(report.number("/totals/frees"), blocks);
        assert_eq!(report.number("/totals/unknown_frees"), blocks);
        assert_eq!(report.number("/totals/live_blocks"), blocks);
        assert_eq!(live_at(&report, "keep"), blocks);
        assert_eq!(report.number("/trace/dropped_events"), 0);
        assert_eq!(report.text("/trace/ended"), "complete");
        assert_eq!(report.text("/processes/0/end"), "running");
        assert_eq!(warnings(&report), ["began_late", "ended_early"]);
        let text = String::from_utf8(leak_analyze(&[place.trace()]).stdout).expect("text");
        assert!(text.starts_with("! Recording began while"), "{text}");
        assert!(text.contains("! Recording was stopped while"), "{text}");
        assert_eq!(place.path("trace.bin.1").exists(), window > 0);
    }
    program.ends_well();
}

#[test]
fn a_hundred_windows_under_load_lose_nothing() {
    let place = Place::new();
    let mut program = Told::off(&place, "window/counted.c", &["3"]);
    let pid = program.pid();
    for window in 0..100 {
        done("start", pid);
        let blocks = program.ask("go 20");
        done("stop", pid);
        if window % 10 == 0 {
            let report = place.report();
            assert_eq!(live_at(&report, "keep"), blocks);
            assert_eq!(report.number("/trace/dropped_events"), 0);
            assert_eq!(warnings(&report), ["began_late", "ended_early"]);
        }
    }
    program.ask("go 1");
    assert_off(pid);
    program.ends_well();
}

#[test]
fn a_program_that_is_killed_in_a_window_is_recorded_up_to_then() {
    let place = Place::new();
    let mut program = Told::off(&place, "window/counted.c", &["1"]);
    done("start", program.pid());
    let blocks = program.ask("go 50");
    program.child.kill().expect("it runs");
    program.child.wait().expect("a child");
    let report = place.report();
    assert_eq!(live_at(&report, "keep"), blocks);
    assert_eq!(report.text("/trace/ended"), "killed");
    assert_eq!(report.text("/processes/0/end"), "killed");
}

#[test]
fn a_program_may_be_killed_while_it_is_told() {
    for what in ["start", "stop"] {
        for _ in 0..5 {
            let place = Place::new();
            let mut program = Told::off(&place, "window/counted.c", &["2"]);
            let pid = program.pid();
            if what == "stop" {
                done("start", pid);
            }
            std::thread::scope(|scope| {
                let told = scope.spawn(|| tool(what, pid).status.code());
                program.child.kill().expect("it runs");
                program.child.wait().expect("a child");
                let status = told.join().expect("it ends");
                assert!(matches!(status, Some(0 | 2)), "{status:?}");
            });
            if place.trace().exists() {
                place.report();
            }
        }
    }
}

#[test]
fn a_child_is_as_its_parent() {
    let place = Place::new();
    let mut program = Told::off(&place, "window/forking.c", &[]);
    let pid = program.pid();
    let child = program.ask("fork") as u32;
    assert_off(child);
    // Each is asked for itself.
    done("start", child);
    assert_off(pid);
    done("stop", child);
    let report = place.report();
    assert_eq!(report.list("/processes").len(), 1);
    assert_eq!(report.number("/processes/0/pid"), u64::from(child));
    // A child that is made in a window is in it, and the end is that of both.
    done("start", pid);
    let child = program.ask("fork") as u32;
    done("stop", pid);
    let report = place.report();
    assert_eq!(report.list("/processes").len(), 2);
    assert_eq!(report.number("/processes/1/pid"), u64::from(child));
    assert_eq!(report.number("/processes/1/parent_id"), 0);
    program.ask("storm 1");
    assert_off(pid);
    program.ends_well();
}

#[test]
fn what_a_program_runs_waits_as_it_does_whatever_its_environment() {
    let place = Place::new();
    let library = leak_tests::artifacts::libleak();
    let clean = format!("exec env -i LD_PRELOAD={} /bin/true", library.display());
    for line in ["exec env -u LEAK_START /bin/true", &clean] {
        let mut command = place.traced("/bin/sh");
        command.args(["-c", line]).env("LEAK_START", "off");
        let ended = place.run(command);
        assert!(ended.status.success());
        assert_eq!(ended.err, "");
        assert!(!place.trace().exists(), "{line}");
    }
}

#[test]
fn a_process_forks_while_it_is_told() {
    let place = Place::new();
    let mut program = Told::off(&place, "window/forking.c", &[]);
    let pid = program.pid();
    std::thread::scope(|scope| {
        let windows = scope.spawn(move || {
            for _ in 0..10 {
                done("start", pid);
                done("stop", pid);
            }
        });
        while !windows.is_finished() {
            assert_eq!(program.ask("storm 20"), 20);
        }
    });
    program.ends_well();
}

#[test]
fn a_condition_begins_by_itself() {
    let place = Place::new();
    let mut command = place.traced(Source::read("window/grown.c").program());
    command.env("LEAK_START", "rss>100M");
    assert!(place.run(command).status.success());
    let report = place.report();
    assert_eq!(warnings(&report), ["began_late"]);
    let blocks = report.number("/totals/live_blocks");
    // 100 MiB came before, but for what the program has without them; each look may be a tenth of a second late.
    assert!((1..=110).contains(&blocks), "{blocks}");
    let mut command = place.traced(Source::read("window/grown.c").program());
    command.env("LEAK_START", "rss>99%");
    command.env("LEAK_TRACE", "none.bin");
    assert!(place.run(command).status.success());
    assert!(!place.path("none.bin").exists());
}

#[test]
fn what_leak_start_does_not_take_is_said() {
    let place = Place::new();
    let mut command = place.traced("/bin/true");
    command.env("LEAK_START", "rss>lots");
    let ended = place.run(command);
    assert!(ended.status.success());
    assert_eq!(
        ended.err,
        "libleak: LEAK_START=rss>lots can't be used: it takes on, off, or a condition: rss>70% (of the memory limit, \
         else of the machine's memory) or rss>800M; this program is not traced\n"
    );
    assert!(!place.trace().exists());
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let place = Place::new();
    let mut plain = Told::start(place.plain(Source::read("window/counted.c").program()));
    let error = refused("start", plain.pid());
    assert!(error.contains("runs without libleak"), "{error}");
    let error = refused("stop", plain.pid());
    assert!(error.contains("is not recorded"), "{error}");
    plain.ask("go 1");
    plain.ends_well();

    let mut program = Told::off(&place, "window/counted.c", &[]);
    let pid = program.pid();
    for what in ["stop", "snapshot"] {
        let error = refused(what, pid);
        assert!(error.contains("is not recorded"), "{error}");
    }
    done("status", pid);
    done("start", pid);
    let error = refused("start", pid);
    assert!(error.contains("is recorded already"), "{error}");
    program.ask("go 1");
    program.ends_well();

    let mut command = place.traced(Source::read("window/counted.c").program());
    command.env("LEAK_START", "off").env("LEAK_DEPTH", "0");
    let mut program = Told::start(command);
    let error = refused("start", program.pid());
    assert!(error.contains("LEAK_DEPTH=0 can't be used"), "{error}");
    program.ask("go 1");
    assert_off(program.pid());
    program.ends_well();
}

#[test]
fn a_recording_from_the_start_can_be_ended_and_begun_again() {
    let place = Place::new();
    let mut program = Told::start(place.traced(Source::read("window/counted.c").program()));
    let pid = program.pid();
    program.ask("go 5");
    let snapshot = leak_analyze(&["snapshot", &pid.to_string(), "--format", "json"]);
    let snapshot: Value = serde_json::from_slice(&snapshot.stdout).expect("json");
    assert_eq!(snapshot["trace"]["ended"], "recording");
    let status = leak_analyze(&["status", &pid.to_string(), "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("json");
    assert_eq!(status["recording"], true);
    assert_eq!(status["pid"], pid);
    assert!(number(&status["events"], "events") > 4 << 16);
    done("stop", pid);
    assert_eq!(warnings(&place.report()), ["ended_early"]);
    program.ask("go 1");
    assert_off(pid);
    done("start", pid);
    let blocks = program.ask("go 7");
    done("stop", pid);
    assert_eq!(place.report().number("/totals/live_blocks"), blocks);
    program.ends_well();
}

/// Two connections: one that was there before every window, and whose thread waits for its next request while recording
/// begins, and one of each window.
fn python_windows(interpreter: &Path) {
    let place = Place::new();
    let port = leak_tests::http::free_port();
    let mut command = place.traced(interpreter);
    command.arg(python::script("windowed.py"));
    command.arg(port.to_string()).env("LEAK_START", "off");
    let mut group = place.start(command);
    leak_tests::http::wait_for_port(&mut group, port);
    let pid = group.pid();
    let mut old = Connection::open(port);
    let ask = |connection: &mut Connection| {
        for number in 0..20 {
            connection.ask(&Request::get("/ok"));
            connection.ask(&Request::get(format!("/keep/{number}")));
        }
    };
    ask(&mut old);
    for _ in 0..3 {
        done("start", pid);
        ask(&mut old);
        ask(&mut Connection::open(port));
        done("stop", pid);
        old.ask(&Request::get("/keep/0"));
        let report = place.report();
        let labels = [
            ("GET /keep/{id}".to_owned(), 40),
            ("GET /ok".to_owned(), 40),
        ];
        assert_eq!(report.labels_sorted(), labels);
        let keep = report.endpoint("GET /keep/{id}");
        assert_eq!(keep["verdict"], "leak", "{keep:#}");
        assert_eq!(keep["leaking_requests"], 40, "{keep:#}");
        let types = report.list("/sites").iter();
        let types = types.flat_map(|site| site["types"].as_array().expect("a list"));
        let vehicles = types.filter(|kind| kind["name"] == "__main__.Vehicle");
        let vehicles: u64 = vehicles.map(|kind| number(&kind["blocks"], "blocks")).sum();
        assert_eq!(vehicles, 40 * 100);
    }
    group.signal(libc::SIGTERM);
    group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
}

#[test]
fn a_python_server_is_recorded_in_windows() {
    python_windows(Path::new(python::SYSTEM));
}
