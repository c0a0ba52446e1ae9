//! Threads: where a new one's stack lies is known best when it is created, and who creates it then alone.

use core::ffi::{c_int, c_void};

use leak_wire::Event;

use crate::thread::{self, Start, Thread};
use crate::{dtv, session, stack};

type Routine = extern "C" fn(*mut c_void) -> *mut c_void;

mod next {
    use core::ffi::{c_int, c_void};

    crate::real! {
        pub fn pthread_create(thread: *mut c_void, attributes: *const c_void, routine: super::Routine, argument: *mut c_void) -> c_int;
    }
}

/// The hook of `pthread_create`.
#[unsafe(no_mangle)]
pub extern "C" fn pthread_create(
    created: *mut c_void,
    attributes: *const c_void,
    routine: Routine,
    argument: *mut c_void,
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
    state.kept().start.set(Some(Start {
        routine,
        argument,
        stack_size: stack_size(attributes),
    }));
    thread::record(Event::ThreadCreate {
        thread: state.number(),
    });
    let state = core::ptr::from_ref(state);
    // SAFETY: the caller's contract is passed on, with a routine that runs the caller's.
    let result = unsafe { next::pthread_create(created, attributes, run, state.cast_mut().cast()) };
    if result != 0 {
        // What was told of it says nothing: no thread tells that it is the one.
        // SAFETY: the state is never unmapped, and no thread has got it.
        thread::give_back(unsafe { &*state });
    }
    result
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
