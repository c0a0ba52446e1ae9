//! Where the things under test lie.

use std::path::{Path, PathBuf};

/// The build directory of what is under test: `target/release`, which is what users get, or, with
/// `LEAK_TESTS_PROFILE=debug`, `target/debug`, which has assertions. Tests themselves are built by another
/// profile than either's, so that they compile fast.
pub fn directory() -> PathBuf {
    let profile = std::env::var_os("LEAK_TESTS_PROFILE").unwrap_or_else(|| "release".into());
    let target = own_directory();
    let target = target
        .parent()
        .expect("a profile's directory lies in target/");
    target.join(profile)
}

/// The build directory that this program runs from, such as `target/debug`; a test lies in its `deps`.
fn own_directory() -> PathBuf {
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
        "{} is missing: run `scripts/check`, or `cargo build --release`, first",
        path.display()
    );
    path
}
