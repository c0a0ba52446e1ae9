//! The next definition of each hooked symbol, and the memory that `dlsym` itself may ask for while
//! it looks the first ones up.

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::kernel;

/// A symbol's next definition, looked up once.
#[repr(C)]
pub struct Next {
    name: &'static CStr,
    /// Where the C library has several.
    version: Option<&'static CStr>,
    found: AtomicPtr<c_void>,
}

/// In `Next::found`: looked up and not there.
const ABSENT: *mut c_void = core::ptr::without_provenance_mut(1);

/// The thread that is inside `dlsym` for us (its tid), so that its allocations are served by the pool.
static RESOLVER: AtomicU32 = AtomicU32::new(0);

impl Next {
    /// An entry that is not looked up yet.
    pub const fn new(name: &'static CStr) -> Self {
        Next {
            name,
            version: None,
            found: AtomicPtr::new(null_mut()),
        }
    }

    /// The same of a symbol in a version.
    pub const fn versioned(name: &'static CStr, version: &'static CStr) -> Self {
        Next {
            version: Some(version),
            ..Next::new(name)
        }
    }

    /// The definition, or null where there is none (or while this very thread looks one up).
    #[inline(always)]
    pub fn get(&self) -> *mut c_void {
        // Relaxed: the code that it points to was there before any of this.
        let found = self.found.load(Ordering::Relaxed);
        if found > ABSENT {
            return found;
        }
        self.look_up(found)
    }

    #[cold]
    fn look_up(&self, found: *mut c_void) -> *mut c_void {
        if found == ABSENT {
            return null_mut();
        }
        if is_resolving() {
            return null_mut();
        }
        // SAFETY: names and versions are C strings; neither call has another precondition.
        let next = quietly(|| unsafe {
            let versioned = |version: &CStr| {
                libc::dlvsym(libc::RTLD_NEXT, self.name.as_ptr(), version.as_ptr())
            };
            match self.version.map_or(null_mut(), versioned) {
                // Another C library, or another library before it.
                none if none.is_null() => libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()),
                found => found,
            }
        });
        let found = if next.is_null() { ABSENT } else { next };
        self.found.store(found, Ordering::Relaxed);
        next
    }
}

/// Runs `look_up`, which calls `dlsym` or its like: what that allocates (it does where it finds
/// nothing) comes from the pool and not from the target's heap.
pub fn quietly<R>(look_up: impl FnOnce() -> R) -> R {
    // Relaxed, both: compared with the own tid only, which only this thread stores.
    let before = RESOLVER.swap(kernel::gettid(), Ordering::Relaxed);
    let found = look_up();
    RESOLVER.store(before, Ordering::Relaxed);
    found
}

/// Whether this very thread is inside `dlsym` for us: its allocations are served by the pool.
#[inline(always)]
pub fn is_resolving() -> bool {
    // Relaxed: only this thread stores its own tid.
    let resolver = RESOLVER.load(Ordering::Relaxed);
    resolver != 0 && is_own(resolver)
}

#[cold]
#[inline(never)]
fn is_own(tid: u32) -> bool {
    tid == kernel::gettid()
}

// SAFETY: the linker defines both; only their addresses are taken.
unsafe extern "C" {
    // Given by the linker: the bounds of the section in which `real!` puts its entries.
    #[link_name = "__start_leak_next"]
    static FIRST: u8;
    #[link_name = "__stop_leak_next"]
    static PAST_LAST: u8;
}

/// Looks all of them up. Early and at once: each `dlsym` throws away what the target's next `dlerror`
/// would have told.
pub fn resolve_all() {
    for_each(|entry| {
        entry.get();
    });
}

fn for_each(work: impl Fn(&Next)) {
    let mut entry = (&raw const FIRST).cast::<Next>();
    let end = (&raw const PAST_LAST).cast::<Next>();
    while entry < end {
        // SAFETY: the section holds nothing but `Next`s, one after the other, between these bounds.
        unsafe {
            work(&*entry);
            entry = entry.add(1);
        }
    }
}

/// The next definition of the hooked symbol `name`, if there is one.
pub fn next_of(name: &CStr) -> Option<*mut c_void> {
    let found = core::cell::Cell::new(null_mut());
    for_each(|entry| {
        if entry.name == name {
            found.set(entry.get());
        }
    });
    Some(found.get()).filter(|found| !found.is_null())
}

/// Has the calls that would go to `function` go to `beyond` instead. While the process has one thread.
pub fn lead_past(function: usize, beyond: usize) {
    resolve_all();
    for_each(|entry| {
        // Relaxed, both: there is one thread.
        if entry.found.load(Ordering::Relaxed) as usize == function {
            entry.found.store(
                core::ptr::with_exposed_provenance_mut(beyond),
                Ordering::Relaxed,
            );
        }
    });
}

/// What a function without a next definition returns: the C way to fail.
pub trait Failed {
    /// That value.
    const FAILED: Self;
}

macro_rules! failed {
    ($($type:ty: $value:expr),*) => { $(impl Failed for $type { const FAILED: Self = $value; })* };
}
failed!((): (), i32: -1, isize: -1, i64: -1, u32: u32::MAX, usize: 0);

impl<T> Failed for *mut T {
    const FAILED: Self = null_mut();
}

impl<T> Failed for *const T {
    const FAILED: Self = core::ptr::null();
}

/// Fails the way that a call fails which the system does not have.
#[cold]
pub fn absent<T: Failed>() -> T {
    // SAFETY: errno's address is always good.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    T::FAILED
}

