//! What a fork makes of the session, before it and after it.

use core::sync::atomic::Ordering;

use super::{ENDING, OFF, STARTING, STATE, current, is_tracing, turn};
use crate::{order, process, python, thread, window};

/// A fork is about to happen on this thread: its child exists from now on.
pub fn before_fork() {
    if let Some(session) = current()
        && let Some(thread) = thread::own()
    {
        thread.kept().fork_stamp.set(order::stamp(session.header()));
    }
}

/// The fork is over, in the parent.
pub fn after_fork() {
    if is_tracing()
        && let Some(thread) = thread::own()
    {
        thread.kept().fork_stamp.set(0);
    }
}

/// The fork is over, in the child: it becomes a process of the session, also if it never allocates.
pub fn in_forked_child() {
    // Relaxed: it has one thread, and this one starts or ends no session.
    if matches!(STATE.load(Ordering::Relaxed), STARTING | ENDING) {
        turn(OFF);
    }
    // What was wanted of its parent is not wanted of it.
    window::forget_wish();
    if STATE.load(Ordering::Relaxed) == OFF {
        process::remember();
        window::shut();
        return;
    }
    python::in_forked_child();
    let _ = thread::current();
}
