//! Calls that wake a thread which waits for another one: who is given a job is woken so, and for whom tells whose job
//! it is.
//!
//! A semaphore may be a lock as well (CPython's are): who gives one back that it has taken wakes one that waits for the
//! lock, and hands nothing on. Nothing is told where nobody waits, by the C library's own counts.

use core::ffi::c_int;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use leak_wire::Wait;
use libc::{pthread_cond_t, sem_t};

use super::queue;
use crate::{connections, python, thread, window};

mod next {
    use libc::{c_int, pthread_cond_t, sem_t};

    crate::real! {
        pub fn sem_post(semaphore: *mut sem_t) -> c_int;
        pub fn sem_trywait(semaphore: *mut sem_t) -> c_int;
        pub fn sem_destroy(semaphore: *mut sem_t) -> c_int;
        pub fn pthread_cond_signal[pthread_cond_signal "GLIBC_2.3.2"](condition: *mut pthread_cond_t) -> c_int;
        pub fn pthread_cond_broadcast[pthread_cond_broadcast "GLIBC_2.3.2"](condition: *mut pthread_cond_t) -> c_int;
        pub fn old_pthread_cond_signal[pthread_cond_signal "GLIBC_2.2.5"](condition: *mut pthread_cond_t) -> c_int;
        pub fn old_pthread_cond_broadcast[pthread_cond_broadcast "GLIBC_2.2.5"](condition: *mut pthread_cond_t) -> c_int;
    }
}

/// The thread was woken from a wait for another one. It may find that there is nothing to do, and wait again: that is
/// told, so that the next to wake it is.
#[inline(always)]
pub(super) fn has_woken() {
    if !window::is_off()
        && let Some(thread) = thread::current()
    {
        thread.has_woken();
    }
}

/// The thread has taken this semaphore. What it does next may be its next job, if that is the lock of a queue; not
/// where it has waited with that lock, and only has it again.
#[inline(always)]
pub(super) fn has_taken(semaphore: *mut sem_t) {
    if !window::is_off()
        && let Some(thread) = thread::current()
        && !thread.semaphores.has_taken(semaphore as usize)
    {
        queue::enter(semaphore as usize);
    }
}

/// The thread is about to wait for this semaphore.
#[inline(always)]
pub(super) fn waits_for(semaphore: *mut sem_t) {
    if !window::is_off()
        && let Some(thread) = thread::current()
        && let Some(lock) = thread.semaphores.waits_with(semaphore as usize)
    {
        queue::waited_with(lock);
    }
}

/// Whether somebody waits for the semaphore: glibc's `struct new_sem` has the value in the lower half of its first
/// word, and how many wait in the upper one (sysdeps/nptl/internaltypes.h, since 2.21, on 64-bit machines).
#[inline(always)]
fn is_awaited(semaphore: *mut sem_t) -> bool {
    // SAFETY: `sem_post` reads and changes this word, which is aligned as a `long` is, in the same way.
    let word = unsafe { &*semaphore.cast::<AtomicU64>() };
    // Relaxed: who is missed, or has gone, costs a hint.
    word.load(Ordering::Relaxed) >> 32 != 0
}

/// Where `__wrefs` lies in a condition variable, which counts in its upper 29 bits who waits
/// (sysdeps/nptl/bits/thread-shared-types.h, since 2.25).
#[repr(C)]
struct Condition {
    sequence: u64,
    start: u64,
    references: [u32; 2],
    sizes: [u32; 2],
    original_size: u32,
    waiting: AtomicU32,
    signals: [u32; 2],
}

const _: () = assert!(
    offset_of!(Condition, waiting) == 36 && size_of::<Condition>() == size_of::<pthread_cond_t>()
);

#[inline(always)]
fn has_waiters(condition: *mut pthread_cond_t) -> bool {
    // SAFETY: `pthread_cond_signal` reads this word first, in the same way.
    let waiting = unsafe { &(*condition.cast::<Condition>()).waiting };
    // Relaxed: as for a semaphore.
    waiting.load(Ordering::Relaxed) >> 3 != 0
}

/// Whether somebody waits, and not for CPython's own lock: that goes from thread to thread all the time, with no job.
#[inline(always)]
fn tells(condition: *mut pthread_cond_t) -> bool {
    has_waiters(condition) && !python::is_of_runtime(condition as u64)
}

/// `FUTEX_WAKE` of so many that wait at the address.
#[inline(always)]
pub(super) fn wakes(address: usize, count: usize) {
    let wait = match count as u32 {
        1 => Wait::Notify,
        _ => Wait::NotifyAll,
    };
    connections::enter_with(wait, Wait::word(address as u64));
}

/// `sem_post`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_post(semaphore: *mut sem_t) -> c_int {
    if !window::is_off() {
        // A thread that has taken one has a state: this is called by signal handlers, too, and asks for none.
        let is_lock =
            thread::state().is_some_and(|thread| thread.semaphores.gives(semaphore as usize));
        if !is_lock && is_awaited(semaphore) {
            connections::enter_with(Wait::Notify, Wait::word(semaphore as u64));
        }
    }
    // SAFETY: the caller's promise.
    unsafe { next::sem_post(semaphore) }
}

/// `sem_trywait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_trywait(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::sem_trywait(semaphore) };
    if result == 0 {
        has_taken(semaphore);
    }
    result
}

/// `sem_destroy`: another semaphore at that address is no queue's lock yet.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_destroy(semaphore: *mut sem_t) -> c_int {
    queue::is_gone(semaphore as usize);
    // SAFETY: the caller's promise.
    unsafe { next::sem_destroy(semaphore) }
}

/// The hooks of what wakes those that wait with a condition variable. The C library has two of each, as of the waits:
/// in the layout from before 2003 (a pointer to the other one) nobody counts who waits.
macro_rules! notifications {
    ($($name:ident: $wait:ident if $tells:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        pub unsafe extern "C-unwind" fn $name(condition: *mut pthread_cond_t) -> c_int {
            if $tells(condition) {
                connections::enter_with(Wait::$wait, Wait::word(condition as u64));
            }
            // SAFETY: the caller's promise.
            unsafe { next::$name(condition) }
        }
    )* };
}

notifications! {
    pthread_cond_signal: Notify if tells;
    pthread_cond_broadcast: NotifyAll if tells;
    old_pthread_cond_signal: Notify if |_| true;
    old_pthread_cond_broadcast: NotifyAll if |_| true;
}

versioned! {
    "pthread_cond_signal@@GLIBC_2.3.2" => pthread_cond_signal;
    "pthread_cond_broadcast@@GLIBC_2.3.2" => pthread_cond_broadcast;
    "pthread_cond_signal@GLIBC_2.2.5" => old_pthread_cond_signal;
    "pthread_cond_broadcast@GLIBC_2.2.5" => old_pthread_cond_broadcast;
}
