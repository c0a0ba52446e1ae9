//! Signals that arrive while a child runs: taken one by one instead of being handled.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::Pid;

use crate::record::wait_for_signal;

/// All signals that can be held back, held back until dropped.
pub(super) struct Signals {
    blocked: SigSet,
    before: SigSet,
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) number: i32,
    /// The terminal sent it: to the whole process group, the child included.
    pub(super) by_terminal: bool,
}

impl Arrived {
    /// The signal, if it asks to end.
    pub(super) fn ends(self) -> Option<Signal> {
        let signal = Signal::try_from(self.number).ok()?;
        let ends = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ];
        ends.contains(&signal).then_some(signal)
    }
}

impl Signals {
    pub(super) fn block() -> Signals {
        let mut blocked = SigSet::all();
        // Our own mistakes end us as ever.
        for signal in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGABRT,
            Signal::SIGTRAP,
        ] {
            blocked.remove(signal);
        }
        let mut before = SigSet::empty();
        // Fails for no set that nix can make.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), Some(&mut before));
        Signals { blocked, before }
    }

    /// Lets `command` start with the signals that we were started with.
    pub(super) fn restore_in(&self, command: &mut Command) {
        let before = self.before;
        let restore =
            move || sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).map_err(Into::into);
        // SAFETY: between fork and exec only async-signal-safe calls are allowed: sigprocmask is one,
        // and nothing is allocated, locked or dropped.
        unsafe {
            command.pre_exec(restore);
        }
    }

    /// Waits for the next signal.
    pub(super) fn next(&self) -> Option<Arrived> {
        let (number, by_kernel) = wait_for_signal(&self.blocked)?;
        Some(Arrived {
            number,
            by_terminal: by_kernel,
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Gives the child what was meant for it.
pub(super) fn pass_on(child: Pid, arrived: Arrived) {
    let Ok(signal) = Signal::try_from(arrived.number) else {
        return;
    };
    if signal != Signal::SIGCHLD && !arrived.by_terminal {
        // Gone already: its status comes next.
        let _ = kill(child, signal);
    }
}
