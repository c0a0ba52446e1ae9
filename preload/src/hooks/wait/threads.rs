//! Waits for other threads.

use core::ffi::{c_int, c_long, c_void};

use leak_wire::Wait;
use libc::{clockid_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};

use super::{notify, queue};
use crate::allocator::bound;
use crate::{confinement, connections, python};

mod next {
    use libc::{c_int, c_long, clockid_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};

    cancellable! {
        pub fn sem_wait(semaphore: *mut sem_t) -> c_int;
        pub fn sem_timedwait(semaphore: *mut sem_t, until: *const timespec) -> c_int;
        pub fn sem_clockwait(semaphore: *mut sem_t, clock: clockid_t, until: *const timespec) -> c_int;
        pub fn pthread_cond_wait[pthread_cond_wait "GLIBC_2.3.2"](condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t) -> c_int;
        pub fn pthread_cond_timedwait[pthread_cond_timedwait "GLIBC_2.3.2"](condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t, until: *const timespec) -> c_int;
        pub fn pthread_cond_clockwait(condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t, clock: clockid_t, until: *const timespec) -> c_int;
        pub fn old_pthread_cond_wait[pthread_cond_wait "GLIBC_2.2.5"](condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t) -> c_int;
        pub fn old_pthread_cond_timedwait[pthread_cond_timedwait "GLIBC_2.2.5"](condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t, until: *const timespec) -> c_int;
        pub fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long;
    }
}

/// The wait for a semaphore, which the thread has taken when the call gives 0.
#[inline(always)]
fn waits(semaphore: *mut sem_t, call: impl FnOnce() -> c_int) -> c_int {
    notify::waits_for(semaphore);
    connections::enter_with(Wait::Lock, Wait::word(semaphore as u64));
    let result = call();
    if result == 0 {
        notify::has_woken();
        notify::has_taken(semaphore);
    }
    result
}

/// `sem_wait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_wait(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller's promise.
    waits(semaphore, || unsafe { next::sem_wait(semaphore) })
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
    // SAFETY: the caller's promise.
    waits(semaphore, || unsafe {
        next::sem_timedwait(semaphore, until)
    })
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
    // SAFETY: the caller's promise.
    waits(semaphore, || unsafe {
        next::sem_clockwait(semaphore, clock, until)
    })
}

/// The hooks of the waits with a condition variable. The C library has two of most: for the layout of 2003
/// (GLIBC_2.3.2), and for the one before.
macro_rules! condition_waits {
    ($($(#[$export:meta])? $name:ident($($argument:ident: $type:ty),*);)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        $(#[$export])?
        pub unsafe extern "C-unwind" fn $name(
            condition: *mut pthread_cond_t,
            mutex: *mut pthread_mutex_t,
            $($argument: $type),*
        ) -> c_int {
            enter(condition, mutex);
            // SAFETY: the caller's promise.
            let result = unsafe { next::$name(condition, mutex, $($argument),*) };
            if result == 0 && !python::is_of_runtime(condition as u64) {
                notify::has_woken();
            }
            result
        }
    )* };
}

condition_waits! {
    pthread_cond_wait();
    pthread_cond_timedwait(until: *const timespec);
    old_pthread_cond_wait();
    old_pthread_cond_timedwait(until: *const timespec);
    #[unsafe(no_mangle)] pthread_cond_clockwait(clock: clockid_t, until: *const timespec);
}

versioned! {
    "pthread_cond_wait@@GLIBC_2.3.2" => pthread_cond_wait;
    "pthread_cond_timedwait@@GLIBC_2.3.2" => pthread_cond_timedwait;
    "pthread_cond_wait@GLIBC_2.2.5" => old_pthread_cond_wait;
    "pthread_cond_timedwait@GLIBC_2.2.5" => old_pthread_cond_timedwait;
}

/// CPython waits for its own lock, too: that is no turn of the thread.
#[inline(always)]
fn enter(condition: *mut pthread_cond_t, mutex: *mut pthread_mutex_t) {
    if !python::is_of_runtime(condition as u64) {
        queue::waited_with(mutex as usize);
        connections::enter_with(Wait::Lock, Wait::word(condition as u64));
    }
}

/// Runs when the library is loaded: asks for what must not be asked for later, in a thread that waits while another
/// one may hold the loader's lock.
extern "C" fn constructor() {
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
    let mut waits = false;
    if number == libc::SYS_futex {
        let command = b as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
        waits =
            matches!(command, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) && c as u32 != CONTENDED;
        if waits {
            connections::enter_with(Wait::Lock, Wait::word(a as u64));
        }
        if matches!(command, libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET) {
            notify::wakes(a, c);
        }
    }
    // SAFETY: the caller's promise.
    let call = || unsafe { next::syscall(number, a, b, c, d, e, f) };
    match number {
        libc::SYS_seccomp => confinement::by_seccomp(a, b, c, call),
        libc::SYS_prctl if a as c_int == libc::PR_SET_SECCOMP => confinement::by_prctl(b, c, call),
        libc::SYS_futex => {
            let result = call();
            if waits && result == 0 {
                notify::has_woken();
            }
            result
        }
        _ => call(),
    }
}
