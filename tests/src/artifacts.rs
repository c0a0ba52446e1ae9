//! Where the things under test lie.

use std::path::{Path, PathBuf};

/// The build directory that this test runs from, such as `target/release`.
pub fn directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.parent().expect("a test lies in deps");
    deps.parent().expect("deps has a parent").to_path_buf()
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
