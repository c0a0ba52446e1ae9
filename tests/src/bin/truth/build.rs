//! Builds the servers, each once for what its sources say.

use std::fs;
use std::path::PathBuf;

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

/// The virtual environment that the Python servers run in.
pub(crate) fn python_environment() -> PathBuf {
    directory().join("venv")
}
