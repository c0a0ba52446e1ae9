//! How much memory the lanes take. All of it counts in a limit of the address space (`ulimit -v`), in the target and in
//! the recorder, which inherits the limit; and in a limit of memory that both share (a container's). There they take a
//! small part of what is left, or of the limit.

use std::fs;
use std::path::{Path, PathBuf};

use leak_wire::layout::Geometry;

use super::procfs;

/// Without a limit, bytes.
const USUAL: u64 = 256 << 20;
/// The part of what there is that the lanes take, and the most of it that the smallest ones may.
const PART: u64 = 8;
const MOST: u64 = 4;
/// Lanes of fewer bytes may not suffice for a program with many threads.
const FEW: u64 = 32 << 20;

/// How much the lanes take, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes.
    pub(crate) bytes: u64,
    /// What the trace is to say of it.
    pub(crate) warning: Option<String>,
}

impl Room {
    /// As much as was asked for.
    pub(crate) fn asked(bytes: u64) -> Room {
        Room {
            bytes,
            warning: None,
        }
    }

    /// What the lanes of a session take whose first process is `pid`.
    ///
    /// # Errors
    /// One line: there is too little.
    pub(crate) fn beside(pid: u32) -> Result<Room, String> {
        let spaces = [left_to(&procfs::of(pid)), left_to("/proc/self")];
        let space = spaces.into_iter().flatten().min();
        Room::within(space, memory_of("/proc/self", Path::new("/sys/fs/cgroup")))
    }

    /// What they take of so much address space that is left, and so much memory at most.
    fn within(space: Option<u64>, memory: Option<u64>) -> Result<Room, String> {
        let refused = |bytes: u64, limit: &str| {
            let mib = bytes >> 20;
            format!("its {limit}, and there are {mib} MiB; allow it more, or set LEAK_MEMORY")
        };
        let of_space = space.map_or(Ok(USUAL), |space| {
            part_of(space).ok_or_else(|| refused(space, "address space is limited (ulimit -v)"))
        })?;
        let of_memory = memory.map_or(Ok(USUAL), |memory| {
            part_of(memory).ok_or_else(|| refused(memory, "memory is limited (by its cgroup)"))
        })?;
        let bytes = of_space.min(of_memory);
        let limit = memory.filter(|_| of_memory == bytes && bytes < FEW);
        let warning = limit.map(|limit| {
            format!(
                "memory was limited to {} MiB, which the recorder shares: its lanes were {} MiB at most, for fewer \
                 threads at once, and smaller bursts, than usual; LEAK_MEMORY sets another size",
                limit >> 20,
                bytes >> 20
            )
        });
        Ok(Room { bytes, warning })
    }
}

fn part_of(there: u64) -> Option<u64> {
    let enough = there >= MOST * Geometry::MIN_BUDGET;
    enough.then(|| (there / PART).clamp(Geometry::MIN_BUDGET, USUAL))
}

