//! The wait family. Passed on as it is, but where the recorder is a child of the target: then it is
//! left out, as if it were not there.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use crate::children::{self, Others};
use crate::{caller, kernel};

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

fn set_error(error: c_int) {
    // SAFETY: errno's address is always good.
    unsafe { *libc::__errno_location() = error };
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
    loop {
        match kernel::peek_child(options) {
            Err(_) => return Look::Childless,
            Ok(0) => break,
            Ok(pid) if pid != recorder => return Look::Child(pid),
            Ok(_) => children::take_news(recorder),
        }
    }
    match children::others(recorder, options) {
        Others::One(child) => Look::Nothing(Some(child)),
        Others::Nobody => Look::Childless,
        Others::Unknown => Look::Nothing(None),
    }
}

/// Options that `wait4` and `waitid` take, all but those that are only the one's or the other's.
const COMMON: c_int = libc::WNOHANG
    | libc::WUNTRACED
    | libc::WCONTINUED
    | libc::__WNOTHREAD
    | libc::__WCLONE
    | libc::__WALL;
/// What a wait can be for. `WUNTRACED` and `WSTOPPED` are the same.
const KINDS: c_int = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED;

/// A wait for any child, of a process that has the recorder for a child. Everything that it gives and stores comes
/// from a call of its own kind for one process.
struct Wait<C, N> {
    recorder: u32,
    /// As for `waitid`, without those by which it returns at once or takes nothing.
    options: c_int,
    may_return: bool,
    /// The call for a process, which does not wait.
    call: C,
    /// One that has no news to tell.
    nothing: N,
}

impl<C: Fn(u32) -> Answer, N: Fn() -> Answer> Wait<C, N> {
    fn run(&self) -> c_int {
        let before = error();
        let mut waited_for = None;
        loop {
            let answer = match look(self.recorder, self.options) {
                Look::Child(child) => (self.call)(child),
                // This process is no child of its own.
                Look::Childless => return (self.call)(kernel::getpid()).result(),
                Look::Nothing(Some(child)) if self.may_return => (self.call)(child),
                Look::Nothing(None) if self.may_return => (self.nothing)(),
                Look::Nothing(child) => self.wait(child, &mut waited_for),
            };
            match answer {
                Answer::Nothing(result) if self.may_return => return result,
                Answer::Nothing(_) | Answer::Gone(_) => set_error(before),
                Answer::Is(result) => return result,
            }
        }
    }

    /// Waits for news of any child, which stay.
    fn wait(&self, child: Option<u32>, waited_for: &mut Option<u32>) -> Answer {
        // Where children leave no zombies, a wait for any of them would last as long as the recorder does. Not
        // twice for the same: /proc may be another namespace's.
        let child = child.filter(|child| {
            kernel::leaves_no_zombies() && waited_for.replace(*child) != Some(*child)
        });
        let (kind, id) = child.map_or((libc::P_ALL, 0), |child| (libc::P_PID, child));
        // SAFETY: no result is asked for; nothing is taken away.
        let woken = unsafe { next::waitid(kind, id, null_mut(), self.options | libc::WNOWAIT) };
        match woken {
            0 => Answer::Nothing(0),
            _ => Answer::failed(),
        }
    }
}

/// What a call for one process said.
enum Answer {
    /// It has no news; with this result.
    Nothing(c_int),
    /// It is no child, or not any more; with this result.
    Gone(c_int),
    /// This.
    Is(c_int),
}

impl Answer {
    fn failed() -> Answer {
        match error() {
            libc::ECHILD => Answer::Gone(-1),
            _ => Answer::Is(-1),
        }
    }

    fn result(self) -> c_int {
        match self {
            Answer::Nothing(result) | Answer::Gone(result) | Answer::Is(result) => result,
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
    // SAFETY: the caller's contract is passed on.
    let call = |pid, options| unsafe { next::wait4(pid, status, options, usage) };
    if options & !COMMON != 0 {
        return call(pid, options);
    }
    // The recorder has a process group of its own.
    if pid.unsigned_abs() == recorder && pid != ANY {
        return call(kernel::getpid() as Pid, options);
    }
    if pid != ANY {
        return call(pid, options);
    }
    let wait = Wait {
        recorder,
        options: libc::WEXITED | options & !libc::WNOHANG,
        may_return: options & libc::WNOHANG != 0,
        call: |child| match call(child as Pid, options | libc::WNOHANG) {
            0 => Answer::Nothing(0),
            -1 => Answer::failed(),
            taken => Answer::Is(taken),
        },
        nothing: || Answer::Nothing(0),
    };
    wait.run()
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
    // SAFETY: the caller's contract is passed on.
    let call = |kind, id, options| unsafe { next::waitid(kind, id, found, options) };
    let is_wrong = options & !(COMMON | KINDS | libc::WNOWAIT) != 0 || options & KINDS == 0;
    if !is_wrong && matches!(kind, libc::P_PID | libc::P_PGID) && id == recorder {
        return call(libc::P_PID, kernel::getpid(), options);
    }
    if is_wrong || kind != libc::P_ALL {
        return call(kind, id, options);
    }
    let wait = Wait {
        recorder,
        options: options & !(libc::WNOHANG | libc::WNOWAIT),
        may_return: options & libc::WNOHANG != 0,
        call: |child| match call(libc::P_PID, child, options | libc::WNOHANG) {
            0 if tells_nobody(found) => Answer::Nothing(0),
            0 => Answer::Is(0),
            _ => Answer::failed(),
        },
        // It is there, and what it had to tell was taken just now; it ends untold.
        nothing: || match call(
            libc::P_PID,
            recorder,
            libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT,
        ) {
            0 => Answer::Nothing(0),
            _ => Answer::failed(),
        },
    };
    wait.run()
}

/// Whether the kernel told there, just now, that there are no news. Without a place it can't be known: then there
/// were some, as they were seen before.
fn tells_nobody(found: *mut c_void) -> bool {
    let signal = caller::read(found.cast_const().cast::<u32>());
    signal == Some(0)
}
