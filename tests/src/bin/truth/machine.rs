//! Where and when the rows were measured.

use std::process::Command;

/// A line that says it.
pub(crate) fn described() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    let commit = said_by("git", &["rev-parse", "--short", "HEAD"]);
    let kernel = said_by("uname", &["-r"]);
    format!("{date}, commit {commit}; {cores} cores, Linux {kernel}")
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
