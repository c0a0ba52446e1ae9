//! `leak-analyze status`, `snapshot` and `stop`: a recording as it goes on, from outside.

pub(crate) mod control;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::figures::{bytes, count, counted, duration, moment, share};
use crate::record::state::{State, What};
use crate::traced::{Traced, session_of};

/// How long the rates of now are measured.
const MOMENT: Duration = Duration::from_secs(1);
const DAY_NS: u128 = 86_400_000_000_000;

/// Prints how the recording of the process `pid` stands: since when, events a second, what it costs, and what it takes of
/// the disk in a day. Takes a second, in which it measures.
///
/// # Errors
/// One line: the process is not recorded, or its recorder doesn't answer.
pub fn status(pid: u32, as_json: bool) -> Result<(), String> {
    let is_recorded = session_of(pid)?.is_some() && Traced::find(pid)?.is_recorded();
    if !is_recorded && control::is_loaded(pid)? {
        match as_json {
            true => println!("{}", json!({ "pid": pid, "recording": false })),
            false => println!(
                "process {pid} is not recorded, and libleak is there: leak-analyze start {pid} begins"
            ),
        }
        return Ok(());
    }
    let traced = Traced::find(pid)?;
    let before = traced.state(What::Status)?;
    std::thread::sleep(MOMENT);
    let now = traced.state(What::Status)?;
    match as_json {
        true => println!("{}", machine(pid, &before, &now)),
        false => print!("{}", people(pid, &before, &now)),
    }
    Ok(())
}

/// Has all that was recorded of the process `pid` written, and the types of what is live; gives where the trace is.
///
/// # Errors
/// As for [`status`].
pub fn snapshot(pid: u32) -> Result<PathBuf, String> {
    Ok(Traced::find(pid)?.state(What::Snapshot)?.trace)
}

/// Begins to record the process `pid`.
///
/// # Errors
/// One line.
pub fn start(pid: u32) -> Result<(), String> {
    control::start(pid)
}

/// Ends the recording of the process `pid`, and of all that is recorded with it, and says where the trace is.
///
/// # Errors
/// As for [`status`].
pub fn stop(pid: u32) -> Result<(), String> {
    let state = Traced::find(pid)?.stop()?;
    println!(
        "process {pid}: recorded for {}, {}; see leak-analyze {}",
        duration(state.age_ns),
        counted(state.events, "event"),
        state.trace.display()
    );
    Ok(())
}

/// What changed between two looks.
struct Rates {
    events_a_second: u64,
    cpu_ns: u64,
    span_ns: u64,
    bytes_a_day: u64,
}

impl Rates {
    fn between(before: &State, now: &State) -> Rates {
        let span = now.age_ns.saturating_sub(before.age_ns).max(1);
        let each = |amount: u64, unit: u128| {
            let rate = u128::from(amount) * unit / u128::from(span);
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        Rates {
            events_a_second: each(now.events.saturating_sub(before.events), 1_000_000_000),
            cpu_ns: now.cpu_ns.saturating_sub(before.cpu_ns),
            span_ns: span,
            bytes_a_day: each(now.bytes.saturating_sub(before.bytes), DAY_NS),
        }
    }
}

fn machine(pid: u32, before: &State, now: &State) -> serde_json::Value {
    let rates = Rates::between(before, now);
    json!({
        "pid": pid,
        "recording": true,
        "trace": now.trace,
        "started_at": moment(now.started_at_ns),
        "duration_ns": now.age_ns,
        "processes": now.processes,
        "events": now.events,
        "events_per_second": rates.events_a_second,
        "bytes": now.bytes,
        "bytes_per_day": rates.bytes_a_day,
        "recorder_pid": now.recorder,
        "recorder_cpu_ns": now.cpu_ns,
        "recorder_cpu_share": rates.cpu_ns as f64 / rates.span_ns as f64,
    })
}

fn people(pid: u32, before: &State, now: &State) -> String {
    let rates = Rates::between(before, now);
    let second = now.started_at_ns / 1_000_000_000 * 1_000_000_000;
    let begin = moment(second).replace('T', " ").replace('Z', " UTC");
    format!(
        "process {pid} is recorded since {begin}, for {}, {}\n\
         \x20 trace      {}, {}\n\
         \x20 events     {} so far, {} a second now\n\
         \x20 recorder   pid {}, {} of a CPU now, {} so far\n\
         \x20 disk       {} a day at the rate of now\n",
        duration(now.age_ns),
        match now.processes {
            1 => "1 process".to_owned(),
            processes => format!("{} processes", count(processes as u64)),
        },
        now.trace.display(),
        bytes(now.bytes),
        count(now.events),
        count(rates.events_a_second),
        now.recorder,
        share(rates.cpu_ns, rates.span_ns),
        duration(now.cpu_ns),
        bytes(rates.bytes_a_day),
    )
}
