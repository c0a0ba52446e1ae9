//! What a session would meet, asked before there is one: the recorder's own checks, for `leak-analyze doctor`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use leak_wire::detour::Entries;
use leak_wire::layout::SESSION_VARIABLE;
use leak_wire::settings::{START_TAKES, Start};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{AccessFlags, access};

use super::birth::most_of_free_space;
use super::detours;
use super::place;
use super::procfs;
use super::room::{self, Room};
use super::settings::{NAMES, Settings};
use super::{control, system, types};

pub(crate) use detours::Reach;

/// The pid's executable, command line, and how long it has run.
pub(crate) use procfs::{age, program};

/// Whether the executable or library at `path` brings an allocator, and whether detours reach that.
pub(crate) fn allocator(path: &Path) -> Reach {
    detours::reach(path, Entries::Allocator)
}

/// Whether the executable at `path` brings a runtime that can say which task each thread runs, and whether detours reach
/// that.
pub(crate) fn tasks(path: &Path) -> Reach {
    detours::reach(path, Entries::Tasks)
}

/// Whether the blocks of the Python of the version `PY_VERSION_HEX` are traced, and their types read.
pub(crate) fn knows_python(version: u32) -> bool {
    types::knows_python(version)
}

/// Why the variable can't be used, if it can't: what it takes.
pub(crate) fn refusal(name: &str, value: OsString) -> Option<String> {
    if name == "LEAK_START" {
        let text = value.to_string_lossy();
        return Start::parse(text.as_bytes())
            .is_none()
            .then(|| format!("{name}={text} can't be used: it takes {START_TAKES}"));
    }
    Settings::from_variables([(name.into(), value)]).err()
}

/// The setting that was meant by a name that is none: the nearest one, if one is near. `None`: `name` is one.
pub(crate) fn unknown(name: &str) -> Option<Option<&'static str>> {
    if NAMES.contains(&name) || name == SESSION_VARIABLE {
        return None;
    }
    let near = NAMES.iter().map(|known| (distance(name, known), *known));
    let nearest = near.min().filter(|(distance, _)| *distance <= FAR);
    Some(nearest.map(|(_, known)| known))
}

/// A name that takes more changes to make is another one.
const FAR: usize = 3;

/// How many letters are to be put in, left out or changed to make the one of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (column, with) in other.bytes().enumerate() {
            let changed = before + usize::from(letter != with);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// Where a trace is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceRoom {
    /// Free there, bytes; `None`: nobody tells.
    pub(crate) free: Option<u64>,
    /// Where recording ends without `LEAK_MAX_TRACE`, bytes.
    pub(crate) limit: u64,
}

/// Whether a trace can be begun at `path`.
///
/// # Errors
/// One line: what is in the way, without what to do.
pub(crate) fn trace_at(path: &Path) -> Result<TraceRoom, String> {
    let shown = path.display();
    match place::is_being_written(path) {
        Ok(true) => return Err(format!("{shown} is being written by another session")),
        Ok(false) => {}
        Err(error) => return Err(format!("can't write {shown}: {error}")),
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let cant = |error: io::Error| format!("can't write {shown}: {error}");
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|error| cant(error.into()))?;
    let folder = File::open(folder).map_err(cant)?;
    let limit = most_of_free_space(&folder);
    Ok(TraceRoom {
        free: (limit != u64::MAX).then_some(limit / 4 * 5),
        limit,
    })
}

/// The memory that the lanes of a session take whose first process is `pid`, bytes.
///
/// # Errors
/// One line: there is too little.
pub(crate) fn lanes_beside(pid: u32) -> Result<u64, String> {
    Room::beside(pid).map(|room| room.bytes)
}

/// The limit of memory of the groups that the process is in of which the folder `process` tells.
pub(crate) fn memory_limit(process: &str) -> Option<u64> {
    room::memory_of(process, Path::new("/sys/fs/cgroup"))
}

/// What a recorder needs of the kernel that can't be had here, where a filter for system calls or a container is in force.
pub(crate) fn forbidden() -> Vec<&'static str> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut forbidden = Vec::new();
    if memfd_create("libleak-doctor", flags).is_err() {
        forbidden.push("shared memory (memfd_create)");
    }
    if control::listener(&format!("libleak-doctor-{}", std::process::id())).is_err() {
        forbidden.push("sockets (AF_UNIX)");
    }
    if system::pidfd_open(std::process::id()).is_err() {
        forbidden.push("pidfd_open");
    }
    forbidden
}

/// `/proc` as it tells of `pid`.
pub(crate) fn folder_of(pid: u32) -> PathBuf {
    procfs::of(pid).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_has_a_nearest_one() {
        assert_eq!(unknown("LEAK_TRACE"), None);
        assert_eq!(unknown("LEAK_SESSION"), None);
        assert_eq!(unknown("LEAK_TRACES"), Some(Some("LEAK_TRACE")));
        assert_eq!(unknown("LEAK_MAXTRACE"), Some(Some("LEAK_MAX_TRACE")));
        assert_eq!(unknown("LEAK_PYHTON"), Some(Some("LEAK_PYTHON")));
        assert_eq!(unknown("LEAK_SOMETHING_ELSE"), Some(None));
    }

    #[test]
    fn every_name_is_one_that_takes_something() {
        for name in NAMES {
            // What takes any path, or any names.
            let takes_all = ["LEAK_TRACE", "LEAK_ONLY", "LEAK_ANALYZE", "LEAK_PRELOAD"];
            let refused = refusal(name, "\u{1}".into()).is_some();
            assert_eq!(refused, !takes_all.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_trace_needs_a_folder_that_is_there() {
        assert!(trace_at(Path::new("/nonexistent/trace.bin")).is_err());
        let path = std::env::temp_dir().join("no-such-trace.bin");
        let room = trace_at(&path).unwrap();
        assert!(room.limit > 0 && room.free.is_none_or(|free| free >= room.limit));
    }

    #[test]
    fn nothing_is_forbidden_here() {
        assert_eq!(forbidden(), Vec::<&str>::new());
    }
}
