//! System calls made directly: they leave errno alone, reach no hook, and are no cancellation points.
//! Once the program has confined itself to certain calls, which may kill it at others, only those of its
//! own allocator are made, and signals are held back where its filters are seen to allow that.

mod child;
pub mod code;
mod memory;
mod own;
mod process;
mod signal;
mod socket;

pub use child::*;
pub use memory::*;
pub use own::*;
pub use process::*;
pub use signal::*;
pub use socket::*;

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

/// An error number.
pub type Errno = i32;

/// Calls by which the program has confined itself to certain system calls, or is about to.
pub static CONFINED: AtomicU32 = AtomicU32::new(0);

/// Those of them that may forbid to hold signals back.
pub static UNHELD: AtomicU32 = AtomicU32::new(0);

/// Whether the program has confined itself to certain system calls.
pub fn is_confined() -> bool {
    // Relaxed: a word by itself; the thread that confines itself has counted that before.
    CONFINED.load(Ordering::Relaxed) != 0
}

/// Makes the system call `number`; fails where the program may have confined itself to others.
///
/// # Safety
/// The arguments must be what the call takes: pointers valid for what the kernel does with them.
#[inline]
pub unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
    if is_confined() && !is_still_allowed(number) {
        return Err(libc::EPERM);
    }
    // SAFETY: the caller's promise.
    unsafe { call_anyway(number, arguments) }
}

/// Of a confined program's calls, those of its allocator, and what its filters let pass.
#[cold]
fn is_still_allowed(number: libc::c_long) -> bool {
    match number {
        libc::SYS_mmap | libc::SYS_munmap => true,
        // Relaxed: as in `is_confined`.
        libc::SYS_rt_sigprocmask => UNHELD.load(Ordering::Relaxed) == 0,
        _ => false,
    }
}

/// The same, wherever the program may have confined itself to meanwhile.
///
/// # Safety
/// As for [`call`].
#[inline]
unsafe fn call_anyway(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel clobbers rcx, r11 and rax only; memory as the caller promised.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        Err(-result as Errno)
    } else {
        Ok(result as usize)
    }
}

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

/// This process, as it sees itself.
pub fn getpid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { call(libc::SYS_getpid, [0; 6]) }.unwrap_or(0) as u32
}

/// This thread.
pub fn gettid() -> u32 {
    // SAFETY: takes nothing.
    unsafe { call(libc::SYS_gettid, [0; 6]) }.unwrap_or(0) as u32
}

/// Whether the thread `tid` of this process is gone.
pub fn thread_gone(tid: u32) -> bool {
    // SAFETY: signal 0 is sent to nobody, only looked up.
    let found = unsafe {
        call(
            libc::SYS_tgkill,
            [getpid() as usize, tid as usize, 0, 0, 0, 0],
        )
    };
    found == Err(libc::ESRCH)
}

/// Whether there is a process `pid`, a zombie included.
pub fn process_exists(pid: u32) -> bool {
    // SAFETY: signal 0 is sent to nobody, only looked up.
    let found = unsafe { call(libc::SYS_kill, [pid as usize, 0, 0, 0, 0, 0]) };
    found != Err(libc::ESRCH)
}

/// Sleeps while `futex` holds `value`, at most `limit`. May return early.
pub fn futex_wait(futex: &AtomicU32, value: u32, limit: Duration) {
    if is_confined() {
        return spin();
    }
    let timeout = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    };
    // SAFETY: both pointers are live for the call. The futex is shared between processes.
    let _ = unsafe {
        call(
            libc::SYS_futex,
            [
                futex.as_ptr() as usize,
                libc::FUTEX_WAIT as usize,
                value as usize,
                &raw const timeout as usize,
                0,
                0,
            ],
        )
    };
}

/// A wait of some microseconds without a system call.
fn spin() {
    for _ in 0..200 {
        core::hint::spin_loop();
    }
}

/// Wakes everyone who sleeps on `futex`.
pub fn futex_wake(futex: &AtomicU32) {
    // SAFETY: the address is not dereferenced beyond the futex's own word.
    let _ = unsafe {
        call(
            libc::SYS_futex,
            [
                futex.as_ptr() as usize,
                libc::FUTEX_WAKE as usize,
                i32::MAX as usize,
                0,
                0,
                0,
            ],
        )
    };
}

/// Nanoseconds of a clock that only rises.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if is_confined() {
        // SAFETY: `time` is live for the call, which needs no system call where the clock is mapped.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        return time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    }
    // SAFETY: `time` is live for the call.
    let done = unsafe {
        call(
            libc::SYS_clock_gettime,
            [
                libc::CLOCK_MONOTONIC as usize,
                &raw mut time as usize,
                0,
                0,
                0,
                0,
            ],
        )
    };
    done.map_or(0, |_| {
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    })
}

/// All signals of this thread held back until this is dropped; none, where they can't be.
pub struct SignalsHeld {
    before: Option<u64>,
}

impl SignalsHeld {
    /// Holds them back.
    pub fn new() -> Self {
        let (all, mut before) = (u64::MAX, 0_u64);
        let sets = [&raw const all as usize, &raw mut before as usize];
        // SAFETY: both sets are live and have the kernel's size of 8 bytes.
        let held = unsafe { call(libc::SYS_rt_sigprocmask, mask(sets)) };
        SignalsHeld {
            before: held.ok().map(|_| before),
        }
    }

