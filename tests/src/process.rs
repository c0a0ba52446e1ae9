//! Starts programs, waits for them no longer than agreed, and leaves none behind.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Marks the processes of one [`Group`]: its name in their environment.
const MARK: &str = "LEAK_TESTS_GROUP";

/// A program and all that it started, killed when dropped.
#[derive(Debug)]
pub struct Group {
    child: Child,
    mark: String,
    out: PathBuf,
    err: PathBuf,
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: String,
}

/// A shell that starts tests in the background has SIGINT and SIGQUIT ignored, and what is ignored stays so
/// across exec: servers would never stop then.
fn heed_signals() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: SIG_DFL is a disposition that every signal can have.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

impl Group {
    /// Starts `command` in a process group of its own, its output kept in files in `directory`.
    pub fn start(mut command: Command, directory: &Path) -> Group {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number must be its own, nothing is published with it.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}.{number}", std::process::id());
        let (out, err) = (
            directory.join(format!("out.{number}")),
            directory.join(format!("err.{number}")),
        );
        let create = |path: &Path| File::create(path).expect("the test's directory can be written");
        command
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(create(&out))
            .stderr(create(&err))
            .process_group(0);
        // SAFETY: signal is async-signal-safe (signal-safety(7)), and nothing else happens there.
        unsafe { command.pre_exec(heed_signals) };
        let begun = Instant::now();
        let child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // A program that this test wrote is still open for writing in a child that another
                // thread forked just then. The child closes the file when it executes its own program.
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy
                        && begun.elapsed() < Duration::from_secs(10) =>
                {
                    thread::yield_now();
                }
                Err(error) => panic!("{command:?}: {error}"),
            }
        };
        Group {
            child,
            mark,
            out,
            err,
        }
    }

    /// The first process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the first process.
    pub fn signal(&self, signal: i32) {
        let pid = self.child.id() as i32;
        // SAFETY: kill takes numbers only; the child has not been waited for, so the pid is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    /// Waits until nothing of it runs: all threads of all its processes sleep, at two looks in a row. Then a
    /// server is done with what it does after its last answers.
    pub fn wait_until_idle(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut calm = 0;
        while calm < 2 {
            assert!(Instant::now() < until, "busy for {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
            calm = match marked(&self.mark).into_iter().all(sleeps) {
                true => calm + 1,
                false => 0,
            };
        }
    }

    /// What it has printed on standard error so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Whether the first process runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the first process to end; panics, with what it printed, where that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Ended {
        if !ends_within(self.child.id(), limit) {
            panic!(
                "still running after {limit:?}; it said:\n{}\n{}",
                String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()),
                self.err()
            );
        }
        Ended {
            status: self.child.wait().expect("a child can be waited for"),
            out: fs::read(&self.out).unwrap_or_default(),
            err: self.err(),
        }
    }

    /// A process of the group that calls itself `name`.
    pub fn member(&self, name: &str) -> Option<u32> {
        let named = |pid: &u32| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            comm.trim_end() == name
        };
        marked(&self.mark).into_iter().find(named)
    }

    /// Waits for every process that the program started, the recorder too, to be gone.
    pub fn assert_nothing_left(&self, limit: Duration) {
        let until = Instant::now() + limit;
        for pid in marked(&self.mark) {
            let left = until.saturating_duration_since(Instant::now());
            if !ends_within(pid, left) {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                panic!("left behind: process {pid}: {line}");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = -(self.child.id() as i32);
        // SAFETY: kill takes numbers only; the group is the child's own, and it is not reused while members live.
        unsafe { libc::kill(group, libc::SIGKILL) };
        let _ = self.child.wait();
        for pid in marked(&self.mark) {
            // SAFETY: as above; the process carries this group's mark.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    }
}

/// Whether no thread of `pid` runs, or waits for the processor.
fn sleeps(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        !after_name.starts_with(['R', 'D'])
    })
}

/// Whether `pid` is gone, or a zombie, before `limit` has passed.
fn ends_within(pid: u32, limit: Duration) -> bool {
    // SAFETY: pidfd_open takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return true; // gone already
    }
    // SAFETY: the call above returned it, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // SAFETY: one pollfd, as the count says.
        match unsafe { libc::poll(&mut poll, 1, left.as_millis() as i32) } {
            0 => return false,
            1 => return true,
            _ => {} // interrupted
        }
    }
}

/// The processes whose environment carries `mark`.
fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|one| one == wanted.as_bytes())
    })
    .collect()
}
