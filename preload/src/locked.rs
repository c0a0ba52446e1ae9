//! `mlockall` without this library's own memory: what is mapped for it neither keeps the program from locking its
//! own, where a limit is compared with all that is mapped, nor is it locked with that.
//!
//! The kernel locks all or nothing of what is there. So that is locked range by range, as /proc lists them.

use core::ffi::c_int;
use core::ops::Range;
use core::sync::atomic::Ordering;

use libc::{MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, RLIMIT_MEMLOCK};

use crate::kernel::{self, Errno};
use crate::unwind::loader;

const PAGE: usize = 4096;
const BUFFER: usize = 64 << 10;
/// `MLOCK_ONFAULT`.
const ON_FAULT: u32 = 1;
/// How the name of the memory begins that is shared with the recorder.
const SHARED: &[u8] = b"/memfd:libleak-";

/// Does what `mlockall(flags)` does to the program's memory; `None`: the real one is to do it.
pub fn lock_all(flags: c_int) -> Option<Result<(), Errno>> {
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if flags & MCL_CURRENT == 0 || flags & !known != 0 || kernel::is_confined() {
        return None;
    }
    let buffer = kernel::map(BUFFER)?;
    // SAFETY: fresh memory of that size, which nobody else knows.
    let bytes = unsafe { core::slice::from_raw_parts_mut(buffer, BUFFER) };
    let result = lock_with(flags, bytes);
    // SAFETY: mapped above; the slice is not used any more.
    unsafe { kernel::unmap(buffer, BUFFER) };
    result
}

/// Runs `call`, which decides by `flags` whether what is mapped later is locked.
pub fn noting(flags: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let result = call();
    if result == 0 {
        note(flags);
    }
    result
}

fn note(flags: c_int) {
    // Relaxed: a flag by itself.
    kernel::LOCKED.store(flags & MCL_FUTURE != 0, Ordering::Relaxed);
}

fn lock_with(flags: c_int, buffer: &mut [u8]) -> Option<Result<(), Errno>> {
    let mut program = 0;
    for_each(buffer, &mut |area| program += area.program_bytes())?;
    if program as u64 > kernel::limit(RLIMIT_MEMLOCK)? {
        // Only who is above the limit may. Then all is locked, but not brought in, and ours is not to stay so.
        if let Err(error) = kernel::lock_all(flags | MCL_ONFAULT) {
            return Some(Err(error));
        }
        for_each(buffer, &mut |area| {
            if area.ours {
                let _ = kernel::unlock(area.range.start, area.range.len());
            }
        })?;
    }
    // Before what is there is locked, so that what comes meanwhile is.
    if flags & MCL_FUTURE != 0 {
        if let Err(error) = kernel::lock_all(flags & !MCL_CURRENT) {
            return Some(Err(error));
        }
    // Relaxed: as in `note`.
    } else if kernel::LOCKED.load(Ordering::Relaxed) {
        kernel::unlock_all();
    }
    note(flags);
    let how = u32::from(flags & MCL_ONFAULT != 0) * ON_FAULT;
    for_each(buffer, &mut |area| {
        if !area.ours {
            // What can't be brought in is left out, as the kernel does.
            let _ = kernel::lock(area.range.start, area.range.len(), how);
        }
    })?;
    Some(Ok(()))
}

/// Addresses that are mapped alike.
struct Area {
    range: Range<usize>,
    /// Whether this library has mapped them for itself.
    ours: bool,
}

impl Area {
    fn program_bytes(&self) -> usize {
        match self.ours {
            true => 0,
            false => self.range.len(),
        }
    }
}

/// Gives `work` all that is mapped, in order; `None`: /proc does not tell.
fn for_each(buffer: &mut [u8], work: &mut dyn FnMut(Area)) -> Option<()> {
    let image = loader::object_at(for_each as *const () as u64)?;
    let image = image.start as usize..image.end as usize;
    let file = kernel::open_read(c"/proc/self/smaps")?;
    let mut areas = Areas::default();
    for_each_line(file, buffer, &mut |line| areas.take(line, &image, work));
    kernel::close(file);
    areas.finish(work)
}

/// What was read of `/proc/self/smaps`.
#[derive(Default)]
struct Areas {
    /// The area whose lines are being read, and whether its name is the session's.
    current: Option<(Range<usize>, bool)>,
    /// The one before: of its end, the page below ours may be ours, too.
    before: Option<Area>,
}

