//! Memory for code, and changing this process's own.

use super::{Errno, call};

// SAFETY: as glibc's <sys/single_threaded.h> declares it.
unsafe extern "C" {
    static __libc_single_threaded: libc::c_char;
}

/// Whether no other thread was ever started by the C library.
pub fn has_one_thread() -> bool {
    // SAFETY: a plain byte that the C library writes only while there is one thread.
    unsafe { (&raw const __libc_single_threaded).read_volatile() != 0 }
}

/// How far below the module memory is looked for, then how far above: not right above an executable,
/// where its heap grows.
const BELOW: [u64; 6] = [64 << 10, 1 << 20, 16 << 20, 128 << 20, 512 << 20, 1 << 30];
const ABOVE: [u64; 2] = [1 << 30, 3 << 29];

/// Memory so near the module `start..end` that a jump reaches it.
pub fn map_near(start: u64, end: u64, bytes: usize) -> Option<*mut u8> {
    let below = BELOW
        .iter()
        .filter_map(|distance| start.checked_sub(distance + bytes as u64));
    let above = ABOVE
        .iter()
        .filter_map(|distance| end.checked_add(*distance));
    below
        .chain(above)
        .map(|address| address & !4095)
        .filter(|address| *address > 0)
        .find_map(|address| map_at(address, bytes))
}

fn map_at(address: u64, bytes: usize) -> Option<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping that replaces no other one.
    let mapped = unsafe {
        call(
            libc::SYS_mmap,
            [
                address as usize,
                bytes,
                protection as usize,
                flags as usize,
                usize::MAX,
                0,
            ],
        )
    }
    .ok()? as *mut u8;
    if mapped as u64 == address {
        return Some(mapped);
    }
    // A kernel before 4.17 takes the address for a hint. SAFETY: mapped just now.
    unsafe { super::unmap_pages(mapped, bytes) };
    None
}

/// Makes these pages code, and no longer data; whether that is allowed.
///
/// # Safety
/// They must be a mapping of this library, and nobody writes there any more.
pub unsafe fn make_executable(start: *mut u8, bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the caller's promise.
    let made = unsafe {
        call(
            libc::SYS_mprotect,
            [start as usize, bytes, protection as usize, 0, 0, 0],
        )
    };
    made.is_ok()
}

/// This process's memory as a file, which is read without faults and written whatever its protection.
pub struct OwnMemory(i32);

impl OwnMemory {
    /// Opened; `None` where that is not allowed.
    pub fn open() -> Option<OwnMemory> {
        // SAFETY: a C string.
        let fd = unsafe {
            call(
                libc::SYS_openat,
                [
                    libc::AT_FDCWD as usize,
                    c"/proc/self/mem".as_ptr() as usize,
                    (libc::O_RDWR | libc::O_CLOEXEC) as usize,
                    0,
                    0,
                    0,
                ],
            )
        };
        fd.ok().map(|fd| OwnMemory(fd as i32))
    }

    /// Fills `out` with what lies at `address`; false where nothing does.
    pub fn read(&self, address: u64, out: &mut [u8]) -> bool {
        // SAFETY: the buffer is live with its length.
        let read = unsafe {
            call(
                libc::SYS_pread64,
                [
                    self.0 as usize,
                    out.as_mut_ptr() as usize,
                    out.len(),
                    address as usize,
                    0,
                    0,
                ],
            )
        };
        read == Ok(out.len())
    }

    /// Writes `bytes` at `address`; whether they lie there now.
    ///
    /// # Safety
    /// Whoever uses that memory must be able to bear it.
    pub unsafe fn write(&self, address: u64, bytes: &[u8]) -> bool {
        // SAFETY: the bytes are live with their length; the caller bears what it does.
        let written: Result<usize, Errno> = unsafe {
            call(
                libc::SYS_pwrite64,
                [
                    self.0 as usize,
                    bytes.as_ptr() as usize,
                    bytes.len(),
                    address as usize,
                    0,
                    0,
                ],
            )
        };
        written == Ok(bytes.len())
    }
}

impl Drop for OwnMemory {
    fn drop(&mut self) {
        super::close(self.0);
    }
}
