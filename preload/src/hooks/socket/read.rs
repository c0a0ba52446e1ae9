//! Bytes from clients.

use leak_framer::Pieces;
use leak_wire::Transfer;
use libc::{
    c_int, c_uint, c_void, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec,
};

use super::found_no_client;
use crate::caller::filled::Filled;
use crate::caller::vectors::Vectors;
use crate::connections::{self, Call};
use crate::session;

mod next {
    use libc::{
        c_int, c_uint, c_void, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t,
        timespec,
    };

    cancellable! {
        pub fn read(descriptor: c_int, buffer: *mut c_void, count: size_t) -> ssize_t;
        pub fn __read_chk(descriptor: c_int, buffer: *mut c_void, count: size_t, room: size_t) -> ssize_t;
        pub fn readv(descriptor: c_int, buffers: *const iovec, count: c_int) -> ssize_t;
        pub fn recv(socket: c_int, buffer: *mut c_void, count: size_t, flags: c_int) -> ssize_t;
        pub fn __recv_chk(socket: c_int, buffer: *mut c_void, count: size_t, room: size_t, flags: c_int) -> ssize_t;
        pub fn recvfrom(socket: c_int, buffer: *mut c_void, count: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) -> ssize_t;
        pub fn __recvfrom_chk(socket: c_int, buffer: *mut c_void, count: size_t, room: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) -> ssize_t;
        pub fn recvmsg(socket: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
        pub fn recvmmsg(socket: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int;
    }
}

/// What a receiving call with `flags` tells: nothing, the number of bytes, or the bytes.
enum Told {
    Nothing,
    Number,
    Bytes,
}

fn told(flags: c_int) -> Told {
    if flags & (libc::MSG_PEEK | libc::MSG_ERRQUEUE | libc::MSG_OOB) != 0 {
        Told::Nothing
    } else if flags & libc::MSG_TRUNC != 0 {
        // A stream throws the bytes away and only counts them.
        Told::Number
    } else {
        Told::Bytes
    }
}

/// Makes a call on a descriptor that is not watched: it may be a channel. One that waits may have begun before recording did, and have read
/// the first request that there is to see.
macro_rules! unwatched {
    ($descriptor:expr, $flags:expr, $buffer:expr, $call:expr) => {{
        connections::takes($descriptor);
        let before = session::traced();
        // SAFETY: the caller's promise.
        let result = unsafe { $call };
        if session::traced() != before && result > 0 {
            // SAFETY: the call filled as many bytes as it says.
            unsafe { late($descriptor, result, $flags, $buffer) };
        }
        return result;
    }};
}

/// Tells what a call read that began before recording.
///
/// # Safety
/// It must have filled as many bytes of the buffer as `result` says.
#[cold]
#[inline(never)]
unsafe fn late(descriptor: c_int, result: ssize_t, flags: c_int, buffer: *mut c_void) {
    if let Some(watched) = connections::watched_read(descriptor) {
        // SAFETY: the caller's promise.
        let pieces = unsafe { Filled::one(buffer, result as usize) };
        finish(&watched.begin(Transfer::Read), result, flags, pieces);
    }
}

/// The same of one that was watched, in a session that may be over.
///
/// # Safety
/// As for [`late`].
unsafe fn finish_one(
    call: &Call,
    descriptor: c_int,
    result: ssize_t,
    flags: c_int,
    (buffer, room): (*mut c_void, size_t),
) {
    // SAFETY: the caller's promise.
    unsafe {
        if call.is_over() && result > 0 {
            return late(descriptor, result, flags, buffer);
        }
        let pieces = Filled::one(buffer, result.max(0) as usize);
        // No room is no end.
        if result != 0 || room != 0 {
            finish(call, result, flags, pieces);
        }
    }
}

/// The same of buffers that were read before the call.
///
/// # Safety
/// It must have filled as many bytes of them as `result` says.
unsafe fn finish_known(call: &Call, result: ssize_t, flags: c_int, given: &mut Vectors) {
    // No room is no end.
    if result == 0 && given.have_no_room() {
        return;
    }
    // SAFETY: the caller's promise.
    let pieces = unsafe { Filled::known(given, result.max(0) as usize) };
    finish(call, result, flags, pieces);
}

/// Tells what `call` read: the bytes of `pieces`.
fn finish(call: &Call, result: ssize_t, flags: c_int, pieces: impl Pieces) {
    match (usize::try_from(result), told(flags)) {
        (_, Told::Nothing) => {}
        (Ok(0), _) => call.found_the_end(),
        (Err(_), _) => found_no_client(call),
        (Ok(count), Told::Number) => call.moved_unseen(count as u64),
        (Ok(count), Told::Bytes) => call.moved(count, pieces),
    }
}

/// `read`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn read(
    descriptor: c_int,
    buffer: *mut c_void,
    count: size_t,
) -> ssize_t {
    let Some(watched) = connections::watched_read(descriptor) else {
        unwatched!(descriptor, 0, buffer, next::read(descriptor, buffer, count))
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::read(descriptor, buffer, count);
        finish_one(&call, descriptor, result, 0, (buffer, count));
        result
    }
}

/// `__read_chk`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __read_chk(
    descriptor: c_int,
    buffer: *mut c_void,
    count: size_t,
    room: size_t,
) -> ssize_t {
    let Some(watched) = connections::watched_read(descriptor) else {
        unwatched!(
            descriptor,
            0,
            buffer,
            next::__read_chk(descriptor, buffer, count, room)
        )
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::__read_chk(descriptor, buffer, count, room);
        finish_one(&call, descriptor, result, 0, (buffer, count));
        result
    }
}

