//! Whether libleak.so and the leak-analyze that it will start fit together.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leak_wire::build::BUILD;
use leak_wire::control::{BUILD_AT, MAGIC};

use super::finding::Findings;
use crate::run::program;

/// Data that is looked for begins at such places of a library.
const ALIGNED: usize = 64;

/// The build of the library at `path`; `None`: it is no libleak.so, or one of before there were any.
pub(super) fn build_of(path: &Path) -> Option<u32> {
    let bytes = fs::read(path).ok()?;
    let words = bytes
        .chunks(ALIGNED)
        .find(|words| words.starts_with(&MAGIC))?;
    let build = words.get(BUILD_AT as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*build))
}

/// Looks at `library` and at its recorder; whether `LEAK_ANALYZE` has to be set for it to find one that fits.
pub(super) fn look_at(library: &Path, findings: &mut Findings) -> bool {
    let shown = library.display();
    let cut = |byte: &u8| matches!(byte, b' ' | b':');
    if library.as_os_str().as_bytes().iter().any(cut) {
        findings.cant(
            "libleak",
            format!("{shown} has a space or a colon in its path, at which LD_PRELOAD is cut"),
            "put it elsewhere",
        );
    }
    match build_of(library) {
        Some(BUILD) => return recorder_fits(library, findings),
        Some(other) => findings.cant(
            "libleak",
            format!("{shown} is of build {other:08x}, and this leak-analyze of {BUILD:08x}"),
            "install both from one build",
        ),
        None => findings.cant(
            "libleak",
            format!("{shown} is no libleak.so of this leak-analyze's build ({BUILD:08x})"),
            "name the one that came with it by --preload or LEAK_PRELOAD",
        ),
    }
    false
}

/// Looks at the recorder of a library that fits this program; the same.
fn recorder_fits(library: &Path, findings: &mut Findings) -> bool {
    let shown = library.display();
    let recorder = recorder(library);
    let own = std::env::current_exe().and_then(fs::canonicalize).ok();
    let real = recorder
        .as_ref()
        .and_then(|path| fs::canonicalize(path).ok());
    let trouble = match &recorder {
        None if is_recorder_set() => "LEAK_ANALYZE names no program that can be run".to_owned(),
        None => format!("there is no leak-analyze beside {shown} or on PATH"),
        Some(_) if real == own => String::new(),
        Some(path) => match build_said_by(path) {
            Some(BUILD) => String::new(),
            other => format!(
                "{shown} is of build {BUILD:08x}, and the leak-analyze that it finds, {}, of {}",
                path.display(),
                other.map_or("another one".to_owned(), |build| format!("{build:08x}"))
            ),
        },
    };
    if trouble.is_empty() {
        let text = format!("{shown} and its leak-analyze fit together (build {BUILD:08x})");
        findings.ok("libleak", text);
    } else if is_recorder_set() {
        findings.cant(
            "libleak",
            trouble,
            "set LEAK_ANALYZE to the one that came with it",
        );
    } else {
        findings.note("libleak", trouble, "set LEAK_ANALYZE as below");
        return true;
    }
    false
}

fn is_recorder_set() -> bool {
    std::env::var_os("LEAK_ANALYZE").is_some_and(|value| !value.is_empty())
}

/// The recorder that the library will start, as it finds it.
fn recorder(library: &Path) -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("LEAK_ANALYZE").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(given)).filter(|path| program::is_executable(path));
    }
    let beside = library.parent()?.join("leak-analyze");
    match program::is_executable(&beside) {
        true => Some(beside),
        false => program::find(OsStr::new("leak-analyze")),
    }
}

/// The build that a leak-analyze says it is of.
fn build_said_by(recorder: &Path) -> Option<u32> {
    let said = Command::new(recorder)
        .arg("--version")
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (_, build) = said.trim_end().strip_suffix(')')?.rsplit_once("(build ")?;
    u32::from_str_radix(build, 16).ok()
}
