//! The CPython interpreters that there are to test with, and what a report says of Python lines.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::artifacts;
use crate::report::{Report, number, sum};
use crate::stated::Sum;
use serde_json::Value;

/// Debian's Python, which is always there.
pub const SYSTEM: &str = "/usr/bin/python3.11";

/// All CPython interpreters with a GIL from 3.8 on: the system's, pyenv's, and what `scripts/story` has fetched.
pub fn interpreters() -> Vec<PathBuf> {
    let mut found = installed("");
    // A build without one has the plain name, too.
    let file = |path: &PathBuf| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    let without: Vec<_> = installed("t").iter().map(file).collect();
    found.retain(|path| !without.contains(&file(path)));
    assert!(
        found.contains(&SYSTEM.into()),
        "{SYSTEM} is missing: run scripts/setup"
    );
    found
}

/// Those without a GIL, if there are any.
pub fn free_threaded() -> Vec<PathBuf> {
    installed("t")
}

/// The interpreters whose names end so after their version.
fn installed(end: &str) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let versions = [
        Path::new(&home).join(".pyenv/versions"),
        "/opt".into(),
        target().join("pythons"),
    ];
    let versions = versions.into_iter().filter_map(|path| path.read_dir().ok());
    let versions = versions.flatten().flatten().map(|version| version.path());
    let prefixes = versions.chain(["/usr".into()]);
    let named = |prefix: PathBuf| {
        (8..=14).map(move |minor| prefix.join(format!("bin/python3.{minor}{end}")))
    };
    prefixes
        .flat_map(named)
        .filter(|path| path.exists())
        .collect()
}

/// The build directory over all profiles.
fn target() -> PathBuf {
    let profile = artifacts::directory();
    profile.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A script of `targets/python`.
pub fn script(name: &str) -> PathBuf {
    artifacts::source(Path::new("targets/python").join(name))
}

/// The number of the only line of a script of `targets/python` that has `text` in it.
pub fn line_of(name: &str, text: &str) -> u64 {
    let script = fs::read_to_string(script(name)).expect("a script");
    let mut lines = (1..)
        .zip(script.lines())
        .filter(|line| line.1.contains(text));
    let (number, _) = lines.next().expect("a line with the text");
    assert!(lines.next().is_none(), "{name}: several lines have {text}");
    number
}

/// The sites whose innermost Python frame is at `line` of the file `name`.
pub fn sites_at<'r>(
    report: &'r Report,
    name: &'r str,
    line: u64,
) -> impl Iterator<Item = &'r Value> {
    report.list("/sites").iter().filter(move |site| {
        let frame = &site["python_frames"][0];
        let file = frame["file"].as_str().unwrap_or_default();
        file.rsplit('/').next() == Some(name) && frame["line"].as_u64() == Some(line)
    })
}

/// What is live of each of them.
pub fn live_at(report: &Report, name: &str, line: u64) -> Vec<Sum> {
    let here = sites_at(report, name, line);
    here.map(|site| sum(site, "live")).collect()
}

/// The interpreter's live blocks over all.
pub fn live(report: &Report) -> u64 {
    number(
        report.at("/totals/python_live_blocks"),
        "python_live_blocks",
    )
}
