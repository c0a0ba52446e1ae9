//! What /proc tells about the processes of the tree.
//!
//! It may be that of an outer pid namespace (`unshare --pid` without a /proc of its own), which shows processes by
//! other numbers than ours, or not be mounted at all: then nothing is known of them, but whether they live.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use super::system;

/// What a program image is: its executable's path and its command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) executable: String,
    pub(crate) arguments: Vec<String>,
}

/// Bytes kept of a command line.
const MAX_ARGUMENTS: usize = 4096;

/// Where /proc tells of `pid`; a place that is nowhere if it does not.
pub(crate) fn of(pid: u32) -> String {
    let shown = match is_ours() {
        true => Some(pid),
        false => shown(pid),
    };
    match shown {
        Some(shown) => format!("/proc/{shown}"),
        None => "/proc/none".to_owned(),
    }
}

/// Whether /proc tells of `pid`.
pub(crate) fn shows(pid: u32) -> bool {
    fs::metadata(of(pid)).is_ok()
}

/// The number by which the /proc of an outer namespace shows our process `pid`.
fn shown(pid: u32) -> Option<u32> {
    static KNOWN: Mutex<Option<HashMap<u32, u32>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let last = known.get(&pid).copied();
    let found = last
        .filter(|shown| number(*shown) == Some(pid))
        .or_else(|| all().find(|shown| number(*shown) == Some(pid)))?;
    known.insert(pid, found);
    Some(found)
}

/// Our number of the process that /proc shows as `shown`, if it is one of our namespace.
fn number(shown: u32) -> Option<u32> {
    if is_ours() {
        return Some(shown);
    }
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    let number = innermost(shown)?;
    let ours = namespace("self")?;
    (namespace(&shown.to_string()) == Some(ours)).then_some(number)
}

/// All processes, by the numbers by which /proc shows them.
fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The program that `pid` runs now.
pub(crate) fn program(pid: u32) -> Program {
    let of = of(pid);
    let executable = fs::read_link(format!("{of}/exe"))
        .map(|path| path.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut line = fs::read(format!("{of}/cmdline")).unwrap_or_default();
    line.truncate(MAX_ARGUMENTS);
    if line.last() == Some(&0) {
        line.pop();
    }
    let arguments = line
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned());
    Program {
        executable,
        arguments: match line.is_empty() {
            true => Vec::new(),
            false => arguments.collect(),
        },
    }
}

/// The resident set of `pid`, bytes. A zombie has none any more.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(of(pid) + "/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    (pages > 0).then_some(pages * 4096)
}

/// The state letter of `pid`, and its wait status where it is a zombie and we may know.
fn stat(pid: u32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(of(pid) + "/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.last()?.parse().ok()?))
}

/// The wait status of `pid` while it is a zombie.
pub(crate) fn zombie_status(pid: u32) -> Option<i32> {
    let (state, status) = stat(pid)?;
    (state == 'Z').then_some(status)
}

/// How long `pid` has run.
pub(crate) fn age(pid: u32) -> Option<std::time::Duration> {
    let stat = fs::read_to_string(of(pid) + "/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    // Ticks since the machine's start, in hundredths of a second on every Linux.
    let started: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    std::time::Duration::try_from_secs_f64(uptime - started / 100.0).ok()
}

/// Whether `pid` is gone or a zombie. Where /proc can't be read, a zombie is not told from one that lives.
pub(crate) fn has_ended(pid: u32) -> bool {
    match stat(pid) {
        Some((state, _)) => matches!(state, 'Z' | 'X'),
        None => !system::exists(pid),
    }
}

/// Whether `pid` is gone, a zombie, or about to be one: its memory may be gone already.
pub(crate) fn is_ending(pid: u32) -> bool {
    /// `PF_EXITING`.
    const EXITING: u64 = 4;
    let stat = fs::read_to_string(of(pid) + "/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let flags = fields.and_then(|fields| fields.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & EXITING != 0)
}

/// The parent of `pid`, a zombie's too, as /proc shows it.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(of(pid) + "/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Whether `pid` has the mapping of the session called `name`.
pub(crate) fn has_mapping(pid: u32, name: &str) -> bool {
    let maps = fs::read(of(pid) + "/maps").unwrap_or_default();
    maps.windows(name.len()).any(|part| part == name.as_bytes())
}

/// Whether `pid` was given the name of the session in its environment.
pub(crate) fn names(pid: u32, name: &str) -> bool {
    let variables = fs::read(of(pid) + "/environ").unwrap_or_default();
    variables
        .windows(name.len())
        .any(|part| part == name.as_bytes())
}

/// Whether /proc shows the processes by the numbers by which we see them.
pub(crate) fn is_ours() -> bool {
    let own = fs::read_link("/proc/self").ok();
    own.is_some_and(|own| own.as_os_str() == std::process::id().to_string().as_str())
}

/// The process of the session called `name` that, in a pid namespace of its own, is `own_pid`.
pub(crate) fn elsewhere(own_pid: u32, name: &str) -> Option<u32> {
    all().find(|pid| innermost(*pid) == Some(own_pid) && has_mapping(*pid, name))
}

/// The number in its own pid namespace of the process that /proc shows as `shown`, if that is another namespace than
/// that of /proc.
fn innermost(shown: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{shown}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().nth(1)?;
    line.split_whitespace().last()?.parse().ok()
}

/// Processes other than this one that belong to the session called `name` though they never said so:
/// a fork that has recorded nothing yet still has the mapping, an image that is starting or is not
/// traced has the name in its environment.
pub(crate) fn strangers(name: &str) -> Vec<u32> {
    let named = |file: String| {
        let text = fs::read(file).unwrap_or_default();
        text.windows(name.len()).any(|part| part == name.as_bytes())
    };
    let others = all().filter(|shown| {
        named(format!("/proc/{shown}/maps")) || named(format!("/proc/{shown}/environ"))
    });
    let mut others: Vec<u32> = others.filter_map(number).collect();
    others.retain(|pid| *pid != std::process::id() && !has_ended(*pid));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_files() {
        let pid = std::process::id();
        let program = program(pid);
        assert!(program.executable.contains("leak_analyze"));
        assert!(!program.arguments.is_empty());
        assert!(resident(pid).unwrap() > 4096);
        assert!(!has_ended(pid) && has_ended(u32::MAX));
        assert!(!is_ending(pid) && is_ending(u32::MAX));
        assert_eq!(zombie_status(pid), None);
        assert_eq!(parent(pid), Some(std::os::unix::process::parent_id()));
        assert!(has_mapping(pid, "leak_analyze") && !has_mapping(pid, "libleak-none"));
        assert!(is_ours() && number(pid) == Some(pid));
        assert_eq!(innermost(pid), None);
        assert_eq!(elsewhere(1, "libleak-none"), None);
    }

    #[test]
    fn a_zombie_tells_its_status() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "exit 3"])
            .spawn()
            .unwrap();
        let pidfd = super::super::system::pidfd_open(child.id()).unwrap();
        let mut polls = [nix::poll::PollFd::new(
            std::os::fd::AsFd::as_fd(&pidfd),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(&mut polls, 10_000_u16).unwrap();
        assert_eq!(zombie_status(child.id()), Some(3 << 8));
        assert_eq!(resident(child.id()), None);
        assert!(has_ended(child.id()) && is_ending(child.id()));
        child.wait().unwrap();
        let told = super::super::system::pidfd_exit_status(&pidfd);
        assert!(told.is_none_or(|status| status == 3 << 8), "{told:?}");
    }
}
