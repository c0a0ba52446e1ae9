//! Waits for other threads.

use core::ffi::{CStr, c_int, c_long, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use leak_wire::Wait;
use libc::{clockid_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};

use super::queue;
use crate::allocator::bound;
use crate::real::absent;
use crate::{connections, process, python};

mod next {
    use libc::{c_int, c_long, clockid_t, sem_t, timespec};

    cancellable! {
        pub fn sem_wait(semaphore: *mut sem_t) -> c_int;
        pub fn sem_timedwait(semaphore: *mut sem_t, until: *const timespec) -> c_int;
        pub fn sem_clockwait(semaphore: *mut sem_t, clock: clockid_t, until: *const timespec) -> c_int;
        pub fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long;
    }
}

/// `sem_wait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_wait(semaphore: *mut sem_t) -> c_int {
    connections::enter(Wait::Lock);
    // SAFETY: the caller's promise.
    unsafe { next::sem_wait(semaphore) }
}

/// `sem_timedwait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_timedwait(
    semaphore: *mut sem_t,
    until: *const timespec,
) -> c_int {
    connections::enter(Wait::Lock);
    // SAFETY: the caller's promise.
    unsafe { next::sem_timedwait(semaphore, until) }
}

/// `sem_clockwait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_clockwait(
    semaphore: *mut sem_t,
    clock: clockid_t,
    until: *const timespec,
) -> c_int {
    connections::enter(Wait::Lock);
    // SAFETY: the caller's promise.
    unsafe { next::sem_clockwait(semaphore, clock, until) }
}

/// The next definitions of the condition variables' functions. The C library has two of each: of the
/// layout of 2003 (GLIBC_2.3.2), and the ones before, which plain `dlsym` may give.
static COND_WAIT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static COND_TIMEDWAIT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static COND_CLOCKWAIT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

fn next_of(cache: &AtomicPtr<c_void>, name: &CStr, version: &CStr) -> *mut c_void {
    // Relaxed: the code that it points to was there before any of this.
    let found = cache.load(Ordering::Relaxed);
    if !found.is_null() {
        return found;
    }
    // SAFETY: both are C strings.
    let mut found = unsafe { libc::dlvsym(libc::RTLD_NEXT, name.as_ptr(), version.as_ptr()) };
    if found.is_null() {
        // SAFETY: as above.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    }
    cache.store(found, Ordering::Relaxed);
    found
}

fn next_wait() -> *mut c_void {
    next_of(&COND_WAIT, c"pthread_cond_wait", c"GLIBC_2.3.2")
}

fn next_timedwait() -> *mut c_void {
    next_of(&COND_TIMEDWAIT, c"pthread_cond_timedwait", c"GLIBC_2.3.2")
}

fn next_clockwait() -> *mut c_void {
    next_of(&COND_CLOCKWAIT, c"pthread_cond_clockwait", c"GLIBC_2.34")
}

/// `pthread_cond_wait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_cond_wait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
) -> c_int {
    enter(condition, mutex);
    let next = next_wait();
    if next.is_null() {
        return absent();
    }
    type Wait = unsafe extern "C-unwind" fn(*mut pthread_cond_t, *mut pthread_mutex_t) -> c_int;
    // SAFETY: the next definition has this type; the caller's promise.
    unsafe { transmute::<*mut c_void, Wait>(next)(condition, mutex) }
}

/// `pthread_cond_timedwait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_cond_timedwait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    until: *const timespec,
) -> c_int {
    enter(condition, mutex);
    let next = next_timedwait();
    if next.is_null() {
        return absent();
    }
    type Wait = unsafe extern "C-unwind" fn(
        *mut pthread_cond_t,
        *mut pthread_mutex_t,
        *const timespec,
    ) -> c_int;
    // SAFETY: the next definition has this type; the caller's promise.
    unsafe { transmute::<*mut c_void, Wait>(next)(condition, mutex, until) }
}

/// `pthread_cond_clockwait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_cond_clockwait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    until: *const timespec,
) -> c_int {
    enter(condition, mutex);
    let next = next_clockwait();
    if next.is_null() {
        return absent();
    }
    type Wait = unsafe extern "C-unwind" fn(
        *mut pthread_cond_t,
        *mut pthread_mutex_t,
        clockid_t,
        *const timespec,
    ) -> c_int;
    // SAFETY: the next definition has this type; the caller's promise.
    unsafe { transmute::<*mut c_void, Wait>(next)(condition, mutex, clock, until) }
}

/// CPython waits for its own lock, too: that is no turn of the thread.
#[inline(always)]
fn enter(condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t) {
    if !python::is_of_runtime(condition as u64) {
        queue::waited_with(mutex);
        connections::enter(Wait::Lock);
    }
}

/// Runs when the library is loaded: looks for what must not be looked for later, in a thread that waits
/// while another one may hold the loader's lock.
extern "C" fn constructor() {
    next_wait();
    next_timedwait();
    next_clockwait();
    find_runtime();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

fn find_runtime() {
    let runtime = bound!("_PyRuntime", ".weak ") as *const c_void;
    if runtime.is_null() {
        return;
    }
    let mut symbol: *const libc::Elf64_Sym = core::ptr::null();
    // SAFETY: a Dl_info is plain old data.
    let mut found: libc::Dl_info = unsafe { core::mem::zeroed() };
    // SAFETY: all are live for the call; with this flag it stores a symbol's address.
    let told = unsafe {
        dladdr1(
            runtime,
            &raw mut found,
            (&raw mut symbol).cast::<*mut c_void>(),
            RTLD_DL_SYMENT,
        )
    };
    // SAFETY: null, or an entry of a symbol table that stays mapped as long as its module.
    if let (1.., Some(symbol)) = (told, unsafe { symbol.as_ref() }) {
        python::runtime_lies_at(runtime as u64, symbol.st_size);
    }
}

const RTLD_DL_SYMENT: c_int = 1;

// SAFETY: as glibc's <dlfcn.h> declares it.
unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
}

/// The word of a mutex that is taken and waited for, in Rust's and the C library's convention.
const CONTENDED: u32 = 2;

/// `syscall`. All six arguments go on as they came, there or not.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if number == libc::SYS_futex {
        let command = b as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
        let waits = matches!(command, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET);
        if waits && c as u32 != CONTENDED {
            connections::enter(Wait::Lock);
        }
    }
    let sets_mode = libc::SECCOMP_SET_MODE_STRICT as usize..=libc::SECCOMP_SET_MODE_FILTER as usize;
    if number == libc::SYS_seccomp && sets_mode.contains(&a) {
        process::confine();
    }
    // SAFETY: the caller's promise.
    unsafe { next::syscall(number, a, b, c, d, e, f) }
}
