//! Which libssl a caller means.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::size_t;

use crate::hooks::loading;
use crate::unwind::loader;

/// A place that calls one of the functions, and what it means by it.
struct Place {
    caller: AtomicUsize,
    function: AtomicPtr<c_void>,
    reads: [AtomicPtr<c_void>; 2],
    writes: [AtomicPtr<c_void>; 2],
}

/// A program has a handful of them; those past the table are looked up at each call. A place is used until what it
/// leads from or to is unmapped.
static PLACES: [Place; 64] = [const {
    Place {
        caller: AtomicUsize::new(0),
        function: AtomicPtr::new(null_mut()),
        reads: [const { AtomicPtr::new(null_mut()) }; 2],
        writes: [const { AtomicPtr::new(null_mut()) }; 2],
    }
}; 64];

/// What a caller means.
#[derive(Clone, Copy)]
pub(super) struct Library {
    pub(super) function: *mut c_void,
    pub(super) reads: Side,
    pub(super) writes: Side,
}

/// Functions that tell where an object reads from, or writes to.
#[derive(Clone, Copy)]
pub(super) struct Side {
    /// Its BIO, null if it has none yet.
    pub(super) bio: *mut c_void,
    /// Its descriptor, -1 if it has none.
    pub(super) descriptor: *mut c_void,
}

impl Side {
    fn store(self, to: &[AtomicPtr<c_void>; 2]) {
        let [bio, descriptor] = to;
        // Relaxed, here and below: ordered by the function, which comes last and is read first.
        bio.store(self.bio, Ordering::Relaxed);
        descriptor.store(self.descriptor, Ordering::Relaxed);
    }

    fn load(from: &[AtomicPtr<c_void>; 2]) -> Side {
        let [bio, descriptor] = from;
        Side {
            bio: bio.load(Ordering::Relaxed),
            descriptor: descriptor.load(Ordering::Relaxed),
        }
    }
}

/// Libraries were unmapped: what is mapped there next may call others, and mean others. Nobody calls from there, or
/// to there, meanwhile.
pub(super) fn forget_unmapped() {
    for place in &PLACES {
        let caller = place.caller.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `Library::of`; null while it is being filled.
        let function = place.function.load(Ordering::Acquire);
        let unmapped = |address: usize| loader::object_at(address as u64).is_none();
        if !function.is_null() && (unmapped(caller) || unmapped(function as usize)) {
            place.function.store(null_mut(), Ordering::Relaxed);
            // Release: pairs with the Acquire of who takes the place next.
            place.caller.store(0, Ordering::Release);
        }
    }
}

impl Library {
    /// What `caller` means by `name`.
    #[inline(never)]
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
                    reads: Side::load(&place.reads),
                    writes: Side::load(&place.writes),
                };
            }
            if taken != 0 {
                continue;
            }
            let library = Library::look_up(caller, name);
            let won =
                place
                    .caller
                    .compare_exchange(0, caller, Ordering::Acquire, Ordering::Relaxed);
            if won.is_ok() {
                library.reads.store(&place.reads);
                library.writes.store(&place.writes);
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
        let own = || Scope::opened(path_of(caller));
        let mut scope = match loaded() {
            0 | 1 => Scope::Next,
            _ => own(),
        };
        let mut function = scope.find(name);
        let named = |soname: &CStr| Scope::opened(soname.as_ptr());
        let others: [&dyn Fn() -> Scope; 4] = [
            &|| Scope::Next,
            &|| named(c"libssl.so.3"),
            &|| named(c"libssl.so.1.1"),
            &own,
        ];
        for other in others {
            if function.is_null() {
                scope = other();
                function = scope.find(name);
            }
        }
        let same = |name| match function.is_null() {
            true => null_mut(),
            false => scope.find(name),
        };
        Library {
            function,
            reads: Side {
                bio: same(c"SSL_get_rbio"),
                descriptor: same(c"SSL_get_rfd"),
            },
            writes: Side {
                bio: same(c"SSL_get_wbio"),
                descriptor: same(c"SSL_get_wfd"),
            },
        }
    }
}

/// Where a function is looked for.
enum Scope {
    /// After this library, in the global scope.
    Next,
    /// In a module that is loaded, and what it needs. Held only while it is looked at.
    Of(*mut c_void),
}

impl Scope {
    /// That of the module called `name`, if it is loaded already. Null: of none.
    fn opened(name: *const c_char) -> Scope {
        Scope::Of(match name.is_null() {
            true => null_mut(),
            // SAFETY: a C string; with these flags nothing is loaded that is not there already.
            false => unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) },
        })
    }

    /// The definition of `name`, unless it is ours.
    fn find(&self, name: &CStr) -> *mut c_void {
        let handle = match self {
            Scope::Next => libc::RTLD_NEXT,
            // Null would be the global scope from its start.
            Scope::Of(handle) if handle.is_null() => return null_mut(),
            Scope::Of(handle) => *handle,
        };
        // SAFETY: a handle of a loaded module or RTLD_NEXT, and a C string.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        match super::is_shim(found as usize) {
            true => null_mut(),
            false => found,
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Scope::Of(handle) = self
            && !handle.is_null()
        {
            // SAFETY: opened above, and not used any more.
            unsafe { loading::give_up(*handle) };
        }
    }
}

/// The file of the module that an address lies in, null where that is the program itself.
fn path_of(address: usize) -> *const c_char {
    // SAFETY: a Dl_info is plain old data.
    let mut found: libc::Dl_info = unsafe { core::mem::zeroed() };
    // SAFETY: `found` is live for the call.
    match unsafe { libc::dladdr(address as *const c_void, &raw mut found) } {
        0 => core::ptr::null(),
        _ => found.dli_fname,
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
