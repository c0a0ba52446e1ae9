//! Around the interpreter's allocators of the memory and the object domain. Each goes on to the one
//! that was there before, so that the interpreter's own stays in use.
//!
//! What the wrapped allocator asks of malloc meanwhile is the same block, or no block of the program's
//! (an arena): the thread's lane is paused, so that it is recorded once, with the size that Python
//! asked for.
//!
//! The entries are naked, as those of malloc are: they pass on where the caller's stack is.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use leak_wire::Event;

use super::interpreter::{Allocator, Interpreter};
use super::{codes, collector, ending, free_lists};
use crate::thread::{self, Caller};
use crate::{sample, window};

/// `PYMEM_DOMAIN_MEM` and `PYMEM_DOMAIN_OBJ`.
const DOMAINS: [c_int; 2] = [1, 2];

struct Originals(UnsafeCell<[Option<Allocator>; DOMAINS.len()]>);

// SAFETY: written once, under the GIL, before the allocator that reads it is in use.
unsafe impl Sync for Originals {}

static ORIGINALS: Originals = Originals(UnsafeCell::new([None; DOMAINS.len()]));
static WRAPPED: AtomicBool = AtomicBool::new(false);

/// Wraps the allocators if that was not done yet.
///
/// # Safety
/// The calling thread holds the GIL.
#[inline(always)]
pub unsafe fn once(interpreter: &Interpreter) {
    // Relaxed: changed under the GIL.
    if !WRAPPED.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        unsafe { wrap(interpreter) };
    }
}

/// Whether that was not done yet.
pub fn is_outstanding() -> bool {
    // Relaxed: as above.
    !WRAPPED.load(Ordering::Relaxed)
}

#[cold]
#[inline(never)]
unsafe fn wrap(interpreter: &Interpreter) {
    if WRAPPED.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { collector::prepare(interpreter) };
    for (index, domain) in DOMAINS.into_iter().enumerate() {
        // SAFETY: the GIL is held; the place is written before anything can read it.
        unsafe {
            let original = interpreter.allocator(domain);
            let Some(place) = (*ORIGINALS.0.get()).get_mut(index) else {
                continue;
            };
            let original = place.insert(original);
            let wrapped = Allocator {
                context: core::ptr::from_mut(original).cast(),
                malloc: Some(entry_malloc),
                calloc: Some(entry_calloc),
                realloc: Some(entry_realloc),
                free: Some(free),
            };
            interpreter.set_allocator(domain, &wrapped);
        }
    }
    // SAFETY: the caller's promise.
    unsafe { free_lists::begin(interpreter.attached()) };
}

/// `entry! { name(types) from (sp, bp) => implementation }`: jumps to the implementation with the
/// caller's rsp and rbp as two more arguments.
macro_rules! entry {
    ($name:ident($($argument:ident: $type:ty),*), $sp:literal, $bp:literal => $implementation:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name($($argument: $type),*) -> *mut c_void {
            core::arch::naked_asm!(
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $bp, ", rbp"),
                "jmp {}",
                sym $implementation,
            )
        }
    };
}

entry!(entry_malloc(_context: *mut c_void, _size: usize), "rdx", "rcx" => malloc);
entry!(entry_calloc(_context: *mut c_void, _count: usize, _size: usize), "rcx", "r8" => calloc);
entry!(entry_realloc(_context: *mut c_void, _block: *mut c_void, _size: usize), "rcx", "r8" => realloc);

/// The allocator that was wrapped.
///
/// # Safety
/// `context` is what `wrap` gave.
#[inline(always)]
unsafe fn original(context: *mut c_void) -> &'static Allocator {
    // SAFETY: a place of `ORIGINALS`, never written again.
    unsafe { &*context.cast::<Allocator>() }
}

/// Calls what was wrapped, unseen by the hooks, and records the block.
#[inline(always)]
fn allocate(size: usize, caller: Caller, call: impl FnOnce() -> *mut c_void) -> *mut c_void {
    if window::is_shut() {
        return call();
    }
    let Some(thread) = thread::current() else {
        return thread::call_unrecorded(0, call, |block| block as usize);
    };
    ending::look();
    let block = thread.paused(0, call);
    if !block.is_null() && thread.takes(block as u64, size) {
        thread.record_python(caller, |site| Event::Allocation {
            address: block as u64,
            size: size as u64,
            site,
        });
    }
    block
}

unsafe extern "C" fn malloc(context: *mut c_void, size: usize, sp: u64, bp: u64) -> *mut c_void {
    // SAFETY: the interpreter passes what it was given.
    let before = unsafe { original(context) };
    allocate(size, Caller { sp, bp }, || match before.malloc {
        // SAFETY: the caller's contract is passed on.
        Some(malloc) => unsafe { malloc(before.context, size) },
        None => core::ptr::null_mut(),
    })
}

unsafe extern "C" fn calloc(
    context: *mut c_void,
    count: usize,
    size: usize,
    sp: u64,
    bp: u64,
) -> *mut c_void {
    // SAFETY: as above.
    let before = unsafe { original(context) };
    let bytes = count.saturating_mul(size);
    allocate(bytes, Caller { sp, bp }, || match before.calloc {
        // SAFETY: as above.
        Some(calloc) => unsafe { calloc(before.context, count, size) },
        None => core::ptr::null_mut(),
    })
}

unsafe extern "C" fn realloc(
    context: *mut c_void,
    block: *mut c_void,
    size: usize,
    sp: u64,
    bp: u64,
) -> *mut c_void {
    // SAFETY: as above.
    let before = unsafe { original(context) };
    let call = || match before.realloc {
        // SAFETY: as above.
        Some(realloc) => unsafe { realloc(before.context, block, size) },
        None => core::ptr::null_mut(),
    };
    let caller = Caller { sp, bp };
    if block.is_null() {
        return allocate(size, caller, call);
    }
    if window::is_shut() {
        return call();
    }
    free_lists::freed(block as u64);
    let Some(thread) = thread::current() else {
        return thread::call_unrecorded(block as usize, call, |moved| moved as usize);
    };
    let begun = thread.reallocation_begins(block as u64);
    let moved = thread.paused(block as usize, call);
    if !moved.is_null() && thread.takes(moved as u64, size) {
        thread.reallocation_goes_on(begun);
        thread.record_python(caller, |site| Event::ReallocationEnd {
            address: moved as u64,
            size: size as u64,
            site,
        });
    } else if begun {
        // Python gives a block for 0 bytes, too.
        thread.reallocation_gives_none(block, moved, size.max(1));
    }
    moved
}

unsafe extern "C" fn free(context: *mut c_void, block: *mut c_void) {
    // SAFETY: as above.
    let before = unsafe { original(context) };
    let Some(call) = before.free else {
        return;
    };
    if block.is_null() {
        return;
    }
    if window::is_shut() {
        // SAFETY: as above.
        return unsafe { call(before.context, block) };
    }
    ending::look();
    codes::freed(block as u64);
    free_lists::freed(block as u64);
    let Some(thread) = thread::current() else {
        // SAFETY: as above.
        let call = || unsafe { call(before.context, block) };
        return thread::call_unrecorded(block as usize, call, |()| 0);
    };
    if sample::ends(block as u64) {
        thread.record(Event::Free {
            address: block as u64,
        });
    }
    // SAFETY: as above.
    thread.paused(block as usize, || unsafe { call(before.context, block) });
}
