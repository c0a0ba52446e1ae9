//! The comparison that `scripts/bench` runs: every workload under every tool that can trace it.

mod goals;
mod machine;
mod measure;
mod outcome;
mod page;
mod server;
mod stat;
mod table;
mod tool;
mod workload;

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use leak_tests::artifacts;
use serde::Deserialize;
use serde_json::Value;

use crate::machine::Machine;
use crate::measure::{Role, Watch};
use crate::outcome::{Outcome, Row, Run};
use crate::page::Pages;
use crate::tool::Tool;
use crate::workload::{Kind, Workload};

const USAGE: &str = "usage: bench [--quick] [--rounds N] [--only TEXT]
  --quick      less of everything, into target/bench; else into tests/bench, where the results are kept,
               once all is done: until then, and when it is stopped, they are in target/bench
  --rounds N   how often each workload runs under each tool; servers twice as often
  --only TEXT  the workloads whose name has TEXT in it, into target/bench";

struct Options {
    quick: bool,
    rounds: usize,
    only: String,
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    measure::adopt_orphans();
    let started = Instant::now();
    let directory = tempfile::Builder::new().prefix("leak-bench.").tempdir();
    let directory = directory.expect("the temporary directory can be written");
    open_to_all(directory.path());
    let machine = Machine::here(options.quick, options.rounds);
    let mut outcomes = Vec::new();
    for workload in workload::wanted(&options.only, options.quick, directory.path()) {
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{seconds:4.0} s  {}", workload.name);
        outcomes.push(outcome(&workload, &options, directory.path()));
        // A run that is stopped keeps what it has.
        publish(&passing_results(), &machine, &outcomes, None);
    }
    let pages = pages(&options, started, directory.path());
    let results = results(&options);
    publish(&results, &machine, &outcomes, pages.as_ref());
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{seconds:4.0} s  {}", results.join("results.md").display());
    ExitCode::SUCCESS
}

/// The reports of many requests, where they are wanted.
fn pages(options: &Options, started: Instant, directory: &Path) -> Option<Pages> {
    if !page::NAME.contains(&options.only) {
        return None;
    }
    eprintln!("{:4.0} s  {}", started.elapsed().as_secs_f64(), page::NAME);
    let pages = page::measure(options.quick, options.rounds, directory);
    pages.inspect_err(|error| eprintln!("        {error}")).ok()
}

fn publish(results: &Path, machine: &Machine, outcomes: &[Outcome], pages: Option<&Pages>) {
    let mut goals = goals::all(outcomes);
    goals.extend(pages.iter().flat_map(|pages| pages.goals()));
    let mut text = table::markdown(machine, outcomes, &goals);
    text.extend(pages.map(Pages::markdown));
    let mut json = table::json(machine, outcomes, &goals);
    json["pages"] = pages.map_or(Value::Null, Pages::json);
    let json = format!("{json:#}\n");
    let written = fs::create_dir_all(results)
        .and_then(|()| fs::write(results.join("results.md"), text))
        .and_then(|()| fs::write(results.join("results.json"), json));
    written.expect("the results can be written");
}

fn options() -> Option<Options> {
    let mut options = Options {
        quick: false,
        rounds: 0,
        only: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--rounds" => {
                options.rounds = arguments
                    .next()?
                    .parse()
                    .ok()
                    .filter(|rounds| *rounds > 0)?
            }
            "--only" => options.only = arguments.next()?,
            _ => return None,
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.quick { 3 } else { 5 };
    }
    Some(options)
}

/// Only a whole run replaces the results that are kept.
fn results(options: &Options) -> PathBuf {
    if options.quick || !options.only.is_empty() {
        passing_results()
    } else {
        artifacts::source("bench")
    }
}

fn passing_results() -> PathBuf {
    let profile = artifacts::directory();
    let target = profile.parent().expect("a profile lies in target/");
    target.join("bench")
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(directory, open).expect("the directory is ours");
}

/// Runs `workload` under all its tools, in turns that begin with another one each round.
fn outcome(workload: &Workload, options: &Options, directory: &Path) -> Outcome {
    let tools = workload
        .tools
        .iter()
        .filter(|tool| !(options.quick && tool.is_extra()));
    let row = |tool: &Tool| Row {
        tool: *tool,
        runs: Vec::new(),
        written: 0,
        reports: Vec::new(),
        failed: None,
    };
    let mut outcome = Outcome {
        name: workload.name,
        kind: workload.kind,
        events: f64::NAN,
        rows: tools.map(row).collect(),
    };
    let count = outcome.rows.len();
    let rounds = match workload.kind {
        // How a server's requests meet decides what each costs.
        Kind::Server(_) => 2 * options.rounds,
        Kind::Storm | Kind::Program | Kind::Import => options.rounds,
    };
    for round in 0..rounds {
        for turn in 0..count {
            let row = &mut outcome.rows[(round + turn) % count];
            if row.failed.is_some() || (row.tool.runs_once() && round > 0) {
                continue;
            }
            let place = tool::place(directory);
            match run(workload, row.tool, options, &place) {
                Ok(run) => row.runs.push(run),
                Err(error) => {
                    eprintln!("        under {}: {error}", row.tool.name());
                    row.failed = Some(error);
                    continue;
                }
            }
            let is_last = round + 1 == rounds || row.tool.runs_once();
            if is_last {
                row.written = row.tool.written(&place);
            }
            // One is enough where time is short.
            if is_last || !options.quick {
                match row.tool.report(&place, &workload.line[0]) {
                    Some(Ok(report)) => row.reports.push(report),
                    Some(Err(error)) => {
                        eprintln!("        report of {}: {error}", row.tool.name());
                    }
                    None => {}
                }
            }
            if is_last && row.tool == Tool::Exact {
                outcome.events = events(&place.join("out.trace"));
            }
        }
    }
    outcome
}

/// All calls that made, ended or moved a block. No more of the report is kept: what this process holds as it
/// forks is where a child's peak of memory begins (Linux, `exec_mmap` in fs/exec.c).
fn events(trace: &Path) -> f64 {
    let mut command = Command::new(artifacts::leak_analyze());
    command.arg(trace);
    command.args(["--requests", "none", "--format", "json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("leak-analyze starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let report: Counted = serde_json::from_reader(out).expect("the report is JSON with totals");
    assert!(child.wait().is_ok_and(|status| status.success()));
    let Totals {
        allocations,
        frees,
        reallocations,
    } = report.totals;
    (allocations + frees + reallocations) as f64
}

#[derive(Deserialize)]
struct Counted {
    totals: Totals,
}

#[derive(Deserialize)]
struct Totals {
    allocations: u64,
    frees: u64,
    reallocations: u64,
}

fn run(workload: &Workload, tool: Tool, options: &Options, place: &Path) -> Result<Run, String> {
    let mut watch = Watch::new();
    let beside = tool.start_beside(&mut watch, place)?;
    let mut command = tool.command(&workload.line, place);
    command.envs(workload.environment.iter().copied());
    match workload.kind {
        Kind::Storm | Kind::Program | Kind::Import => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let pid = watch.start(&mut command, Role::Target)?;
            let ended = watch.wait_for(pid);
            drop(beside);
            let usage = watch.wait_for_all();
            ended?;
            Ok(Run {
                usage: usage?,
                served: None,
            })
        }
        Kind::Server(server) => {
            let seconds = if options.quick { 1 } else { 3 };
            let (usage, served) = server.drive(command, watch, seconds, place, || drop(beside))?;
            Ok(Run {
                usage,
                served: Some(served),
            })
        }
    }
}
