//! What becomes of a signal.

use core::ffi::c_int;

use super::{call, call_anyway};

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

/// All signals of this thread held back until this is dropped; none, where they can't be.
pub struct SignalsHeld {
    before: Option<u64>,
}

impl SignalsHeld {
    /// Holds them back.
    pub fn new() -> Self {
        let (all, mut before) = (u64::MAX, 0_u64);
        let sets = [&raw const all as usize, &raw mut before as usize];
        // SAFETY: both sets are live and have the kernel's size of 8 bytes.
        let held = unsafe { call(libc::SYS_rt_sigprocmask, mask(sets)) };
        SignalsHeld {
            before: held.ok().map(|_| before),
        }
    }

    /// Whether they are.
    pub fn are_held(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let sets = [&raw const before as usize, 0];
            // In any case: another thread may have confined the program since they were held.
            // SAFETY: as in `new`.
            let _ = unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) };
        }
    }
}

/// The arguments that set a thread's mask: the new one, and where the old one goes to.
fn mask([new, old]: [usize; 2]) -> [usize; 6] {
    [libc::SIG_SETMASK as usize, new, old, 8, 0, 0]
}

/// The signals that wait for this thread.
pub(super) fn pending() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the set is live and has the kernel's size.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigpending,
            [&raw mut set as usize, 8, 0, 0, 0, 0],
        )
    };
    set
}

/// Takes a signal of `set` away, if one waits for this thread.
pub(super) fn take_signal(set: u64) {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: set and time are live; nothing else is asked for.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigtimedwait,
            [&raw const set as usize, 0, &raw const now as usize, 8, 0, 0],
        )
    };
}

#[cfg(test)]
mod tests {
    use super::super::CONFINED;
    use super::*;
    use core::sync::atomic::Ordering;

    /// This thread's mask.
    fn blocked() -> u64 {
        let mut set = 0_u64;
        let sets = [0, &raw mut set as usize];
        // SAFETY: the set is live and has the kernel's size; none is set.
        unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) }.unwrap();
        set
    }

    /// In a child, as it concerns the whole process.
    #[test]
    fn a_program_that_confines_itself_meanwhile_keeps_its_mask() {
        // SAFETY: the child makes system calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let set = 1_u64 << (libc::SIGUSR1 - 1);
            let sets = [&raw const set as usize, 0];
            // SAFETY: the set is live and has the kernel's size.
            unsafe { call_anyway(libc::SYS_rt_sigprocmask, mask(sets)) }.unwrap();
            let held = SignalsHeld::new();
            CONFINED.store(1, Ordering::Relaxed);
            drop(held);
            let after_it = blocked();
            let held = SignalsHeld::new();
            CONFINED.store(0, Ordering::Relaxed);
            drop(held);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(after_it != set || blocked() != set)) };
        }
        let mut status = -1;
        // SAFETY: the status is live.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
