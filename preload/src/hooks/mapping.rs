//! Memory that a program maps by itself: its mappings are blocks, from `mmap` to `munmap`.
//!
//! What a traced allocator maps is its own affair, as what it gives of it is traced: such calls come in a pause, or
//! from the module of the allocator that the hooks call. Those that the C library makes inside itself come by none of
//! these symbols. What a mapping that comes in no other way belongs to, is for the reader to tell.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leak_wire::{Backing, Event};
use libc::{
    MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, MREMAP_FIXED,
    MREMAP_MAYMOVE, PROT_NONE, off_t,
};

use crate::real;
use crate::thread::{self, Caller, Kind};
use crate::unwind::loader;

mod next {
    use core::ffi::{c_int, c_void};
    use libc::off_t;

    crate::real! {
        pub fn mmap(address: *mut c_void, size: usize, access: c_int, flags: c_int, file: c_int, at: off_t) -> *mut c_void;
        pub fn munmap(address: *mut c_void, size: usize) -> c_int;
        pub fn mremap(address: *mut c_void, size: usize, new: usize, flags: c_int, to: *mut c_void) -> *mut c_void;
        pub fn mprotect(address: *mut c_void, size: usize, access: c_int) -> c_int;
        pub fn madvise(address: *mut c_void, size: usize, advice: c_int) -> c_int;
        pub fn brk(end: *mut c_void) -> c_int;
        pub fn sbrk(by: isize) -> *mut c_void;
    }
}

/// `entry! { name, "registers for rsp and rbp" => implementation }`: the exported symbol, which goes to the
/// implementation with the caller's rsp and rbp as two more arguments. Without registers they lie on the stack.
macro_rules! entry {
    ($name:ident => $implementation:ident) => {
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            core::arch::naked_asm!(
                "mov rax, rsp",
                "sub rsp, 8",
                "push rbp",
                "push rax",
                "call {}",
                "add rsp, 24",
                "ret",
                sym $implementation,
            )
        }
    };
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

entry!(mmap => mmap_from);
// The same function where an offset has 64 bits anyway.
entry!(mmap64 => mmap_from);
entry!(mprotect, "rcx", "r8" => mprotect_from);
entry!(sbrk, "rsi", "rdx" => sbrk_from);
entry!(brk, "rsi", "rdx" => brk_from);

/// The hook of `mremap`, whose sixth argument is the caller's rsp, and its seventh rbp.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn mremap() {
    core::arch::naked_asm!(
        "mov r9, rsp",
        "push rbp",
        "call {}",
        "add rsp, 8",
        "ret",
        sym mremap_from,
    )
}

/// The program has reserved addresses: what makes them accessible is told from then on.
static RESERVES: AtomicBool = AtomicBool::new(false);

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn mmap_from(
    address: *mut c_void,
    size: usize,
    access: c_int,
    flags: c_int,
    file: c_int,
    at: off_t,
    sp: u64,
    bp: u64,
) -> *mut c_void {
    // SAFETY: the caller's contract is passed on.
    let mapped = unsafe { next::mmap(address, size, access, flags, file, at) };
    if mapped != MAP_FAILED {
        tell(mapped, size, backing(access, flags), Caller { sp, bp });
    }
    mapped
}

/// What lies in such a mapping.
fn backing(access: c_int, flags: c_int) -> Backing {
    if flags & MAP_ANONYMOUS == 0 {
        Backing::File
    } else if access == PROT_NONE {
        // Relaxed: it only matters to whoever makes these addresses accessible, who got them from this call.
        RESERVES.store(true, Ordering::Relaxed);
        Backing::Reserved
    } else if flags & MAP_SHARED != 0 {
        // `MAP_SHARED_VALIDATE` has this bit, too.
        Backing::Shared
    } else {
        Backing::Private
    }
}

/// The hook of `munmap`.
#[unsafe(no_mangle)]
pub extern "C" fn munmap(address: *mut c_void, size: usize) -> c_int {
    let is_told = tell_gone(address as usize, size);
    // SAFETY: the caller's contract is passed on.
    let result = unsafe { next::munmap(address, size) };
    if is_told && result != 0 {
        // The kernel can't cut a mapping in two, or may not touch it.
        thread::record(Event::UnmapFailed);
    }
    result
}

unsafe extern "C" fn mremap_from(
    address: *mut c_void,
    size: usize,
    new: usize,
    flags: c_int,
    to: *mut c_void,
    sp: u64,
    bp: u64,
) -> *mut c_void {
    let from = address as usize;
    let may_move = flags & (MREMAP_MAYMOVE | MREMAP_FIXED) != 0;
    // A size of 0 makes a second mapping of what is shared; one that stays where it is loses its end at most.
    let is_told = match may_move {
        true => tell_gone(from, size),
        false => size > new && tell_gone(from.wrapping_add(new), size - new),
    };
    // SAFETY: the caller's contract is passed on.
    let mapped = unsafe { next::mremap(address, size, new, flags, to) };
    if mapped != MAP_FAILED {
        tell(mapped, new, Backing::Remapped, Caller { sp, bp });
    } else if is_told {
        thread::record(Event::UnmapFailed);
    }
    mapped
}

