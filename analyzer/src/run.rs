//! `leak-analyze run`: starts a program under libleak and waits for it, as process 1 of a container if
//! need be: signals are passed on, orphans reaped.

mod listening;
pub(crate) mod program;
mod signals;
mod traffic;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::notice;
use crate::record::names;
use program::Obstacle;
use signals::Signals;
use traffic::{Driven, Shared};
pub use traffic::{Ready, Stop, Traffic};

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program and its arguments; the program at least.
    pub command: Vec<OsString>,
    /// libleak.so; `None`: `LEAK_PRELOAD`, else beside this program.
    pub preload: Option<PathBuf>,
    /// `LEAK_*` variables to set.
    pub variables: Vec<(&'static str, OsString)>,
    /// How it is driven, and stopped; `None`: it ends by itself.
    pub traffic: Option<Traffic>,
}

/// How the program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Its exit status; 128 and the number for a signal.
    pub status: u8,
    /// Where its trace is, if there is one.
    pub trace: Option<PathBuf>,
    /// When the warm-up ended, if there was one.
    pub judge_from: Option<SystemTime>,
    /// Why the traffic proves nothing: the server was never ready, or a command failed.
    pub trouble: Option<String>,
}

/// Where libleak.so may lie, from this program's folder: in a build, in a prefix, on Debian.
const PLACES: [&str; 3] = [
    "libleak.so",
    "../lib/libleak.so",
    "../lib/x86_64-linux-gnu/libleak.so",
];

/// The status of shells for a command that can't be run, and for one that isn't there.
const CANT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Runs the program until it ends.
///
/// # Errors
/// One line: it could not be started under libleak.
pub fn run(options: &Options) -> Result<Finished, String> {
    let (name, arguments) = options.command.split_first().ok_or("no command")?;
    let preload = preload(options.preload.as_deref())?;
    let path = program::find(name);
    let obstacle = path.as_deref().and_then(|path| {
        let program = program::chain(path).pop()?;
        let obstacle = program::obstacle(&program)?;
        // The C library runs it by a shell, or says so.
        (obstacle != Obstacle::NoProgram).then_some((path, obstacle))
    });
    if let Some((path, obstacle)) = obstacle {
        notice::say(&format!("{}: {}", path.display(), obstacle.line()));
    }
    let given = options.variables.iter();
    let given = given.rev().find(|(name, _)| *name == "LEAK_TRACE");
    let pattern = given.map(|(_, value)| value.clone());
    let pattern = pattern.or_else(|| std::env::var_os("LEAK_TRACE"));
    let trace = TracePlace::new(pattern, path.as_deref())?;
    let mut command = Command::new(name);
    command
        .args(arguments)
        .envs(options.variables.iter().map(|(name, value)| (name, value)))
        .env("LEAK_TRACE", &trace.pattern)
        .env_remove(leak_wire::layout::SESSION_VARIABLE);
    // With musl it would not start; what others can't load is of use to their children.
    if obstacle.is_none_or(|(_, obstacle)| obstacle != Obstacle::Musl) {
        command.env("LD_PRELOAD", with_others(&preload));
    }
    if std::env::var_os("LEAK_ANALYZE").is_none()
        && let Ok(own) = std::env::current_exe()
    {
        command.env("LEAK_ANALYZE", own);
    }
    command.arg0(name);
    let signals = Signals::block();
    signals.restore_in(&mut command);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            notice::say(&format!("{}: {error}", name.display()));
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            return Ok(Finished {
                status: if missing { NOT_FOUND } else { CANT_RUN },
                ..Finished::default()
            });
        }
    };
    let pid = child.id();
    let (status, driven) = until_it_ends(options, Pid::from_raw(pid as i32), &signals);
    drop(signals);
    let trace = trace.of(pid);
    Ok(Finished {
        status,
        trace: trace.exists().then_some(trace),
        judge_from: driven.judge_from,
        trouble: driven.trouble,
    })
}

