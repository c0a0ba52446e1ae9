//! Calls on sockets. For every descriptor that is not an accepted connection they cost a look into a
//! table.

mod accept;
mod channels;
mod descriptors;
mod read;
mod write;

use core::slice;

use leak_framer::Parts;
use libc::{iovec, msghdr, size_t};

use crate::caller;
use crate::caller::sent::{Buffers, Sending};
use crate::connections::Call;

/// The first `bytes` bytes of a buffer that a call has taken.
///
/// # Safety
/// That many bytes at `buffer` must be initialised, and stay as they are while the slice is used.
unsafe fn part<'b>(
    buffer: *const libc::c_void,
    bytes: size_t,
) -> Parts<'b, impl Iterator<Item = &'b [u8]>> {
    let part = if buffer.is_null() {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { slice::from_raw_parts(buffer.cast::<u8>(), bytes) }
    };
    Parts::of([part])
}

/// The first `bytes` bytes of buffers that a call has taken.
///
/// # Safety
/// There must be `count` buffers, and as in [`part`] for the bytes in them.
unsafe fn parts<'b>(
    buffers: *const iovec,
    count: usize,
    mut bytes: usize,
) -> Parts<'b, impl Iterator<Item = &'b [u8]>> {
    Parts::of((0..count).map_while(move |index| {
        if bytes == 0 {
            return None;
        }
        // SAFETY: the caller's promise: `index` is below `count`.
        let buffer = unsafe { buffers.add(index).read_unaligned() };
        let len = buffer.iov_len.min(bytes);
        bytes -= len;
        if len == 0 {
            return Some(&[][..]);
        }
        // SAFETY: the caller's promise: the bytes lie in the buffers one after the other.
        Some(unsafe { slice::from_raw_parts(buffer.iov_base.cast::<u8>(), len) })
    }))
}

/// Tells the `bytes` bytes, at least one, that `call` has sent.
///
/// # Safety
/// It must have sent so many of what was looked at before.
pub(super) unsafe fn tell_sent(call: &Call, bytes: usize, sending: &mut Sending) {
    // SAFETY: the caller's promise: the kernel has taken the bytes, and no other thread touches them.
    unsafe {
        match *sending {
            Sending::Copied(ref mut copied) => call.moved(bytes, copied.taken(bytes)),
            Sending::Plain(Buffers::One(start, _)) => call.moved(bytes, part(start, bytes)),
            Sending::Plain(Buffers::Many(first, count)) => {
                call.moved(bytes, parts(first, count, bytes));
            }
            Sending::Plain(Buffers::Message(message)) => {
                let msghdr {
                    msg_iov,
                    msg_iovlen,
                    ..
                } = message.read_unaligned();
                call.moved(bytes, parts(msg_iov, msg_iovlen, bytes));
            }
        }
    }
}

/// `call` failed: where that was because the client is gone, it is told. Leaves errno alone.
#[cold]
fn found_no_client(call: &Call) {
    // SAFETY: errno's address is always good.
    let errno = unsafe { *libc::__errno_location() };
    if matches!(errno, libc::EPIPE | libc::ECONNRESET) {
        call.found_the_end();
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
    }
}

/// How many bytes of a message a call has moved, as it told there.
fn length_of(message: *const libc::mmsghdr) -> usize {
    let length = message.wrapping_byte_add(core::mem::offset_of!(libc::mmsghdr, msg_len));
    caller::read(length.cast::<u32>()).unwrap_or(0) as usize
}
