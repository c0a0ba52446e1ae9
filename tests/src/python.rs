//! The CPython interpreters that there are to test with, and what a report says of Python lines.

use std::path::{Path, PathBuf};

use crate::artifacts;
use crate::report::{Report, number, sum};
use crate::stated::Sum;

/// Debian's Python, which is always there.
pub const SYSTEM: &str = "/usr/bin/python3.11";

/// All CPython interpreters from 3.8 on: the system's, and pyenv's where it is used.
pub fn interpreters() -> Vec<PathBuf> {
    let minors = || (8..=14).map(|minor| format!("python3.{minor}"));
    let mut found: Vec<PathBuf> = minors()
        .map(|name| Path::new("/usr/bin").join(name))
        .collect();
    let home = std::env::var_os("HOME").unwrap_or_default();
    let versions = std::fs::read_dir(Path::new(&home).join(".pyenv/versions"));
    for version in versions.into_iter().flatten().flatten() {
        found.extend(minors().map(|name| version.path().join("bin").join(name)));
    }
    found.retain(|path| path.exists());
    assert!(
        found.contains(&SYSTEM.into()),
        "{SYSTEM} is missing: run scripts/setup"
    );
    found
}

/// A script of `targets/python`.
pub fn script(name: &str) -> PathBuf {
    artifacts::source(Path::new("targets/python").join(name))
}

/// What is live of each site whose innermost Python frame is at `line` of the file `name`.
pub fn live_at(report: &Report, name: &str, line: u64) -> Vec<Sum> {
    let sites = report.list("/sites").iter();
    let here = sites.filter(|site| {
        let frame = &site["python_frames"][0];
        let file = frame["file"].as_str().unwrap_or_default();
        file.rsplit('/').next() == Some(name) && frame["line"].as_u64() == Some(line)
    });
    here.map(|site| sum(site, "live")).collect()
}

/// The interpreter's live blocks over all.
pub fn live(report: &Report) -> u64 {
    number(
        report.at("/totals/python_live_blocks"),
        "python_live_blocks",
    )
}
