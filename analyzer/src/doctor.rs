//! `leak-analyze doctor`: whether a program can be traced, and what will and won't be seen, before anything is. Nothing
//! of the program's is run, and nothing is left behind.

mod command;
mod finding;
mod fit;
mod image;
mod loader;
mod process;
mod python;
mod surroundings;
mod tasks;

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

use finding::Findings;

/// Whom to look at.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A program that does not run yet, and its arguments.
    Command(Vec<OsString>),
    /// A process.
    Process(u32),
}

impl Subject {
    /// What was found, with whom it was found of.
    fn named(&self, mut found: Value) -> Value {
        let (command, pid) = match self {
            Subject::Command(command) => {
                let words = command.iter().map(|word| word.to_string_lossy());
                (Some(words.collect::<Vec<_>>()), None)
            }
            Subject::Process(pid) => (None, Some(pid)),
        };
        found["command"] = json!(command);
        found["pid"] = json!(pid);
        found
    }
}

/// What to look at, and how to say it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program or the process.
    pub subject: Subject,
    /// libleak.so; `None`: `LEAK_PRELOAD`, else beside this program.
    pub preload: Option<PathBuf>,
    /// As one JSON object.
    pub json: bool,
}

/// The exit status for a program that can't be traced.
const CANT: u8 = 1;

/// Prints what was found, the worst first. The exit status: 0, it can be traced; 1, it can't.
///
/// # Errors
/// One line: there is no such process, or it can't be looked at.
pub fn doctor(options: &Options) -> Result<u8, String> {
    let mut findings = Findings::default();
    match &options.subject {
        Subject::Command(command) => {
            command::look_at(command, options.preload.as_deref(), &mut findings);
        }
        Subject::Process(pid) => {
            process::look_at(*pid, options.preload.as_deref(), &mut findings)?;
        }
    }
    match options.json {
        true => println!("{}", options.subject.named(findings.json())),
        false => print!("{}", findings.lines()),
    }
    Ok(if findings.can_be_traced() { 0 } else { CANT })
}
