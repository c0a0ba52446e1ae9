//! Servers of `truth/servers` that are cargo projects of their own: the workspace needs none of what they do.

use std::path::PathBuf;
use std::process::Command;

use crate::artifacts;

/// How a project is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// In little time.
    Quick,
    /// As users build theirs.
    Optimized,
}

/// The program of a project, built where it is not: `NAME-truth` of the directory NAME.
///
/// # Errors
/// What cargo says.
pub fn project(name: &str, build: Build) -> Result<PathBuf, String> {
    let target = artifacts::source("../target/truth").join(name);
    let (profile, directory) = match build {
        Build::Quick => ("dev", "debug"),
        Build::Optimized => ("release", "release"),
    };
    let mut command = Command::new("cargo");
    command
        .args(["build", "--profile", profile, "--locked", "--quiet"])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .current_dir(artifacts::source("truth/servers").join(name));
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(target.join(directory).join(format!("{name}-truth"))),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
