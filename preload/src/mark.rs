//! A mark for this thread's own signal handlers: a frame of the thread is in the middle of something
//! that they must not start again.
//!
//! It names a word on that frame's stack and what lies there, so that a frame that is gone without
//! having taken its mark away (`siglongjmp` out of a handler, a cancelled thread) can be told.

use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use crate::kernel;
use crate::stack::Bounds;

/// The mark. All zeros: not set.
#[repr(C)]
pub struct Mark {
    // Relaxed, all in here: shared with this thread's own handlers only, hence the compiler fences.
    at: AtomicU64,
    word: AtomicU64,
}

impl Mark {
    /// Whether it is set.
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        self.at.load(Ordering::Relaxed) != 0
    }

    /// Sets it, for a frame of which `word` lies at `at`, as long as that frame lives.
    #[inline(always)]
    pub fn set(&self, at: u64, word: u64) {
        self.word.store(word, Ordering::Relaxed);
        self.at.store(at, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Takes it away.
    #[inline(always)]
    pub fn clear(&self) {
        compiler_fence(Ordering::SeqCst);
        self.at.store(0, Ordering::Relaxed);
    }

    /// It is set: whether the frame that set it is gone. `here` is an address in the calling frame of
    /// the same kind, and `bounds` are those of the thread's stack.
    #[cold]
    #[inline(never)]
    pub fn was_abandoned(&self, here: u64, bounds: Bounds) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        // Frames that are under way lie further in, one inside the other.
        if here == at || bounds.contain(at) && bounds.contain(here) {
            return here >= at;
        }
        // One of the two is on another stack (a signal's, a coroutine's), which may be unmapped.
        kernel::peek(at as usize) != Some(self.word.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_gone_when_its_caller_is_back() {
        let stack = [7_u64; 16];
        let at = |word: usize| &raw const stack as u64 + 8 * word as u64;
        let bounds = Bounds {
            low: at(0),
            high: at(16),
        };
        let mark = Mark {
            at: AtomicU64::new(0),
            word: AtomicU64::new(0),
        };
        assert!(!mark.is_set());
        mark.set(at(8), 7);
        assert!(mark.is_set());
        assert!(!mark.was_abandoned(at(2), bounds));
        assert!(mark.was_abandoned(at(8), bounds) && mark.was_abandoned(at(9), bounds));
        mark.clear();
        assert!(!mark.is_set());
    }

    #[test]
    fn a_frame_on_another_stack_is_gone_when_its_word_is() {
        let (mut stack, own) = ([7_u64; 4], Bounds { low: 8, high: 64 });
        let mark = Mark {
            at: AtomicU64::new(0),
            word: AtomicU64::new(0),
        };
        mark.set(&raw const stack as u64, 7);
        assert!(!mark.was_abandoned(16, own));
        stack[0] = 8;
        assert!(mark.was_abandoned(16, own));
        core::hint::black_box(&stack);
        mark.set(16, 7);
        assert!(mark.was_abandoned(1 << 50, own), "nothing is mapped there");
    }
}
