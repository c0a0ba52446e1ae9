//! How much memory the lanes take: all of it counts in a limit of the address space (`ulimit -v`), in the
//! target and in the recorder, which inherits the limit. There they take a small part of what is left.

use std::fs;

use leak_wire::layout::Geometry;

use super::procfs;

/// Without a limit, bytes.
const USUAL: u64 = 256 << 20;
/// The part of what is left that the lanes take, and the most of it that the smallest ones may.
const PART: u64 = 8;
const MOST: u64 = 4;

/// The bytes that the lanes of a session take whose first process is `pid`.
///
/// # Errors
/// One line: too little is left.
pub(crate) fn for_lanes(pid: u32) -> Result<u64, String> {
    let left = [left_to(&procfs::of(pid)), left_to("/proc/self")];
    match left.into_iter().flatten().min() {
        None => Ok(USUAL),
        Some(left) => part_of(left).ok_or_else(|| {
            let left = left >> 20;
            format!(
                "its address space is limited (ulimit -v), and {left} MiB are left; allow it more, or set \
                 LEAK_MEMORY"
            )
        }),
    }
}

fn part_of(left: u64) -> Option<u64> {
    let enough = left >= MOST * Geometry::MIN_BUDGET;
    enough.then(|| (left / PART).clamp(Geometry::MIN_BUDGET, USUAL))
}

/// What the process may still map of which this folder tells; `None`: as much as it likes, or nobody knows.
fn left_to(process: &str) -> Option<u64> {
    let limits = fs::read_to_string(format!("{process}/limits")).ok()?;
    let statm = fs::read_to_string(format!("{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').next()?.parse().ok()?;
    Some(address_space(&limits)?.saturating_sub(pages * 4096))
}

/// The limit in force among those that the kernel lists; `None`: there is none.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines();
    let mut values = line.filter_map(|line| line.strip_prefix("Max address space"));
    values.next()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_what_is_left() {
        assert_eq!(part_of(u64::MAX), Some(USUAL));
        assert_eq!(part_of(1 << 30), Some(128 << 20));
        assert_eq!(part_of(16 << 20), Some(4 << 20));
        assert_eq!(part_of((16 << 20) - 1), None);
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
}
