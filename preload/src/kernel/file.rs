//! Open descriptors.

use super::{call, pending, take_signal};

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
