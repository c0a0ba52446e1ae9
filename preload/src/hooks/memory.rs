//! The malloc family. A free is recorded before the real call, an allocation after it.
//!
//! The entries are naked: they pass on the stack and frame pointers as the caller left them, from
//! which its backtrace is found.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use leak_wire::Event;
use leak_wire::control::{GATE_AT, Gate};

use crate::real::{self, memory as next};
use crate::thread::{self, Caller, Kind};
use crate::{detour, dtv, sample, window};

/// `entry! { name, registers for rsp and rbp => implementation, place }`: the exported symbol, which jumps to the
/// implementation with the caller's rsp and rbp as two more arguments; or to the real function, which is known at that
/// place, as long as nothing is to be recorded.
macro_rules! entry {
    ($name:ident, $sp:literal, $bp:literal => $implementation:ident, $place:ident) => {
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            core::arch::naked_asm!(
                "test dword ptr [rip + {control} + {GATE}], {SHUT}",
                "jne 2f",
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $bp, ", rbp"),
                "jmp {implementation}",
                "2:",
                "jmp qword ptr [rip + {unseen} + {PLACE}]",
                control = sym window::CONTROL,
                GATE = const GATE_AT,
                SHUT = const Gate::SHUT,
                unseen = sym real::UNSEEN,
                PLACE = const 8 * real::$place,
                implementation = sym $implementation,
            )
        }
    };
}

entry!(malloc, "rsi", "rdx" => malloc_from, MALLOC);
entry!(calloc, "rdx", "rcx" => calloc_from, CALLOC);
entry!(posix_memalign, "rcx", "r8" => posix_memalign_from, POSIX_MEMALIGN);
entry!(free, "rsi", "rdx" => free_from, FREE);

/// The same of one that is called seldom, or whose block may be the pool's: its implementation looks itself.
macro_rules! seldom {
    ($name:ident, $sp:literal, $bp:literal => $implementation:ident) => {
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            core::arch::naked_asm!(
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $bp, ", rbp"),
                "jmp {}",
                sym $implementation,
            )
        }
    };
}

seldom!(valloc, "rsi", "rdx" => valloc_from);
seldom!(pvalloc, "rsi", "rdx" => pvalloc_from);
seldom!(aligned_alloc, "rdx", "rcx" => aligned_alloc_from);
seldom!(memalign, "rdx", "rcx" => memalign_from);
seldom!(realloc, "rdx", "rcx" => realloc_from);
seldom!(reallocarray, "rcx", "r8" => reallocarray_from);

/// Records a new block, if it is one.
#[inline(always)]
fn allocated(block: *mut c_void, size: usize, caller: Caller) -> *mut c_void {
    if let Some(thread) = thread::state()
        && !block.is_null()
    {
        let done = match sample::is_on() {
            true => thread.passes(size),
            false => thread.allocates_as_usual(caller, block as u64, size),
        };
        if done {
            return block;
        }
    }
    allocated_anew(block, size, caller)
}

#[cold]
#[inline(never)]
fn allocated_anew(block: *mut c_void, size: usize, caller: Caller) -> *mut c_void {
    if block.is_null() {
        return block;
    }
    match thread::current() {
        Some(thread) if thread.takes_reached(block as u64, size) => {
            thread.record_at(caller, |site| Event::Allocation {
                address: block as u64,
                size: size as u64,
                site,
            });
        }
        Some(_) => {}
        None => thread::count_lost(Kind::Allocation),
    }
    block
}

/// Calls the real allocator for a block that takes the place of `old`, if that is one.
#[inline(always)]
fn given(old: *mut c_void, call: impl Fn() -> *mut c_void) -> *mut c_void {
    match detour::of_next() {
        true => given_beside_detours(old, call),
        false => call(),
    }
}

#[cold]
fn given_beside_detours(old: *mut c_void, call: impl Fn() -> *mut c_void) -> *mut c_void {
    detour::giving(old as usize, call)
}

/// Calls the real allocator to take `block` back.
#[inline(always)]
fn taken(block: *mut c_void) {
    // SAFETY: the caller's contract is passed on.
    let call = || unsafe { next::free(block) };
    match detour::of_next() {
        true => detour::taking(block as usize, call),
        false => call(),
    }
}

/// While `dlsym` looks for the real allocator, it is served from a pool.
#[cold]
fn pooled(size: usize, alignment: usize) -> *mut c_void {
    real::pool_allocate(size, alignment)
}