unsafe extern "C" fn mprotect_from(
    address: *mut c_void,
    size: usize,
    access: c_int,
    sp: u64,
    bp: u64,
) -> c_int {
    // SAFETY: the caller's contract is passed on.
    let result = unsafe { next::mprotect(address, size, access) };
    // Relaxed: as where it is stored.
    if result == 0 && access != PROT_NONE && RESERVES.load(Ordering::Relaxed) {
        tell(address, size, Backing::Committed, Caller { sp, bp });
    }
    result
}

/// The hook of `madvise`.
#[unsafe(no_mangle)]
pub extern "C" fn madvise(address: *mut c_void, size: usize, advice: c_int) -> c_int {
    // SAFETY: the caller's contract is passed on.
    let result = unsafe { next::madvise(address, size, advice) };
    let is_given_up = matches!(advice, MADV_DONTNEED | MADV_FREE | MADV_REMOVE);
    if result == 0 && is_given_up && thread::current().is_some() {
        thread::record(Event::Discarded {
            address: address as u64,
            size: size.next_multiple_of(PAGE) as u64,
        });
    }
    result
}

unsafe extern "C" fn sbrk_from(by: isize, sp: u64, bp: u64) -> *mut c_void {
    if by == 0 {
        // SAFETY: it only asks.
        return unsafe { next::sbrk(by) };
    }
    // SAFETY: as above.
    let before = unsafe { next::sbrk(0) };
    let is_told = by < 0 && tell_break_gone(before.wrapping_byte_offset(by), before);
    // SAFETY: the caller's contract is passed on.
    let old = unsafe { next::sbrk(by) };
    match old != MAP_FAILED {
        true if by > 0 => tell_exactly(old, by as usize, Backing::Private, Caller { sp, bp }),
        false if is_told => thread::record(Event::UnmapFailed),
        _ => {}
    }
    old
}

unsafe extern "C" fn brk_from(end: *mut c_void, sp: u64, bp: u64) -> c_int {
    // SAFETY: it only asks.
    let before = unsafe { next::sbrk(0) };
    let is_told = end < before && tell_break_gone(end, before);
    // SAFETY: the caller's contract is passed on.
    let result = unsafe { next::brk(end) };
    match result == 0 {
        true if end > before => {
            let size = end as usize - before as usize;
            tell_exactly(before, size, Backing::Private, Caller { sp, bp });
        }
        false if is_told => thread::record(Event::UnmapFailed),
        _ => {}
    }
    result
}

/// Tells that the program's data segment is about to end at `end`; whether it was told.
fn tell_break_gone(end: *mut c_void, before: *mut c_void) -> bool {
    let bytes = (before as usize).checked_sub(end as usize);
    let told = bytes.is_some() && thread::current().is_some();
    if let Some(bytes) = bytes.filter(|_| told) {
        thread::record(Event::Unmapped {
            address: end as u64,
            size: bytes as u64,
        });
    }
    told
}

/// Tells of a mapping that was made.
#[inline(always)]
fn tell(address: *mut c_void, size: usize, backing: Backing, caller: Caller) {
    tell_exactly(address, size.next_multiple_of(PAGE), backing, caller);
}

/// The same of memory that does not end at a page's end. Inlined: another frame would be too much of the caller's stack.
#[inline(always)]
fn tell_exactly(address: *mut c_void, size: usize, backing: Backing, caller: Caller) {
    let Some(thread) = thread::current() else {
        return thread::count_lost(Kind::Fact);
    };
    if !is_of_allocator(caller.pc()) {
        thread.record_at(caller, |site| Event::Mapped {
            address: address as u64,
            size: size as u64,
            backing,
            site,
        });
    }
}

/// Tells that what is mapped there is about to be no more, as another thread may be given the place at once; whether it
/// was told.
fn tell_gone(address: usize, size: usize) -> bool {
    let told = may_be_mapped(address, size) && thread::current().is_some();
    if told {
        thread::record(Event::Unmapped {
            address: address as u64,
            size: size.next_multiple_of(PAGE) as u64,
        });
    }
    told
}

const PAGE: usize = 4096;

/// Whether the kernel takes this range for one of mappings.
fn may_be_mapped(address: usize, size: usize) -> bool {
    const END: usize = 1 << 47;
    address.is_multiple_of(PAGE) && size != 0 && address < END && size <= END - address
}

/// Where the module lies of the allocator that the hooks call: its start, and its end, 0: not looked for yet.
static ALLOCATOR: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));

/// Whether the code at `address` is that of the allocator that the hooks call.
fn is_of_allocator(address: u64) -> bool {
    // Acquire: pairs with the Release below.
    let end = match ALLOCATOR.1.load(Ordering::Acquire) {
        0 => find_allocator(),
        end => end,
    };
    // Relaxed: ordered by the end.
    (ALLOCATOR.0.load(Ordering::Relaxed)..end).contains(&address)
}

#[cold]
fn find_allocator() -> u64 {
    let malloc = real::next_of(c"malloc");
    let object = malloc.and_then(|malloc| loader::object_at(malloc as u64));
    // Without one: a range that nothing lies in.
    let (start, end) = object.map_or((1, 1), |object| (object.start, object.end));
    // Relaxed and Release: the start before the end, which tells that both are there.
    ALLOCATOR.0.store(start, Ordering::Relaxed);
    ALLOCATOR.1.store(end, Ordering::Release);
    end
}
