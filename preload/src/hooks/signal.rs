//! Signals that a program sends to itself: one that ends it is an end like `_exit`. Servers end so that pass on,
//! when all is tidied, the signal that stopped them (uvicorn does).

use core::ffi::c_int;

use crate::{exit, kernel};

mod next {
    use core::ffi::c_int;

    crate::real! {
        pub fn raise(signal: c_int) -> c_int;
        pub fn kill(pid: i32, signal: c_int) -> c_int;
    }
}

/// Ends a process that doesn't handle it, without a core: what a crash looks like stays one.
fn ends_quietly(signal: c_int) -> bool {
    matches!(
        signal,
        libc::SIGHUP
            | libc::SIGINT
            | libc::SIGPIPE
            | libc::SIGALRM
            | libc::SIGTERM
            | libc::SIGUSR1
            | libc::SIGUSR2
    )
}

/// Tells that the process begins to end, where `signal`, which it is about to send to itself, does that at once.
/// A process 1 lives on: the kernel keeps such signals from it.
fn about_to_get(signal: c_int) {
    if ends_quietly(signal)
        && !kernel::is_confined()
        && kernel::getpid() != 1
        && kernel::is_default(signal)
        && !kernel::is_blocked(signal)
    {
        exit::begins();
    }
}

/// The hook of `raise`.
#[unsafe(no_mangle)]
pub extern "C" fn raise(signal: c_int) -> c_int {
    about_to_get(signal);
    // SAFETY: takes a number.
    unsafe { next::raise(signal) }
}

/// The hook of `kill`.
#[unsafe(no_mangle)]
pub extern "C" fn kill(pid: i32, signal: c_int) -> c_int {
    if ends_quietly(signal) && !kernel::is_confined() && pid == kernel::getpid() as i32 {
        about_to_get(signal);
    }
    // SAFETY: takes numbers.
    unsafe { next::kill(pid, signal) }
}
