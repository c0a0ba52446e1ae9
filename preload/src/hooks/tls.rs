//! Plain text under TLS, where a program calls a shared libssl: what `SSL_read` gives and `SSL_write`
//! takes is framed instead of the raw bytes of the socket.
//!
//! A connection is known by its SSL object's descriptor. One whose object has none (memory BIOs, a
//! server's own) can't be told here, and its raw bytes show that it is ciphertext.
//!
//! A process may hold several libssl, whose objects must not be mixed: the real function is the one
//! that the *caller* was linked with, found once for each place that calls. Hence the shims, which
//! hand on their return address.

use core::arch::naked_asm;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use leak_wire::Transfer;
use libc::{off_t, size_t, ssize_t};

use crate::connections::{self, Call};
use crate::real::absent;

/// An OpenSSL connection object.
type Ssl = *mut c_void;

macro_rules! shims {
    ($($name:ident, $register:literal => $to:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`: as called, with the return address as one more argument.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(concat!("mov ", $register, ", [rsp]"), "jmp {}", sym $to)
        }
    )* };
}

shims! {
    SSL_accept, "rsi" => accept;
    SSL_do_handshake, "rsi" => do_handshake;
    SSL_read, "rcx" => read;
    SSL_read_ex, "r8" => read_ex;
    SSL_write, "rcx" => write;
    SSL_write_ex, "r8" => write_ex;
    SSL_sendfile, "r9" => sendfile;
}

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
struct Library {
    function: *mut c_void,
    read_descriptor: *mut c_void,
    write_descriptor: *mut c_void,
}

impl Library {
    fn of(caller: usize, name: &CStr) -> Library {
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

    /// The watched connection that `ssl` reads from or writes to. From here on its raw bytes are
    /// ciphertext to us.
    ///
    /// # Safety
    /// `ssl` must be an object of this library.
    unsafe fn connection(&self, ssl: Ssl, transfer: Transfer) -> Option<connections::Watched> {
        let descriptor = match transfer {
            Transfer::Read => self.read_descriptor,
            Transfer::Write => self.write_descriptor,
        };
        if descriptor.is_null() || ssl.is_null() {
            return None;
        }
        type GetDescriptor = unsafe extern "C" fn(Ssl) -> c_int;
        // SAFETY: the library's function has this type; the caller's promise.
        connections::secured(unsafe { transmute::<*mut c_void, GetDescriptor>(descriptor)(ssl) })
    }

    unsafe fn begin(&self, ssl: Ssl, transfer: Transfer) -> Option<Call> {
        // SAFETY: the caller's promise.
        let watched = unsafe { self.connection(ssl, transfer) };
        watched.map(|watched| watched.begin(transfer))
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
    let ours = [
        SSL_accept as *const () as usize,
        SSL_do_handshake as *const () as usize,
        SSL_read as *const () as usize,
        SSL_read_ex as *const () as usize,
        SSL_write as *const () as usize,
        SSL_write_ex as *const () as usize,
        SSL_sendfile as *const () as usize,
    ];
    match ours.contains(&(found as usize)) {
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

/// Runs a handshake; its raw bytes are not looked at.
///
/// # Safety
/// As the C function asks; `caller` is the return address.
unsafe fn shake(ssl: Ssl, caller: usize, name: &CStr) -> c_int {
    let library = Library::of(caller, name);
    if library.function.is_null() {
        return absent();
    }
    type Shake = unsafe extern "C-unwind" fn(Ssl) -> c_int;
    // SAFETY: the caller's promise, and the library's function has this type.
    unsafe {
        library.connection(ssl, Transfer::Read);
        library.connection(ssl, Transfer::Write);
        transmute::<*mut c_void, Shake>(library.function)(ssl)
    }
}

unsafe extern "C-unwind" fn accept(ssl: Ssl, caller: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { shake(ssl, caller, c"SSL_accept") }
}

unsafe extern "C-unwind" fn do_handshake(ssl: Ssl, caller: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { shake(ssl, caller, c"SSL_do_handshake") }
}

/// Tells the plain text that was moved.
///
/// # Safety
/// `bytes` bytes at `buffer` must be what was moved.
unsafe fn finish(call: Option<Call>, buffer: *const c_void, bytes: size_t) {
    match call {
        // SAFETY: the caller's promise.
        Some(call) if bytes > 0 && !buffer.is_null() => call.moved(bytes, unsafe {
            core::iter::once(core::slice::from_raw_parts(buffer.cast(), bytes))
        }),
        _ => {}
    }
}

unsafe extern "C-unwind" fn read(
    ssl: Ssl,
    buffer: *mut c_void,
    count: c_int,
    caller: usize,
) -> c_int {
    let library = Library::of(caller, c"SSL_read");
    if library.function.is_null() {
        return absent();
    }
    type Read = unsafe extern "C-unwind" fn(Ssl, *mut c_void, c_int) -> c_int;
    // SAFETY: the caller's promise, and the library's function has this type.
    unsafe {
        let call = library.begin(ssl, Transfer::Read);
        let result = transmute::<*mut c_void, Read>(library.function)(ssl, buffer, count);
        finish(call, buffer, result.max(0) as size_t);
        result
    }
}

unsafe extern "C-unwind" fn read_ex(
    ssl: Ssl,
    buffer: *mut c_void,
    count: size_t,
    moved: *mut size_t,
    caller: usize,
) -> c_int {
    let library = Library::of(caller, c"SSL_read_ex");
    if library.function.is_null() {
        return absent();
    }
    type Read = unsafe extern "C-unwind" fn(Ssl, *mut c_void, size_t, *mut size_t) -> c_int;
    // SAFETY: as above; after success `moved` tells how much there is.
    unsafe {
        let call = library.begin(ssl, Transfer::Read);
        let result = transmute::<*mut c_void, Read>(library.function)(ssl, buffer, count, moved);
        let bytes = if result == 1 { *moved } else { 0 };
        finish(call, buffer, bytes);
        result
    }
}

unsafe extern "C-unwind" fn write(
    ssl: Ssl,
    buffer: *const c_void,
    count: c_int,
    caller: usize,
) -> c_int {
    let library = Library::of(caller, c"SSL_write");
    if library.function.is_null() {
        return absent();
    }
    type Write = unsafe extern "C-unwind" fn(Ssl, *const c_void, c_int) -> c_int;
    // SAFETY: the caller's promise, and the library's function has this type.
    unsafe {
        let call = library.begin(ssl, Transfer::Write);
        let result = transmute::<*mut c_void, Write>(library.function)(ssl, buffer, count);
        finish(call, buffer, result.max(0) as size_t);
        result
    }
}

unsafe extern "C-unwind" fn write_ex(
    ssl: Ssl,
    buffer: *const c_void,
    count: size_t,
    moved: *mut size_t,
    caller: usize,
) -> c_int {
    let library = Library::of(caller, c"SSL_write_ex");
    if library.function.is_null() {
        return absent();
    }
    type Write = unsafe extern "C-unwind" fn(Ssl, *const c_void, size_t, *mut size_t) -> c_int;
    // SAFETY: as above; after success `moved` tells how much was taken.
    unsafe {
        let call = library.begin(ssl, Transfer::Write);
        let result = transmute::<*mut c_void, Write>(library.function)(ssl, buffer, count, moved);
        let bytes = if result == 1 { *moved } else { 0 };
        finish(call, buffer, bytes);
        result
    }
}

unsafe extern "C-unwind" fn sendfile(
    ssl: Ssl,
    file: c_int,
    offset: off_t,
    count: size_t,
    flags: c_int,
    caller: usize,
) -> ssize_t {
    let library = Library::of(caller, c"SSL_sendfile");
    if library.function.is_null() {
        return absent();
    }
    type Send = unsafe extern "C-unwind" fn(Ssl, c_int, off_t, size_t, c_int) -> ssize_t;
    // SAFETY: the caller's promise, and the library's function has this type.
    let (call, result) = unsafe {
        let call = library.begin(ssl, Transfer::Write);
        let function = transmute::<*mut c_void, Send>(library.function);
        (call, function(ssl, file, offset, count, flags))
    };
    match call {
        Some(call) if result > 0 => call.moved_unseen(result as u64),
        _ => {}
    }
    result
}
