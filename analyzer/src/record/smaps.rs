//! What a process's resident memory is made of, as `/proc/PID/smaps` tells it: sums where the kernel knows what lies
//! there, and areas where only the reader of the trace does, who knows which blocks and mappings lie at which address.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

use super::procfs;
use crate::trace::{Area, AreaKind, PAGE};

/// The largest areas are told, so many.
const MOST_AREAS: usize = 2048;
/// Of all areas together so many runs of resident pages are told.
const MOST_RUNS: usize = 16 << 10;
/// So many pages are asked for one by one, in all areas together.
const MOST_PAGES: u64 = 2 << 20;
/// The C library reserves addresses for each further arena of malloc's, of this size and so aligned.
const ARENA: u64 = 64 << 20;

/// Resident memory, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resident {
    /// Of files: code, data, what the program maps.
    pub(crate) files: u64,
    /// libleak's own.
    pub(crate) own: u64,
    /// What is neither in an area nor in one of the others.
    pub(crate) rest: u64,
    /// Memory that is no file's, by address.
    pub(crate) areas: Vec<Area>,
}

/// What is resident of `pid`; `None`: it is gone, or may not be looked at.
pub(crate) fn read(pid: u32) -> Option<Resident> {
    let of = procfs::of(pid);
    let text = BufReader::with_capacity(64 << 10, File::open(format!("{of}/smaps")).ok()?);
    let mut found = gather(text)?;
    if let Ok(pages) = File::open(format!("{of}/pagemap")) {
        find_runs(&mut found.areas, |from, out| {
            pages.read_exact_at(out, from / PAGE * 8).ok()
        });
    }
    Some(found)
}

/// One mapping as smaps has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mapping {
    from: u64,
    to: u64,
    accessible: bool,
    path: String,
    resident: u64,
    grows_down: bool,
}

impl Mapping {
    /// Of the line that begins it: `from-to perms offset device inode path`.
    fn begin(line: &str) -> Option<Mapping> {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let permissions = rest.get(..4)?;
        let path = rest.splitn(5, ' ').nth(4)?.trim_start();
        Some(Mapping {
            from: u64::from_str_radix(from, 16).ok()?,
            to: u64::from_str_radix(to, 16).ok()?,
            accessible: !permissions.starts_with("---"),
            path: path.to_owned(),
            ..Mapping::default()
        })
    }

    fn is_anonymous(&self) -> bool {
        self.path.is_empty() || self.path.starts_with("[anon")
    }

    /// Memory that is no file's, though it has a name.
    fn is_shared_memory(&self) -> bool {
        ["/memfd:", "/dev/zero", "/SYSV", "/dev/shm/", "/[aio]"]
            .iter()
            .any(|name| self.path.starts_with(name))
    }

    /// libleak maps its memory the way that stacks are, but for what it shares with the recorder.
    fn is_libleaks(&self) -> bool {
        self.is_anonymous() && self.grows_down
            || self.path.starts_with("/memfd:libleak")
            || self.path.ends_with("/libleak.so")
    }

    fn is_file(&self) -> bool {
        self.path.starts_with('/') && !self.is_shared_memory()
    }

    /// What lies here, between the mappings before and after.
    fn kind(&self, before: &Mapping, after: &Mapping) -> AreaKind {
        if self.path == "[heap]" {
            return AreaKind::Heap;
        }
        if self.path == "[stack]" {
            return AreaKind::MainStack;
        }
        if self.is_shared_memory() {
            return AreaKind::Shared;
        }
        let reserved = after.from == self.to && after.is_anonymous() && !after.accessible;
        let end = if reserved { after.to } else { self.to };
        if self.from.is_multiple_of(ARENA) && end >= self.from + ARENA {
            return AreaKind::Heap;
        }
        match before.to == self.from && before.is_file() {
            true => AreaKind::Data,
            false => AreaKind::Anonymous,
        }
    }
}

/// Takes the text of smaps together; `None`: there is nothing, as of a zombie.
fn gather(text: impl BufRead) -> Option<Resident> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let line = line.ok()?;
        if let Some(mapping) = Mapping::begin(&line) {
            mappings.push(mapping);
            continue;
        }
        let Some(last) = mappings.last_mut() else {
            continue;
        };
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib = kib.trim().trim_end_matches(" kB").parse();
            last.resident = kib.map_or(0, |kib: u64| kib << 10);
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            last.grows_down = flags.split(' ').any(|flag| flag == "gd");
        }
    }
    (!mappings.is_empty()).then(|| sums(&mappings))
}

fn sums(mappings: &[Mapping]) -> Resident {
    let mut found = Resident::default();
    let none = Mapping::default();
    for (at, mapping) in mappings.iter().enumerate() {
        if mapping.resident == 0 {
            continue;
        }
        if mapping.is_libleaks() {
            found.own += mapping.resident;
        } else if mapping.is_file() {
            found.files += mapping.resident;
        } else if mapping.is_anonymous()
            || mapping.is_shared_memory()
            || matches!(mapping.path.as_str(), "[heap]" | "[stack]")
        {
            let before = at.checked_sub(1).and_then(|at| mappings.get(at));
            let after = mappings.get(at + 1);
            found.areas.push(Area {
                kind: mapping.kind(before.unwrap_or(&none), after.unwrap_or(&none)),
                from: mapping.from,
                to: mapping.to,
                resident: mapping.resident,
                runs: Vec::new(),
            });
        } else {
            found.rest += mapping.resident;
        }
    }
    if found.areas.len() > MOST_AREAS {
        found
            .areas
            .sort_unstable_by_key(|area| std::cmp::Reverse(area.resident));
        let left_out = found.areas.split_off(MOST_AREAS);
        found.rest += left_out.iter().map(|area| area.resident).sum::<u64>();
        found.areas.sort_unstable_by_key(|area| area.from);
    }
    found
}

