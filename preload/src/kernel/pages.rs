//! Pages: mappings of files, locks, and what the kernel is told of pages.

use super::{Errno, call};

/// Maps a shared file whole, for reading and writing; kept out of core dumps.
pub fn map_shared(fd: i32, bytes: usize) -> Option<*const u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
    let address = unsafe {
        call(
            libc::SYS_mmap,
            [
                0,
                bytes,
                protection as usize,
                libc::MAP_SHARED as usize,
                fd as usize,
                0,
            ],
        )
    };
    let start = address.ok()? as *const u8;
    // SAFETY: our fresh mapping; the advice changes no contents.
    let _ = unsafe { advise(start, bytes, libc::MADV_DONTDUMP) };
    Some(start)
}

/// Unmaps pages.
///
/// # Safety
/// Nothing may refer to these bytes any more; they must be a whole mapping of this library, not `map`'s.
pub unsafe fn unmap_pages(start: *const u8, bytes: usize) {
    // SAFETY: the caller's promise. A failure leaves the mapping, which harms nobody.
    let _ = unsafe { call(libc::SYS_munmap, [start as usize, bytes, 0, 0, 0, 0]) };
}

/// Tells the kernel `advice` about pages.
///
/// # Safety
/// The pages must belong to a mapping of this library, and what the advice does to their contents
/// must be what all users of them expect.
pub unsafe fn advise(start: *const u8, bytes: usize, advice: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe {
        call(
            libc::SYS_madvise,
            [start as usize, bytes, advice as usize, 0, 0, 0],
        )
    }
    .map(|_| ())
}

/// Locks pages in memory as `mlock2` does: with flags, those that are there.
pub fn lock(start: usize, bytes: usize, flags: u32) -> Result<(), Errno> {
    // SAFETY: no contents are changed.
    unsafe { call(libc::SYS_mlock2, [start, bytes, flags as usize, 0, 0, 0]) }.map(|_| ())
}

/// Undoes `lock`, and what `lock_all` did to these pages.
pub fn unlock(start: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: no contents are changed.
    unsafe { call(libc::SYS_munlock, [start, bytes, 0, 0, 0, 0]) }.map(|_| ())
}

/// Undoes all locks, as `munlockall` does.
pub fn unlock_all() {
    // SAFETY: no contents are changed.
    let _ = unsafe { call(libc::SYS_munlockall, [0; 6]) };
}

/// Locks all of this process's pages, as `mlockall` does.
pub fn lock_all(flags: i32) -> Result<(), Errno> {
    // SAFETY: no contents are changed.
    unsafe { call(libc::SYS_mlockall, [flags as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}
