//! Waits for readiness.

use leak_wire::Wait;
use libc::{c_int, epoll_event, fd_set, nfds_t, pollfd, sigset_t, size_t, timespec, timeval};

use crate::connections;

mod next {
    use libc::{c_int, epoll_event, fd_set, nfds_t, pollfd, sigset_t, size_t, timespec, timeval};

    cancellable! {
        pub fn epoll_wait(epoll: c_int, events: *mut epoll_event, count: c_int, timeout: c_int) -> c_int;
        pub fn epoll_pwait(epoll: c_int, events: *mut epoll_event, count: c_int, timeout: c_int, mask: *const sigset_t) -> c_int;
        pub fn epoll_pwait2(epoll: c_int, events: *mut epoll_event, count: c_int, timeout: *const timespec, mask: *const sigset_t) -> c_int;
        pub fn poll(descriptors: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
        pub fn __poll_chk(descriptors: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int;
        pub fn ppoll(descriptors: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int;
        pub fn __ppoll_chk(descriptors: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t, room: size_t) -> c_int;
        pub fn select(count: c_int, reads: *mut fd_set, writes: *mut fd_set, errors: *mut fd_set, timeout: *mut timeval) -> c_int;
        pub fn pselect(count: c_int, reads: *mut fd_set, writes: *mut fd_set, errors: *mut fd_set, timeout: *const timespec, mask: *const sigset_t) -> c_int;
    }
}

/// `epoll_wait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::epoll_wait(epoll, events, count, timeout) }
}

/// `epoll_pwait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn epoll_pwait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::epoll_pwait(epoll, events, count, timeout, mask) }
}

/// `epoll_pwait2`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn epoll_pwait2(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::epoll_pwait2(epoll, events, count, timeout, mask) }
}

/// `poll`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn poll(
    descriptors: *mut pollfd,
    count: nfds_t,
    timeout: c_int,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::poll(descriptors, count, timeout) }
}

/// `__poll_chk`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __poll_chk(
    descriptors: *mut pollfd,
    count: nfds_t,
    timeout: c_int,
    room: size_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::__poll_chk(descriptors, count, timeout, room) }
}

/// `ppoll`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ppoll(
    descriptors: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::ppoll(descriptors, count, timeout, mask) }
}

/// `__ppoll_chk`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn __ppoll_chk(
    descriptors: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::__ppoll_chk(descriptors, count, timeout, mask, room) }
}

/// `select`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn select(
    count: c_int,
    reads: *mut fd_set,
    writes: *mut fd_set,
    errors: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::select(count, reads, writes, errors, timeout) }
}

/// `pselect`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pselect(
    count: c_int,
    reads: *mut fd_set,
    writes: *mut fd_set,
    errors: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    connections::enter(Wait::Poll);
    // SAFETY: the caller's promise.
    unsafe { next::pselect(count, reads, writes, errors, timeout, mask) }
}
