//! leak-analyze: runs the command that the command line names.

use std::process::ExitCode;

use clap::Parser;
use leak_analyze::cli::{Cli, Command};
use leak_analyze::{doctor, dump, mark, notice, record, run, show, window};

/// The command could not be carried out.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Record(arguments)) => {
            record::record(arguments.socket, arguments.build.as_deref(), arguments.late).map(|()| 0)
        }
        Some(Command::Mark(arguments)) => mark::mark(arguments.pid, &arguments.label).map(|()| 0),
        Some(Command::Start(arguments)) => window::start(arguments.pid).map(|()| 0),
        Some(Command::Stop(arguments)) => window::stop(arguments.pid).map(|()| 0),
        Some(Command::Snapshot(arguments)) => {
            window::snapshot(arguments.pid).and_then(|trace| show::show(&trace, &arguments.report))
        }
        Some(Command::Status(arguments)) => {
            window::status(arguments.pid, arguments.json).map(|()| 0)
        }
        Some(Command::Doctor(arguments)) => doctor::doctor(&arguments.options()),
        Some(Command::Dump(arguments)) => dump::dump(&arguments.trace).map(|()| 0),
        Some(Command::Diff(arguments)) => show::diff::diff(&arguments),
        Some(Command::Requests(arguments)) => show::requests::requests(&arguments),
        Some(Command::Watch(arguments)) => show::watch::watch(&arguments).map(|()| 0),
        Some(Command::Run(arguments)) => show::refuse(&arguments.report)
            .and_then(|()| run::run(&arguments.options()))
            .and_then(|finished| show::after_run(&finished, &arguments.report)),
        None => show::show(&cli.report.trace, &cli.report.options),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(text) => {
            notice::say(&text);
            ExitCode::from(TROUBLE)
        }
    }
}
