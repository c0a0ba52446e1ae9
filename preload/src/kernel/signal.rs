//! What becomes of a signal.

use core::ffi::c_int;

use super::call;

/// The kernel's `struct sigaction` on x86_64.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// What this process does with `signal`, where that is one.
fn action(signal: c_int) -> Option<Action> {
    let mut action = Action::default();
    let place = &raw mut action as usize;
    // SAFETY: asks only; the kernel writes one `Action`, whose mask has the size that is told.
    let asked = unsafe { call(libc::SYS_rt_sigaction, [signal as usize, 0, place, 8, 0, 0]) };
    asked.is_ok().then_some(action)
}

/// Whether children that end are gone at once, because `SIGCHLD` is ignored.
pub fn leaves_no_zombies() -> bool {
    action(libc::SIGCHLD).is_some_and(|action| {
        action.handler == libc::SIG_IGN || action.flags & libc::SA_NOCLDWAIT as u64 != 0
    })
}

/// Whether nobody handles or ignores `signal`.
pub fn is_default(signal: c_int) -> bool {
    action(signal).is_some_and(|action| action.handler == libc::SIG_DFL)
}

/// Whether this thread holds `signal` back, or that can't be told.
pub fn is_blocked(signal: c_int) -> bool {
    let mut held = 0_u64;
    let place = &raw mut held as usize;
    // SAFETY: asks only; the kernel writes one set of the size that is told.
    let asked = unsafe { call(libc::SYS_rt_sigprocmask, [0, 0, place, 8, 0, 0]) };
    let bit = 1_u64.checked_shl((signal as u32).wrapping_sub(1));
    asked.is_err() || bit.is_none_or(|bit| held & bit != 0)
}
