//! Threads: where a new one's stack lies is known best when it is created, and who creates it then alone.

use core::ffi::{c_int, c_void};

use leak_wire::Event;
use libc::{clockid_t, timespec};

use crate::thread::{self, Caller, Start, Thread};
use crate::{caller, dtv, session, stack};

type Routine = extern "C" fn(*mut c_void) -> *mut c_void;

mod next {
    use core::ffi::{c_int, c_void};

    crate::real! {
        pub fn pthread_detach(thread: u64) -> c_int;
        pub fn pthread_create(thread: *mut c_void, attributes: *const c_void, routine: super::Routine, argument: *mut c_void) -> c_int;
    }
}

mod joining {
    use core::ffi::{c_int, c_void};
    use libc::{clockid_t, timespec};

    crate::cancellable! {
        pub fn pthread_join(thread: u64, result: *mut c_void) -> c_int;
        pub fn pthread_tryjoin_np(thread: u64, result: *mut c_void) -> c_int;
        pub fn pthread_timedjoin_np(thread: u64, result: *mut c_void, until: *const timespec) -> c_int;
        pub fn pthread_clockjoin_np(thread: u64, result: *mut c_void, clock: clockid_t, until: *const timespec) -> c_int;
    }
}

/// The hook of `pthread_create`, which calls the implementation with the caller's rsp and rbp as two more arguments.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn pthread_create() {
    core::arch::naked_asm!("mov r8, rsp", "mov r9, rbp", "jmp {}", sym pthread_create_from)
}

extern "C" fn pthread_create_from(
    created: *mut c_void,
    attributes: *const c_void,
    routine: Routine,
    argument: *mut c_void,
    sp: u64,
    bp: u64,
) -> c_int {
    // In a forked child the own state comes first, so that it isn't taken for a free one.
    let state = if session::is_tracing() && thread::own().is_some() {
        thread::reserve_for_new()
    } else {
        None
    };
    let Some(state) = state else {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::pthread_create(created, attributes, routine, argument) };
    };
    let stack_size = stack_size(attributes);
    let number = state.number();
    let maps = !has_own_stack(attributes);
    let detached = is_detached(attributes);
    state.kept().start.set(Some(Start {
        routine,
        argument,
        stack_size,
    }));
    thread::record(Event::ThreadCreate { thread: number });
    let state = core::ptr::from_ref(state);
    // SAFETY: the caller's contract is passed on, with a routine that runs the caller's.
    let result = unsafe { next::pthread_create(created, attributes, run, state.cast_mut().cast()) };
    if result != 0 {
        // What was told of it says nothing: no thread tells that it is the one.
        // SAFETY: the state is never unmapped, and no thread has got it.
        thread::give_back(unsafe { &*state });
    } else if let Some(thread) = thread::current().filter(|_| maps) {
        // The new thread may have ended by now, and have freed what the handle lies in.
        let handle = caller::read(created.cast::<u64>()).unwrap_or(0);
        thread.record_at(Caller { sp, bp }, |site| Event::ThreadStack {
            thread: number,
            handle,
            size: stack_size,
            detached,
            site,
        });
    }
    result
}

/// Whether the program gives the new thread a stack, which is memory that it had anyway.
fn has_own_stack(attributes: *const c_void) -> bool {
    let (mut start, mut size) = (core::ptr::null_mut(), 0);
    // SAFETY: null, or the caller's attributes.
    let found = !attributes.is_null()
        && unsafe { libc::pthread_attr_getstack(attributes.cast(), &raw mut start, &raw mut size) }
            == 0;
    // Without one the C library says that it ends at address 0.
    found && (start as usize).wrapping_add(size) != 0
}

unsafe extern "C" {
    // Not in `libc`.
    fn pthread_attr_getdetachstate(attributes: *const c_void, state: *mut c_int) -> c_int;
}

fn is_detached(attributes: *const c_void) -> bool {
    let mut state = 0;
    // SAFETY: null, or the caller's attributes.
    let found = !attributes.is_null()
        && unsafe { pthread_attr_getdetachstate(attributes, &raw mut state) } == 0;
    found && state == libc::PTHREAD_CREATE_DETACHED
}

/// The hooks of the calls that join a thread.
macro_rules! joins {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => { $(
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(
            thread: u64,
            result: *mut c_void,
            $($argument: $type),*
        ) -> c_int {
            // SAFETY: the caller's promise.
            let status = unsafe { joining::$name(thread, result, $($argument),*) };
            if status == 0 {
                released(thread, true);
            }
            status
        }
    )* };
}

joins! {
    pthread_join();
    pthread_tryjoin_np();
    pthread_timedjoin_np(until: *const timespec);
    pthread_clockjoin_np(clock: clockid_t, until: *const timespec);
}

/// The hook of `pthread_detach`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_detach(thread: u64) -> c_int {
    // Before: one that has ended is gone at once, and another may have its handle.
    released(thread, false);
    // SAFETY: the caller's promise. It fails for a thread that is detached already, or was joined.
    unsafe { next::pthread_detach(thread) }
}

fn released(handle: u64, joined: bool) {
    if thread::current().is_some() {
        thread::record(Event::ThreadReleased { handle, joined });
    }
}

fn stack_size(attributes: *const c_void) -> u64 {
    let mut size = 0;
    // SAFETY: null, or the caller's attributes.
    let found = !attributes.is_null()
        && unsafe { libc::pthread_attr_getstacksize(attributes.cast(), &raw mut size) } == 0;
    if found {
        size as u64
    } else {
        stack::default_size()
    }
}

/// The first function of a thread. A `pthread_exit` or a cancellation unwinds through it.
extern "C" fn run(state: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` above reserved it for this thread; it is never unmapped.
    let state: &'static Thread = unsafe { &*state.cast::<Thread>() };
    let Some(start) = state.kept().start.take() else {
        return core::ptr::null_mut();
    };
    thread::begin(state, start.stack_size);
    dtv::begins();
    (start.routine)(start.argument)
}
