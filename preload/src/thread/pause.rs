//! Pauses: what an allocator asks for while it serves a call is its own business.

use super::attach::count_lost;
use super::{Thread, state};
use crate::lane::Kind;
use crate::slot::slot;

/// How far before what it gives a debugging allocator asks for more, at most.
const DEBUG_HEAD: usize = 64;

/// This thread's state, if it is in a pause for another block than `block`: what the allocator does to
/// that is its own business, as it was before it was wrapped.
#[cold]
pub fn beside_pause(block: usize) -> Option<&'static Thread> {
    // SAFETY: as in `current`.
    let thread = unsafe { slot().as_ref() }?;
    let within = thread.paused_for.get().wrapping_sub(block) <= DEBUG_HEAD;
    (thread.paused_at.get() != 0 && !within).then_some(thread)
}

/// Counts the events of a block that are not recorded, as [`count_lost`] does: `call` gives the block in the place of
/// `old`; 0 stands for none, both times. What the allocator asks for meanwhile is its own business, as in a pause.
#[cold]
#[inline(never)]
pub fn call_unrecorded<R: Copy>(
    old: usize,
    call: impl FnOnce() -> R,
    new: impl FnOnce(R) -> usize,
) -> R {
    let result = pause_unrecorded(old, call);
    if old != 0 {
        count_lost(Kind::Free);
    }
    if new(result) != 0 {
        count_lost(Kind::Allocation);
    }
    result
}

/// Runs `call`, an allocator's for `block`, of which nothing is recorded, with a pause if there is none.
#[cold]
#[inline(never)]
pub fn pause_unrecorded<R>(block: usize, call: impl FnOnce() -> R) -> R {
    match state().filter(|thread| thread.paused_at.get() == 0) {
        Some(thread) => thread.paused(block, call),
        None => call(),
    }
}

impl Thread {
    /// Runs `call`, an allocator's for `block` (0: a new one), during which nothing is recorded on this
    /// thread.
    #[inline(always)]
    pub fn paused<R>(&self, block: usize, call: impl FnOnce() -> R) -> R {
        let mark = 0_u8;
        self.paused_for.set(block);
        self.paused_at.set(&raw const mark as usize);
        self.writer.pause();
        let result = call();
        self.writer.resume();
        self.paused_at.set(0);
        result
    }

    /// Runs `call` in a pause as if there was none.
    pub fn resumed<R>(&self, call: impl FnOnce() -> R) -> R {
        let paused_at = self.paused_at.replace(0);
        self.writer.resume();
        let result = call();
        self.writer.pause();
        self.paused_at.set(paused_at);
        result
    }

    /// Remembers the block that a hook has just recorded; 0: none.
    #[inline(always)]
    pub fn make(&self, block: usize) {
        self.made.set(block);
    }

    /// That block is free again.
    #[inline(always)]
    pub fn unmake(&self, block: usize) {
        if self.made.get() == block {
            self.made.set(0);
        }
    }

    /// The block that a hook has recorded last, unless it was freed.
    pub fn made(&self) -> usize {
        self.made.get()
    }

    /// Whether this is called by the call that paused this thread, as far as the stack pointer tells: it is
    /// further down.
    #[inline(always)]
    pub(super) fn is_in_pause(&self) -> bool {
        let here = 0_u8;
        (&raw const here as usize) < self.paused_at.get()
    }

    /// Whether the call that paused this thread was left by a jump out of a signal handler: the stack
    /// pointer is back above it. Then the pause is over.
    #[cold]
    pub(super) fn left_its_pause(&self) -> bool {
        let (here, bounds) = (0_u8, self.kept().bounds.get());
        let (here, paused_at) = (&raw const here as u64, self.paused_at.get() as u64);
        let left = bounds.contain(here) && bounds.contain(paused_at) && here > paused_at;
        if left {
            self.paused_at.set(0);
            self.writer.resume();
        }
        left && self.writer.is_open()
    }
}
