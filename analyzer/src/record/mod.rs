//! The recorder: a process beside the target that drains its lanes into a trace.
//!
//! - Started by the first image of a session through a socket pair; independent of it from then on.
//! - Two threads: *control* answers sockets and sees processes end, *drain* does all else.
//! - Whatever is in the shared memory may be anything: it is checked, and a lane that breaks the
//!   rules is closed and counted. Nothing a target does can stop, crash or fill the recorder.
//! - It ends when the last process of the tree has ended, and everything they published is written.

mod birth;
mod build_id;
mod clock;
mod control;
mod detours;
mod drain;
pub(crate) mod fuzz;
mod images;
mod kin;
mod lanes;
mod limits;
mod live;
mod mapping;
mod place;
pub(crate) mod preflight;
mod procfs;
mod resident;
mod room;
mod settings;
mod smaps;
pub(crate) mod state;
pub(crate) mod system;
mod types;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::channel;

use leak_wire::build::BUILD_TEXT;
use leak_wire::detour::Brings;

use birth::Session;
use control::{Control, Watch};
use detours::Executables;
use drain::{Drain, Place};
use images::Images;

use crate::trace::{BEGAN_LATE, Note, Writer};

pub(crate) use place::names;
pub(crate) use system::{has_capabilities, wait_for_signal};

/// Records one session for the process at the other end of the inherited descriptor `socket`, until
/// its whole tree has ended. `build`: that of the process's library. `late`: the process has run for a while.
///
/// # Errors
/// One line: this process was not started as a recorder. Troubles of the session are told to the
/// target instead.
pub fn record(socket: i32, build: Option<&str>, late: bool) -> Result<(), String> {
    if socket < 3 || nix::sys::socket::getsockname::<nix::sys::socket::UnixAddr>(socket).is_err() {
        return Err(format!(
            "descriptor {socket} is no socket of a target; libleak.so starts the recorder by itself"
        ));
    }
    birth::detach(socket);
    let socket = system::owned(socket);
    if let Err(text) = fits(build).and_then(|()| session(&socket, late)) {
        control::answer(&socket, format!("E{text}"));
    }
    Ok(())
}

/// Whether the library and this program can understand each other.
fn fits(build: Option<&str>) -> Result<(), String> {
    if build == Some(BUILD_TEXT) {
        return Ok(());
    }
    let own = std::env::current_exe().unwrap_or_default();
    Err(format!(
        "libleak.so is of {}, and {} of {BUILD_TEXT}: install both from one, or set LEAK_ANALYZE to the \
         leak-analyze that belongs to it",
        build.map_or(
            "a build that does not say which".to_owned(),
            |build| format!("build {build}")
        ),
        own.display()
    ))
}

/// Bytes of the control thread's stack: it holds a message and what /proc tells of a process.
const CONTROL_STACK: usize = 256 << 10;

fn session(socket: &OwnedFd, late: bool) -> Result<(), String> {
    let (session, file) = birth::prepare(socket, std::env::vars_os())?;
    let path = session.path.clone();
    let ended = begin(socket, session, &file, late).map(Drain::run);
    if ended != Ok(true) {
        // Nobody ever recorded: no trace is better than one of nothing.
        let _ = std::fs::remove_file(path);
    }
    // Its lock is held until here.
    drop(file);
    ended.map(|_| ())
}

/// What is to be said of a target that has run for so long, where that is known.
fn began_late(age: Option<std::time::Duration>) -> Note {
    let since = age.map_or(String::new(), |age| {
        let age = crate::figures::duration(age.as_nanos() as u64);
        format!(", after {age}")
    });
    Note::Warning {
        code: BEGAN_LATE.to_owned(),
        text: format!(
            "Recording began while the program ran{since}: what it had allocated before is not here, and frees of that              are counted as unknown"
        ),
    }
}

/// Writes down what is known of the session before anything is recorded.
fn note_session(writer: &mut Writer, session: &Session, late: bool) {
    writer.note(Note::Session {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        host: session.host.clone(),
        started_at_ns: session.clock.started_at_ns,
        sample_bytes: session.settings.sample,
        recorder_pid: std::process::id(),
    });
    if !procfs::shows(session.first) {
        writer.note(Note::Warning {
            code: "no_proc".to_owned(),
            text: "/proc was not mounted where this ran: names of programs, their resident sets and types of \
                   objects are not here; mount it there"
                .to_owned(),
        });
    }
    if late {
        writer.note(began_late(procfs::age(session.first)));
    }
    if let Some(text) = &session.warning {
        writer.note(Note::Warning {
            code: "little_memory".to_owned(),
            text: text.clone(),
        });
    }
}

/// Makes all that a session needs, and welcomes the target.
fn begin(socket: &OwnedFd, session: Session, file: &File, late: bool) -> Result<Drain, String> {
    let cant_write = |error| format!("can't write {}: {error}", session.path.display());
    let file = file.try_clone().map_err(cant_write)?;
    let mut writer = Writer::create(file, session.limit).map_err(cant_write)?;
    note_session(&mut writer, &session, late);
    let watch = Arc::new(Watch::new()?);
    let mut images = Images::new(Arc::clone(&watch), session.name.clone());
    images.expect(session.first, session.first, 0, session.program);
    let (tell, told) = channel();
    let mut executables = Executables::new(Brings {
        allocator: session.settings.own_malloc,
        tasks: session.settings.tasks,
    });
    let brings = executables.brings(session.first);
    let control = Control {
        name: session.name.clone(),
        mapping: Arc::clone(&session.mapping),
        watch,
        listener: session.listener,
        tell,
        connections: std::collections::HashMap::new(),
        turned_away: false,
        executables,
    };
    std::thread::Builder::new()
        .name("leak-control".to_owned())
        // It counts in a limit of the target's data, where that can't be raised.
        .stack_size(CONTROL_STACK)
        .spawn(move || control.run())
        .map_err(|error| format!("can't start a thread: {error}"))?;
    // Nothing of ours keeps a file system busy but the trace's.
    let _ = std::env::set_current_dir("/");
    let drain = Drain::new(
        Arc::clone(&session.mapping),
        writer,
        images,
        told,
        Place {
            name: session.name.clone(),
            trace: session.path.clone(),
            clock: session.clock,
        },
        session.settings.follow,
        // What one block of a sample stands for depends on its size: each is written.
        session.settings.keep_lasting && session.settings.sample == 0,
    );
    control::welcome(&socket.as_fd(), &session.name, &session.mapping, brings)
        .map_err(|error| format!("can't answer: {error}"))?;
    Ok(drain)
}
