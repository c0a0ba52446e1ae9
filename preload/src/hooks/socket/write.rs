//! Bytes to clients.

use leak_wire::Transfer;
use libc::{
    c_int, c_uint, c_void, iovec, mmsghdr, msghdr, off_t, off64_t, size_t, sockaddr, socklen_t,
    ssize_t,
};

use super::{found_no_client, length_of, tell_sent};
use crate::caller::sent::{Buffers, Sending};
use crate::connections::{self, Call};

mod next {
    use libc::{
        c_int, c_uint, c_void, iovec, mmsghdr, msghdr, off_t, off64_t, size_t, sockaddr, socklen_t,
        ssize_t,
    };

    cancellable! {
        pub fn write(descriptor: c_int, buffer: *const c_void, count: size_t) -> ssize_t;
        pub fn writev(descriptor: c_int, buffers: *const iovec, count: c_int) -> ssize_t;
        pub fn send(socket: c_int, buffer: *const c_void, count: size_t, flags: c_int) -> ssize_t;
        pub fn sendto(socket: c_int, buffer: *const c_void, count: size_t, flags: c_int, address: *const sockaddr, length: socklen_t) -> ssize_t;
        pub fn sendmsg(socket: c_int, message: *const msghdr, flags: c_int) -> ssize_t;
        pub fn sendmmsg(socket: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int;
        pub fn sendfile(to: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t;
        pub fn sendfile64(to: c_int, from: c_int, offset: *mut off64_t, count: size_t) -> ssize_t;
        pub fn splice(from: c_int, from_offset: *mut off64_t, to: c_int, to_offset: *mut off64_t, count: size_t, flags: c_uint) -> ssize_t;
    }
}

/// So few bytes that are written elsewhere wake another thread, by a pipe or an eventfd: a worker of a pool tells so that
/// its job is done, and may go on with the next one without a wait or a queue's lock between (gunicorn's threads).
const WAKES: usize = 8;

/// Looks at what `call` is about to write.
fn look(call: &Call, buffers: Buffers) -> Sending {
    Sending::look(buffers, || call.needless())
}

/// Tells what `call` wrote.
///
/// # Safety
/// It must have written what was looked at before.
unsafe fn finish(call: &Call, result: ssize_t, flags: c_int, sending: &mut Sending) {
    match usize::try_from(result) {
        // An urgent byte is no part of the stream.
        Ok(count) if count > 0 && flags & libc::MSG_OOB == 0 => {
            // SAFETY: the caller's promise.
            unsafe { tell_sent(call, count, sending) };
        }
        Err(_) => found_no_client(call),
        _ => {}
    }
}

fn finish_unseen(call: &Call, result: ssize_t) {
    match u64::try_from(result) {
        Ok(count) if count > 0 => call.moved_unseen(count),
        Err(_) => found_no_client(call),
        _ => {}
    }
}

/// `write`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn write(
    descriptor: c_int,
    buffer: *const c_void,
    count: size_t,
) -> ssize_t {
    let Some(watched) = connections::watched(descriptor) else {
        if count <= WAKES {
            connections::wakes(descriptor);
        }
        // SAFETY: the caller's promise.
        return unsafe { next::write(descriptor, buffer, count) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::One(buffer, count));
    // SAFETY: the caller's promise; the call took as many bytes as it says.
    unsafe {
        let result = next::write(descriptor, buffer, count);
        finish(&call, result, 0, &mut sending);
        result
    }
}

/// `writev`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn writev(
    descriptor: c_int,
    buffers: *const iovec,
    count: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched(descriptor) else {
        // SAFETY: the caller's promise.
        return unsafe { next::writev(descriptor, buffers, count) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::Many(buffers, count as usize));
    // SAFETY: the caller's promise; the call took as many bytes as it says.
    unsafe {
        let result = next::writev(descriptor, buffers, count);
        finish(&call, result, 0, &mut sending);
        result
    }
}

/// `send`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn send(
    socket: c_int,
    buffer: *const c_void,
    count: size_t,
    flags: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched(socket) else {
        if count <= WAKES {
            connections::wakes(socket);
        }
        // SAFETY: the caller's promise.
        return unsafe { next::send(socket, buffer, count, flags) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::One(buffer, count));
    // SAFETY: the caller's promise; the call took as many bytes as it says.
    unsafe {
        let result = next::send(socket, buffer, count, flags);
        finish(&call, result, flags, &mut sending);
        result
    }
}

/// `sendto`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sendto(
    socket: c_int,
    buffer: *const c_void,
    count: size_t,
    flags: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> ssize_t {
    let Some(watched) = connections::watched(socket) else {
        // SAFETY: the caller's promise.
        return unsafe { next::sendto(socket, buffer, count, flags, address, length) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::One(buffer, count));
    // SAFETY: the caller's promise; the call took as many bytes as it says.
    unsafe {
        let result = next::sendto(socket, buffer, count, flags, address, length);
        finish(&call, result, flags, &mut sending);
        result
    }
}

/// `sendmsg`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sendmsg(
    socket: c_int,
    message: *const msghdr,
    flags: c_int,
) -> ssize_t {
    let Some(watched) = connections::watched(socket) else {
        // SAFETY: the caller's promise.
        return unsafe { next::sendmsg(socket, message, flags) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::Message(message));
    // SAFETY: the caller's promise; the call took as many bytes as it says.
    unsafe {
        let result = next::sendmsg(socket, message, flags);
        finish(&call, result, flags, &mut sending);
        result
    }
}

/// `sendmmsg`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sendmmsg(
    socket: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    let Some(watched) = connections::watched(socket) else {
        // SAFETY: the caller's promise.
        return unsafe { next::sendmmsg(socket, messages, count, flags) };
    };
    let call = watched.begin(Transfer::Write);
    let mut sending = look(&call, Buffers::Message(messages.cast()));
    // SAFETY: the caller's promise; the call took as many messages as it says.
    unsafe {
        let sent = next::sendmmsg(socket, messages, count, flags);
        for index in 0..sent.max(0) as usize {
            let message = messages.wrapping_add(index);
            // The first alone could be looked at before.
            if index > 0 {
                sending.look_late(Buffers::Message(message.cast()));
            }
            finish(&call, length_of(message) as ssize_t, flags, &mut sending);
        }
        sent
    }
}

/// `sendfile`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sendfile(
    to: c_int,
    from: c_int,
    offset: *mut off_t,
    count: size_t,
) -> ssize_t {
    let call = connections::watched(to).map(|watched| watched.begin(Transfer::Write));
    // SAFETY: the caller's promise.
    let result = unsafe { next::sendfile(to, from, offset, count) };
    if let Some(call) = call {
        finish_unseen(&call, result);
    }
    result
}

/// `sendfile64`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut off64_t,
    count: size_t,
) -> ssize_t {
    let call = connections::watched(to).map(|watched| watched.begin(Transfer::Write));
    // SAFETY: the caller's promise.
    let result = unsafe { next::sendfile64(to, from, offset, count) };
    if let Some(call) = call {
        finish_unseen(&call, result);
    }
    result
}

/// `splice`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn splice(
    from: c_int,
    from_offset: *mut off64_t,
    to: c_int,
    to_offset: *mut off64_t,
    count: size_t,
    flags: c_uint,
) -> ssize_t {
    let reads = connections::watched_read(from).map(|watched| watched.begin(Transfer::Read));
    let writes = connections::watched(to).map(|watched| watched.begin(Transfer::Write));
    // SAFETY: the caller's promise.
    let result = unsafe { next::splice(from, from_offset, to, to_offset, count, flags) };
    if let Some(call) = reads {
        finish_unseen(&call, result);
    }
    if let Some(call) = writes {
        finish_unseen(&call, result);
    }
    result
}