/// Finds which pages are resident where not all are, as far as there is room to tell. `read` gives the words of pages
/// from an address on, eight bytes each.
fn find_runs(areas: &mut [Area], read: impl Fn(u64, &mut [u8]) -> Option<()>) {
    /// The bit of a page that is resident.
    const PRESENT: u8 = 1 << 7;
    let (mut runs_left, mut pages_left) = (MOST_RUNS, MOST_PAGES);
    let mut words = vec![0_u8; 8 * 4096];
    for area in areas {
        let pages = (area.to - area.from) / PAGE;
        if area.resident == area.to - area.from || pages > pages_left {
            continue;
        }
        pages_left -= pages;
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut at = area.from;
        while at < area.to && runs.len() <= runs_left {
            let count = ((area.to - at) / PAGE).min(4096) as usize;
            let part = &mut words[..8 * count];
            if read(at, part).is_none() {
                return;
            }
            for word in part.as_chunks::<8>().0 {
                if word[7] & PRESENT != 0 {
                    match runs.last_mut().filter(|run| run.1 == at) {
                        Some(run) => run.1 = at + PAGE,
                        None => runs.push((at, at + PAGE)),
                    }
                }
                at += PAGE;
            }
        }
        if runs.len() <= runs_left {
            runs_left -= runs.len();
            // The pages are what counts: those two were not read in one moment.
            let resident: u64 = runs.iter().map(|(from, to)| to - from).sum();
            area.resident = resident;
            area.runs = runs;
        }
    }
}

/// Bytes of address space that `pid` has mapped.
pub(crate) fn address_space(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(procfs::of(pid) + "/statm").ok()?;
    let pages: u64 = statm.split(' ').next()?.parse().ok()?;
    (pages > 0).then_some(pages * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(range: &str, permissions: &str, path: &str, kib: u64, flags: &str) -> String {
        format!(
            "{range} {permissions} 00000000 00:00 0                  {path}\nSize:  8 kB\nRss:   {kib} kB\n\
             Pss: 1 kB\nVmFlags: rd wr {flags}\n"
        )
    }

    #[test]
    fn what_lies_where_is_told_by_names_flags_and_neighbours() {
        let text = [
            mapping("1000-3000", "r-xp", "/usr/bin/server (deleted)", 8, "mr"),
            mapping("3000-5000", "rw-p", "", 4, "mr"),
            mapping("6000-9000", "rw-p", "[heap]", 12, "ac"),
            mapping("4000000-4021000", "rw-p", "", 8, "nr"),
            mapping("4021000-8000000", "---p", "", 0, "nr"),
            mapping("9000000-9002000", "rw-p", "", 8, "gd dd"),
            mapping("9004000-9006000", "rw-p", "", 8, "ac"),
            mapping(
                "a000000-a100000",
                "rw-s",
                "/memfd:libleak-1 (deleted)",
                16,
                "ac",
            ),
            mapping("b000000-b100000", "rw-s", "/dev/zero (deleted)", 20, "ac"),
            mapping("c000000-c100000", "rw-p", "[stack]", 24, "gd"),
            mapping("d000000-d001000", "r-xp", "[vdso]", 4, "ac"),
        ];
        let found = gather(text.concat().as_bytes()).unwrap();
        assert_eq!(
            (found.files, found.own, found.rest),
            (8 << 10, 24 << 10, 4 << 10)
        );
        let areas = found
            .areas
            .iter()
            .map(|area| (area.kind, area.from, area.resident >> 10));
        let expected = [
            (AreaKind::Data, 0x3000, 4),
            (AreaKind::Heap, 0x6000, 12),
            (AreaKind::Heap, 0x400_0000, 8),
            (AreaKind::Anonymous, 0x900_4000, 8),
            (AreaKind::Shared, 0xb00_0000, 20),
            (AreaKind::MainStack, 0xc00_0000, 24),
        ];
        assert_eq!(areas.collect::<Vec<_>>(), expected);
        assert_eq!(gather(&b""[..]), None);
    }

    #[test]
    fn resident_pages_are_found_in_runs() {
        let area = Area {
            kind: AreaKind::Heap,
            from: 0x10_000,
            to: 0x16_000,
            resident: 3 * PAGE,
            runs: Vec::new(),
        };
        let mut areas = [area];
        find_runs(&mut areas, |from, words| {
            for (page, word) in (from / PAGE..).zip(words.as_chunks_mut::<8>().0) {
                word[7] = if matches!(page, 0x10 | 0x13 | 0x14) {
                    1 << 7
                } else {
                    1 << 6
                };
            }
            Some(())
        });
        assert_eq!(areas[0].runs, [(0x10_000, 0x11_000), (0x13_000, 0x15_000)]);
    }

    #[test]
    fn our_own_memory_adds_up() {
        let block = vec![7_u8; 8 << 20];
        let found = read(std::process::id()).unwrap();
        let at = block.as_ptr() as u64;
        let area = found
            .areas
            .iter()
            .find(|area| (area.from..area.to).contains(&at));
        assert!(area.unwrap().resident >= 8 << 20);
        let sum: u64 = found.areas.iter().map(|area| area.resident).sum();
        let all = sum + found.files + found.rest + found.own;
        let resident = procfs::resident(std::process::id()).unwrap();
        assert!(all.abs_diff(resident) < 8 << 20, "{all} {resident}");
        assert!(address_space(std::process::id()).unwrap() > resident);
        assert_eq!(read(u32::MAX), None);
    }
}
