//! What is around a program: settings, where its trace will lie, memory, and what the kernel allows.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use super::finding::Findings;
use crate::figures::bytes;
use crate::record::preflight;

/// Free space that suffices for a long while, bytes.
const MUCH: u64 = 1 << 30;
/// With fewer lanes' bytes than these a program with many threads may find too few.
const FEW_LANES: u64 = 32 << 20;
/// The fewest open files that a recorder starts with, and those with which it sees processes end at once.
const FEWEST_FILES: u64 = 13;
const FEW_FILES: u64 = 29;

/// The variables of a process or of ours.
pub(super) type Variables = Vec<(OsString, OsString)>;

/// The value of one of them; an empty one counts as not set.
pub(super) fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsStr> {
    let mut found = variables.iter().filter(|(known, _)| known == name);
    found
        .next()
        .map(|(_, value)| value.as_os_str())
        .filter(|value| !value.is_empty())
}

/// Looks at all settings among the variables.
pub(super) fn settings(variables: &Variables, findings: &mut Findings) {
    let mut good: Vec<String> = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LEAK_")) else {
            continue;
        };
        match preflight::unknown(name) {
            Some(Some(near)) => {
                findings.note(
                    "settings",
                    format!("{name} is no setting"),
                    format!("{near} is one: rename it"),
                );
                continue;
            }
            Some(None) => {
                findings.note("settings", format!("{name} is no setting"), "unset it");
                continue;
            }
            None if text.is_empty() => continue,
            None => {}
        }
        match preflight::refusal(name, text.clone()) {
            Some(why) => findings.cant("settings", why, "set it so, or unset it"),
            None => good.push(format!("{name}={}", text.to_string_lossy())),
        }
    }
    if !good.is_empty() {
        findings.ok("settings", good.join(" "));
    }
}

/// Looks at where the trace will lie, `limited` by `LEAK_MAX_TRACE`.
pub(super) fn trace(path: &Path, limited: Option<&OsStr>, findings: &mut Findings) {
    match preflight::trace_at(path) {
        Err(why) => findings.cant(
            "trace",
            why,
            "set LEAK_TRACE to another name, in a folder that can be written (%p is the pid)",
        ),
        Ok(room) => {
            let shown = path.display();
            let free = room
                .free
                .map_or("nobody tells how much is free there".to_owned(), |free| {
                    format!("{} are free there", bytes(free))
                });
            let limit = match limited {
                Some(size) => format!("LEAK_MAX_TRACE={}", size.to_string_lossy()),
                None => bytes(room.limit),
            };
            let text = format!("{shown}: {free}, recording ends at {limit}");
            match room.free.is_none_or(|free| free >= MUCH) {
                true => findings.ok("trace", text),
                false => findings.note("trace", text, "set LEAK_TRACE to where more is free"),
            }
        }
    }
}

/// Looks at the memory that the lanes of a session take, of which the first process is `pid`; `set`: `LEAK_MEMORY`.
pub(super) fn memory(pid: u32, set: Option<&OsStr>, findings: &mut Findings) {
    let limit = preflight::memory_limit(&preflight::folder_of(pid).to_string_lossy());
    let limit = limit.map_or(String::new(), |limit| {
        format!(" of the {} that its cgroup has", bytes(limit))
    });
    if let Some(set) = set {
        let text = format!(
            "lanes take {}{limit} at most (LEAK_MEMORY)",
            set.to_string_lossy()
        );
        return findings.ok("memory", text);
    }
    match preflight::lanes_beside(pid) {
        Err(why) => {
            let (what, todo) = why.split_once("; ").unwrap_or((&why, "set LEAK_MEMORY"));
            findings.cant("memory", what, todo);
        }
        Ok(lanes) if lanes < FEW_LANES => findings.note(
            "memory",
            format!(
                "lanes take {}{limit} at most: room for few threads at once",
                bytes(lanes)
            ),
            "allow it more memory, or set LEAK_MEMORY",
        ),
        Ok(lanes) => findings.ok(
            "memory",
            format!(
                "lanes take {}{limit} at most, whatever the size of /dev/shm",
                bytes(lanes)
            ),
        ),
    }
}

/// Looks at the limit of open files that a recorder inherits.
pub(super) fn files(findings: &mut Findings) {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if hard < FEWEST_FILES {
        let text = format!("a recorder needs {FEWEST_FILES} open files, and {hard} are allowed");
        findings.cant("limits", text, "raise the limit (ulimit -Hn)");
    } else if hard < FEW_FILES {
        let text = format!(
            "{hard} open files are allowed: ends of processes are looked for once a second"
        );
        findings.note("limits", text, "raise the limit (ulimit -Hn)");
    }
}

/// The number behind this key of a `status` file of /proc.
fn status(process: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{process}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line?.trim().parse().ok()
}

/// A process may make only the system calls that a filter allows.
const FILTERED: u64 = 2;

/// Whether a filter for system calls is in force in the process of which this folder tells.
pub(super) fn is_filtered(process: &str) -> bool {
    status(process, "Seccomp") == Some(FILTERED)
}

/// Looks at what the kernel allows here, where the program is to be started.
pub(super) fn kernel(findings: &mut Findings) {
    let is_filtered = is_filtered("/proc/self");
    let whose = match is_filtered {
        true => "a filter for system calls is in force (a container's?)",
        false => "the kernel",
    };
    let forbidden = preflight::forbidden();
    if !forbidden.is_empty() {
        let text = format!(
            "{whose} forbids what a recorder needs: {}",
            forbidden.join(", ")
        );
        findings.cant(
            "kernel",
            text,
            "allow it (Docker: --security-opt seccomp=PROFILE), or run it elsewhere",
        );
    } else if is_filtered {
        findings.ok(
            "kernel",
            format!("{whose}, and allows what a recorder needs"),
        );
    }
    scope(findings);
}

/// Who may read another process's memory: yama's setting, from which on it takes a capability.
const BY_CAPABILITY: u32 = 2;
/// CAP_SYS_PTRACE.
const SYS_PTRACE: u64 = 1 << 19;

/// Looks at whether the recorder may read types in the program's memory.
fn scope(findings: &mut Findings) {
    let text = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let scope: Option<u32> = text.ok().and_then(|text| text.trim().parse().ok());
    let effective = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        });
    let may = effective.is_some_and(|effective| effective & SYS_PTRACE != 0);
    if let Some(scope) =
        scope.filter(|scope| *scope > BY_CAPABILITY || *scope == BY_CAPABILITY && !may)
    {
        findings.note(
            "kernel",
            format!("kernel.yama.ptrace_scope is {scope}: types of what is left can't be read"),
            "set it to 1, or give the recorder CAP_SYS_PTRACE",
        );
    }
}
