//! Calls by which the program confines itself to certain system calls: then what it allocates is recorded without
//! any, and what can't be without is left out from there on (new threads and processes), and said.
//!
//! Programs make them with arguments that can't succeed, too, to learn what the kernel knows: that changes nothing.

mod filter;

use core::ffi::c_long;
use core::sync::atomic::Ordering;

use leak_wire::layout::warning;

use crate::{kernel, process};

/// Makes `call`, which is `prctl(PR_SET_SECCOMP, mode, program)`.
pub fn by_prctl(mode: usize, program: usize, call: impl FnOnce() -> c_long) -> c_long {
    let confinement = match mode as u32 {
        libc::SECCOMP_MODE_STRICT => Some(Confinement { holds: false }),
        libc::SECCOMP_MODE_FILTER => Confinement::by_filter(program),
        _ => None,
    };
    confining(confinement, call, |result| *result == 0)
}

/// Makes `call`, which is `seccomp(operation, flags, program)`.
pub fn by_seccomp(
    operation: usize,
    flags: usize,
    program: usize,
    call: impl FnOnce() -> c_long,
) -> c_long {
    let confinement = match operation as u32 {
        libc::SECCOMP_SET_MODE_STRICT => Some(Confinement { holds: false }),
        libc::SECCOMP_SET_MODE_FILTER => Confinement::by_filter(program),
        _ => None,
    };
    confining(confinement, call, |result| is_done(*result, flags))
}

/// Whether `seccomp` did it. Where all threads are to be confined and one of them can't be, it gives its number.
fn is_done(result: c_long, flags: usize) -> bool {
    let all_threads = libc::SECCOMP_FILTER_FLAG_TSYNC as usize;
    let gives_descriptor = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize;
    match flags & (all_threads | gives_descriptor) == all_threads {
        true => result == 0,
        false => result >= 0,
    }
}

/// What a call may confine the program to.
struct Confinement {
    /// Signals can still be held back.
    holds: bool,
}

impl Confinement {
    /// The filter at `program`, if it may be one.
    fn by_filter(program: usize) -> Option<Confinement> {
        let program = core::ptr::with_exposed_provenance(program);
        filter::is_program(program).then(|| Confinement {
            holds: filter::allows(program, libc::SYS_rt_sigprocmask),
        })
    }
}

fn confining<R>(
    confinement: Option<Confinement>,
    call: impl FnOnce() -> R,
    is_done: impl FnOnce(&R) -> bool,
) -> R {
    let Some(Confinement { holds }) = confinement else {
        return call();
    };
    let unheld = u32::from(!holds);
    // Before: other threads may be confined with this one. Relaxed, all: counts by themselves.
    kernel::UNHELD.fetch_add(unheld, Ordering::Relaxed);
    kernel::CONFINED.fetch_add(1, Ordering::Relaxed);
    let result = call();
    if is_done(&result) {
        process::warn(warning::CONFINED);
    } else {
        kernel::CONFINED.fetch_sub(1, Ordering::Relaxed);
        kernel::UNHELD.fetch_sub(unheld, Ordering::Relaxed);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_can_not_be_confined_is_told_by_its_number() {
        let (all, listener) = (
            libc::SECCOMP_FILTER_FLAG_TSYNC as usize,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize,
        );
        for (result, flags, expected) in [
            (0, 0, true),
            (-1, 0, false),
            (0, all, true),
            (1234, all, false),
            (-1, all, false),
            (7, listener, true),
            (7, all | listener, true),
        ] {
            assert_eq!(is_done(result, flags), expected, "{result} {flags}");
        }
    }
}
