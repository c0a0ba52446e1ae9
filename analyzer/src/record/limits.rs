//! What limits the target's memory, and whether the kernel killed a process of it for that: which limit, once, at the
//! session's begin, and how often the kernel has killed in its group, then and at each end by SIGKILL.

use std::fs;
use std::path::{Path, PathBuf};

use super::room::{self, limit_file};
use crate::trace::{LimitKind, Note};

/// Where groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// The limit of a session's first process, and the kills that were seen.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// The file of its group that counts kills for lack of memory.
    events: Option<PathBuf>,
    /// Kills that were seen, each for one process.
    kills: u64,
}

impl Limits {
    /// Those of the process that started this one, which are this one's, with what is to be noted of them: it may have
    /// ended by now, and have none.
    pub(crate) fn inherited() -> (Limits, Option<Note>) {
        Limits::within("/proc/self", Path::new(GROUPS))
    }

    fn within(process: &str, groups: &Path) -> (Limits, Option<Note>) {
        let events = events_file(process, groups);
        let kills = events.as_deref().and_then(kills).unwrap_or(0);
        let group = room::memory_of(process, groups).map(|bytes| (LimitKind::Cgroup, bytes));
        let limits = fs::read_to_string(format!("{process}/limits"));
        let space = limits.ok().and_then(|limits| room::address_space(&limits));
        let space = space.map(|bytes| (LimitKind::AddressSpace, bytes));
        let limit = group
            .or(space)
            .or_else(|| Some((LimitKind::Machine, machine()?)));
        let note = limit.map(|(kind, bytes)| Note::Limit { kind, bytes });
        (Limits { events, kills }, note)
    }

    /// Whether the kernel has killed one process more than was seen.
    pub(crate) fn killed_one(&mut self) -> bool {
        let kills = self.events.as_deref().and_then(kills).unwrap_or(0);
        let more = kills > self.kills;
        self.kills += u64::from(more);
        more
    }
}

/// Bytes of the machine's memory.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The file of the process's group that counts kills. In a namespace of groups the path may lead nowhere: the mount's
/// own group is the container's then.
fn events_file(process: &str, root: &Path) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("{process}/cgroup")).ok()?;
    let files = groups.lines().filter_map(|line| limit_file(line, root));
    let mut files = files.flat_map(|(mounted, group, limit)| {
        let name = match limit {
            "memory.max" => "memory.events",
            _ => "memory.oom_control",
        };
        let groups: Vec<PathBuf> = group.ancestors().map(Path::to_path_buf).collect();
        groups.into_iter().map(move |group| {
            let group = group.strip_prefix("/").unwrap_or(&group);
            mounted.join(group).join(name)
        })
    });
    files.find(|file| kills(file).is_some())
}

/// How often the kernel has killed, as the file says.
fn kills(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kill_in_the_group_is_one_processes() {
        let root = std::env::temp_dir().join(format!("leak-limits-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("process/cgroup", "0::/a/b\n");
        write(
            "process/limits",
            "Max address space         unlimited            unlimited            bytes\n",
        );
        write("groups/a/memory.max", "268435456\n");
        write("groups/a/b/memory.max", "max\n");
        write("groups/a/b/memory.events", "low 0\noom 4\noom_kill 3\n");
        let process = root.join("process");
        let process = process.to_str().unwrap();
        let (mut limits, note) = Limits::within(process, &root.join("groups"));
        let (kind, bytes) = (LimitKind::Cgroup, 256 << 20);
        assert_eq!(note, Some(Note::Limit { kind, bytes }));
        assert!(!limits.killed_one());
        write("groups/a/b/memory.events", "low 0\noom 5\noom_kill 5\n");
        assert_eq!(
            [
                limits.killed_one(),
                limits.killed_one(),
                limits.killed_one()
            ],
            [true, true, false]
        );
        // Of version 1, in a container whose path is not to be seen.
        write("process/cgroup", "4:memory:/docker/1\n3:cpu:/\n");
        write(
            "groups/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        write(
            "groups/memory/memory.oom_control",
            "under_oom 0\noom_kill 0\n",
        );
        write(
            "process/limits",
            "Max address space         1048576              unlimited            bytes\n",
        );
        let (mut limits, note) = Limits::within(process, &root.join("groups"));
        let (kind, bytes) = (LimitKind::AddressSpace, 1 << 20);
        assert_eq!(note, Some(Note::Limit { kind, bytes }));
        write(
            "groups/memory/memory.oom_control",
            "under_oom 0\noom_kill 1\n",
        );
        assert!(limits.killed_one());
        fs::remove_dir_all(&root).unwrap();
    }
}
