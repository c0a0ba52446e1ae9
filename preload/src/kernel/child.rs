//! Children, and the files that tell of them.

use core::ffi::CStr;

use super::{call, close};

/// Whether `pid` is a child of this process, alive or dead, that a wait with `options` (as for `waitid`) is for. Takes
/// nothing away.
pub fn is_child(pid: u32, options: i32) -> bool {
    let options = options | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: no result is asked for.
    unsafe {
        call(
            libc::SYS_waitid,
            [
                libc::P_PID as usize,
                pid as usize,
                0,
                options as usize,
                0,
                0,
            ],
        )
    }
    .is_ok()
}

/// Some child that has news of the kinds in `options` (as for `waitid`), which stay: its pid; 0 where
/// none has; an error where there are no children.
pub fn peek_child(options: i32) -> Result<u32, super::Errno> {
    // SAFETY: zeros are a valid siginfo.
    let mut found: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let options = options | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `found` is live; the kernel fills the pid in, or leaves 0.
    unsafe {
        call(
            libc::SYS_waitid,
            [
                libc::P_ALL as usize,
                0,
                &raw mut found as usize,
                options as usize,
                0,
                0,
            ],
        )?;
        Ok(found.si_pid() as u32)
    }
}

/// Takes the news that there are of a child; whether it is gone.
pub fn take_news(pid: u32) -> bool {
    let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED | libc::__WALL;
    let mut status: libc::c_int = 0;
    // SAFETY: the status is live; nothing else is asked for.
    let taken = unsafe {
        call(
            libc::SYS_wait4,
            [
                pid as usize,
                &raw mut status as usize,
                options as usize,
                0,
                0,
                0,
            ],
        )
    };
    let ended = libc::WIFEXITED(status) || libc::WIFSIGNALED(status);
    taken == Err(libc::ECHILD) || taken == Ok(pid as usize) && ended
}

/// Opens a file for reading.
pub fn open_read(path: &CStr) -> Option<i32> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a C string.
    let opened = unsafe {
        call(
            libc::SYS_openat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                flags as usize,
                0,
                0,
                0,
            ],
        )
    };
    opened.ok().map(|fd| fd as i32)
}

/// Reads what there is, at most the buffer's length.
pub fn read(fd: i32, buffer: &mut [u8]) -> Option<usize> {
    // SAFETY: a buffer with its length.
    unsafe {
        call(
            libc::SYS_read,
            [
                fd as usize,
                buffer.as_mut_ptr() as usize,
                buffer.len(),
                0,
                0,
                0,
            ],
        )
    }
    .ok()
}

/// Calls `with` for each name in a directory but the dots.
pub fn for_each_entry(path: &CStr, mut with: impl FnMut(&[u8])) {
    let Some(fd) = open_read(path) else {
        return;
    };
    let mut buffer = [0_u8; 4096];
    loop {
        // SAFETY: a buffer with its length.
        let read = unsafe {
            call(
                libc::SYS_getdents64,
                [
                    fd as usize,
                    buffer.as_mut_ptr() as usize,
                    buffer.len(),
                    0,
                    0,
                    0,
                ],
            )
        };
        let length = read.unwrap_or(0);
        if length == 0 {
            break;
        }
        entries(buffer.get(..length).unwrap_or(&[]), &mut with);
    }
    close(fd);
}

/// The names in what the kernel tells of a directory: inode and offset of 8 bytes each, the entry's
/// length of 2, a type of 1, the name with a zero byte.
fn entries(mut bytes: &[u8], with: &mut impl FnMut(&[u8])) {
    while let (Some([low, high]), Some(name)) = (bytes.get(16..18), bytes.get(19..)) {
        let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
        if name != b"." && name != b".." {
            with(name);
        }
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        if length == 0 {
            break;
        }
        bytes = bytes.get(length..).unwrap_or(&[]);
    }
}
