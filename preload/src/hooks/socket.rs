//! Calls on sockets. For every descriptor that is not an accepted connection they cost a look into a
//! table.

mod accept;
mod descriptors;
mod read;
mod write;

use core::slice;

use libc::{iovec, msghdr, size_t, ssize_t};

/// The first `bytes` bytes of a buffer that a call has filled or taken.
///
/// # Safety
/// That many bytes at `buffer` must be initialised, and stay as they are while the slice is used.
unsafe fn part<'b>(buffer: *const libc::c_void, bytes: size_t) -> impl Iterator<Item = &'b [u8]> {
    let part = if buffer.is_null() {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { slice::from_raw_parts(buffer.cast::<u8>(), bytes) }
    };
    core::iter::once(part)
}

/// The first `bytes` bytes of buffers that a call has filled or taken.
///
/// # Safety
/// There must be `count` buffers, and as in [`part`] for the bytes in them.
unsafe fn parts<'b>(
    buffers: *const iovec,
    count: usize,
    mut bytes: usize,
) -> impl Iterator<Item = &'b [u8]> {
    (0..count).map_while(move |index| {
        if bytes == 0 {
            return None;
        }
        // SAFETY: the caller's promise: `index` is below `count`.
        let buffer = unsafe { &*buffers.add(index) };
        let len = buffer.iov_len.min(bytes);
        bytes -= len;
        if len == 0 {
            return Some(&[][..]);
        }
        // SAFETY: the caller's promise: the bytes lie in the buffers one after the other.
        Some(unsafe { slice::from_raw_parts(buffer.iov_base.cast::<u8>(), len) })
    })
}

/// The bytes of a message that a call has filled or taken.
///
/// # Safety
/// The message must be one that a call has returned `result` for, or its error.
unsafe fn message_parts<'b>(
    message: *const msghdr,
    result: ssize_t,
) -> impl Iterator<Item = &'b [u8]> {
    // SAFETY: the caller's promise. Without bytes nothing of the message is looked at.
    unsafe {
        let (buffers, count) = match result {
            1.. => ((*message).msg_iov.cast_const(), (*message).msg_iovlen),
            _ => (core::ptr::null(), 0),
        };
        parts(buffers, count, result.max(0) as usize)
    }
}