/// The entry for a symbol, or for one of its versions.
#[macro_export]
macro_rules! next_entry {
    ($name:ident) => {
        $crate::real::Next::new($crate::real::c_string(concat!(stringify!($name), "\0")))
    };
    ($name:ident $symbol:ident $version:literal) => {
        $crate::real::Next::versioned(
            $crate::real::c_string(concat!(stringify!($symbol), "\0")),
            $crate::real::c_string(concat!($version, "\0")),
        )
    };
}

/// The C string that `text` is.
pub const fn c_string(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

/// `real! { pub fn read(fd: c_int, ...) -> ssize_t; }` makes `read(...)`, which calls the next
/// definition of the C symbol `read`. Never allocates. Where there is none it fails with `ENOSYS`.
/// `pub fn new_spawn[posix_spawn "GLIBC_2.15"](...)` calls that version of the symbol.
#[macro_export]
macro_rules! real {
    ($(pub fn $name:ident $([$symbol:ident $version:literal])? ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => { $(
        #[doc = concat!("The next `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[inline(always)]
        pub unsafe fn $name($($argument: $type),*) $(-> $result)? {
            #[unsafe(link_section = "leak_next")]
            static NEXT: $crate::real::Next = $crate::next_entry!($name $($symbol $version)?);
            let next = NEXT.get();
            if next.is_null() {
                return $crate::real::absent();
            }
            // SAFETY: dlsym gave the address of this C function, whose type was declared beside its
            // name; the caller keeps its contract.
            unsafe {
                core::mem::transmute::<
                    *mut core::ffi::c_void,
                    unsafe extern "C" fn($($type),*) $(-> $result)?,
                >(next)($($argument),*)
            }
        }
    )* };
}

const POOL_BYTES: usize = 64 << 10;
const ALIGNMENT: usize = 16;

/// Memory for allocations made inside the first `dlsym`s; never given back.
#[repr(C, align(4096))]
struct Pool(core::cell::UnsafeCell<[u8; POOL_BYTES]>);

// SAFETY: bytes are handed out once each, through the atomic below.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(core::cell::UnsafeCell::new([0; POOL_BYTES]));
static POOL_USED: AtomicUsize = AtomicUsize::new(0);

/// Zeroed memory from the pool, or null when that is used up. The size lies in the word before it.
pub fn pool_allocate(bytes: usize, alignment: usize) -> *mut c_void {
    let alignment = alignment.max(ALIGNMENT);
    let take = |used: usize| {
        let start = used
            .checked_add(ALIGNMENT)?
            .checked_next_multiple_of(alignment)?;
        start.checked_add(bytes).filter(|end| *end <= POOL_BYTES)
    };
    // Relaxed: the counter alone decides who owns which bytes.
    let taken = POOL_USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    let Ok(used) = taken else {
        return null_mut();
    };
    let start = (used + ALIGNMENT).next_multiple_of(alignment);
    // SAFETY: start - 8 .. start + bytes lies within the pool and is ours alone; start is a multiple
    // of 16, so the size word is aligned.
    unsafe {
        let block = POOL.0.get().cast::<u8>().add(start);
        block.cast::<usize>().sub(1).write(bytes);
        block.cast()
    }
}

/// The size of a block of the pool, or `None` for any other pointer.
#[inline(always)]
pub fn pool_size(block: *mut c_void) -> Option<usize> {
    let offset = (block as usize).wrapping_sub(POOL.0.get() as usize);
    if offset >= POOL_BYTES {
        return None;
    }
    // SAFETY: blocks of the pool have their size in the word before them.
    Some(unsafe { block.cast::<usize>().sub(1).read() })
}

/// Where the hooks that are called most go while nothing is recorded, without a look at anything else. Filled before
/// the first of them goes there.
pub static UNSEEN: [AtomicPtr<c_void>; 4] = [const { AtomicPtr::new(null_mut()) }; 4];
/// `malloc`'s place there.
pub const MALLOC: usize = 0;
/// `calloc`'s.
pub const CALLOC: usize = 1;
/// `posix_memalign`'s.
pub const POSIX_MEMALIGN: usize = 2;
/// `free`'s.
pub const FREE: usize = 3;

/// Fills [`UNSEEN`]: nothing is looked up after this but by whoever records.
pub fn settle() {
    // Relaxed, all: stored before the gate says that they are to be used.
    for (name, place) in [c"malloc", c"calloc", c"posix_memalign", c"free"]
        .into_iter()
        .zip(&UNSEEN)
    {
        let found = next_of(name).unwrap_or(null_mut());
        let target = match POOL_USED.load(Ordering::Relaxed) {
            0 => found,
            _ if name == c"free" => free_beside_pool as extern "C" fn(*mut c_void) as *mut c_void,
            _ => found,
        };
        place.store(target, Ordering::Relaxed);
    }
}

/// `free`, of a block that may be the pool's.
extern "C" fn free_beside_pool(block: *mut c_void) {
    if pool_size(block).is_none() {
        // SAFETY: the caller's contract is passed on.
        unsafe { memory::free(block) }
    }
}

/// The real allocator.
pub mod memory {
    use core::ffi::{c_int, c_void};

    real! {
        pub fn malloc(size: usize) -> *mut c_void;
        pub fn calloc(count: usize, size: usize) -> *mut c_void;
        pub fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
        pub fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void;
        pub fn free(block: *mut c_void);
        pub fn posix_memalign(block: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
        pub fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
        pub fn memalign(alignment: usize, size: usize) -> *mut c_void;
        pub fn valloc(size: usize) -> *mut c_void;
        pub fn pvalloc(size: usize) -> *mut c_void;
        pub fn malloc_usable_size(block: *mut c_void) -> usize;
    }
}