/// Waits for `child`, which is driven if the options say so; its status, 0 if it ended by the signal of the stop.
fn until_it_ends(options: &Options, child: Pid, signals: &Signals) -> (u8, Driven) {
    let Some(traffic) = &options.traffic else {
        return (wait(child, signals, None), Driven::default());
    };
    let wait = |shared: &Shared| wait(child, signals, Some(shared));
    let (status, driven) = traffic::beside(traffic, child, signals, wait, reap);
    match driven.stopped {
        Some(Some(signal)) if signal != Signal::SIGKILL && status == 128 + signal as u8 => {
            (0, driven)
        }
        _ => (status, driven),
    }
}

/// Reaps what has ended by now.
fn reap(shared: &Shared) {
    while let Ok(ended) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        match ended {
            WaitStatus::Exited(pid, code) => shared.has_ended(pid, code as u8),
            WaitStatus::Signaled(pid, signal, _) => shared.has_ended(pid, 128 + signal as u8),
            WaitStatus::StillAlive => break,
            _ => {}
        }
    }
}

/// Waits for `child`, reaps whoever else becomes ours, and passes signals on.
fn wait(child: Pid, signals: &Signals, shared: Option<&Shared>) -> u8 {
    let has_ended = |pid, status| {
        if let Some(shared) = shared {
            shared.has_ended(pid, status);
        }
    };
    loop {
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == child => return code as u8,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                    return 128 + signal as u8;
                }
                Ok(WaitStatus::Stopped(pid, _)) if pid == child => {
                    // Who started us sees a stopped job, too; continued, we continue it.
                    let _ = raise(Signal::SIGSTOP);
                    let _ = kill(child, Signal::SIGCONT);
                }
                Ok(WaitStatus::Exited(pid, code)) => has_ended(pid, code as u8),
                Ok(WaitStatus::Signaled(pid, signal, _)) => has_ended(pid, 128 + signal as u8),
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if let Some(signal) = signals.next() {
            signals::pass_on(child, signal);
            if let (Some(shared), Some(signal)) = (shared, signal.ends()) {
                shared.is_interrupted(signal);
            }
        }
    }
}

/// libleak.so: `given`, else `LEAK_PRELOAD`, else beside this program.
///
/// # Errors
/// One line: it is not there.
pub(crate) fn preload(given: Option<&Path>) -> Result<PathBuf, String> {
    let from_variable = std::env::var_os("LEAK_PRELOAD").map(PathBuf::from);
    if let Some(path) = given.map(Path::to_path_buf).or(from_variable) {
        return std::path::absolute(&path)
            .ok()
            .filter(|path| path.is_file())
            .ok_or_else(|| format!("{} is not there", path.display()));
    }
    let own = std::env::current_exe().and_then(std::fs::canonicalize);
    let own = own.map_err(|error| format!("can't find myself: {error}"))?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let mut found = PLACES
        .iter()
        .filter_map(|place| std::fs::canonicalize(folder.join(place)).ok());
    found.find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "libleak.so is not in {}; name it with --preload or LEAK_PRELOAD",
            folder.display()
        )
    })
}

/// `LD_PRELOAD`: libleak.so before what is preloaded already.
pub(crate) fn with_others(preload: &Path) -> OsString {
    let mut value = preload.as_os_str().to_owned();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        value.push(":");
        value.push(others);
    }
    value
}

/// Where the trace will be: everything but the pid is known before the start.
pub(crate) struct TracePlace {
    pattern: String,
}

impl TracePlace {
    /// That of the setting `pattern`, for a program.
    ///
    /// # Errors
    /// One line: it can't be made absolute.
    pub(crate) fn new(
        pattern: Option<OsString>,
        program: Option<&Path>,
    ) -> Result<TracePlace, String> {
        let pattern = pattern.filter(|pattern| !pattern.is_empty());
        let pattern = pattern.unwrap_or_else(|| "trace.bin".into());
        let pattern = pattern.to_string_lossy();
        let absolute = std::path::absolute(&*pattern)
            .map_err(|error| format!("LEAK_TRACE={pattern} can't be used: {error}"))?;
        let program = program.and_then(|path| std::fs::canonicalize(path).ok());
        let known = names(program.as_deref());
        Ok(TracePlace {
            pattern: known.expand_all_but_pid(&absolute.to_string_lossy()),
        })
    }

    /// That of the process `pid`.
    pub(crate) fn of(&self, pid: u32) -> PathBuf {
        names(None).with_pid(pid).expand(&self.pattern).into()
    }
}
