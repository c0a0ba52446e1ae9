//! Locked memory. What this library has mapped for itself is not the program's to lock: neither does it keep the
//! program from locking its own, nor is it locked with that.

use core::ffi::c_int;

use crate::locked;

mod next {
    use core::ffi::c_int;

    crate::real! {
        pub fn mlockall(flags: c_int) -> c_int;
        pub fn munlockall() -> c_int;
    }
}

/// The hook of `mlockall`.
#[unsafe(no_mangle)]
pub extern "C" fn mlockall(flags: c_int) -> c_int {
    match locked::lock_all(flags) {
        // SAFETY: takes flags.
        None => locked::noting(flags, || unsafe { next::mlockall(flags) }),
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            // SAFETY: errno's address is always good.
            unsafe { *libc::__errno_location() = error };
            -1
        }
    }
}

/// The hook of `munlockall`.
#[unsafe(no_mangle)]
pub extern "C" fn munlockall() -> c_int {
    // SAFETY: takes nothing.
    locked::noting(0, || unsafe { next::munlockall() })
}
