//! The interpreter's end, seen at its first call of an allocator after it has begun: everything that the
//! program made is there yet. And the end of the collection that it then begins with.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::collector;
use crate::exit;

/// The word that is looked at: `_PyRuntime`'s for who finalizes, and then how often the collector ran over
/// everything. Null: unknown, or both were seen to change.
static WATCHED: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());
/// What stands there as long as nothing happens.
static STANDS: AtomicU64 = AtomicU64::new(0);
/// The interpreter finalizes.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

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
        WATCHED.store(word.cast(), Ordering::Relaxed);
    }
}

/// Looks whether the interpreter ends. For a thread that holds the GIL.
#[inline(always)]
pub fn look() {
    // Relaxed, all: the words are written under the GIL, which this thread holds.
    // SAFETY: null or a word of the runtime or the main interpreter, which stay.
    let word = unsafe { WATCHED.load(Ordering::Relaxed).as_ref() };
    if word.is_some_and(|word| word.load(Ordering::Relaxed) != STANDS.load(Ordering::Relaxed)) {
        changed();
    }
}

/// Whether the interpreter finalizes.
pub fn has_begun() -> bool {
    // Relaxed: a word by itself.
    HAS_BEGUN.load(Ordering::Relaxed)
}

/// It finalizes, or the collection with which it begins to take itself apart is over: that frees garbage, and what
/// comes after it frees what was in use.
#[cold]
#[inline(never)]
fn changed() {
    // Relaxed, all: one thread ends the interpreter.
    let word = WATCHED.swap(null_mut(), Ordering::Relaxed);
    if word.is_null() {
        return;
    }
    if HAS_BEGUN.swap(true, Ordering::Relaxed) {
        return collector::tell();
    }
    super::look_once_more();
    exit::begins();
    let runs = collector::full_runs();
    // SAFETY: as in `look`.
    if let Some(so_far) = unsafe { runs.as_ref() } {
        STANDS.store(so_far.load(Ordering::Relaxed), Ordering::Relaxed);
        WATCHED.store(runs, Ordering::Relaxed);
    }
}
