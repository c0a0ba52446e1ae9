//! CPython's free lists, looked at: which objects died and wait there, and which were taken for their next use. Its
//! allocators hear nothing of either, and a block's allocation does not tell whose object it is now.
//!
//! - The lists are looked at when the thread that holds the GIL is about to let go of it, at its calls that wait or
//!   transfer, and when it goes on with another task: what changed since the last look was this thread's doing.
//! - A list is a stack. Of each the entries are remembered as they were, and compared from the newest one on (`list`).
//!   What dies and is taken again between two looks shows at the allocations between them (`watch`).
//! - Only reads, of the main interpreter, under its GIL. Where lists lie is known for each version (`layout`); before one
//!   is believed its length and its newest entry must be what they should, read in a way that can't fault.

mod layout;
mod list;
mod watch;

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use leak_wire::free_list::List;
use leak_wire::{Bytes, Event};

use crate::{alternate_stack, kernel};
use layout::{Layout, Lock};
use list::{Entries, Known, Room, Told};
use watch::Watch;

/// Lists of one interpreter, at most.
const MOST_LISTS: usize = 40;
/// Tuples of so many lengths are watched.
const WATCHED_TUPLES: u16 = 6;
/// Thread state → interpreter, in all versions.
const INTERPRETER: usize = 16;

/// All that is known. Used under the GIL only, by one look at a time.
struct Memory {
    lists: [Known; MOST_LISTS],
    entries: [Entries; MOST_LISTS],
    room: Room,
    words: [u8; Bytes::MAX],
}

static MEMORY: AtomicPtr<Memory> = AtomicPtr::new(null_mut());
static WATCH: Watch = Watch::new();
/// Where the runtime points to its main interpreter.
static RUNTIME: AtomicU64 = AtomicU64::new(0);
static LAYOUT: LayoutPlace = LayoutPlace(UnsafeCell::new(None));
/// The main interpreter; 0: nothing is looked at.
static MAIN: AtomicU64 = AtomicU64::new(0);
/// The mutex that guards who holds its GIL; 0 with it.
static LOCK: AtomicU64 = AtomicU64::new(0);
/// A look is under way.
static BUSY: AtomicBool = AtomicBool::new(false);

struct LayoutPlace(UnsafeCell<Option<Layout>>);

// SAFETY: written once, by the thread that finds the interpreter, before `MEMORY` is set; read only after that.
unsafe impl Sync for LayoutPlace {}

/// Gets ready to look at the lists of version 3.`minor`, where they are known.
pub fn prepare(minor: u32, runtime: *mut c_void, symbol: &dyn Fn(&CStr) -> *mut c_void) {
    let Some(layout) = layout::of_version(minor) else {
        return;
    };
    let Some(memory) = kernel::map(size_of::<Memory>()) else {
        return;
    };
    let memory = memory.cast::<Memory>();
    // SAFETY: a fresh mapping, which nobody else knows; zeros are valid.
    let lists = unsafe { &mut (*memory).lists };
    for (known, (place, _)) in lists.iter_mut().zip(layout.each()) {
        known.of_type = layout::type_symbol(place).map_or(null_mut(), symbol) as u64;
        known.place = Some(place);
    }
    // SAFETY: see `LayoutPlace`.
    unsafe { *LAYOUT.0.get() = Some(layout) };
    // Relaxed: read after `MEMORY`.
    RUNTIME.store(runtime as u64, Ordering::Relaxed);
    // Release: pairs with the Acquire in `begin`.
    MEMORY.store(memory, Ordering::Release);
}

/// The lists are looked at from now on. Once.
///
/// # Safety
/// `state` is a thread state of the calling thread, which holds the GIL.
pub unsafe fn begin(state: *const u8) {
    // Acquire: pairs with the Release in `prepare`.
    let memory = MEMORY.load(Ordering::Acquire);
    // SAFETY: null, or mapped for ever, and only used under the GIL; the layout was written before.
    let (Some(memory), Some(layout)) = (unsafe { (memory.as_mut(), (*LAYOUT.0.get()).as_ref()) })
    else {
        return;
    };
    // Relaxed, all: ordered by the Acquire, or by the GIL. Whoever compares a mutex with an older value takes it for
    // another one.
    let runtime = RUNTIME.load(Ordering::Relaxed);
    // SAFETY: the runtime's own word, and a thread state's.
    let (main, own) = unsafe {
        let main = (runtime + u64::from(layout.interpreter)) as *const u64;
        (main.read(), interpreter_of(state))
    };
    if main == 0 || main != own {
        return;
    }
    for (index, (known, (place, number))) in memory.lists.iter_mut().zip(layout.each()).enumerate()
    {
        let at = |(first, step): (u32, u16)| main + u64::from(first) + u64::from(step * number);
        (known.entries_at, known.length_at) = (at(place.entries), at(place.length));
        let is_watched = match place.list {
            List::Tuple => number < WATCHED_TUPLES,
            List::List | List::Dict | List::Keys | List::Float | List::Int => true,
            List::Builtin | List::BuiltinMethod | List::Method | List::Frame => true,
            _ => false,
        };
        if is_watched {
            // SAFETY: the GIL is held.
            unsafe { WATCH.add(index, known.length_at) };
        }
    }
    MAIN.store(main, Ordering::Relaxed);
    let lock = match layout.lock {
        Lock::Runtime(offset) => runtime + u64::from(offset),
        Lock::Interpreter(offset) => main + u64::from(offset),
    };
    LOCK.store(lock, Ordering::Relaxed);
}