impl Areas {
    fn take(&mut self, line: &[u8], image: &Range<usize>, work: &mut dyn FnMut(Area)) {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let Some((range, named)) = self.current.take() else {
                return;
            };
            let has = |flag: &[u8]| flags.split(|byte| *byte == b' ').any(|one| one == flag);
            // As `kernel::map` leaves what it maps.
            let private = has(b"gd") && has(b"dd");
            let ours = named || private || image.contains(&range.start);
            if let Some(before) = &mut self.before
                && private
                && !before.ours
                && before.range.end == range.start
            {
                before.range.end -= PAGE;
            }
            self.finish(work);
            let end = image.end.next_multiple_of(PAGE);
            if range.contains(&end) && image.contains(&range.start) {
                // Our image's last pages and what follows, mapped alike by the loader.
                let (image, after) = (range.start..end, end..range.end);
                work(Area { range: image, ours });
                self.before = Some(Area {
                    range: after,
                    ours: false,
                });
            } else {
                self.before = Some(Area { range, ours });
            }
        } else if let Some(range) = range_of(line) {
            let named = line.windows(SHARED.len()).any(|part| part == SHARED);
            self.current = Some((range, named));
        }
    }

    /// Gives away what was read; `None`: nothing was.
    fn finish(&mut self, work: &mut dyn FnMut(Area)) -> Option<()> {
        let area = self.before.take()?;
        // The kernel's own page, at the end of all addresses, is no memory of the process.
        if !area.range.is_empty() && area.range.start as isize > 0 {
            work(area);
        }
        Some(())
    }
}

/// `START-END ...`, in hexadecimal.
fn range_of(line: &[u8]) -> Option<Range<usize>> {
    let line = line.split(|byte| *byte == b' ').next()?;
    let (start, end) = core::str::from_utf8(line).ok()?.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some(number(start)?..number(end)?)
}

/// Gives `with` the lines of a file, by way of `buffer`. What does not fit there is cut.
fn for_each_line(file: i32, buffer: &mut [u8], with: &mut dyn FnMut(&[u8])) {
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or(&mut []);
        let read = kernel::read(file, free).unwrap_or(0);
        if read == 0 {
            break;
        }
        filled += read;
        let bytes = buffer.get(..filled).unwrap_or(&[]);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let used = whole.map_or(filled, |end| end + 1);
        let lines = bytes.get(..used).unwrap_or(&[]);
        lines.split(|byte| *byte == b'\n').for_each(&mut *with);
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn areas(text: &str) -> Vec<(Range<usize>, bool)> {
        let (mut areas, mut found) = (Areas::default(), Vec::new());
        let mut keep = |area: Area| found.push((area.range, area.ours));
        for line in text.lines() {
            areas.take(line.as_bytes(), &(0x5000..0x6000), &mut keep);
        }
        areas.finish(&mut keep);
        found
    }

    #[test]
    fn what_is_ours_is_told_from_what_is_not() {
        let text = "1000-2000 r-xp 0 fe:00 1 /bin/true\nRss: 4 kB\nVmFlags: rd ex mr\n\
                    2000-4000 ---p 0 00:00 0 \nVmFlags: mr mw me nr\n\
                    4000-5000 rw-p 0 00:00 0 \nVmFlags: rd wr gd nr dd\n\
                    5000-5400 r--p 0 fe:00 2 /lib/libleak.so\nVmFlags: rd\n\
                    5400-7000 rw-p 0 00:00 0 \nVmFlags: rd wr ac\n\
                    7000-7800 rw-s 0 00:01 3 /memfd:libleak-00 (deleted)\nVmFlags: rd wr sh dd\n\
                    7800-8000 rw-p 0 00:00 0 [stack]\nVmFlags: rd wr gd ac\n\
                    ffffffffff600000-ffffffffff601000 --xp 0 00:00 0 [vsyscall]\nVmFlags: ex\n";
        let expected = [
            (0x1000..0x2000, false),
            (0x2000..0x3000, false),
            (0x4000..0x5000, true),
            (0x5000..0x5400, true),
            (0x5400..0x6000, true),
            (0x6000..0x7000, false),
            (0x7000..0x7800, true),
            (0x7800..0x8000, false),
        ];
        assert_eq!(areas(text), expected);
        assert_eq!(areas("nothing\n"), []);
    }

    #[test]
    fn the_kernel_s_list_has_our_own_memory() {
        crate::unwind::prepare();
        let memory = kernel::map(PAGE).unwrap() as usize;
        let mut buffer = [0; 4096];
        let mut found = Vec::new();
        let read = for_each(&mut buffer, &mut |area| {
            if area.range.contains(&memory) || area.range.contains(&(memory - PAGE)) {
                found.push(area.ours);
            }
        });
        assert_eq!((read, found), (Some(()), std::vec![true]));
    }
}
