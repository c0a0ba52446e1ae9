//! Where the things under test lie.

use std::path::{Path, PathBuf};

/// The build directory that this program runs from, such as `target/release`; a test lies in its `deps`.
pub fn directory() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let directory = program.parent().expect("a program lies in a directory");
    match directory.parent() {
        Some(parent) if directory.ends_with("deps") => parent.to_path_buf(),
        _ => directory.to_path_buf(),
    }
}

/// `libleak.so`.
pub fn libleak() -> PathBuf {
    built("libleak.so")
}

/// `leak-analyze`.
pub fn leak_analyze() -> PathBuf {
    built("leak-analyze")
}

/// A file of this crate, by its path from the crate's root.
pub fn source(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn built(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(
        path.exists(),
        "{} is missing: run `scripts/check`, or `cargo build --workspace` with the same profile, first",
        path.display()
    );
    path
}
