//! This library's own private memory, of which the program's limits and accounts take no notice.
//!
//! A limit of a program's data (`ulimit -d`) counts its private, writable memory, but for stacks. So ours is mapped
//! the way that stacks are. It can't grow as they do: the page below it is ours, too, and never used. Where the program
//! has all that is mapped locked, ours is not.
//!
//! That takes two mappings more each time, of which a process may have 65,530. So with thousands of threads their
//! memory is mapped like any other, unless there is a limit already.

use libc::{MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_NORESERVE, MAP_PRIVATE};
use libc::{PROT_NONE, PROT_READ, PROT_WRITE};

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{Errno, advise, call, is_confined, limit, unlock, unmap_pages};

const PAGE: usize = 4096;
const PRIVATE: i32 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/// The program has the kernel lock what is mapped from now on (`mlockall`).
pub static LOCKED: AtomicBool = AtomicBool::new(false);

/// So often it is done for limits that the program may yet set.
const OFTEN: u32 = 512;
static DONE: AtomicU32 = AtomicU32::new(0);

/// Whether memory that is mapped now is to be like any other.
fn is_plain() -> bool {
    // Only what any allocator does may be done.
    if is_confined() {
        return true;
    }
    // Relaxed, both: a count, and a flag by itself.
    let often = DONE.fetch_add(1, Ordering::Relaxed) >= OFTEN;
    often
        && !LOCKED.load(Ordering::Relaxed)
        && limit(libc::RLIMIT_DATA).is_none_or(|limit| limit == libc::RLIM_INFINITY)
}

/// Fresh, private, zeroed memory; `None` when there is none.
pub fn map(bytes: usize) -> Option<*mut u8> {
    let bytes = bytes.checked_next_multiple_of(PAGE)?;
    let whole = bytes.checked_add(PAGE)?;
    if is_plain() {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let below = unsafe { mmap(0, whole, PROT_READ | PROT_WRITE, PRIVATE) };
        return below.ok().map(|below| (below + PAGE) as *mut u8);
    }
    // SAFETY: as above.
    let below = unsafe { mmap(0, whole, PROT_NONE, PRIVATE) }.ok()?;
    let start = (below + PAGE) as *mut u8;
    // SAFETY: all but the first page of the mapping that was made just now, which nobody knows of.
    if unsafe { become_stack(below, start as usize, bytes) }.is_err() {
        // SAFETY: as above.
        unsafe { unmap(start, bytes) };
        return None;
    }
    // A core dump is as large as without us. SAFETY: our fresh mapping; the advice changes no contents.
    let _ = unsafe { advise(start, bytes, libc::MADV_DONTDUMP) };
    Some(start)
}

/// Gives `map`'s memory back.
///
/// # Safety
/// Nothing may refer to these bytes any more; they must be all that one `map` gave.
pub unsafe fn unmap(start: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; the page below is the mapping's, too.
    unsafe {
        unmap_pages(
            start.wrapping_sub(PAGE),
            bytes.next_multiple_of(PAGE) + PAGE,
        )
    };
}

/// Makes readable and writable memory that counts as a stack, and is not locked, of the unused pages that were mapped at
/// `below`, from `start` on.
///
/// # Safety
/// Nothing may refer to them.
unsafe fn become_stack(below: usize, start: usize, bytes: usize) -> Result<(), Errno> {
    let usable = PROT_READ | PROT_WRITE;
    let flags = PRIVATE | MAP_FIXED | MAP_GROWSDOWN;
    // Relaxed: a flag by itself; what is locked all the same is not lost.
    if !LOCKED.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        return unsafe { mmap(start, bytes, usable, flags) }.map(|_| ());
    }
    // Unlocked before there is anything to lock. SAFETY: as above; pages that can't be used hold nothing.
    unsafe {
        unlock(below, bytes + PAGE)?;
        mmap(start, bytes, PROT_NONE, flags)?;
        unlock(start, bytes)?;
        call(libc::SYS_mprotect, [start, bytes, usable as usize, 0, 0, 0]).map(|_| ())
    }
}

/// # Safety
/// With `MAP_FIXED` nothing may refer to what lies there.
unsafe fn mmap(at: usize, bytes: usize, protection: i32, flags: i32) -> Result<usize, Errno> {
    let (protection, flags) = (protection as usize, flags as usize);
    // SAFETY: the caller's promise; no file is asked for.
    unsafe {
        call(
            libc::SYS_mmap,
            [at, bytes, protection, flags, usize::MAX, 0],
        )
    }
}
