//! The wait family. Passed on as it is, but where the recorder is a child of the target: then it is
//! left out, as if it were not there.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use crate::children::{self, Others};
use crate::kernel;

type Pid = i32;
const ANY: Pid = -1;

mod next {
    use super::Pid;
    use core::ffi::{c_int, c_void};

    crate::cancellable! {
        pub fn wait4(pid: Pid, status: *mut c_int, options: c_int, usage: *mut c_void) -> Pid;
        pub fn waitid(kind: u32, id: u32, found: *mut c_void, options: c_int) -> c_int;
    }
}

fn error() -> c_int {
    // SAFETY: errno's address is always good.
    unsafe { *libc::__errno_location() }
}

fn fail(error: c_int) -> c_int {
    // SAFETY: errno's address is always good.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// What a look for a child came to.
enum Look {
    /// This one has news.
    Child(u32),
    /// None has; there is this one.
    Nothing(Option<u32>),
    /// There are none.
    Childless,
}

/// Looks for a child but `recorder` with news of the kinds in `options` (as for `waitid`).
fn look(recorder: u32, options: c_int) -> Look {
    match kernel::peek_child(options) {
        Err(_) => Look::Childless,
        Ok(0) => match children::others(recorder) {
            Others::One(child) => Look::Nothing(Some(child)),
            Others::Nobody => Look::Childless,
            Others::Unknown => Look::Nothing(None),
        },
        Ok(pid) if pid == recorder => {
            children::bury(recorder);
            Look::Nothing(None)
        }
        Ok(pid) => Look::Child(pid),
    }
}

/// The kinds of children that a `wait4` with these options waits for.
fn kinds(options: c_int) -> c_int {
    let scope = libc::__WALL | libc::__WCLONE | libc::__WNOTHREAD;
    // WUNTRACED and WSTOPPED are the same bit, and so is WCONTINUED.
    libc::WEXITED | options & (scope | libc::WUNTRACED | libc::WCONTINUED)
}

/// Waits for any child but the recorder: `take` takes one that has news, and gives `None` if another
/// thread was faster.
fn wait_for_any(
    recorder: u32,
    options: c_int,
    may_return: bool,
    nothing: c_int,
    mut take: impl FnMut(u32) -> Option<c_int>,
) -> c_int {
    let mut waited_for = None;
    loop {
        match look(recorder, options) {
            Look::Childless => return fail(libc::ECHILD),
            Look::Child(child) => {
                if let Some(result) = take(child) {
                    return result;
                }
            }
            Look::Nothing(_) if may_return => return nothing,
            Look::Nothing(child) => {
                // Where children leave no zombies, a wait for any of them would last as long as the
                // recorder does. Not twice for the same: /proc may be another namespace's.
                let child = child.filter(|child| {
                    kernel::leaves_no_zombies() && waited_for.replace(*child) != Some(*child)
                });
                let (kind, id) = child.map_or((libc::P_ALL, 0), |child| (libc::P_PID, child));
                let before = error();
                // SAFETY: no result is asked for; nothing is taken away.
                let woken = unsafe { next::waitid(kind, id, null_mut(), options | libc::WNOWAIT) };
                if woken != 0 {
                    if child.is_none() || error() != libc::ECHILD {
                        return woken;
                    }
                    fail(before); // the child is gone, which is what was waited for
                }
            }
        }
    }
}

/// The hook of `wait4`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wait4(
    pid: Pid,
    status: *mut c_int,
    options: c_int,
    usage: *mut c_void,
) -> Pid {
    let Some(recorder) = children::recorder() else {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::wait4(pid, status, options, usage) };
    };
    if pid == recorder as Pid {
        return fail(libc::ECHILD);
    }
    if pid != ANY {
        // SAFETY: as above. The recorder has a process group of its own.
        return unsafe { next::wait4(pid, status, options, usage) };
    }
    let may_return = options & libc::WNOHANG != 0;
    wait_for_any(recorder, kinds(options), may_return, 0, |child| {
        // SAFETY: as above.
        let taken = unsafe { next::wait4(child as Pid, status, options | libc::WNOHANG, usage) };
        (taken > 0).then_some(taken)
    })
}

/// The hook of `waitpid`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn waitpid(pid: Pid, status: *mut c_int, options: c_int) -> Pid {
    // SAFETY: the caller's contract is passed on.
    unsafe { wait4(pid, status, options, null_mut()) }
}

/// The hook of `wait`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wait(status: *mut c_int) -> Pid {
    // SAFETY: the caller's contract is passed on.
    unsafe { wait4(ANY, status, 0, null_mut()) }
}

/// The hook of `wait3`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn wait3(
    status: *mut c_int,
    options: c_int,
    usage: *mut c_void,
) -> Pid {
    // SAFETY: the caller's contract is passed on.
    unsafe { wait4(ANY, status, options, usage) }
}

/// The hook of `waitid`.
///
/// # Safety
/// As the C function asks.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn waitid(
    kind: u32,
    id: u32,
    found: *mut c_void,
    options: c_int,
) -> c_int {
    let Some(recorder) = children::recorder() else {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::waitid(kind, id, found, options) };
    };
    if kind == libc::P_PID && id == recorder {
        return fail(libc::ECHILD);
    }
    if kind != libc::P_ALL {
        // SAFETY: as above.
        return unsafe { next::waitid(kind, id, found, options) };
    }
    let wanted = options & !(libc::WNOHANG | libc::WNOWAIT);
    let may_return = options & libc::WNOHANG != 0;
    let result = wait_for_any(recorder, wanted, may_return, 1, |child| {
        let quick = options | libc::WNOHANG;
        // SAFETY: as above.
        let taken = unsafe { next::waitid(libc::P_PID, child, found, quick) };
        (taken == 0).then_some(0)
    });
    if result == 1 {
        clear(found);
        return 0;
    }
    result
}

/// `waitid` without news tells so by a pid and signal of 0.
fn clear(found: *mut c_void) {
    if !found.is_null() {
        // SAFETY: the caller's siginfo.
        unsafe { found.cast::<libc::siginfo_t>().write(core::mem::zeroed()) };
    }
}
