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

/// The hook of `munmap`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(address: *mut c_void, size: usize) -> c_int {
    if session::is_tracing() {
        // Before: another thread may be given the place at once.
        thread::record(Event::Unmapped {
            address: address as u64,
            size: size as u64,
        });
    }
    // SAFETY: the caller's contract is passed on.
    unsafe { next::munmap(address, size) }
}
