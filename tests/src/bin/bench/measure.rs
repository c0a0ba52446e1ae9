//! What a command costs: all processes that it starts are waited for, wherever they end up, and each one's
//! CPU time and peak memory are read as it ends. The recorder, no child of the target's, counts apart.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(300);

/// Names under which a tool's own processes run.
const RECORDERS: [&str; 2] = ["leak-recorder", "heaptrack_inter"];

/// Whose costs a process's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The program that is traced, and what it starts.
    Target,
    /// What a tool runs beside it.
    Recorder,
    /// What makes a server work: costs nothing here.
    Load,
}

/// What processes of one role cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The highest peak among them, in bytes.
    pub(crate) rss: u64,
}

/// What a command cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// From its start to the target's end.
    pub(crate) wall: Duration,
    /// The program itself.
    pub(crate) target: Cost,
    /// What ran beside it.
    pub(crate) recorder: Cost,
}

/// Processes that run, and the costs of those that have ended.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    known: Vec<(i32, Role)>,
    failed: Option<String>,
    usage: Usage,
    _guard: mpsc::Sender<()>,
}

/// From here on orphans among our descendants become children of this process.
pub(crate) fn adopt_orphans() {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

impl Watch {
    /// Nothing runs yet.
    pub(crate) fn new() -> Watch {
        // What an earlier command left behind is none of ours.
        while let Some((pid, _)) = next_ended() {
            reap(pid);
        }
        let (guard, ended) = mpsc::channel();
        thread::spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill_descendants();
            }
        });
        Watch {
            started: Instant::now(),
            known: Vec::new(),
            failed: None,
            usage: Usage::default(),
            _guard: guard,
        }
    }

    /// Starts `command`; its pid.
    pub(crate) fn start(&mut self, command: &mut Command, role: Role) -> Result<i32, String> {
        // SAFETY: does nothing between fork and exec. It is there because with it the child is forked, and
        // does not start with this process's peak of memory for its own.
        unsafe { command.pre_exec(|| Ok(())) };
        command.stdin(Stdio::null());
        self.start_reading(command, role)
    }

    /// The same for one whose standard input is set already.
    pub(crate) fn start_reading(
        &mut self,
        command: &mut Command,
        role: Role,
    ) -> Result<i32, String> {
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        if role == Role::Target {
            self.started = Instant::now();
        }
        let pid = child.id() as i32;
        self.known.push((pid, role));
        Ok(pid)
    }

    /// Waits for the process `pid` to end; whatever else ends meanwhile is counted too.
    pub(crate) fn wait_for(&mut self, pid: i32) -> Result<(), String> {
        while self.known.iter().any(|(known, _)| *known == pid) {
            if !self.reap_next() {
                break;
            }
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Waits for all; what they cost.
    pub(crate) fn wait_for_all(mut self) -> Result<Usage, String> {
        while self.reap_next() {}
        self.failed.map_or(Ok(self.usage), Err)
    }

    /// Takes the next process that ends; false where there are none.
    fn reap_next(&mut self) -> bool {
        let Some((pid, name)) = next_ended() else {
            return false;
        };
        let known = self.known.iter().position(|(known, _)| *known == pid);
        let first = known.is_some();
        let role = match known {
            Some(index) => self.known.swap_remove(index).1,
            None if RECORDERS.contains(&name.as_str()) => Role::Recorder,
            None => Role::Target,
        };
        let (status, usage) = reap(pid);
        if status != 0 && first {
            self.failed = Some(format!("{name} ended with status {status:#x}"));
        }
        let cost = match role {
            Role::Target => &mut self.usage.target,
            Role::Recorder => &mut self.usage.recorder,
            Role::Load => return true,
        };
        if role == Role::Target && first {
            self.usage.wall = self.started.elapsed();
        }
        cost.cpu += time(usage.ru_utime) + time(usage.ru_stime);
        cost.rss = cost.rss.max(usage.ru_maxrss as u64 * 1024);
        true
    }
}

fn time(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// Waits for a child to end, and leaves it to be reaped: its pid and name.
fn next_ended() -> Option<(i32, String)> {
    loop {
        // SAFETY: siginfo_t is plain numbers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is ours to write.
        let result =
            unsafe { libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOWAIT) };
        if result == 0 {
            // SAFETY: waitid filled it in for a child that ended.
            let pid = unsafe { info.si_pid() };
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some((pid, name.trim_end().to_owned()));
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Its status, and what it and the children that it has waited for used.
fn reap(pid: i32) -> (i32, libc::rusage) {
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both are ours to write.
    unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    (status, usage)
}

/// The CPU time used so far by `pid` and its living descendants, and by those of their children that ended.
pub(crate) fn cpu_so_far(pid: i32) -> Duration {
    let ended = children_time(pid);
    children(pid)
        .into_iter()
        .map(cpu_so_far)
        .fold(own_time(pid) + ended, |sum, time| sum + time)
}

/// By the clock that the kernel keeps for each process: its threads', the ended ones' too.
fn own_time(pid: i32) -> Duration {
    let mut clock = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both are ours to write; for a pid that is gone the calls fail and leave zero.
    unsafe {
        if libc::clock_getcpuclockid(pid, &mut clock) == 0 {
            libc::clock_gettime(clock, &mut time);
        }
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The time of the children that `pid` has waited for, in hundredths of a second: no clock is finer.
fn children_time(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Kills all that this process has started.
fn kill_descendants() {
    fn kill(pid: i32) {
        for child in children(pid) {
            // SAFETY: takes numbers only.
            unsafe { libc::kill(child, libc::SIGKILL) };
            kill(child);
        }
    }
    eprintln!("bench: a run took longer than {LIMIT:?}; ending it");
    kill(std::process::id() as i32);
}