extern "C" fn malloc_from(size: usize, sp: u64, bp: u64) -> *mut c_void {
    if real::is_resolving() {
        return pooled(size, 0);
    }
    // SAFETY: any size is legal; so it is for the others below.
    let block = given(null_mut(), || unsafe { next::malloc(size) });
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn valloc_from(size: usize, sp: u64, bp: u64) -> *mut c_void {
    // SAFETY: as above.
    let block = given(null_mut(), || unsafe { next::valloc(size) });
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn pvalloc_from(size: usize, sp: u64, bp: u64) -> *mut c_void {
    // SAFETY: as above.
    let block = given(null_mut(), || unsafe { next::pvalloc(size) });
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn calloc_from(count: usize, size: usize, sp: u64, bp: u64) -> *mut c_void {
    if real::is_resolving() {
        return pooled(count.saturating_mul(size), 0);
    }
    // SAFETY: any numbers are legal; an overflow makes the real one fail.
    let block = given(null_mut(), || unsafe { next::calloc(count, size) });
    let size = dtv::recorded_size(count, size, sp);
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn aligned_alloc_from(alignment: usize, size: usize, sp: u64, bp: u64) -> *mut c_void {
    // SAFETY: the real one checks the alignment.
    let block = given(null_mut(), || unsafe {
        next::aligned_alloc(alignment, size)
    });
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn memalign_from(alignment: usize, size: usize, sp: u64, bp: u64) -> *mut c_void {
    // SAFETY: the real one checks the alignment.
    let block = given(null_mut(), || unsafe { next::memalign(alignment, size) });
    allocated(block, size, Caller { sp, bp })
}

extern "C" fn posix_memalign_from(
    place: *mut *mut c_void,
    alignment: usize,
    size: usize,
    sp: u64,
    bp: u64,
) -> c_int {
    let result = Cell::new(0);
    // SAFETY: the caller's contract is passed on; on success the pointer was just written.
    let block = given(null_mut(), || unsafe {
        result.set(next::posix_memalign(place, alignment, size));
        match result.get() {
            0 => *place,
            _ => null_mut(),
        }
    });
    allocated(block, size, Caller { sp, bp });
    result.get()
}

extern "C" fn reallocarray_from(
    block: *mut c_void,
    count: usize,
    size: usize,
    sp: u64,
    bp: u64,
) -> *mut c_void {
    match count.checked_mul(size) {
        // The real one would call realloc, and be recorded twice.
        Some(bytes) => realloc_from(block, bytes, sp, bp),
        // SAFETY: it fails, with its own errno.
        None => unsafe { next::reallocarray(block, count, size) },
    }
}

extern "C" fn realloc_from(block: *mut c_void, size: usize, sp: u64, bp: u64) -> *mut c_void {
    if block.is_null() {
        return realloc_none_from(size, sp, bp);
    }
    let caller = Caller { sp, bp };
    if let Some(old) = real::pool_size(block) {
        return out_of_pool(block, old, size, caller);
    }
    if window::is_shut() {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::realloc(block, size) };
    }
    let Some(thread) = thread::current() else {
        if let Some(thread) = thread::beside_pause(block as usize) {
            return thread.resumed(|| realloc_from(block, size, sp, bp));
        }
        // SAFETY: the caller's contract is passed on.
        let moved = unsafe { next::realloc(block, size) };
        return lost(moved, size);
    };
    let ends = thread.reallocation_begins(block as u64);
    // SAFETY: the caller's contract is passed on.
    let moved = given(block, || unsafe { next::realloc(block, size) });
    if !moved.is_null() && thread.takes(moved as u64, size) {
        thread.reallocation_goes_on(ends);
        thread.record_at(caller, |site| Event::ReallocationEnd {
            address: moved as u64,
            size: size as u64,
            site,
        });
    } else if ends {
        thread.reallocation_gives_none(block, moved, size);
    }
    moved
}

/// Reallocates nothing.
#[inline(never)]
extern "C" fn realloc_none_from(size: usize, sp: u64, bp: u64) -> *mut c_void {
    if real::is_resolving() {
        return pooled(size, 0);
    }
    if window::is_shut() {
        // SAFETY: a null pointer is legal.
        return unsafe { next::realloc(null_mut(), size) };
    }
    // SAFETY: a null pointer is legal.
    let new = given(null_mut(), || unsafe { next::realloc(null_mut(), size) });
    allocated(new, size, Caller { sp, bp })
}

/// A reallocation was not recorded, which gave `moved`.
#[cold]
fn lost(moved: *mut c_void, size: usize) -> *mut c_void {
    if !moved.is_null() || size == 0 {
        thread::count_lost(Kind::Free);
    }
    if !moved.is_null() {
        thread::count_lost(Kind::Allocation);
    }
    moved
}

/// A block of the pool goes on as one of the real allocator's.
#[cold]
#[inline(never)]
fn out_of_pool(block: *mut c_void, old: usize, size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: any size is legal.
    let moved = given(null_mut(), || unsafe { next::malloc(size) });
    if !moved.is_null() {
        // SAFETY: both blocks have at least so many bytes, and they are different ones.
        unsafe {
            moved
                .cast::<u8>()
                .copy_from_nonoverlapping(block.cast(), old.min(size))
        };
    }
    allocated(moved, size, caller)
}

/// What the hook of `free` does, and other hooks by it; where the caller's registers are does not matter.
extern "C" fn free_from(block: *mut c_void) {
    if block.is_null() || real::pool_size(block).is_some() {
        return;
    }
    if window::is_shut() {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::free(block) };
    }
    let done = match sample::is_on() {
        true => !sample::ends(block as u64),
        false => thread::state().is_some_and(|thread| thread.frees_as_usual(block as u64)),
    };
    if !done {
        return free_anew(block);
    }
    taken(block);
}

#[cold]
#[inline(never)]
fn free_anew(block: *mut c_void) {
    match thread::current() {
        Some(thread) => thread.record(Event::Free {
            address: block as u64,
        }),
        None => thread::count_lost(Kind::Free),
    }
    taken(block);
}

/// The hook of `cfree`, which old programs call with up to three arguments.
#[unsafe(no_mangle)]
pub extern "C" fn cfree(block: *mut c_void) {
    free_from(block);
}

/// The hook of `malloc_usable_size`.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    if let Some(size) = real::pool_size(block) {
        return size;
    }
    // SAFETY: the caller's contract is passed on.
    unsafe { next::malloc_usable_size(block) }
}
