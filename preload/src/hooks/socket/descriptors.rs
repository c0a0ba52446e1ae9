//! Where connections go to, and which descriptors are the same one.

use libc::{FILE, c_char, c_int, c_uint};

use crate::connections;

/// `close_range` only marks the descriptors.
const CLOSE_RANGE_CLOEXEC: c_uint = 4;

mod next {
    use libc::{FILE, c_char, c_int, c_uint};

    cancellable! {
        pub fn close(descriptor: c_int) -> c_int;
        pub fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int;
        pub fn closefrom(first: c_int) -> ();
        pub fn fdopen(descriptor: c_int, mode: *const c_char) -> *mut FILE;
        pub fn fclose(stream: *mut FILE) -> c_int;
        pub fn shutdown(socket: c_int, how: c_int) -> c_int;
        pub fn dup(old: c_int) -> c_int;
        pub fn dup2(old: c_int, new: c_int) -> c_int;
        pub fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int;
        pub fn fcntl(descriptor: c_int, command: c_int, argument: usize) -> c_int;
        pub fn fcntl64(descriptor: c_int, command: c_int, argument: usize) -> c_int;
    }
}

/// `close`. Told before it happens: afterwards the number may be another connection's.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn close(descriptor: c_int) -> c_int {
    connections::closing(descriptor);
    // SAFETY: the caller's promise.
    unsafe { next::close(descriptor) }
}

/// `close_range`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    if flags as c_uint & CLOSE_RANGE_CLOEXEC != 0 {
        // SAFETY: the caller's promise.
        return unsafe { next::close_range(first, last, flags) };
    }
    connections::close_range_begins(first, last);
    // SAFETY: the caller's promise.
    let result = unsafe { next::close_range(first, last, flags) };
    connections::close_range_ends(first, last, result == 0);
    result
}

/// `closefrom`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn closefrom(first: c_int) {
    connections::closing_range(first.max(0) as c_uint, c_uint::MAX);
    // SAFETY: the caller's promise.
    unsafe { next::closefrom(first) }
}

/// `fdopen`: what a stream reads and writes is not seen.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn fdopen(descriptor: c_int, mode: *const c_char) -> *mut FILE {
    // SAFETY: the caller's promise.
    let stream = unsafe { next::fdopen(descriptor, mode) };
    if !stream.is_null() {
        connections::bypassed(descriptor);
    }
    stream
}

/// `fclose`, which closes the descriptor where no other hook sees it.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn fclose(stream: *mut FILE) -> c_int {
    if !stream.is_null() {
        // SAFETY: the caller's promise: an open stream.
        connections::closing(unsafe { descriptor_of(stream) });
    }
    // SAFETY: the caller's promise.
    unsafe { next::fclose(stream) }
}

/// The descriptor of a stream, or -1; leaves errno alone.
///
/// # Safety
/// The stream must be open.
unsafe fn descriptor_of(stream: *mut FILE) -> c_int {
    // SAFETY: the caller's promise; errno's address is always good.
    unsafe {
        let errno = *libc::__errno_location();
        let descriptor = libc::fileno(stream);
        *libc::__errno_location() = errno;
        descriptor
    }
}

/// `shutdown`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn shutdown(socket: c_int, how: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::shutdown(socket, how) };
    if result == 0 && how != libc::SHUT_RD {
        connections::shut_down(socket);
    }
    result
}

/// `dup`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn dup(old: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let new = unsafe { next::dup(old) };
    connections::duplicated(old, new);
    new
}

/// `dup2`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn dup2(old: c_int, new: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let new = unsafe { next::dup2(old, new) };
    connections::duplicated(old, new);
    new
}

/// `dup3`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let new = unsafe { next::dup3(old, new, flags) };
    connections::duplicated(old, new);
    new
}

fn is_duplication(command: c_int) -> bool {
    matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC)
}

/// `fcntl`. Its optional argument comes in a register, there or not, and goes on as it came.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn fcntl(descriptor: c_int, command: c_int, argument: usize) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::fcntl(descriptor, command, argument) };
    if is_duplication(command) {
        connections::duplicated(descriptor, result);
    }
    result
}

/// `fcntl64`, likewise.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn fcntl64(
    descriptor: c_int,
    command: c_int,
    argument: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::fcntl64(descriptor, command, argument) };
    if is_duplication(command) {
        connections::duplicated(descriptor, result);
    }
    result
}
