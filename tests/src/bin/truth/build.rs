//! Builds the servers, each once for what its sources say.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;

use crate::shape::servers;

/// Where what the lab makes lies.
pub(crate) fn directory() -> PathBuf {
    artifacts::source("../target/truth")
}

/// The program of one source.
pub(crate) fn compiled(name: &str) -> PathBuf {
    let path = servers().join(name);
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Source { path, text }.program()
}

/// The program of a cargo project: `NAME-truth` in the directory NAME.
pub(crate) fn cargo(name: &str) -> Result<PathBuf, String> {
    let target = directory().join(name);
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(servers().join(name));
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(target.join("release").join(format!("{name}-truth"))),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The virtual environment that the Python servers run in.
pub(crate) fn python_environment() -> PathBuf {
    directory().join("venv")
}
