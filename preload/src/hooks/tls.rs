//! Plain text under TLS, where a program calls a shared libssl: what `SSL_read` gives and `SSL_write`
//! takes is framed instead of the raw bytes of the socket.
//!
//! A connection is known by its SSL object's descriptor. Where it has none (memory BIOs, a server's
//! own), what the thread reads from sockets shows whose it is, see `connections/secure.rs`.
//!
//! A process may hold several libssl, whose objects must not be mixed: the real function is the one
//! that the *caller* was linked with, found once for each place that calls. Hence the shims, which
//! hand on their return address.

mod library;

use core::arch::naked_asm;
use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;

use leak_wire::Transfer;
use libc::{off_t, size_t, ssize_t};

use super::socket::tell_sent;
use crate::caller::filled::Filled;
use crate::caller::sent::{Buffers, Sending};
use crate::connections::{self, Call, Watched, secure};
use crate::real::absent;
use library::Library;

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
    SSL_free, "rsi" => free;
}

/// Libraries were unmapped.
pub(super) fn forget_unmapped() {
    library::forget_unmapped();
}

/// Whether an address is one of the shims'.
fn is_shim(address: usize) -> bool {
    [
        SSL_accept as *const () as usize,
        SSL_do_handshake as *const () as usize,
        SSL_read as *const () as usize,
        SSL_read_ex as *const () as usize,
        SSL_write as *const () as usize,
        SSL_write_ex as *const () as usize,
        SSL_sendfile as *const () as usize,
        SSL_free as *const () as usize,
    ]
    .contains(&address)
}

impl Library {
    /// The watched connection that `ssl` reads from or writes to, whose raw bytes are ciphertext to us
    /// from here on; and whether the object says itself which descriptor it has.
    ///
    /// # Safety
    /// `ssl` must be an object of this library.
    #[inline(never)]
    unsafe fn connection(&self, ssl: Ssl, transfer: Transfer) -> (Option<Watched>, bool) {
        let side = match transfer {
            Transfer::Read => self.reads,
            Transfer::Write => self.writes,
        };
        if side.descriptor.is_null() || side.bio.is_null() || ssl.is_null() {
            return (None, true);
        }
        type GetBio = unsafe extern "C" fn(Ssl) -> *mut c_void;
        type GetDescriptor = unsafe extern "C" fn(Ssl) -> c_int;
        // Asked for the descriptor of an object that has no BIO yet, the library puts an error into the program's
        // queue. SAFETY: its functions have these types; the caller's promise.
        let descriptor = unsafe {
            match transmute::<*mut c_void, GetBio>(side.bio)(ssl).is_null() {
                true => return (None, true),
                false => transmute::<*mut c_void, GetDescriptor>(side.descriptor)(ssl),
            }
        };
        match descriptor {
            -1 => (secure::of_object(ssl as usize), false),
            descriptor => (connections::secured(descriptor), true),
        }
    }

    /// A call that moves plain text begins.
    ///
    /// # Safety
    /// `ssl` must be an object of this library.
    unsafe fn begin(&self, ssl: Ssl, transfer: Transfer) -> Begun {
        // SAFETY: the caller's promise.
        let (watched, has_descriptor) = unsafe { self.connection(ssl, transfer) };
        Begun {
            call: watched.map(|watched| watched.begin(transfer)),
            ssl,
            transfer,
            before: (!has_descriptor).then(|| secure::enter(ssl as usize)),
        }
    }
}

/// A call that moves plain text and is under way.
struct Begun {
    call: Option<Call>,
    ssl: Ssl,
    transfer: Transfer,
    /// For an object without a descriptor: whose call was under way before.
    before: Option<usize>,
}

impl Begun {
    /// Looks at what is about to be written.
    fn look(&self, buffer: *const c_void, count: size_t) -> Sending {
        let buffers = Buffers::One(buffer, count);
        match (&self.call, self.before) {
            // Of a connection that is not watched nothing will be told.
            (None, None) => Sending::Plain(buffers),
            (call, _) => Sending::look(buffers, || call.as_ref().map_or(0, Call::needless)),
        }
    }

    /// The call returned; what it moved can be told now, also where only the call itself showed which
    /// connection it is.
    fn returned(&mut self) -> Option<&Call> {
        if let Some(before) = self.before {
            self.leave(before);
        }
        self.call.as_ref()
    }

    #[inline(never)]
    fn leave(&mut self, before: usize) {
        secure::leave(before);
        if self.call.is_none()
            && let Some(watched) = secure::of_object(self.ssl as usize)
        {
            self.call = Some(watched.begin(self.transfer));
        }
    }
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
        let (_, has_descriptor) = library.connection(ssl, Transfer::Read);
        let before = (!has_descriptor).then(|| secure::enter(ssl as usize));
        let result = transmute::<*mut c_void, Shake>(library.function)(ssl);
        if let Some(before) = before {
            secure::leave(before);
        }
        result
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

/// Tells the plain text that was read.
///
/// # Safety
/// `bytes` bytes at `buffer` must be that.
#[inline(never)]
unsafe fn finish_read(begun: &mut Begun, buffer: *const c_void, bytes: size_t) {
    match begun.returned() {
        // SAFETY: the caller's promise.
        Some(call) if bytes > 0 => call.moved(bytes, unsafe { Filled::one(buffer, bytes) }),
        _ => {}
    }
}

/// Tells the plain text that was written.
///
/// # Safety
/// `bytes` bytes of what was looked at must be that.
#[inline(never)]
unsafe fn finish_written(begun: &mut Begun, sending: &mut Sending, bytes: size_t) {
    match begun.returned() {
        // SAFETY: the caller's promise.
        Some(call) if bytes > 0 => unsafe { tell_sent(call, bytes, sending) },
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
        let mut begun = library.begin(ssl, Transfer::Read);
        let result = transmute::<*mut c_void, Read>(library.function)(ssl, buffer, count);
        finish_read(&mut begun, buffer, result.max(0) as size_t);
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
        let mut begun = library.begin(ssl, Transfer::Read);
        let result = transmute::<*mut c_void, Read>(library.function)(ssl, buffer, count, moved);
        let bytes = if result == 1 { *moved } else { 0 };
        finish_read(&mut begun, buffer, bytes);
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
        let mut begun = library.begin(ssl, Transfer::Write);
        let mut sending = begun.look(buffer, count.max(0) as size_t);
        let result = transmute::<*mut c_void, Write>(library.function)(ssl, buffer, count);
        finish_written(&mut begun, &mut sending, result.max(0) as size_t);
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
        let mut begun = library.begin(ssl, Transfer::Write);
        let mut sending = begun.look(buffer, count);
        let result = transmute::<*mut c_void, Write>(library.function)(ssl, buffer, count, moved);
        let bytes = if result == 1 { *moved } else { 0 };
        finish_written(&mut begun, &mut sending, bytes);
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
    let (mut begun, result) = unsafe {
        let begun = library.begin(ssl, Transfer::Write);
        let function = transmute::<*mut c_void, Send>(library.function);
        (begun, function(ssl, file, offset, count, flags))
    };
    match begun.returned() {
        Some(call) if result > 0 => call.moved_unseen(result as u64),
        _ => {}
    }
    result
}

unsafe extern "C-unwind" fn free(ssl: Ssl, caller: usize) {
    secure::freed(ssl as usize);
    let library = Library::of(caller, c"SSL_free");
    if library.function.is_null() {
        return;
    }
    type Free = unsafe extern "C-unwind" fn(Ssl);
    // SAFETY: the caller's promise, and the library's function has this type.
    unsafe { transmute::<*mut c_void, Free>(library.function)(ssl) }
}
