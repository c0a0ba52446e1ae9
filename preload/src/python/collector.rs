//! The interpreter's collector of cyclic garbage: how often it ran, and asking it to (`LEAK_GC`).
//!
//! - Its counters lie in the state of the main interpreter, or before 3.9 in the runtime's. They are compared with
//!   what was told last, by plain loads, before each fact is told: so facts and runs have an order.
//! - Their place is that of each version, and it is taken only where what lies there can be nothing else: a pointer
//!   to the first of three generations, right behind them, with the thresholds that every interpreter starts with.
//!   A collector of another kind (3.14's works in steps) is not known, and nothing is told of it.
//! - It is asked to run by a pending call: the interpreter makes those itself, in its main thread, where any Python
//!   code may run. There is one at a time. Where the main thread sits in a call for ever, none is ever made.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use leak_wire::Event;

use super::ending;
use super::interpreter::{Interpreter, interpreter};
use crate::thread::{self, Thread};

/// Generations.
const GENERATIONS: usize = 3;

/// `struct gc_generation`.
#[repr(C)]
struct Generation {
    head: [u64; 2],
    threshold: c_int,
    count: c_int,
}

/// The parts of `struct _gc_runtime_state` that matter, from 3.8 to 3.13.
#[repr(C)]
struct State {
    generations: [Generation; GENERATIONS],
    /// The head of the first of them.
    first: u64,
    permanent: Generation,
    statistics: [Statistics; GENERATIONS],
}

/// `struct gc_generation_stats`.
#[repr(C)]
struct Statistics {
    collections: AtomicU64,
    collected: u64,
    uncollectable: u64,
}

/// How often each generation was collected, null: not known.
static STATISTICS: AtomicPtr<[Statistics; GENERATIONS]> = AtomicPtr::new(null_mut());
/// All their runs together and one more, as they were told last; 0: they never were.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// It is asked to run after so many requests; 0: never.
static EVERY: AtomicU32 = AtomicU32::new(0);
/// Requests that were answered since it was asked last.
static ANSWERED: AtomicU32 = AtomicU32::new(0);
/// It was asked to, and has not begun.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// Where `first` lies in the structure that has the collector's state: the runtime, or the main interpreter.
fn place(minor: u32, runtime: *const u8, main: *const u8) -> Option<*const u8> {
    let (base, offset) = match minor {
        8 => (runtime, 440),
        9 | 10 => (main, 712),
        11 => (main, 744),
        12 => (main, 208),
        13 | 14 => {
            // SAFETY: the runtime begins with offsets; this one is `interpreter_state.gc`. Its place is told by the
            // same table as in 3.13.0, and what it leads to is checked.
            let gc = unsafe {
                runtime
                    .cast::<u64>()
                    .add(TOLD_GC[minor as usize - 13])
                    .read()
            };
            (main, usize::try_from(gc).ok()? + 96)
        }
        _ => return None,
    };
    // The state of an interpreter is longer than that in all these versions.
    let is_sure = !base.is_null() && offset.is_multiple_of(8) && offset < SURE;
    is_sure.then(|| base.wrapping_add(offset))
}

/// The words of `_Py_DebugOffsets` that are `interpreter_state.gc`, of 3.13 and 3.14.
const TOLD_GC: [usize; 2] = [10, 11];
/// The state of an interpreter is at least so long, bytes.
const SURE: usize = 16 << 10;

/// Whether the state of a collector lies there that has done nothing but start.
///
/// # Safety
/// A state can be read there, whatever it holds.
unsafe fn is_state(state: *const State) -> bool {
    // SAFETY: the caller's promise.
    let state = unsafe { &*state };
    let [young, middle, old] = &state.generations;
    state.first == state.generations.as_ptr() as u64
        && matches!(young.threshold, 700 | 2000)
        && middle.threshold == 10
        && old.threshold == 10
}

/// Looks for the collector's counters. Once, when an interpreter is initialised and has run nothing of the
/// program's.
///
/// # Safety
/// The calling thread holds the GIL.
pub unsafe fn prepare(interpreter: &Interpreter) {
    let Some(main) = interpreter.main else {
        return;
    };
    // SAFETY: takes nothing, gives the state of the main interpreter, which stays.
    let main = unsafe { main() };
    let minor = interpreter.version & 0xff;
    let runtime = interpreter.runtime as *const u8;
    let Some(first) = place(minor, runtime, main) else {
        return;
    };
    let state = first
        .wrapping_sub(core::mem::offset_of!(State, first))
        .cast::<State>();
    // SAFETY: it lies within the state of the interpreter, or the runtime, which are longer; the GIL is held.
    if unsafe { is_state(state) } {
        // SAFETY: as above: a place in it.
        let statistics = unsafe { &raw const (*state).statistics };
        // Release: pairs with the Acquire in `statistics`.
        STATISTICS.store(statistics.cast_mut(), Ordering::Release);
    }
}

#[inline(always)]
fn statistics() -> Option<&'static [Statistics; GENERATIONS]> {
    // Acquire: pairs with the Release in `prepare`.
    // SAFETY: null, or the counters of the main interpreter, which stay as long as it runs; they are written as
    // aligned words, under the GIL.
    unsafe { STATISTICS.load(Ordering::Acquire).as_ref() }
}

