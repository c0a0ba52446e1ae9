//! A session begins: settings, the trace's file, the mapping, and the answer to the first image.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leak_wire::layout::SESSION_PREFIX;
use nix::fcntl::Flock;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::clock::Clock;
use super::control;
use super::lanes;
use super::mapping::Mapping;
use super::place;
use super::procfs::{self, Program};
use super::room::Room;
use super::settings::Settings;
use super::system;

/// A session that is ready to be drained.
pub(crate) struct Session {
    /// What was asked for.
    pub(crate) settings: Settings,
    /// Name of the mapping and of the listening socket.
    pub(crate) name: String,
    /// The shared memory.
    pub(crate) mapping: Arc<Mapping>,
    /// Where later images connect.
    pub(crate) listener: OwnedFd,
    /// Where the trace's file is.
    pub(crate) path: PathBuf,
    /// This machine's name.
    pub(crate) host: String,
    /// Since its start.
    pub(crate) clock: Clock,
    /// Pid of the first process.
    pub(crate) first: u32,
    /// What it runs.
    pub(crate) program: Program,
    /// Largest size of the trace, bytes.
    pub(crate) limit: u64,
    /// What the trace is to say of its memory.
    pub(crate) warning: Option<String>,
}

/// Makes this process independent of the one that started it. `socket` stays open.
pub(crate) fn detach(socket: i32) {
    system::close_inherited(&[socket]);
    // Fails only for a process group leader, which a recorder started by hand may be.
    let _ = nix::unistd::setsid();
    system::ignore_signals();
    system::set_name(c"leak-recorder");
    // The target's own limits were not meant for us: root may have more than it was left, others all that
    // they were left.
    for (resource, wanted) in [
        (Resource::RLIMIT_FSIZE, RLIM_INFINITY),
        (Resource::RLIMIT_NOFILE, MANY_FILES),
        (Resource::RLIMIT_AS, RLIM_INFINITY),
        (Resource::RLIMIT_DATA, RLIM_INFINITY),
        (Resource::RLIMIT_CPU, RLIM_INFINITY),
    ] {
        if let Ok((_, hard)) = getrlimit(resource)
            && (hard >= wanted || setrlimit(resource, wanted, wanted).is_err())
        {
            let _ = setrlimit(resource, hard, hard);
        }
    }
}

/// Descriptors that suffice for any tree of processes: each process takes one.
const MANY_FILES: u64 = 1 << 16;

/// What to do where the lanes can't be had: a limit of the program's (which the recorder inherits) is
/// no matter of their size.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "allow more open files (ulimit -n)",
        Some(libc::EFBIG) => "allow larger files (ulimit -f)",
        _ => "set LEAK_MEMORY to less than it is",
    }
}

/// Prepares the session for the process at the other end of `socket`; gives the trace's file, locked, with it.
///
/// # Errors
/// One line for the target to print.
pub(crate) fn prepare(
    socket: &OwnedFd,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Session, Flock<File>), String> {
    let settings = Settings::from_variables(variables)?;
    let peer = control::peer(socket).map_err(|error| format!("no target to record: {error}"))?;
    let first = peer.pid() as u32;
    let program = procfs::program(first);
    let names = place::names(Some(Path::new(&program.executable))).with_pid(first);
    let host = names.host.clone();
    let clock = Clock::start();
    let pattern = settings.trace.to_string_lossy();
    let path = std::path::absolute(names.expand(&pattern))
        .map_err(|error| format!("LEAK_TRACE={pattern} can't be used: {error}"))?;
    let name = session_name().map_err(|error| format!("no random numbers: {error}"))?;
    let listener = control::listener(&name)
        .map_err(|error| format!("can't listen for child processes: {error}"))?;
    let room = match settings.memory {
        Some(bytes) => Room::asked(bytes),
        None => Room::beside(first)?,
    };
    let mapping = Mapping::create(&name, room.bytes, &settings)
        .map_err(|error| format!("no memory for the lanes: {error}; {}", remedy(&error)))?;
    lanes::allocate_first(&mapping)
        .map_err(|error| format!("no memory for the lanes: {error}; {}", remedy(&error)))?;
    // Last, so that nothing is renamed for a session that can't be.
    let file = place::open(&path)?;
    let limit = settings
        .max_trace
        .unwrap_or_else(|| most_of_free_space(&file));
    let session = Session {
        settings,
        name,
        mapping: Arc::new(mapping),
        listener,
        path,
        host,
        clock,
        first,
        program,
        limit,
        warning: room.warning,
    };
    Ok((session, file))
}

/// A name that nobody can guess.
fn session_name() -> std::io::Result<String> {
    let mut random = [0; 16];
    std::io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut random)?;
    let mut name = SESSION_PREFIX.to_owned();
    random
        .iter()
        .for_each(|byte| name.push_str(&format!("{byte:02x}")));
    Ok(name)
}

/// Four fifths of what is free where the trace lies.
pub(super) fn most_of_free_space(file: &File) -> u64 {
    match nix::sys::statvfs::fstatvfs(file) {
        Ok(space) => {
            space
                .blocks_available()
                .saturating_mul(space.fragment_size())
                / 5
                * 4
        }
        Err(_) => u64::MAX,
    }
}
