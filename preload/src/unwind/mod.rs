//! Backtraces, and the tree of call sites that they are interned in.
//!
//! - A rule is what `.eh_frame` says of a code address, in one word (`rule`, from `cfi`,
//!   `expression`, `loader`), kept for the whole process in a lock-free table (`rules`).
//! - A walk applies rule after rule (`step`, pure) to memory that is known to be readable
//!   (`memory`).
//! - Each thread remembers its last backtrace and walks only until it meets a remembered frame
//!   that provably still holds (`chain`).
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
pub(crate) mod loader;
mod memory;
mod nodes;
mod rule;
mod rules;
mod step;
mod tree;

use chain::{Chain, MAX_DEPTH, Walked};
use core::sync::atomic::{AtomicU64, Ordering};
pub use nodes::Nodes;
pub use tree::Refused;
use tree::Tree;

/// The registers at a hook's entry.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// The hook's return address: the word at `sp`.
    pub pc: u64,
    /// rsp, which points at the return address.
    pub sp: u64,
    /// rbp.
    pub bp: u64,
}

/// Changes when code was unmapped: what threads remember is void then.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Of a state that has to start anew.
const UNKNOWN_EPOCH: u64 = u64::MAX;

/// One thread's part. All-zero is a valid, empty state.
pub struct State {
    epoch: u64,
    /// The stack pointer of the capture that is under way, else 0. Also read by a signal handler
    /// that interrupts it.
    busy: AtomicU64,
    chain: Chain,
    tree: Tree,
    /// Rises with each new tree.
    generation: u64,
    /// The frames of the walk that is under way; no matter between captures. Not on the stack,
    /// which may be a small signal stack.
    walked: [Walked; MAX_DEPTH],
}

impl State {
    /// Starts a new tree of call sites, without telling, and gives its memory back: for a thread
    /// that begins another lane generation, where nodes are numbered from 1 again; in a forked
    /// child too. To be called on a state that was used before its memory is wiped or unmapped.
    pub fn reset(&mut self) {
        self.set_busy(0);
        self.chain.clear();
        self.tree.clear();
        self.generation = self.generation.wrapping_add(1);
    }

    /// Records of this thread were made void: the next capture starts and tells a new tree.
    pub fn distrust(&mut self) {
        self.set_busy(0);
        self.epoch = UNKNOWN_EPOCH;
    }

    fn set_busy(&self, sp: u64) {
        // Relaxed: only this thread, and its signal handlers, read it.
        self.busy.store(sp, Ordering::Relaxed);
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