/// What the process may still map of which this folder tells; `None`: as much as it likes, or nobody knows.
fn left_to(process: &str) -> Option<u64> {
    let limits = fs::read_to_string(format!("{process}/limits")).ok()?;
    let statm = fs::read_to_string(format!("{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').next()?.parse().ok()?;
    Some(address_space(&limits)?.saturating_sub(pages * 4096))
}

/// The limit in force among those that the kernel lists; `None`: there is none.
pub(super) fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines();
    let mut values = line.filter_map(|line| line.strip_prefix("Max address space"));
    values.next()?.split_whitespace().next()?.parse().ok()
}

/// The smallest limit of memory of the groups, mounted at `root`, that the process is in; `None`: there is none.
pub(super) fn memory_of(process: &str, root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(format!("{process}/cgroup")).ok()?;
    let files = groups.lines().filter_map(|line| limit_file(line, root));
    let limits = files.flat_map(|(mounted, group, name)| {
        // A group's own limit, and those of all that it lies in. In a namespace of groups the path may lead
        // nowhere: the mount's own is the container's then.
        let groups: Vec<PathBuf> = group.ancestors().map(Path::to_path_buf).collect();
        groups.into_iter().filter_map(move |group| {
            let group = group.strip_prefix("/").unwrap_or(&group);
            let text = fs::read_to_string(mounted.join(group).join(name)).ok()?;
            text.trim().parse::<u64>().ok()
        })
    });
    // Version 1 says the largest number of pages for none.
    limits.filter(|limit| *limit < 1 << 62).min()
}

/// Where the groups of a line of `/proc/PID/cgroup` are mounted, the group, and the file with its limit, if it is of memory.
pub(super) fn limit_file<'a>(
    line: &'a str,
    root: &Path,
) -> Option<(PathBuf, &'a Path, &'static str)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    let group = Path::new(group);
    if controllers.is_empty() {
        return Some((root.to_path_buf(), group, "memory.max"));
    }
    let of_memory = controllers.split(',').any(|name| name == "memory");
    of_memory.then(|| (root.join("memory"), group, "memory.limit_in_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_what_there_is() {
        assert_eq!(part_of(u64::MAX), Some(USUAL));
        assert_eq!(part_of(1 << 30), Some(128 << 20));
        assert_eq!(part_of(16 << 20), Some(4 << 20));
        assert_eq!(part_of((16 << 20) - 1), None);
    }

    #[test]
    fn the_smaller_limit_counts_and_a_small_one_of_memory_is_said() {
        let of = |space: Option<u64>, memory: Option<u64>| {
            Room::within(space.map(|mib| mib << 20), memory.map(|mib| mib << 20))
        };
        assert_eq!(of(None, None), Ok(Room::asked(USUAL)));
        assert_eq!(of(Some(80), None), Ok(Room::asked(10 << 20)));
        assert_eq!(of(Some(80), Some(4096)), Ok(Room::asked(10 << 20)));
        assert_eq!(of(None, Some(1024)), Ok(Room::asked(128 << 20)));
        let little = of(Some(1 << 20), Some(64)).unwrap();
        assert_eq!(little.bytes, 8 << 20);
        assert!(
            little
                .warning
                .unwrap()
                .starts_with("memory was limited to 64 MiB")
        );
        assert!(of(None, Some(15)).unwrap_err().contains("by its cgroup"));
        assert!(of(Some(15), Some(15)).unwrap_err().contains("ulimit -v"));
    }

    #[test]
    fn the_kernel_s_list_is_read() {
        let list = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max address space         1048576              unlimited            bytes     \n";
        assert_eq!(address_space(list), Some(1 << 20));
        assert_eq!(address_space(&list.replace("1048576", "unlimited")), None);
        assert_eq!(address_space(""), None);
        assert_eq!(left_to("0"), None);
    }

    #[test]
    fn limits_of_both_versions_of_groups() {
        let root = std::env::temp_dir().join(format!("leak-groups.{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let process = root.join("process").display().to_string();
        let limit = |groups: &str| {
            write("process/cgroup", groups);
            memory_of(&process, &root)
        };
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/a/memory.limit_in_bytes", "1000000\n");
        write("memory/a/b/memory.limit_in_bytes", "2000000\n");
        assert_eq!(
            limit("5:cpuset:/\n4:memory,hugetlb:/a/b\n0::/\n"),
            Some(1_000_000)
        );
        assert_eq!(limit("4:memory:/\n"), None);
        write("c/memory.max", "max\n");
        write("c/d/memory.max", "3000000\n");
        assert_eq!(limit("0::/c/d\n"), Some(3_000_000));
        assert_eq!(limit("0::/c\n"), None);
        // As a container sees it: the path is the host's, the mount its own group.
        write("memory.max", "4000000\n");
        assert_eq!(limit("0::/../elsewhere\n"), Some(4_000_000));
        assert_eq!(limit(""), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
