//! Processes and programs.

use core::ffi::{CStr, c_char};

use super::{Errno, call};

/// Runs `work` in a child that sends no signal when it ends, and waits for its end. The child is a
/// copy of this process with this thread alone.
pub fn fork_and_wait(work: impl FnOnce()) -> Result<(), Errno> {
    let child = fork_silently(work)?;
    // SAFETY: no status is asked for.
    unsafe {
        call(
            libc::SYS_wait4,
            [child as usize, 0, libc::__WALL as usize, 0, 0, 0],
        )
    }
    .map(|_| ())
}

/// The same without waiting; gives the child's pid.
pub fn fork_silently(work: impl FnOnce()) -> Result<u32, Errno> {
    // SAFETY: no flags and no exit signal: a plain fork. The child makes system calls only.
    let child = unsafe { call(libc::SYS_clone, [0; 6]) }?;
    if child == 0 {
        work();
        exit(127);
    }
    Ok(child as u32)
}

fn exit(status: usize) -> ! {
    loop {
        // SAFETY: takes a number and does not return.
        let _ = unsafe { call(libc::SYS_exit_group, [status, 0, 0, 0, 0, 0]) };
    }
}

/// Lets the process `pid` read this one's memory, where the kernel's Yama asks for that.
pub fn let_read(pid: u32) {
    // SAFETY: takes numbers.
    let _ = unsafe {
        call(
            libc::SYS_prctl,
            [libc::PR_SET_PTRACER as usize, pid as usize, 0, 0, 0, 0],
        )
    };
}

/// The limit of `resource` that is in force.
pub fn limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let place = &raw mut limit as usize;
    // SAFETY: `limit` is live; the 64-bit layout is the kernel's.
    let asked = unsafe { call(libc::SYS_prlimit64, [0, resource as usize, 0, place, 0, 0]) };
    asked.ok().map(|_| limit.rlim_cur)
}

/// Whether what this process executes gets other rights than its user has, and so is not trusted with an environment.
pub fn has_borrowed_rights() -> bool {
    // SAFETY: takes nothing.
    let ask = |number| unsafe { call(number, [0; 6]) };
    ask(libc::SYS_geteuid) != ask(libc::SYS_getuid)
        || ask(libc::SYS_getegid) != ask(libc::SYS_getgid)
}

/// The user whose rights this process has.
pub fn user() -> u32 {
    // SAFETY: takes nothing.
    unsafe { call(libc::SYS_geteuid, [0; 6]) }.unwrap_or(0) as u32
}

/// Leaves the terminal and the process group.
pub fn set_session() {
    // SAFETY: takes nothing.
    let _ = unsafe { call(libc::SYS_setsid, [0; 6]) };
}

/// Makes `fd` the descriptor `number` and closes all others. For a child that becomes a program.
pub fn keep_only(fd: i32, number: i32) {
    // SAFETY: numbers; all descriptors are this child's own copies.
    unsafe {
        if fd == number {
            let _ = call(
                libc::SYS_fcntl,
                [fd as usize, libc::F_SETFD as usize, 0, 0, 0, 0],
            );
        } else {
            let _ = call(libc::SYS_dup3, [fd as usize, number as usize, 0, 0, 0, 0]);
        }
        let _ = close_range(0, number as usize - 1);
        if close_range(number as usize + 1, u32::MAX as usize).is_err() {
            // A kernel before 5.9.
            for other in number + 1..1 << 16 {
                super::close(other);
            }
            (0..number).for_each(super::close);
        }
    }
}

/// # Safety
/// Nobody may need these descriptors.
unsafe fn close_range(first: usize, last: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { call(libc::SYS_close_range, [first, last, 0, 0, 0, 0]) }
}

/// Lets all signals through.
pub fn release_signals() {
    let none = 0_u64;
    // SAFETY: the set is live and has the kernel's size.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [
                libc::SIG_SETMASK as usize,
                &raw const none as usize,
                0,
                8,
                0,
                0,
            ],
        )
    };
}

/// Becomes the program at `path`; returns only the error. `arguments` and `variables` are arrays of C
/// strings that end with a null pointer.
///
/// # Safety
/// They must be that.
pub unsafe fn execute(
    path: &CStr,
    arguments: *const *const c_char,
    variables: *const *const c_char,
) -> Errno {
    // SAFETY: the caller's promise.
    let result = unsafe {
        call(
            libc::SYS_execve,
            [
                path.as_ptr() as usize,
                arguments as usize,
                variables as usize,
                0,
                0,
                0,
            ],
        )
    };
    result.err().unwrap_or(0)
}

/// Whether this process may run the file at `path`.
pub fn is_program(path: &CStr) -> bool {
    may(path, libc::X_OK)
}

/// Whether this process may read the file at `path`.
pub fn is_readable(path: &CStr) -> bool {
    may(path, libc::R_OK)
}

fn may(path: &CStr, what: libc::c_int) -> bool {
    // SAFETY: a C string.
    let result = unsafe {
        call(
            libc::SYS_faccessat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                what as usize,
                0,
                0,
                0,
            ],
        )
    };
    result.is_ok()
}

/// Where the symbolic link at `path` leads; empty where it can't be read.
pub fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    // SAFETY: a C string, and a buffer with its length.
    let length = unsafe {
        call(
            libc::SYS_readlinkat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                buffer.as_mut_ptr() as usize,
                buffer.len(),
                0,
                0,
            ],
        )
    };
    buffer.get(..length.unwrap_or(0)).unwrap_or(&[])
}

/// The path of the current directory, put into `buffer`; its length, 0: it has none.
pub fn current_directory(buffer: &mut [u8]) -> usize {
    // SAFETY: a buffer with its length.
    let length = unsafe {
        call(
            libc::SYS_getcwd,
            [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0],
        )
    };
    // The kernel counts the zero byte. What can't be reached from this process's root begins otherwise.
    match buffer.first() {
        Some(b'/') => length.map_or(0, |length| length.saturating_sub(1)),
        _ => 0,
    }
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
