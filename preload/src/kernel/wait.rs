//! Waits for others, and the clock.

use core::sync::atomic::AtomicU32;
use core::time::Duration;

use super::{call, is_confined};

/// Sleeps while `futex` holds `value`, at most `limit`. May return early.
pub fn futex_wait(futex: &AtomicU32, value: u32, limit: Duration) {
    if is_confined() {
        return spin();
    }
    let timeout = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    };
    // SAFETY: both pointers are live for the call. The futex is shared between processes.
    let _ = unsafe {
        call(
            libc::SYS_futex,
            [
                futex.as_ptr() as usize,
                libc::FUTEX_WAIT as usize,
                value as usize,
                &raw const timeout as usize,
                0,
                0,
            ],
        )
    };
}

/// A wait of some microseconds without a system call.
fn spin() {
    for _ in 0..200 {
        core::hint::spin_loop();
    }
}

/// Wakes everyone who sleeps on `futex`.
pub fn futex_wake(futex: &AtomicU32) {
    // SAFETY: the address is not dereferenced beyond the futex's own word.
    let _ = unsafe {
        call(
            libc::SYS_futex,
            [
                futex.as_ptr() as usize,
                libc::FUTEX_WAKE as usize,
                i32::MAX as usize,
                0,
                0,
                0,
            ],
        )
    };
}

/// Nanoseconds of a clock that only rises.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if is_confined() {
        // SAFETY: `time` is live for the call, which needs no system call where the clock is mapped.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        return time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    }
    // SAFETY: `time` is live for the call.
    let done = unsafe {
        call(
            libc::SYS_clock_gettime,
            [
                libc::CLOCK_MONOTONIC as usize,
                &raw mut time as usize,
                0,
                0,
                0,
                0,
            ],
        )
    };
    done.map_or(0, |_| {
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    })
}
