//! Calls by which the program confines itself to certain system calls: then what it allocates is recorded without
//! any, and what can't be without is left out from there on (new threads and processes), and said.
//!
//! Programs make them with arguments that can't succeed, too, to learn what the kernel knows: that changes nothing.

use core::ffi::c_long;
use core::sync::atomic::Ordering;

use leak_wire::layout::warning;

use crate::{caller, kernel, process};

/// Makes `call`, which is `prctl(PR_SET_SECCOMP, mode, program)`.
pub fn by_prctl(mode: usize, program: usize, call: impl FnOnce() -> c_long) -> c_long {
    let may_be = match mode as u32 {
        libc::SECCOMP_MODE_STRICT => true,
        libc::SECCOMP_MODE_FILTER => is_program(program),
        _ => false,
    };
    confining(may_be, call, |result| *result == 0)
}

/// Makes `call`, which is `seccomp(operation, flags, program)`.
pub fn by_seccomp(
    operation: usize,
    flags: usize,
    program: usize,
    call: impl FnOnce() -> c_long,
) -> c_long {
    let may_be = match operation as u32 {
        libc::SECCOMP_SET_MODE_STRICT => true,
        libc::SECCOMP_SET_MODE_FILTER => is_program(program),
        _ => false,
    };
    confining(may_be, call, |result| is_done(*result, flags))
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

/// Whether the kernel may take what lies at `program` for a filter.
fn is_program(program: usize) -> bool {
    /// The kernel's `BPF_MAXINSNS`.
    const LONGEST: u16 = 4096;
    let program = core::ptr::with_exposed_provenance::<libc::sock_fprog>(program);
    caller::read(program).is_some_and(|program| (1..=LONGEST).contains(&program.len))
}

fn confining<R>(may_be: bool, call: impl FnOnce() -> R, is_done: impl FnOnce(&R) -> bool) -> R {
    if !may_be {
        return call();
    }
    // Before: other threads may be confined with this one. Relaxed, both: a count by itself.
    kernel::CONFINED.fetch_add(1, Ordering::Relaxed);
    let result = call();
    if is_done(&result) {
        process::warn(warning::CONFINED);
    } else {
        kernel::CONFINED.fetch_sub(1, Ordering::Relaxed);
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

    #[test]
    fn probes_are_no_programs() {
        let mut instruction = [0_u64; 1];
        assert!(!is_program(0));
        assert!(!is_program(usize::MAX));
        for (len, expected) in [(0, false), (1, true), (4096, true), (4097, false)] {
            let program = libc::sock_fprog {
                len,
                filter: instruction.as_mut_ptr().cast(),
            };
            assert_eq!(is_program(&raw const program as usize), expected);
        }
    }
}
