//! What `run --traffic` does with a server: waits until it is ready, warms it up, drives it, leaves it in peace, stops
//! it. All that on a thread of its own; the one that started the server waits for signals, and reaps.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::listening::listens;
use super::signals::Signals;
use crate::notice;

/// How to drive a server.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// A shell's command that sends requests.
    pub command: OsString,
    /// When the server is ready.
    pub ready: Ready,
    /// How long that may take.
    pub within: Duration,
    /// A command that runs first; its requests are not judged.
    pub warm_up: Option<OsString>,
    /// How long it is left in peace after the traffic.
    pub settle: Duration,
    /// How it is stopped.
    pub stop: Stop,
    /// How long that may take until it is killed.
    pub stop_within: Duration,
}

/// When a server is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Any process of its tree listens.
    Listens,
    /// Somebody listens on this TCP port.
    Port(u16),
    /// A GET of this is answered by a status below 400: host and port, and the path.
    Url(String, String),
}

/// How a server is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By a signal.
    Signal(Signal),
    /// By a shell's command.
    Command(OsString),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Driven {
    /// When judging begins.
    pub(super) judge_from: Option<SystemTime>,
    /// Why the traffic proves nothing.
    pub(super) trouble: Option<String>,
    /// The server was asked to end, and by which signal.
    pub(super) stopped: Option<Option<Signal>>,
}

/// How often the server is looked at until it is ready: that leaves no sign but in the kernel's tables.
const LOOKS: Duration = Duration::from_millis(10);

