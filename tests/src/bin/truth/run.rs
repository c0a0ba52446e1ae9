//! One run: a server is started under libleak, driven, stopped, and its report read.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use leak_tests::artifacts;
use leak_tests::http;
use leak_tests::process::Group;
use leak_tests::run::Place;
use serde_json::Value;

use crate::drive::Drive;
use crate::shape::Shape;
use crate::traffic::Traffic;

/// Only what hangs takes longer.
const LIMIT: Duration = Duration::from_secs(60);

const REPORT: &str = "report.json";

/// What one run was.
#[derive(Debug)]
pub(crate) struct Run {
    /// The report.
    pub(crate) report: Value,
    /// How long the server served.
    pub(crate) served: Duration,
    /// How long the report took.
    pub(crate) reported: Duration,
}

/// Runs `shape` with so many connections; `keep` names the file, without its ending, under which the trace and
/// the report stay.
pub(crate) fn run(
    shape: &Shape,
    traffic: &Traffic,
    connections: usize,
    keep: Option<&Path>,
) -> Result<Run, String> {
    let place = Place::new();
    let port = http::free_port();
    let line = shape.command(port)?;
    let mut command = place.traced(&line[0]);
    command.args(&line[1..]);
    command.envs(shape.environment.iter().map(|(name, value)| (name, value)));
    let mut server = place.start(command);
    listening(&mut server, port)?;
    let began = Instant::now();
    let drive = Drive {
        port,
        pid: server.pid(),
        traffic,
        connections,
        once: shape.once,
        subscribers: shape.subscribers,
    };
    drive
        .run()
        .map_err(|error| format!("{error}; it said:\n{}", server.err()))?;
    let served = began.elapsed();
    ended(&mut server)?;
    let began = Instant::now();
    let report = whole_report(&place)?;
    let reported = began.elapsed();
    if let Some(keep) = keep {
        copy(&place, keep).map_err(|error| format!("{}: {error}", keep.display()))?;
    }
    Ok(Run {
        report,
        served,
        reported,
    })
}

fn listening(server: &mut Group, port: u16) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if !server.runs() || Instant::now() > until {
            return Err(format!("does not listen; it said:\n{}", server.err()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn ended(group: &mut Group) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    while group.runs() {
        if Instant::now() > until {
            return Err(format!("does not end; it said:\n{}", group.err()));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The first process has ended; as long as a child of it has not, a report says that recording goes on.
fn whole_report(place: &Place) -> Result<Value, String> {
    let until = Instant::now() + LIMIT;
    loop {
        let report = report(place)?;
        if report["trace"]["ended"] != "recording" {
            return Ok(report);
        }
        if Instant::now() > until {
            return Err("recording does not end".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn report(place: &Place) -> Result<Value, String> {
    let mut command: Command = place.plain(artifacts::leak_analyze());
    let path = place.path(REPORT);
    command
        .arg(place.trace())
        .args(["--format", "json", "-o"])
        .arg(&path);
    let mut analysis = place.start(command);
    ended(&mut analysis)?;
    let text = fs::read(&path).map_err(|_| format!("no report; it said:\n{}", analysis.err()))?;
    serde_json::from_slice(&text).map_err(|error| format!("no report: {error}"))
}

fn copy(place: &Place, keep: &Path) -> std::io::Result<()> {
    fs::copy(place.trace(), keep.with_extension("bin"))?;
    fs::copy(place.path(REPORT), keep.with_extension("json"))?;
    Ok(())
}
