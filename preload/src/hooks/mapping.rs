//! Mappings: a library with an allocator of its own, opened late, gets its memory so. What it gives of it is not
//! traced; who holds how much is told.
//!
//! Only private memory of no file is told. What a traced allocator maps while it is asked is in a pause, and is not.

use core::ffi::{c_int, c_void};

use leak_wire::Event;
use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, off_t};

use crate::{modules, session, thread};

mod next {
    use core::ffi::{c_int, c_void};
    use libc::off_t;

    crate::real! {
        pub fn mmap(address: *mut c_void, size: usize, access: c_int, flags: c_int, file: c_int, at: off_t) -> *mut c_void;
        pub fn munmap(address: *mut c_void, size: usize) -> c_int;
    }
}

/// `entry!(name)`: the exported symbol, which calls the implementation with the address that it returns to as a
/// seventh argument, on the stack.
macro_rules! entry {
    ($name:ident) => {
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            core::arch::naked_asm!(
                "push qword ptr [rsp]",
                "call {}",
                "add rsp, 8",
                "ret",
                sym mmap_from,
            )
        }
    };
}

entry!(mmap);
// The same function where an offset has 64 bits anyway.
entry!(mmap64);

unsafe extern "C" fn mmap_from(
    address: *mut c_void,
    size: usize,
    access: c_int,
    flags: c_int,
    file: c_int,
    at: off_t,
    caller: u64,
) -> *mut c_void {
    // SAFETY: the caller's contract is passed on.
    let mapped = unsafe { next::mmap(address, size, access, flags, file, at) };
    let is_private = flags & (MAP_ANONYMOUS | MAP_PRIVATE) == MAP_ANONYMOUS | MAP_PRIVATE;
    if is_private && mapped != MAP_FAILED && session::is_tracing() {
        modules::tell_at(caller, &mut |event| {
            thread::record(event);
            true
        });
        thread::record(Event::Mapped {
            address: mapped as u64,
            size: size as u64,
            caller,
        });
    }
    mapped
}

/// The hook of `munmap`, which calls the implementation with the address that it returns to as a third argument.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn munmap() {
    core::arch::naked_asm!("mov rdx, [rsp]", "jmp {}", sym munmap_from)
}

unsafe extern "C" fn munmap_from(address: *mut c_void, size: usize, caller: u64) -> c_int {
    let is_told = session::is_tracing() && may_be_mapped(address as usize, size);
    let (at, bytes) = (address as u64, size as u64);
    if is_told {
        // Before: another thread may be given the place at once.
        thread::record(Event::Unmapped {
            address: at,
            size: bytes,
        });
    }
    // SAFETY: the caller's contract is passed on.
    let result = unsafe { next::munmap(address, size) };
    if is_told && result != 0 {
        // The kernel can't cut a mapping in two, or may not touch it.
        thread::record(Event::Mapped {
            address: at,
            size: bytes,
            caller,
        });
    }
    result
}

/// Whether the kernel takes this range for one of mappings.
fn may_be_mapped(address: usize, size: usize) -> bool {
    const PAGE: usize = 4096;
    const END: usize = 1 << 47;
    address.is_multiple_of(PAGE) && size != 0 && address < END && size <= END - address
}
