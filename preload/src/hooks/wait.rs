//! Calls in which a thread waits: for readiness, and for other threads.
//!
//! A Python interpreter's threads wait for its own lock all the time, which is no turn of theirs:
//! condition variables inside its runtime object are passed by. A `futex` call is looked at where a
//! program makes it through `syscall` (Rust's threads do); one that waits for a mutex that is taken
//! (by the usual convention its word is 2) is no idle wait either.

mod notify;
mod poll;
mod queue;
mod threads;
