//! Who else serves the target's allocations: an allocator in the executable or preloaded before this
//! library takes the calls that it should see. A silent empty trace would be the worst answer.

use core::ffi::{CStr, c_void};

use leak_wire::layout::warning;

use crate::session::Name;
use crate::{detour, kernel, notice, real};

/// The address that the loader bound `$symbol` to for the whole process, 0 where nobody defines it.
/// Read from the relocation table: `dlsym` would allocate when it finds nothing.
macro_rules! bound {
    ($symbol:literal $(, $weak:literal)?) => {{
        let address: usize;
        // SAFETY: reads one word of this library's own table.
        unsafe {
            core::arch::asm!(
                $(concat!($weak, $symbol),)?
                concat!("mov {0}, qword ptr [rip + ", $symbol, "@GOTPCREL]"),
                out(reg) address, options(nostack, preserves_flags, readonly, pure),
            );
        }
        address
    }};
}

pub(crate) use bound;

/// The sanitizer that the program is built with, if any: it replaces malloc and can't be traced.
pub fn sanitizer() -> Option<&'static [u8]> {
    [
        (bound!("__asan_init", ".weak "), &b"AddressSanitizer"[..]),
        (bound!("__tsan_init", ".weak "), b"ThreadSanitizer"),
        (bound!("__msan_init", ".weak "), b"MemorySanitizer"),
    ]
    .into_iter()
    .find_map(|(address, name)| (address != 0).then_some(name))
}

/// AddressSanitizer as a shared library ends a program in which another library comes first. It asks a
/// function of this name for its settings, which the program may define and comes first with.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub extern "C" fn __asan_default_options() -> *const core::ffi::c_char {
    c"verify_asan_link_order=0".as_ptr()
}

/// Bits of `warning` for other allocators. One that takes the calls, or that the recorder found in the
/// executable (`own`), is traced by detours where that can be; the user is told of it if `aloud` agrees.
pub fn others(session: &Name, own: bool, aloud: &dyn Fn() -> bool) -> u32 {
    let ours = holder_of(sanitizer as fn() -> Option<&'static [u8]> as usize);
    let taker = holder_of(bound!("malloc"))
        .filter(|holder| ours.as_ref().is_none_or(|ours| ours.base != holder.base));
    let main = main_base();
    let mut found = 0;
    if own || taker.as_ref().is_some_and(|taker| taker.base == main) {
        let mut buffer = [0; 4096];
        let program = kernel::read_link(c"/proc/self/exe", &mut buffer);
        // SAFETY: getauxval reads a table of the C library.
        let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
        found |= match detour::trace(session, headers) {
            Ok(()) => {
                if aloud() {
                    notice::say(&[
                        program,
                        b" brings its own malloc: its entries are detoured and its memory is traced (LEAK_OWN_MALLOC=off leaves it alone)",
                    ]);
                }
                warning::DETOURED
            }
            Err(refused) => {
                if aloud() {
                    notice::say(&[
                        program,
                        b" brings its own malloc, whose calls don't reach libleak: its memory is not traced (",
                        refused.why(),
                        b"); build it with the C library's malloc, or with its allocator as a shared library",
                    ]);
                }
                warning::OWN_ALLOCATOR
            }
        };
    }
    match taker {
        None => found | next(session, aloud),
        Some(taker) if taker.base == main => found,
        Some(taker) => found | preloaded(session, &taker, aloud),
    }
}

/// The same for a library that comes before this one.
fn preloaded(session: &Name, taker: &Holder, aloud: &dyn Fn() -> bool) -> u32 {
    match detour::trace(session, taker.base) {
        Ok(()) => {
            if aloud() {
                notice::say(&[
                    taker.path,
                    b" defines malloc and comes before libleak.so: its entries are detoured and its memory is traced; put libleak.so first in LD_PRELOAD to do without",
                ]);
            }
            warning::DETOURED
        }
        Err(refused) => {
            if aloud() {
                notice::say(&[
                    taker.path,
                    b" defines malloc and comes before libleak.so: its memory is not traced (",
                    refused.why(),
                    b"); put libleak.so first in LD_PRELOAD",
                ]);
            }
            warning::PRELOADED_ALLOCATOR
        }
    }
}

/// The same for the allocator behind this library, whose `malloc` the exported hooks call, if it brings C++
/// operators too: those call no `malloc`. (To export them here would take them from plugins whose C++
/// library this one can't see.) Nothing is lost where it is detoured, and nothing said.
fn next(session: &Name, aloud: &dyn Fn() -> bool) -> u32 {
    let bound = bound!("_Znwm", ".weak ");
    if bound == 0 {
        return 0;
    }
    let next = |name: &CStr| {
        // SAFETY: a C string; dlsym has no other precondition.
        holder_of(real::quietly(|| unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }) as usize)
    };
    // Bound to the program's own stub, it leads to the next one.
    let operators = holder_of(bound).or_else(|| next(c"_Znwm"));
    let (Some(operators), Some(malloc)) = (operators, next(c"malloc")) else {
        return 0;
    };
    if operators.base != malloc.base {
        return 0;
    }
    match detour::trace_next(session, operators.base) {
        Ok(()) => 0,
        Err(refused) => {
            if aloud() {
                notice::say(&[
                    operators.path,
                    b" has C++ operators that don't reach libleak: what they give is not traced (",
                    refused.why(),
                    b"); do without that library to see it",
                ]);
            }
            warning::OWN_OPERATORS
        }
    }
}

struct Holder {
    base: usize,
    path: &'static [u8],
}

// SAFETY: as glibc's <dlfcn.h> declares it.
unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: libc::c_int,
    ) -> libc::c_int;
}

const RTLD_DL_SYMENT: libc::c_int = 1;

/// The module that `address` lies in. `None` also where that module only imports what is there: in a
/// program at a fixed address, an imported function's address is that of the program's own stub.
fn holder_of(address: usize) -> Option<Holder> {
    // SAFETY: zeros are a valid Dl_info; dladdr1 allocates nothing, fills both where it returns not 0,
    // and the symbol is then null or an entry of a table that stays mapped.
    unsafe {
        let mut found: libc::Dl_info = core::mem::zeroed();
        let mut symbol: *const libc::Elf64_Sym = core::ptr::null();
        let address = address as *const c_void;
        let extra = (&raw mut symbol).cast::<*mut c_void>();
        if dladdr1(address, &raw mut found, extra, RTLD_DL_SYMENT) == 0 {
            return None;
        }
        if symbol.as_ref().is_some_and(|symbol| symbol.st_shndx == 0) {
            return None;
        }
        let path = if found.dli_fname.is_null() {
            &[]
        } else {
            CStr::from_ptr(found.dli_fname).to_bytes()
        };
        Some(Holder {
            base: found.dli_fbase as usize,
            path,
        })
    }
}

/// Where the executable is mapped: the module that its program headers lie in.
fn main_base() -> usize {
    // SAFETY: getauxval reads a table of the C library.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    holder_of(headers).map_or(0, |holder| holder.base)
}
