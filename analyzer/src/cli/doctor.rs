//! `doctor`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::doctor::{Options, Subject};

/// `doctor`.
#[derive(Args, Debug)]
#[command(
    override_usage = "leak-analyze doctor [OPTIONS] -- COMMAND...\n       leak-analyze doctor [OPTIONS] PID"
)]
pub struct DoctorArguments {
    /// A process that runs
    #[arg(value_parser = pid, required_unless_present = "command", conflicts_with = "command")]
    pub pid: Option<u32>,
    /// A program that does not run yet, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// libleak.so, where it does not lie beside this program (LEAK_PRELOAD)
    #[arg(long, value_name = "FILE")]
    pub preload: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

impl DoctorArguments {
    /// What to look at, and how to say it.
    pub fn options(&self) -> Options {
        Options {
            subject: match self.pid {
                Some(pid) => Subject::Process(pid),
                None => Subject::Command(self.command.clone()),
            },
            preload: self.preload.clone(),
            json: self.json,
        }
    }
}

fn pid(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|pid| *pid > 0);
    number.ok_or_else(|| {
        format!("it is no number of a process; a program goes behind --: doctor -- {text}")
    })
}
