//! The interpreter's end, seen at its first call of an allocator after it has begun: everything that the
//! program made is there yet.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::exit;

/// `_PyRuntime`'s word for who finalizes; null: unknown, or seen already.
static FINALIZING: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());

/// The runtime is at least so long, bytes.
const SURE: u64 = 1024;

/// Finds the word in the runtime of version 3.`minor`.
///
/// # Safety
/// `runtime` is `_PyRuntime` of that version.
pub unsafe fn prepare(minor: u32, runtime: *mut c_void) {
    let offset = match minor {
        8..=10 => 16,
        11 | 12 => 24,
        // SAFETY: the runtime begins with offsets, and this one is `runtime_state.finalizing`.
        13 | 14 => unsafe { runtime.cast::<u64>().add(4).read() },
        _ => return,
    };
    if offset.is_multiple_of(8) && offset < SURE {
        // SAFETY: within the runtime, which is longer, and aligned as it is.
        let word = unsafe { runtime.byte_add(offset as usize) };
        // Relaxed: the runtime is there from the start, and nothing is published with it.
        FINALIZING.store(word.cast(), Ordering::Relaxed);
    }
}

/// Looks whether the interpreter ends. For a thread that holds the GIL.
#[inline(always)]
pub fn look() {
    // Relaxed, both: the word is written under the GIL, which this thread holds.
    // SAFETY: null or a word of the runtime, which stays.
    let word = unsafe { FINALIZING.load(Ordering::Relaxed).as_ref() };
    if word.is_some_and(|word| word.load(Ordering::Relaxed) != 0) {
        ends();
    }
}

#[cold]
#[inline(never)]
fn ends() {
    // Relaxed: one thread ends the interpreter.
    if !FINALIZING.swap(null_mut(), Ordering::Relaxed).is_null() {
        super::look_once_more();
        exit::begins();
    }
}
