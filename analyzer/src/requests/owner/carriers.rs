//! Blocks that carry a job from the thread that gives it to the one that does it: what is freed tells whose job it is.
//!
//! A thread that takes its next job without a wait is woken by nobody, and one that was woken may find that job gone and
//! take another. But the job itself lies in blocks that one thread makes and the other frees: the queue's item, the
//! arguments. Which call sites make such blocks is learned where the waker is known: it works for the same request, as
//! a rule, that made what is freed then. Where it does not (a thread that keeps its last item until it has the next one,
//! a cache, a collector's run), the call site tells nothing.

use rustc_hash::FxHashMap;

/// A call site tells after it has told the same as so many wakers, ...
const SAME: u32 = 8;
/// ... and so many times as often as it told another one than they did. A job may be taken by another thread than the
/// woken one, so that wakers are not always right.
const RATIO: u32 = 3;

/// What is known of a call site whose blocks are freed by threads that touch no connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carrier {
    /// How often it told the same request as the waker.
    same: u32,
    /// How often another one.
    other: u32,
    /// How often, of `same`, the thread had allocated something before since it was woken: it is freed after the work.
    after_work: u32,
}

impl Carrier {
    /// A thread that was woken has freed a block of the call site. `is_same`: it was made for the waker's request.
    pub(super) fn learn(&mut self, is_same: bool, has_worked: bool) {
        match is_same {
            true => {
                self.same += 1;
                self.after_work += u32::from(has_worked);
            }
            false => self.other += 1,
        }
    }

    /// Whether such a block is freed when the job is over that it was made for.
    pub(super) fn tells(&self) -> bool {
        self.same >= SAME
            && self.same >= RATIO * self.other
            && self.after_work >= RATIO * (self.same - self.after_work)
    }
}

/// Of a process, by call site.
pub(super) type Carriers<S> = FxHashMap<S, Carrier>;
