//! leak-analyze: runs the command that the command line names.

use std::process::ExitCode;

use clap::Parser;
use leak_analyze::cli::{Cli, Command};
use leak_analyze::{dump, mark, record, run};

/// The command could not be carried out.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Record(arguments)) => record::record(arguments.socket),
        Some(Command::Mark(arguments)) => mark::mark(arguments.pid, &arguments.label),
        Some(Command::Dump(arguments)) => dump::dump(&arguments.trace),
        Some(Command::Run(arguments)) => match run::run(&arguments.options()) {
            Ok(finished) => return ExitCode::from(finished.status),
            Err(text) => Err(text),
        },
        None => dump::dump(&cli.report.trace),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("leak-analyze: {text}");
            ExitCode::from(TROUBLE)
        }
    }
}
