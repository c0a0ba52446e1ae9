//! What threads of a program tell each other by: where such descriptors come from.

use libc::{c_int, c_uint, sigset_t};

use crate::{caller, connections};

mod next {
    use libc::{c_int, c_uint, sigset_t};

    cancellable! {
        pub fn pipe(descriptors: *mut c_int) -> c_int;
        pub fn pipe2(descriptors: *mut c_int, flags: c_int) -> c_int;
        pub fn socketpair(domain: c_int, kind: c_int, protocol: c_int, descriptors: *mut c_int) -> c_int;
        pub fn eventfd(count: c_uint, flags: c_int) -> c_int;
        pub fn timerfd_create(clock: c_int, flags: c_int) -> c_int;
        pub fn signalfd(descriptor: c_int, mask: *const sigset_t, flags: c_int) -> c_int;
    }
}

/// Notes both ends that a call gave, unless the place where they were put is gone again.
fn both(result: c_int, descriptors: *const c_int) -> c_int {
    if result == 0
        && let Some(ends) = caller::read(descriptors.cast::<[u32; 2]>())
    {
        ends.into_iter()
            .for_each(|end| connections::made_channel(end as c_int));
    }
    result
}

fn one(descriptor: c_int) -> c_int {
    connections::made_channel(descriptor);
    descriptor
}

/// `pipe`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pipe(descriptors: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    both(unsafe { next::pipe(descriptors) }, descriptors)
}

/// `pipe2`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pipe2(descriptors: *mut c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    both(unsafe { next::pipe2(descriptors, flags) }, descriptors)
}

/// `socketpair`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn socketpair(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    descriptors: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { next::socketpair(domain, kind, protocol, descriptors) };
    both(result, descriptors)
}

/// `eventfd`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn eventfd(count: c_uint, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    one(unsafe { next::eventfd(count, flags) })
}

/// `timerfd_create`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn timerfd_create(clock: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    one(unsafe { next::timerfd_create(clock, flags) })
}

/// `signalfd`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn signalfd(
    descriptor: c_int,
    mask: *const sigset_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    one(unsafe { next::signalfd(descriptor, mask, flags) })
}
