//! What memory the process has, and may have; and mappings that come in the place of others.

use core::ffi::CStr;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use super::{call, close, futex_wait, open_read, read};

/// Bytes of a page.
const PAGE: u64 = 4096;
/// The longest path of a control group that is looked at, with what comes before and after it.
const PATH: usize = 512;

/// Sleeps so long, or less.
pub fn sleep(time: Duration) {
    futex_wait(&AtomicU32::new(0), 0, time);
}

/// The largest resident set that the process, or what it was before its last exec, has had, bytes.
pub fn largest_resident() -> u64 {
    // SAFETY: zeros are a valid rusage.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    let own = libc::RUSAGE_SELF as usize;
    // SAFETY: the structure is live for the call.
    let told = unsafe {
        call(
            libc::SYS_getrusage,
            [own, &raw mut usage as usize, 0, 0, 0, 0],
        )
    };
    told.map_or(0, |_| usage.ru_maxrss as u64 * 1024)
}

/// What is resident now, bytes; 0: that can't be read.
pub fn resident() -> u64 {
    let mut bytes = [0; 128];
    let Some(text) = contents(c"/proc/self/statm", &mut bytes) else {
        return 0;
    };
    let mut fields = text.split(|byte| *byte == b' ');
    fields.nth(1).and_then(number).unwrap_or(0) * PAGE
}

/// How much memory the process may have: the least of its control groups' limits and the machine's memory, bytes.
pub fn memory_limit() -> u64 {
    // SAFETY: zeros are a valid sysinfo.
    let mut machine: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is live for the call.
    let told = unsafe {
        call(
            libc::SYS_sysinfo,
            [&raw mut machine as usize, 0, 0, 0, 0, 0],
        )
    };
    let whole = match told {
        Ok(_) => machine.totalram * u64::from(machine.mem_unit),
        Err(_) => u64::MAX,
    };
    whole.min(group_limit().unwrap_or(u64::MAX))
}

/// The least limit of the control group that the process is in, and of those that this one is in.
fn group_limit() -> Option<u64> {
    let mut bytes = [0; 1024];
    let groups = contents(c"/proc/self/cgroup", &mut bytes)?;
    let lines = groups.split(|byte| *byte == b'\n');
    lines.filter_map(limit_of_line).min()
}

fn limit_of_line(line: &[u8]) -> Option<u64> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let mut controllers = controllers.split(|byte| *byte == b',');
    let (root, file): (&[u8], &[u8]) = match controllers.next()? {
        b"" => (b"/sys/fs/cgroup", b"/memory.max\0"),
        first if first == b"memory" || controllers.any(|name| name == b"memory") => {
            (b"/sys/fs/cgroup/memory", b"/memory.limit_in_bytes\0")
        }
        _ => return None,
    };
    let mut path = path.strip_suffix(b"/").unwrap_or(path);
    let mut least = None;
    loop {
        let limit = limit_at(&[root, path, file]);
        least = least.min(limit).or(least).or(limit);
        if path.is_empty() {
            return least;
        }
        let up = path.iter().rposition(|byte| *byte == b'/');
        path = path.get(..up.unwrap_or(0)).unwrap_or(&[]);
    }
}

/// The limit in a file, whose path is given in parts, the last of which ends with a zero byte.
fn limit_at(parts: &[&[u8]; 3]) -> Option<u64> {
    let mut path = [0; PATH];
    let mut length = 0;
    for part in parts {
        path.get_mut(length..length + part.len())?
            .copy_from_slice(part);
        length += part.len();
    }
    let mut bytes = [0; 64];
    // `max` is no number.
    number(contents(CStr::from_bytes_until_nul(&path).ok()?, &mut bytes)?.trim_ascii())
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// What the file begins with, as far as it fits.
fn contents<'a>(path: &CStr, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = open_read(path)?;
    let length = read(fd, bytes);
    close(fd);
    bytes.get(..length?)
}

/// Private memory without a page, which takes none until it is written to.
pub fn map_empty(bytes: usize) -> Option<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
    let address = unsafe {
        call(
            libc::SYS_mmap,
            [0, bytes, protection as usize, flags as usize, usize::MAX, 0],
        )
    };
    address.ok().map(|address| address as *mut u8)
}

/// Puts the mapping at `from` in the place of the one at `to`, at once. Whether it is there; where not, nothing has changed.
///
/// # Safety
/// Both must be mappings of this library of that size, and what lies at `from` valid for whoever uses `to`. Nobody may
/// use `from`.
pub unsafe fn replace(from: *const u8, to: *const u8, bytes: usize) -> bool {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let arguments = [from as usize, bytes, bytes, flags as usize, to as usize, 0];
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_mremap, arguments) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory() {
        assert!(resident() > 0);
        assert!(resident() <= largest_resident());
        assert!(memory_limit() > resident());
    }

    #[test]
    fn a_sleep_ends() {
        let begun = std::time::Instant::now();
        sleep(Duration::from_millis(3));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
