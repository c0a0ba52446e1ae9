//! Dynamic loading: only what unmaps code. `dlopen` and `dlmopen` are left alone, because a wrapper
//! would be the caller whose RUNPATH and `$ORIGIN` the loader looks at; what they map is told when
//! the unwinder first meets it (see `modules`).

use core::ffi::{c_int, c_void};

use crate::{bypass, modules, python, thread};

mod next {
    use core::ffi::{c_int, c_void};

    crate::real! {
        pub fn dlclose(handle: *mut c_void) -> c_int;
    }
}

/// Gives up a handle that was opened here of what is loaded all the same.
///
/// # Safety
/// As `dlclose` asks.
pub(in crate::hooks) unsafe fn give_up(handle: *mut c_void) {
    // SAFETY: the caller's contract is passed on.
    unsafe { next::dlclose(handle) };
}

/// The hook of `dlclose`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    bypass::before_close(handle);
    // SAFETY: the caller's contract is passed on.
    let result = python::aside(|| unsafe { next::dlclose(handle) });
    super::tls::forget_unmapped();
    if thread::tracing() {
        modules::tell_unloaded(&mut |event| {
            thread::record(event);
            true
        });
    }
    result
}
