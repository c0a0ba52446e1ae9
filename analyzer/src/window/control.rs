//! The word in a target by which its recording begins: found in its memory, and written there.
//!
//! That takes the right to trace the process (`ptrace`): its own user has it where `kernel.yama.ptrace_scope` is 0 and the
//! process can be dumped, root has it always.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use leak_wire::build::BUILD;
use leak_wire::control::{self, BEGUN_AT, FAILED_AT, GATE_AT, Gate, MAGIC, SIZE, TOLD_AT};

use crate::record::state::What;
use crate::traced::{Traced, maps, session_of};

/// How long the process may take to its next hooked call, and its recorder to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// Past this size nothing is libleak's data.
const MOST: u64 = 64 << 20;

/// libleak in a process.
struct Target {
    pid: u32,
    memory: File,
    at: u64,
}

/// Begins to record the process `pid`, and says where its trace is.
///
/// # Errors
/// One line: what is in the way, and what to do.
pub(super) fn start(pid: u32) -> Result<(), String> {
    let target = Target::find(pid);
    // Before the session is looked for: one may begin meanwhile.
    let begun = target
        .as_ref()
        .map_or(Ok(0), |target| target.word(BEGUN_AT));
    let before = session_of(pid)?;
    if before.is_some() && Traced::find(pid)?.is_recorded() {
        return Err(format!(
            "process {pid} is recorded already; see leak-analyze status {pid}"
        ));
    }
    let (target, begun) = (target?, begun?);
    match target.gate()? {
        // Of a session that has ended, which the process will see with its next call; or one begins just now.
        Some(Gate::Open) if before.is_none() => {}
        Some(Gate::Wanted) => {}
        _ => target.write(GATE_AT, Gate::Wanted)?,
    }
    target.await_begin(before.as_deref(), begun)
}

/// Whether libleak is in the process `pid`.
///
/// # Errors
/// One line: the process is not there, or another's.
pub(super) fn is_loaded(pid: u32) -> Result<bool, String> {
    Ok(maps(pid)?.lines().any(|line| line.contains("/libleak.so")))
}

/// How libleak stands in a process.
pub(crate) struct Look {
    /// What it told its user last.
    pub(crate) told: String,
}

/// Looks at libleak in the process `pid`.
///
/// # Errors
/// One line: it can't be begun from here, and what to do.
pub(crate) fn look(pid: u32) -> Result<Look, String> {
    let target = Target::find(pid)?;
    Ok(Look {
        told: target.told(),
    })
}

impl Target {
    fn find(pid: u32) -> Result<Target, String> {
        let maps = maps(pid)?;
        let denied = |error: &io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied => format!(
                "process {pid} may not be changed from here; run as root (sudo leak-analyze start {pid}), or set \
                 kernel.yama.ptrace_scope to 0"
            ),
            _ => format!("process {pid} can't be looked at: {error}"),
        };
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))
            .map_err(|error| denied(&error))?;
        for (start, end) in maps.lines().filter_map(data) {
            let mut bytes = vec![0; (end - start) as usize];
            if memory.read_exact_at(&mut bytes, start).is_err() {
                continue;
            }
            let found = bytes.chunks(64).position(|line| line.starts_with(&MAGIC));
            if let Some(line) = found {
                let at = start + line as u64 * 64;
                let target = Target { pid, memory, at };
                return match target.word(control::BUILD_AT)? {
                    BUILD => Ok(target),
                    other => Err(format!(
                        "the libleak of process {pid} is of another build ({other:08x}, this program is of {BUILD:08x}); \
                         use the leak-analyze that came with it"
                    )),
                };
            }
        }
        Err(format!(
            "process {pid} runs without libleak; start it with LD_PRELOAD=libleak.so LEAK_START=off"
        ))
    }

    fn word(&self, offset: u64) -> Result<u32, String> {
        let mut bytes = [0; 4];
        self.memory
            .read_exact_at(&mut bytes, self.at + offset)
            .map_err(|_| format!("process {} has ended", self.pid))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn gate(&self) -> Result<Option<Gate>, String> {
        Ok(Gate::of_word(self.word(GATE_AT)?))
    }

    fn write(&self, offset: u64, gate: Gate) -> Result<(), String> {
        self.memory
            .write_all_at(&(gate as u32).to_le_bytes(), self.at + offset)
            .map_err(|error| format!("process {} can't be told: {error}", self.pid))
    }

    /// What the process told its user last.
    fn told(&self) -> String {
        let mut bytes = [0; (SIZE - TOLD_AT) as usize];
        if self
            .memory
            .read_exact_at(&mut bytes, self.at + TOLD_AT)
            .is_err()
        {
            return String::new();
        }
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    fn refused(&self) -> String {
        match self.told().as_str() {
            "" => format!(
                "process {} is none to trace (LEAK_ONLY, or a program with its user's rights changed)",
                self.pid
            ),
            told => format!("process {}: {told}", self.pid),
        }
    }

    /// Waits until the process is recorded, in another session than the one `before`; `begun`: how often recording had
    /// begun by then. The session is there to be seen before its threads record.
    fn await_begin(&self, before: Option<&str>, begun: u32) -> Result<(), String> {
        let asked = Instant::now();
        let tries = self.word(FAILED_AT)?;
        loop {
            // It tried and could not, since.
            if self.word(FAILED_AT)? != tries {
                return Err(self.refused());
            }
            match self.gate()? {
                Some(Gate::Open) => {
                    let name = session_of(self.pid)?;
                    let records = self.word(BEGUN_AT)? != begun;
                    if records && name.is_some() && name.as_deref() != before {
                        return self.told_begin();
                    }
                }
                // A process that was forked in a way that no hook sees takes the first wish for its parent's.
                Some(Gate::Off | Gate::Watching) => self.write(GATE_AT, Gate::Wanted)?,
                _ => {}
            }
            if asked.elapsed() > PATIENCE {
                return Err(format!(
                    "process {} has made no call that libleak sees for {} s: recording begins with its next one",
                    self.pid,
                    PATIENCE.as_secs()
                ));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Target {
    /// Says where the trace of a recording is that has begun.
    fn told_begin(&self) -> Result<(), String> {
        let state = Traced::find(self.pid)?.state(What::Status)?;
        println!(
            "process {} is recorded to {}; leak-analyze stop {} ends that",
            self.pid,
            state.trace.display(),
            self.pid
        );
        Ok(())
    }
}

/// The range of a line of `maps` that may be a library's data.
fn data(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let path = fields.nth(3)?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    (rights == "rw-p" && path.starts_with('/') && end.checked_sub(start)? <= MOST)
        .then_some((start, end))
}
