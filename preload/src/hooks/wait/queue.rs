//! Locks of queues: a worker that has no time to wait between two jobs still takes the lock that the
//! queue's other users wait with, and that tells one job from the next.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

use leak_wire::Wait;
use libc::{clockid_t, pthread_mutex_t, timespec};

use crate::{connections, python};

mod next {
    use libc::{c_int, clockid_t, pthread_mutex_t, timespec};

    cancellable! {
        pub fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int;
        pub fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int;
        pub fn pthread_mutex_timedlock(mutex: *mut pthread_mutex_t, until: *const timespec) -> c_int;
        pub fn pthread_mutex_clocklock(mutex: *mut pthread_mutex_t, clock: clockid_t, until: *const timespec) -> c_int;
    }
}

/// Locks that threads of this process have waited with on a condition variable, in sets by their address: mutexes, and
/// semaphores that are locks. A mutex that is destroyed stays, until others take its place: another at its address is
/// taken for a queue's.
static WAITED_WITH: [Set; SETS] = [const { Set::new() }; SETS];
const SETS: usize = 64;

/// A few locks, in one line of the cache.
#[repr(align(64))]
struct Set {
    locks: [AtomicUsize; 4],
    /// The place that is taken next.
    next: AtomicUsize,
}

impl Set {
    const fn new() -> Set {
        Set {
            locks: [const { AtomicUsize::new(0) }; 4],
            next: AtomicUsize::new(0),
        }
    }

    #[inline(always)]
    fn of(lock: usize) -> &'static Set {
        // A lock lies in an object of 64 bytes or more: higher bits tell those of one array apart.
        &WAITED_WITH[(lock >> 6 ^ lock >> 12) % SETS]
    }

    /// Where the lock stands.
    #[inline(always)]
    fn place(&self, lock: usize) -> Option<&AtomicUsize> {
        // Relaxed: an address by itself. A lock that is told by nobody yet proves less.
        let is = |place: &&AtomicUsize| place.load(Ordering::Relaxed) == lock;
        self.locks.iter().find(is)
    }

    #[cold]
    fn add(&self, lock: usize) {
        // Relaxed, both: two threads that add at once take two places, or one of them adds again later.
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.locks.len();
        self.locks[place].store(lock, Ordering::Relaxed);
    }
}

/// A thread waits with `lock` on a condition variable.
#[inline(always)]
pub(super) fn waited_with(lock: usize) {
    let set = Set::of(lock);
    if set.place(lock).is_none() {
        set.add(lock);
    }
}

/// There is no such lock any more.
#[inline(always)]
pub(super) fn is_gone(lock: usize) {
    if let Some(place) = Set::of(lock).place(lock) {
        // Relaxed: see `Set::place`.
        place.store(0, Ordering::Relaxed);
    }
}

/// The thread has `lock`, or is about to: if that is a queue's, what it does next may be its next job.
#[inline(always)]
pub(super) fn enter(lock: usize) {
    if Set::of(lock).place(lock).is_some() {
        connections::enter(Wait::Queue);
    }
}

/// What an attempt to lock gave.
#[inline(always)]
fn tried(mutex: *mut pthread_mutex_t, result: c_int) -> c_int {
    // EOWNERDEAD: it is locked, by one that has ended before.
    if matches!(result, 0 | libc::EOWNERDEAD) {
        enter(mutex as usize);
    }
    result
}

/// `pthread_mutex_lock`, told before: a full lane is not waited for with the target's lock in hand.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    enter(mutex as usize);
    // SAFETY: the caller's promise.
    let result = unsafe { next::pthread_mutex_lock(mutex) };
    if python::is_lock(mutex as u64) && result == 0 {
        // SAFETY: it was just locked.
        unsafe { python::lets_go(mutex as u64) };
    }
    result
}

/// `pthread_mutex_trylock`. One that fails has no job to take.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the caller's promise.
    tried(mutex, unsafe { next::pthread_mutex_trylock(mutex) })
}

/// `pthread_mutex_timedlock`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_mutex_timedlock(
    mutex: *mut pthread_mutex_t,
    until: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    tried(mutex, unsafe {
        next::pthread_mutex_timedlock(mutex, until)
    })
}

/// `pthread_mutex_clocklock`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_mutex_clocklock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    until: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    tried(mutex, unsafe {
        next::pthread_mutex_clocklock(mutex, clock, until)
    })
}
