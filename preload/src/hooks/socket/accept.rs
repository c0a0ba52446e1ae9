//! Where connections come from.

use leak_wire::Wait;
use libc::{c_int, sockaddr, socklen_t};

use crate::connections;

mod next {
    use libc::{c_int, sockaddr, socklen_t};

    cancellable! {
        pub fn accept(socket: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int;
        pub fn accept4(socket: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int;
    }
}

/// `accept`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn accept(
    socket: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    connections::enter(Wait::Accept);
    // SAFETY: the caller's promise.
    let connection = unsafe { next::accept(socket, address, length) };
    if connection >= 0 {
        connections::accepted(connection);
    }
    connection
}

/// `accept4`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn accept4(
    socket: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    connections::enter(Wait::Accept);
    // SAFETY: the caller's promise.
    let connection = unsafe { next::accept4(socket, address, length, flags) };
    if connection >= 0 {
        connections::accepted(connection);
    }
    connection
}