/// What the two threads tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The statuses of children that were reaped and are not the server.
    ended: BTreeMap<i32, u8>,
    /// The server's, once it has ended.
    server: Option<u8>,
    /// The command that sends requests now.
    traffic: Option<Pid>,
    /// Somebody wants all this to end.
    interrupted: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child that is not the server has ended.
    pub(super) fn has_ended(&self, pid: Pid, status: u8) {
        self.lock().ended.insert(pid.as_raw(), status);
        self.changed.notify_all();
    }

    /// The server has: nobody answers the traffic any more.
    fn server_has_ended(&self, status: u8) {
        let mut state = self.lock();
        state.server = Some(status);
        if let Some(pid) = state.traffic {
            let _ = killpg(pid, Signal::SIGTERM);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A signal that asks to end was passed on to the server: the traffic ends, too.
    pub(super) fn is_interrupted(&self, signal: Signal) {
        let mut state = self.lock();
        state.interrupted = true;
        if let Some(pid) = state.traffic {
            let _ = killpg(pid, signal);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits so long, but no longer than the server runs and nobody interrupts; whether all that time passed.
    fn peace(&self, duration: Duration) -> bool {
        let state = self.lock();
        let goes_on = |state: &mut State| state.server.is_none() && !state.interrupted;
        let waited = self.changed.wait_timeout_while(state, duration, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The server's status, if it ends within that time.
    fn server_ends(&self, within: Duration) -> Option<u8> {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, within, |state| state.server.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.server
    }
}

/// Drives the server `pid`, which ends by that.
pub(super) fn drive(traffic: &Traffic, server: Pid, shared: &Shared, signals: &Signals) -> Driven {
    let mut driven = Driven::default();
    driven.trouble = steps(traffic, server, shared, signals, &mut driven.judge_from).err();
    driven.stopped = stop(traffic, server, shared, signals);
    driven
}

fn steps(
    traffic: &Traffic,
    server: Pid,
    shared: &Shared,
    signals: &Signals,
    judge_from: &mut Option<SystemTime>,
) -> Result<(), String> {
    wait_until_ready(traffic, server, shared)?;
    if let Some(command) = &traffic.warm_up {
        run("--warm-up", command, shared, signals)?;
        *judge_from = Some(SystemTime::now());
    }
    run("--traffic", &traffic.command, shared, signals)?;
    shared.peace(traffic.settle);
    match &*shared.lock() {
        State {
            server: Some(status),
            ..
        } => Err(format!(
            "the server ended by itself, with status {status}, before it was to stop"
        )),
        State {
            interrupted: true, ..
        } => Err("interrupted: the traffic was not all".into()),
        _ => Ok(()),
    }
}

fn wait_until_ready(traffic: &Traffic, server: Pid, shared: &Shared) -> Result<(), String> {
    let until = Instant::now() + traffic.within;
    let pid = server.as_raw().unsigned_abs();
    loop {
        let is_ready = match &traffic.ready {
            Ready::Listens => listens(pid, None),
            Ready::Port(port) => listens(pid, Some(*port)),
            Ready::Url(host, path) => answers(host, path),
        };
        if is_ready {
            return Ok(());
        }
        if !shared.peace(LOOKS) {
            let status = shared.lock().server;
            return Err(match status {
                Some(status) => {
                    format!("the server ended with status {status} before it was ready")
                }
                None => "interrupted before the server was ready".into(),
            });
        }
        if Instant::now() >= until {
            let what = match &traffic.ready {
                Ready::Listens => "no process of the server listens".to_owned(),
                Ready::Port(port) => format!("nobody listens on port {port}"),
                Ready::Url(host, path) => format!("http://{host}{path} is not answered"),
            };
            let seconds = traffic.within.as_secs();
            return Err(format!(
                "{what} after {seconds} s; see --ready and --ready-within"
            ));
        }
    }
}

/// Whether a GET is answered with a status below 400.
fn answers(host: &str, path: &str) -> bool {
    let limit = Duration::from_secs(5);
    let ask = || -> std::io::Result<Vec<u8>> {
        let address = host.to_socket_addrs()?.next();
        let address = address.ok_or(std::io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut line = vec![0; 12];
        stream.read_exact(&mut line)?;
        // To its end, so that the server sees no client that went away.
        let _ = std::io::copy(&mut stream.take(1 << 20), &mut std::io::sink());
        Ok(line)
    };
    let line = ask().unwrap_or_default();
    let status = line
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok());
    status
        .and_then(|digits| digits.parse::<u16>().ok())
        .is_some_and(|status| status < 400)
}

/// Runs a shell's command to its end; where that is a failure, says so.
fn run(what: &str, command: &OsString, shared: &Shared, signals: &Signals) -> Result<(), String> {
    let status = status_of(command, shared, signals, true);
    if let Some(ended) = shared.lock().server {
        return Err(format!(
            "the server ended by itself, with status {ended}, while {what} ran"
        ));
    }
    match status {
        Ok(0) => Ok(()),
        Ok(status) => Err(format!(
            "{what} {:?} ended with status {status}: what it was to prove is not proved",
            command.to_string_lossy()
        )),
        Err(error) => Err(format!("{what} {:?}: {error}", command.to_string_lossy())),
    }
}

/// The status of a shell's command; `is_traffic`: it ends early where the server does.
fn status_of(
    command: &OsString,
    shared: &Shared,
    signals: &Signals,
    is_traffic: bool,
) -> std::io::Result<u8> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    // Its output is not the report's. In a group of its own, so that all that it starts can be ended with it; the
    // terminal's signals come to it from here.
    shell
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .process_group(0);
    signals.restore_in(&mut shell);
    let mut state = shared.lock();
    // Started under the lock: whoever interrupts sees it. It is reaped by the other thread.
    let child = shell.spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    state.traffic = is_traffic.then_some(pid);
    if is_traffic && (state.interrupted || state.server.is_some()) {
        let _ = killpg(pid, Signal::SIGTERM);
    }
    let runs = |state: &mut State| !state.ended.contains_key(&pid.as_raw());
    let waited = shared.changed.wait_while(state, runs);
    let mut state = waited.unwrap_or_else(PoisonError::into_inner);
    state.traffic = None;
    Ok(state.ended.remove(&pid.as_raw()).unwrap_or(0))
}

/// Stops the server; how, if it still ran.
fn stop(
    traffic: &Traffic,
    server: Pid,
    shared: &Shared,
    signals: &Signals,
) -> Option<Option<Signal>> {
    if shared.lock().server.is_some() {
        return None;
    }
    let signal = match &traffic.stop {
        Stop::Signal(signal) => {
            // Still a child: had it been reaped, its status would stand above, or will in a moment.
            let _ = kill(server, *signal);
            Some(*signal)
        }
        Stop::Command(command) => {
            match status_of(command, shared, signals, false) {
                Ok(0) => {}
                Ok(status) => {
                    notice::say(&format!("--stop: the command ended with status {status}"))
                }
                Err(error) => notice::say(&format!("--stop: {error}")),
            }
            None
        }
    };
    if shared.server_ends(traffic.stop_within).is_none() {
        notice::say(&format!(
            "the server runs on {} s after --stop: killed; see --stop-within",
            traffic.stop_within.as_secs()
        ));
        let _ = kill(server, Signal::SIGKILL);
        // Nothing holds a killed process up for long.
        shared.server_ends(Duration::from_secs(60));
        return Some(Some(Signal::SIGKILL));
    }
    Some(signal)
}

/// Drives the server while `wait` waits for its end; the server's status, and what came of it. What the traffic has
/// started is reaped by `wait`, and after the server's end by `reap`, which returns at once.
pub(super) fn beside(
    traffic: &Traffic,
    server: Pid,
    signals: &Signals,
    wait: impl FnOnce(&Shared) -> u8,
    reap: impl Fn(&Shared),
) -> (u8, Driven) {
    let shared = Shared::default();
    thread::scope(|scope| {
        let driver = scope.spawn(|| drive(traffic, server, &shared, signals));
        let status = wait(&shared);
        shared.server_has_ended(status);
        while !driver.is_finished() {
            reap(&shared);
            thread::sleep(LOOKS);
        }
        (status, driver.join().unwrap_or_default())
    })
}
