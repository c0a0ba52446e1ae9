//! Which libssl a caller means.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::size_t;

/// A place that calls one of the functions, and what it means by it. Filled once, never changed.
struct Place {
    caller: AtomicUsize,
    function: AtomicPtr<c_void>,
    read_descriptor: AtomicPtr<c_void>,
    write_descriptor: AtomicPtr<c_void>,
}

/// A program has a handful of them; those past the table are looked up at each call.
static PLACES: [Place; 64] = [const {
    Place {
        caller: AtomicUsize::new(0),
        function: AtomicPtr::new(null_mut()),
        read_descriptor: AtomicPtr::new(null_mut()),
        write_descriptor: AtomicPtr::new(null_mut()),
    }
}; 64];

/// What a caller means.
#[derive(Clone, Copy)]
pub(super) struct Library {
    pub(super) function: *mut c_void,
    pub(super) read_descriptor: *mut c_void,
    pub(super) write_descriptor: *mut c_void,
}

impl Library {
    /// What `caller` means by `name`.
    pub(super) fn of(caller: usize, name: &CStr) -> Library {
        let start = caller >> 2;
        for probe in 0..PLACES.len() {
            let Some(place) = PLACES.get((start + probe) % PLACES.len()) else {
                break;
            };
            // Relaxed: the functions are checked by themselves.
            let taken = place.caller.load(Ordering::Relaxed);
            if taken == caller {
                // Acquire: pairs with the Release below; null while it is being filled.
                let function = place.function.load(Ordering::Acquire);
                if function.is_null() {
                    break;
                }
                return Library {
                    function,
                    read_descriptor: place.read_descriptor.load(Ordering::Relaxed),
                    write_descriptor: place.write_descriptor.load(Ordering::Relaxed),
                };
            }
            if taken != 0 {
                continue;
            }
            let library = Library::look_up(caller, name);
            let won =
                place
                    .caller
                    .compare_exchange(0, caller, Ordering::Relaxed, Ordering::Relaxed);
            if won.is_ok() {
                place
                    .read_descriptor
                    .store(library.read_descriptor, Ordering::Relaxed);
                place
                    .write_descriptor
                    .store(library.write_descriptor, Ordering::Relaxed);
                // Release: pairs with the Acquire above.
                place.function.store(library.function, Ordering::Release);
            }
            return library;
        }
        Library::look_up(caller, name)
    }

    /// Looks the caller's library up: in the caller's own scope where there are several, else after us
    /// in the global scope, else among what is loaded. The last may take a little of the target's
    /// heap, inside `dlopen`, once: there is no other way into a scope that is not global.
    #[cold]
    fn look_up(caller: usize, name: &CStr) -> Library {
        let mut handle = match loaded() {
            0 | 1 => null_mut(),
            _ => scope_of(caller),
        };
        let mut function = find(handle, name);
        if function.is_null() {
            handle = libc::RTLD_NEXT;
            function = find(handle, name);
        }
        for soname in [c"libssl.so.3", c"libssl.so.1.1"] {
            if function.is_null() {
                handle = opened(soname.as_ptr());
                function = find(handle, name);
            }
        }
        if function.is_null() {
            handle = scope_of(caller);
            function = find(handle, name);
        }
        let same = |name| match function.is_null() {
            true => null_mut(),
            false => find(handle, name),
        };
        Library {
            function,
            read_descriptor: same(c"SSL_get_rfd"),
            write_descriptor: same(c"SSL_get_wfd"),
        }
    }
}

/// The definition of `name` that `handle` leads to, unless it is ours.
fn find(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // Null would be the global scope from its start.
    if handle.is_null() {
        return null_mut();
    }
    // SAFETY: a handle of a loaded module or RTLD_NEXT, and a C string.
    let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
    match super::is_shim(found as usize) {
        true => null_mut(),
        false => found,
    }
}

/// A handle of a module that is loaded already, null for any other.
fn opened(name: *const c_char) -> *mut c_void {
    // SAFETY: a C string; with these flags nothing is loaded that is not there already.
    unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) }
}

/// The scope of the module that an address lies in, null where that is the program itself.
fn scope_of(address: usize) -> *mut c_void {
    // SAFETY: a Dl_info is plain old data.
    let mut found: libc::Dl_info = unsafe { core::mem::zeroed() };
    // SAFETY: `found` is live for the call.
    match unsafe { libc::dladdr(address as *const c_void, &raw mut found) } {
        0 => null_mut(),
        _ => opened(found.dli_fname),
    }
}

/// How many libssl are loaded.
fn loaded() -> usize {
    unsafe extern "C" fn count(
        module: *mut libc::dl_phdr_info,
        _: size_t,
        total: *mut c_void,
    ) -> c_int {
        // SAFETY: the C library gives a module whose name is a C string, and `total` as it was given.
        unsafe {
            let name = (*module).dlpi_name;
            if !name.is_null() && !libc::strstr(name, c"/libssl".as_ptr()).is_null() {
                *total.cast::<usize>() += 1;
            }
        }
        0
    }
    let mut total = 0_usize;
    // SAFETY: `total` is live for the call and is what `count` expects.
    unsafe { libc::dl_iterate_phdr(Some(count), (&raw mut total).cast()) };
    total
}