    /// Whether they are.
    pub fn are_held(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let sets = [&raw const before as usize, 0];
            // In any case: another thread may have confined the program since they were held.
            // SAFETY: as in `new`.
            let _ = unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) };
        }
    }
}

/// The arguments that set a thread's mask: the new one, and where the old one goes to.
fn mask([new, old]: [usize; 2]) -> [usize; 6] {
    [libc::SIG_SETMASK as usize, new, old, 8, 0, 0]
}

/// The word at any address of this process, or `None` where nothing is mapped. Never faults.
pub fn peek(address: usize) -> Option<u64> {
    let mut word = [0; 8];
    let copied = copy_of(getpid(), address, &mut word);
    (copied == Ok(word.len())).then(|| u64::from_ne_bytes(word))
}

/// Copies what lies at any address of the thread `tid`'s process to `out`; how many bytes of it are mapped, or that
/// none is (`EFAULT`). Never faults.
pub fn copy_of(tid: u32, address: usize, out: &mut [u8]) -> Result<usize, Errno> {
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: out.len(),
    };
    gather_of(tid, &raw const remote as usize, 1, out)
}

/// The same of buffers that lie anywhere, one after the other: those of an array at any address of this process.
pub fn gather_of(tid: u32, first: usize, count: usize, out: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec {
        iov_base: out.as_mut_ptr().cast(),
        iov_len: out.len(),
    };
    let local = &raw const local as usize;
    // SAFETY: the kernel writes to `out` only and checks all other addresses itself.
    unsafe {
        call(
            libc::SYS_process_vm_readv,
            [tid as usize, local, 1, first, count, 0],
        )
    }
}

/// Whether the word at any address of this process can be read. Never faults.
pub fn is_mapped(address: u64) -> bool {
    const NO_SUCH_HOW: usize = 0x7ead;
    const SET_BYTES: usize = 8;
    // SAFETY: the kernel checks the address itself, reads the set there, and then refuses the call.
    let asked = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [NO_SUCH_HOW, address as usize, 0, SET_BYTES, 0, 0],
        )
    };
    // A null set is none, and no error.
    asked == Err(libc::EINVAL)
}

/// Writes to a descriptor, as much as it takes at once. For a caller who holds signals back: of what
/// the attempt may raise (`SIGPIPE`, `SIGXFSZ`) nothing is left. Not where it would have to wait.
pub fn write(fd: i32, bytes: &[u8]) {
    let mut ready = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one live entry, no wait.
    let polled = unsafe { call(libc::SYS_poll, [&raw mut ready as usize, 1, 0, 0, 0, 0]) };
    if polled != Ok(1) || ready.revents != libc::POLLOUT {
        return;
    }
    let before = pending();
    // SAFETY: the bytes are live for the call.
    let written = unsafe {
        call(
            libc::SYS_write,
            [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
        )
    };
    let raised = match written {
        Err(libc::EPIPE) => libc::SIGPIPE,
        Err(libc::EFBIG) => libc::SIGXFSZ,
        _ => return,
    };
    let raised = 1_u64 << (raised - 1);
    if before & raised == 0 {
        take_signal(raised);
    }
}

/// The signals that wait for this thread.
fn pending() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the set is live and has the kernel's size.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigpending,
            [&raw mut set as usize, 8, 0, 0, 0, 0],
        )
    };
    set
}

/// Takes a signal of `set` away, if one waits for this thread.
fn take_signal(set: u64) {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: set and time are live; nothing else is asked for.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigtimedwait,
            [&raw const set as usize, 0, &raw const now as usize, 8, 0, 0],
        )
    };
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    // SAFETY: takes a number; the callers close only what they opened.
    let _ = unsafe { call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

fn status(fd: i32) -> Option<libc::stat> {
    // SAFETY: zeros are a valid stat.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `status` is live, and has the kernel's layout on x86_64.
    let done = unsafe {
        call(
            libc::SYS_fstat,
            [fd as usize, &raw mut status as usize, 0, 0, 0, 0],
        )
    };
    done.ok().map(|_| status)
}

/// A number that tells files apart; 0 for a descriptor that is not open.
pub fn file_identity(fd: i32) -> u64 {
    status(fd).map_or(0, |status| {
        (status.st_ino ^ status.st_dev.rotate_left(40)) | 1 << 63
    })
}

/// The size of a file, bytes.
pub fn file_size(fd: i32) -> Option<usize> {
    status(fd).and_then(|status| usize::try_from(status.st_size).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This thread's mask.
    fn blocked() -> u64 {
        let mut set = 0_u64;
        let sets = [0, &raw mut set as usize];
        // SAFETY: the set is live and has the kernel's size; none is set.
        unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) }.unwrap();
        set
    }

    /// In a child, as it concerns the whole process.
    #[test]
    fn a_program_that_confines_itself_meanwhile_keeps_its_mask() {
        // SAFETY: the child makes system calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let set = 1_u64 << (libc::SIGUSR1 - 1);
            let sets = [&raw const set as usize, 0];
            // SAFETY: the set is live and has the kernel's size.
            unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) }.unwrap();
            let held = SignalsHeld::new();
            CONFINED.store(1, Ordering::Relaxed);
            drop(held);
            let after_it = blocked();
            let held = SignalsHeld::new();
            CONFINED.store(0, Ordering::Relaxed);
            drop(held);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(after_it != set || blocked() != set)) };
        }
        let mut status = -1;
        // SAFETY: the status is live.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