/// Where the runs over everything are counted; null: not known.
pub fn full_runs() -> *mut AtomicU64 {
    let [.., full] = match statistics() {
        Some(statistics) => statistics,
        None => return null_mut(),
    };
    (&raw const full.collections).cast_mut()
}

/// Tells how often it ran, if that is not told yet.
#[inline(always)]
pub fn look(tell: impl FnOnce(Event<'_>)) {
    let Some(statistics) = statistics() else {
        return;
    };
    // Relaxed, all: numbers by themselves. Who tells them twice does no harm, as they only rise.
    let runs = statistics
        .each_ref()
        .map(|of| of.collections.load(Ordering::Relaxed));
    let sum = runs.iter().fold(1_u64, |sum, runs| sum.wrapping_add(*runs));
    if TOLD.load(Ordering::Relaxed) != sum {
        let [young, middle, full] = runs.map(|runs| runs as u32);
        tell(Event::Collected {
            young,
            middle,
            full,
        });
        // After it was told: another thread's next fact comes after these runs in any case.
        TOLD.store(sum, Ordering::Relaxed);
    }
}

/// Tells how often it ran.
pub fn tell() {
    if let Some(thread) = thread::current() {
        look(|event| thread.record(event));
    }
}

/// Has it asked to run after every so many requests.
pub fn ask_every(requests: u32) {
    // Relaxed: read by threads that this one starts, or that see the session.
    EVERY.store(requests, Ordering::Relaxed);
}

/// So many requests were answered on this thread, or ended; asks the collector to run if it is time. Whether it did.
#[inline(always)]
pub fn answered(thread: &Thread, requests: u32) -> bool {
    // Relaxed: as above.
    let every = EVERY.load(Ordering::Relaxed);
    every > 0 && count(thread, requests, every)
}

#[cold]
#[inline(never)]
fn count(thread: &Thread, requests: u32, every: u32) -> bool {
    // Relaxed, all: a count by itself, and whoever brings it past the limit takes that much away.
    let before = ANSWERED.fetch_add(requests, Ordering::Relaxed);
    let now = before.wrapping_add(requests);
    if now < every {
        return false;
    }
    let rest = ANSWERED.compare_exchange(now, now % every, Ordering::Relaxed, Ordering::Relaxed);
    if rest.is_err() || IS_ASKED.swap(true, Ordering::Relaxed) {
        return false;
    }
    let asked = ask(thread);
    if !asked {
        IS_ASKED.store(false, Ordering::Relaxed);
    }
    asked
}

/// Whether the interpreter has taken the call.
fn ask(thread: &Thread) -> bool {
    let add = interpreter().and_then(|interpreter| interpreter.add_pending_call);
    let Some(add) = add.filter(|_| !ending::has_begun()) else {
        return false;
    };
    // SAFETY: errno's address is always good.
    let errno = unsafe { *libc::__errno_location() };
    // Unseen: it takes a lock of the interpreter's, which is no wait of the thread's.
    // SAFETY: an interpreter that runs takes calls from any thread, with the GIL or without.
    let result = thread.paused(0, || unsafe { add(collect, null_mut()) });
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    result == 0
}

/// Runs it. The interpreter calls this in its main thread, which holds the GIL, where it could run any Python code,
/// too: a signal's handler. What is raised meanwhile the collector tells as unraisable, and what was raised before
/// it puts back.
extern "C" fn collect(_: *mut c_void) -> c_int {
    // Relaxed: under the GIL.
    IS_ASKED.store(false, Ordering::Relaxed);
    if let Some(collect) = interpreter().and_then(|interpreter| interpreter.collect) {
        // SAFETY: this thread holds the GIL. One that runs already makes it return at once.
        unsafe { collect() };
    }
    0
}

/// Nothing is told in a session that begins.
pub fn begin_anew() {
    // Relaxed, both: numbers by themselves, stored before the session is known.
    TOLD.store(0, Ordering::Relaxed);
    ANSWERED.store(0, Ordering::Relaxed);
}

/// A forked child tells by itself, and what its parent was asked may not be known to its interpreter.
pub fn in_forked_child() {
    // Relaxed, all: it has one thread.
    TOLD.store(0, Ordering::Relaxed);
    ANSWERED.store(0, Ordering::Relaxed);
    IS_ASKED.store(false, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{offset_of, zeroed};

    #[test]
    fn the_state_lies_as_cpython_has_it() {
        // As seen in 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0.
        assert_eq!(offset_of!(State, first), 72);
        assert_eq!(offset_of!(State, statistics), 104);
        assert_eq!(size_of::<Statistics>(), 24);
    }

    #[test]
    fn what_is_no_state_is_told() {
        // SAFETY: numbers.
        let mut state: State = unsafe { zeroed() };
        let is_state = |state: &State| {
            // SAFETY: it is one.
            unsafe { super::is_state(state) }
        };
        assert!(!is_state(&state));
        state.first = state.generations.as_ptr() as u64;
        state.generations[0].threshold = 2000;
        state.generations[1].threshold = 10;
        assert!(!is_state(&state), "its third generation has no threshold");
        state.generations[2].threshold = 10;
        assert!(is_state(&state));
        state.first += 16;
        assert!(!is_state(&state));
    }
}
