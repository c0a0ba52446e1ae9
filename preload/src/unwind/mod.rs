//! Backtraces, and the tree of call sites that they are interned in.
//!
//! - A rule is what `.eh_frame` says of a code address, in one word (`rule`, from `cfi`,
//!   `expression`, `loader`), kept for the whole process in a lock-free table (`rules`).
//! - A walk applies rule after rule (`step`, pure) to memory that is known to be readable
//!   (`memory`).
//! - Each thread remembers its last backtrace and walks only until it meets a remembered frame
//!   that provably still holds (`chain`). Those that come again and again are found without a walk (`last`,
//!   `memo`).
//! - The frames' nodes come from the thread's call-site tree (`tree`).
//!
//! Nothing here allocates, locks or waits; where a backtrace can't be had whole, it ends early.
//! Code without rules (a JIT's, or everything before glibc 2.35) is walked by frame pointers.

mod capture;
mod cfi;
mod chain;
mod check;
mod code;
mod expression;
mod inside;
mod last;
pub(crate) mod loader;
mod memo;
mod memory;
mod nodes;
mod rule;
mod rules;
mod step;
mod tree;

use crate::mark::Mark;
use chain::{Chain, MAX_DEPTH, Walked};
use core::sync::atomic::{AtomicU64, Ordering};
use last::Last;
use memo::Memo;
pub use nodes::Nodes;
use tree::Tree;
pub use tree::{At, Refused};

/// The caller of a hook: its registers at the entry.
///
/// Two words, which are passed in registers: three would be stored, and what is loaded in pairs right after it
/// was stored one by one stalls.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// rsp: the return address lies there, in the live part of the stack that the thread runs on.
    pub sp: u64,
    /// rbp.
    pub bp: u64,
}

impl Caller {
    /// Where the hook was called: its return address.
    #[inline(always)]
    pub fn pc(self) -> u64 {
        // SAFETY: as `sp` says.
        unsafe { *(self.sp as *const u64) }
    }
}

/// Changes when code was unmapped: what threads remember is void then.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Of a state that has to start anew.
const UNKNOWN_EPOCH: u64 = u64::MAX;

/// One thread's part. All-zero is a valid, empty state. The first line is all that the last call site
/// needs to be found again, but for the checks, which follow.
#[repr(C, align(64))]
pub struct State {
    /// Set by the capture that is under way, for signal handlers that interrupt it.
    busy: Mark,
    epoch: u64,
    last: Last,
    /// rsp of the capture for which nothing was remembered, until it is walked: so that it is looked for
    /// once. 0: none.
    missed: u64,
    /// Rises with each new tree.
    generation: u64,
    /// The most frames of a backtrace.
    limit: usize,
    /// How many captures were walked, up to those that a thread makes before it remembers any in the memo.
    walks: u32,
    chain: Chain,
    tree: Tree,
    /// The frames of the walk that is under way; no matter between captures. Not on the stack,
    /// which may be a small signal stack.
    walked: [Walked; MAX_DEPTH],
    memo: Memo,
}

impl State {
    /// Starts a new tree of call sites, without telling, and gives its memory back: for a thread
    /// that begins another lane generation, where nodes are numbered from 1 again; in a forked
    /// child too. To be called on a state that was used before its memory is wiped or unmapped.
    pub fn reset(&mut self) {
        self.forget_all();
        self.busy.clear();
    }

    /// The same while a capture is under way.
    fn forget_all(&mut self) {
        self.forget_frames();
        self.tree.clear();
    }

    /// Forgets what rests on the tree, which begins again.
    fn forget_frames(&mut self) {
        self.last.forget();
        self.chain.clear();
        self.generation = self.generation.wrapping_add(1);
    }

    /// The tree is of no use any more: the next capture starts and tells a new one.
    pub fn distrust(&mut self) {
        self.busy.clear();
        self.epoch = UNKNOWN_EPOCH;
    }
}

/// Looks up what backtraces need of the loader. Before the first capture; may allocate.
pub fn prepare() {
    loader::prepare();
    // Relaxed: before the first capture.
    EPOCH.fetch_or(check::prepare(), Ordering::Relaxed);
}

/// Forgets everything that was learnt of the code in `start..end`, which is no longer mapped.
/// Every thread's tree starts anew with its next capture.
pub fn forget(start: u64, end: u64) {
    rules::forget(start, end);
    // Release pairs with the Acquire in `State::capture`: who sees the new epoch finds no old rule.
    EPOCH.fetch_add(1, Ordering::Release);
}
