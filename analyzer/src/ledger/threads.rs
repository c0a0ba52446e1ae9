//! Threads that a process has created, by their numbers and handles. What that means for their stacks is `stacks`'s.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::sites::SiteId;

/// The thread of a handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    /// The key of its block.
    pub(super) block: u64,
    pub(super) number: u64,
    /// Its site.
    pub(super) site: SiteId,
    /// It has recorded something.
    pub(super) heard: bool,
    pub(super) ended: bool,
    pub(super) detached: bool,
}

/// The threads of a process that were created while it was traced.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    /// By handle.
    pub(super) threads: FxHashMap<u64, Stack>,
    /// The handles of numbers.
    pub(super) handles: FxHashMap<u64, u64>,
    /// Numbers of threads that recorded something before their creators told their handles.
    pub(super) heard: FxHashSet<u64>,
    /// Those of them that ended before.
    pub(super) ended: FxHashSet<u64>,
    /// By handle: joins that are still to come, of threads before the one that has it now.
    pub(super) late: FxHashMap<u64, u32>,
}