/// Looks no more: the interpreter takes itself apart.
pub fn end() {
    // Relaxed, both: whoever is in a look holds the GIL, as the caller does.
    LOCK.store(0, Ordering::Relaxed);
    MAIN.store(0, Ordering::Relaxed);
}

/// # Safety
/// `state` is a thread state of the calling thread.
unsafe fn interpreter_of(state: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { state.add(INTERPRETER).cast::<u64>().read() }
}

/// Whether `mutex` is the one that a thread locks to let go of the GIL.
#[inline(always)]
pub fn is_lock(mutex: u64) -> bool {
    // Relaxed: an address by itself; 0 is no mutex.
    mutex == LOCK.load(Ordering::Relaxed)
}

/// For a thread that has just locked that mutex: its thread state if it still holds the GIL, which it is about to let
/// go of, maybe as the last thing that it does. Nobody takes or gives the GIL meanwhile.
///
/// # Safety
/// `is_lock(mutex)`, and the calling thread holds it.
pub unsafe fn holder(mutex: u64) -> Option<*const u8> {
    // SAFETY: `begin` has found the lock, and the layout before.
    let layout = unsafe { (*LAYOUT.0.get()).as_ref() }?;
    // SAFETY: both lie in the structure that the mutex is a part of. The state of whoever holds the GIL is there.
    unsafe {
        let last = ((mutex - layout::LAST_HOLDER) as *const *const u8).read();
        let locked = ((mutex - layout::LOCKED) as *const u32).read();
        let is_own = || {
            let thread = last.add(layout.thread.into()).cast::<libc::pthread_t>();
            thread.read() == libc::pthread_self()
        };
        (locked == 1 && !last.is_null() && is_own()).then_some(last)
    }
}

/// Sees what died on the lists that matter most; whether so much did that a look is due. With each allocation of the
/// interpreter's.
///
/// # Safety
/// As for [`look`].
#[inline(always)]
pub unsafe fn watch(state: *const u8) -> bool {
    // Relaxed: under the GIL.
    let main = MAIN.load(Ordering::Relaxed);
    // SAFETY: the caller's promise.
    unsafe {
        if main == 0 || interpreter_of(state) != main {
            return false;
        }
        WATCH.each_changed(grown);
        !WATCH.has_room()
    }
}

/// A list has grown since it had so many entries.
#[inline(never)]
fn grown(list: usize, since: usize) {
    // Relaxed, both: see `look`.
    if BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    // SAFETY: `MAIN` was set, so there is a memory; under the GIL, and nobody else is here.
    let memory = unsafe { &mut *MEMORY.load(Ordering::Relaxed) };
    if let (Some(known), Some(entries)) = (memory.lists.get_mut(list), memory.entries.get(list)) {
        // SAFETY: as above.
        unsafe { known.deaths(entries, since, |block| WATCH.dies(list, block)) };
    }
    BUSY.store(false, Ordering::Release);
}

/// A block of the interpreter's allocators is given back.
#[inline(always)]
pub fn freed(block: u64) {
    if WATCH.may_have(block) {
        goes(block);
    }
}

#[cold]
#[inline(never)]
fn goes(block: u64) {
    // Relaxed, both: under the GIL, as the interpreter's allocators are called. `BUSY`: see `look`.
    if !BUSY.swap(true, Ordering::Acquire) {
        // SAFETY: as above, and nobody else is here.
        unsafe { WATCH.goes(block) };
        BUSY.store(false, Ordering::Release);
    }
}

/// Tells what has changed since the last look.
///
/// # Safety
/// The calling thread holds the GIL, and `state` is its thread state.
#[cold]
#[inline(never)]
pub unsafe fn look(state: *const u8, tell: &mut dyn FnMut(Event<'_>) -> bool) {
    // Relaxed, all: under the GIL. `BUSY` only keeps a handler out that interrupts this very function.
    let main = MAIN.load(Ordering::Relaxed);
    // SAFETY: the caller's promise. The lists of other interpreters are their own.
    if main == 0 || unsafe { interpreter_of(state) } != main || BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    // SAFETY: `MAIN` was set, so there is a memory; under the GIL, and nobody else is here.
    let memory = unsafe { &mut *MEMORY.load(Ordering::Relaxed) };
    // SAFETY: as above.
    alternate_stack::run(|| unsafe { memory.look(tell) });
    BUSY.store(false, Ordering::Release);
}

impl Memory {
    /// Tells what has changed on each list since it was looked at last.
    ///
    /// # Safety
    /// The calling thread holds the GIL, and nobody else uses what is known.
    unsafe fn look(&mut self, tell: &mut dyn FnMut(Event<'_>) -> bool) {
        let mut told = Told {
            words: &mut self.words,
            used: 0,
            tell,
        };
        let lists = self.lists.iter_mut().zip(&mut self.entries);
        let lists = lists.take_while(|(known, _)| known.place.is_some());
        for (index, (known, entries)) in lists.enumerate() {
            // SAFETY: the caller's promise.
            unsafe { known.look(entries, &mut self.room, WATCH.deaths(index), &mut told) };
        }
        told.write();
        // SAFETY: as above.
        unsafe { WATCH.forget() };
    }
}
