//! A thread's end, told by the destructor of a key of thread-specific data: also of a thread that
//! `pthread_exit` or a cancellation ends.
//!
//! Destructors run in rounds while any of them leaves a value, so this one leaves its own until the last
//! round: what the others free comes before the end.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

use leak_wire::Event;

use super::record;
use crate::dtv;

/// Rounds of destructors (glibc's `PTHREAD_DESTRUCTOR_ITERATIONS`).
const ROUNDS: usize = 4;
/// Values of keys below this one lie in the thread itself; for others `pthread_setspecific` allocates
/// (glibc's `PTHREAD_KEY_2NDLEVEL_SIZE`).
const NEAR_KEYS: u32 = 32;
const NO_KEY: u32 = u32::MAX;

static KEY: AtomicU32 = AtomicU32::new(NO_KEY);

/// Makes the key. Where none is to be had that costs no allocation, the recorder finds out by itself which
/// threads are gone.
pub fn prepare() {
    let mut key = NO_KEY;
    // SAFETY: the key is written to live memory, and the destructor stays loaded.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(in_round)) } != 0 {
        return;
    }
    if key >= NEAR_KEYS {
        // SAFETY: the key was made above, and no thread has a value for it.
        unsafe { libc::pthread_key_delete(key) };
        return;
    }
    // Relaxed: a number by itself.
    KEY.store(key, Ordering::Relaxed);
    arm();
}

/// The calling thread's end will be told.
pub fn arm() {
    leave(1);
}

fn leave(round: usize) {
    // Relaxed: as above.
    let key = KEY.load(Ordering::Relaxed);
    if key != NO_KEY {
        let value = core::ptr::without_provenance::<c_void>(round);
        // SAFETY: the key is never deleted; its value is a number that nobody reads through.
        unsafe { libc::pthread_setspecific(key, value) };
    }
}

extern "C" fn in_round(value: *mut c_void) {
    match value as usize {
        ROUNDS.. => {
            dtv::ends();
            record(Event::ThreadEnd);
        }
        round => leave(round + 1),
    }
}
