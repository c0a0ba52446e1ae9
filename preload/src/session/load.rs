//! What runs when the library is loaded.

use core::sync::atomic::Ordering;

use super::fork::{after_fork, before_fork, in_forked_child};
use super::start::ensure;
use super::{INERT, STATE};
use crate::{exit, kernel, real, stack, thread, window};

extern "C" fn atfork_prepare() {
    before_fork();
}

extern "C" fn atfork_parent() {
    after_fork();
}

extern "C" fn atfork_child() {
    in_forked_child();
}

// SAFETY: as glibc's pthread_atfork.c calls it; the symbol is GLIBC_2.3.2's.
unsafe extern "C" {
    fn __register_atfork(
        prepare: extern "C" fn(),
        parent: extern "C" fn(),
        child: extern "C" fn(),
        library: *mut core::ffi::c_void,
    ) -> libc::c_int;
}

/// Runs when the library is loaded, before the program and most other libraries.
extern "C" fn constructor() {
    real::resolve_all();
    stack::remember_default_size();
    {
        let _held = kernel::SignalsHeld::new();
        if ensure().is_none() {
            // All next definitions are known: the hooks need not look at more than this.
            window::shut();
        }
        if STATE.load(Ordering::Relaxed) == INERT {
            return;
        }
    }
    exit::prepare();
    thread::end::prepare();
    // First of all: in a child it runs before the handlers of others, which may allocate; in a parent
    // after them. SAFETY: the handlers stay loaded.
    unsafe {
        __register_atfork(
            atfork_prepare,
            atfork_parent,
            atfork_child,
            core::ptr::null_mut(),
        )
    };
}

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;