/// `readv`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn readv(
    descriptor: c_int,
    buffers: *const iovec,
    count: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched_read(descriptor) else {
        connections::takes(descriptor);
        // SAFETY: the caller's promise.
        return unsafe { next::readv(descriptor, buffers, count) };
    };
    let call = watched.begin(Transfer::Read);
    let mut given = Vectors::of(buffers, count as usize);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::readv(descriptor, buffers, count);
        finish_known(&call, result, 0, &mut given);
        result
    }
}

/// `recv`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn recv(
    socket: c_int,
    buffer: *mut c_void,
    count: size_t,
    flags: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched_read(socket) else {
        unwatched!(
            socket,
            flags,
            buffer,
            next::recv(socket, buffer, count, flags)
        )
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::recv(socket, buffer, count, flags);
        finish_one(&call, socket, result, flags, (buffer, count));
        result
    }
}

/// `__recv_chk`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __recv_chk(
    socket: c_int,
    buffer: *mut c_void,
    count: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched_read(socket) else {
        unwatched!(
            socket,
            flags,
            buffer,
            next::__recv_chk(socket, buffer, count, room, flags)
        )
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::__recv_chk(socket, buffer, count, room, flags);
        finish_one(&call, socket, result, flags, (buffer, count));
        result
    }
}

/// `recvfrom`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn recvfrom(
    socket: c_int,
    buffer: *mut c_void,
    count: size_t,
    flags: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> ssize_t {
    let Some(watched) = connections::watched_read(socket) else {
        unwatched!(
            socket,
            flags,
            buffer,
            next::recvfrom(socket, buffer, count, flags, address, length)
        )
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::recvfrom(socket, buffer, count, flags, address, length);
        finish_one(&call, socket, result, flags, (buffer, count));
        result
    }
}

/// `__recvfrom_chk`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __recvfrom_chk(
    socket: c_int,
    buffer: *mut c_void,
    count: size_t,
    room: size_t,
    flags: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> ssize_t {
    let Some(watched) = connections::watched_read(socket) else {
        unwatched!(
            socket,
            flags,
            buffer,
            next::__recvfrom_chk(socket, buffer, count, room, flags, address, length)
        )
    };
    let call = watched.begin(Transfer::Read);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::__recvfrom_chk(socket, buffer, count, room, flags, address, length);
        finish_one(&call, socket, result, flags, (buffer, count));
        result
    }
}

/// `recvmsg`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn recvmsg(
    socket: c_int,
    message: *mut msghdr,
    flags: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched_read(socket) else {
        connections::takes(socket);
        // SAFETY: the caller's promise.
        return unsafe { next::recvmsg(socket, message, flags) };
    };
    let call = watched.begin(Transfer::Read);
    let mut given = Vectors::of_message(message);
    // SAFETY: the caller's promise; the call filled as many bytes as it says.
    unsafe {
        let result = next::recvmsg(socket, message, flags);
        finish_known(&call, result, flags, &mut given);
        result
    }
}

/// `recvmmsg`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn recvmmsg(
    socket: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    let Some(watched) = connections::watched_read(socket) else {
        connections::takes(socket);
        // SAFETY: the caller's promise.
        return unsafe { next::recvmmsg(socket, messages, count, flags, timeout) };
    };
    let call = watched.begin(Transfer::Read);
    // Of more than one message, which a stream's connections are not read by, the bytes are only counted.
    let mut given = Vectors::of_message(messages.cast());
    // SAFETY: the caller's promise; the call filled as many messages as it says.
    unsafe {
        let received = next::recvmmsg(socket, messages, count, flags, timeout);
        for index in 0..received.max(0) as usize {
            let length = super::length_of(messages.wrapping_add(index));
            finish_known(&call, length as ssize_t, flags, &mut given);
            given.end();
        }
        received
    }
}
