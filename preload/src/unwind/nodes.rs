//! The tree of call sites for those who put other things than native frames into it: Python's frames,
//! and pairs of a native and a Python node. All share one sequence of numbers.

use super::tree::{At, Refused, Tree};
use super::{Caller, EPOCH, State, check};
use crate::stack::Bounds;
use core::sync::atomic::Ordering;

/// The kinds of keys, in the top two bits; an address has none of them set.
const PYTHON: u64 = 2 << 62;
const PAIR: u64 = 3 << 62;
const KEY: u64 = (1 << 62) - 1;

/// The tree, while no capture is under way.
pub struct Nodes<'a> {
    pub(super) tree: &'a mut Tree,
    generation: u64,
    /// Where the hook was called.
    pub(super) place: (Caller, Bounds),
}

impl State {
    /// Runs `work` with the tree of call sites; `None` if a signal handler calls this in the middle of
    /// a capture of its thread, or if the tree has to be started anew, which a capture does.
    ///
    /// # Safety
    /// As for [`State::capture`].
    #[inline(always)]
    pub unsafe fn with_nodes<R>(
        state: *mut State,
        caller: Caller,
        bounds: Bounds,
        work: impl FnOnce(&mut Nodes<'_>) -> R,
    ) -> Option<R> {
        // SAFETY: valid, as the caller promises; see `capture`.
        let busy = unsafe { &(*state).busy };
        let interrupted = busy.is_set();
        if interrupted && !busy.was_abandoned(caller.sp, bounds) {
            return None;
        }
        // SAFETY: no capture is under way, so this is the only reference.
        let state = unsafe { &mut *state };
        // Acquire pairs with the Release in `forget`.
        let known = EPOCH.load(Ordering::Acquire) & !check::COMPARED;
        if interrupted || state.epoch != known {
            return None;
        }
        // As in `capture`: a handler sees the mark before any change, and its end after all.
        state.busy.set(caller.sp, caller.pc());
        let result = work(&mut Nodes {
            tree: &mut state.tree,
            generation: state.generation,
            place: (caller, bounds),
        });
        state.busy.clear();
        Some(result)
    }
}

impl Nodes<'_> {
    /// Changes when all numbers given before are void.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    // What is new is told from where there is room for that: the alternate stack, or a stack with plenty left.

    /// The node of a Python frame, told to `tell` if it is new.
    pub fn python(
        &mut self,
        parent: At,
        code: u32,
        instruction: u32,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<At, Refused> {
        let place = u64::from(code) << 32 | u64::from(instruction);
        self.tree.child(parent, PYTHON | spread(place), tell)
    }

    /// The node of a pair under one of its nodes; `key`, below 2⁶², sets pairs of the same node apart. Told to `tell` if it
    /// is new.
    pub fn pair(
        &mut self,
        parent: At,
        key: u64,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<u32, Refused> {
        let child = self.tree.child(parent, PAIR | spread(key), tell);
        child.map(|at| at.node())
    }

    /// The same, if it is there.
    pub fn known_pair(&mut self, parent: At, key: u64) -> Option<u32> {
        let known = self.tree.known(parent, PAIR | spread(key));
        known.map(|at| at.node())
    }

    /// It will be asked for soon.
    #[inline(always)]
    pub fn expect_pair(&mut self, parent: At, key: u64) {
        let key = PAIR | spread(key);
        self.tree.expect(parent, core::iter::once(key));
    }

    /// The node of a Python frame will be asked for soon. Gives where it is, without its number.
    #[inline(always)]
    pub fn expect_python(&mut self, parent: At, code: u32, instruction: u32) -> At {
        let key = PYTHON | spread(u64::from(code) << 32 | u64::from(instruction));
        self.tree.expect(parent, core::iter::once(key))
    }

    /// Where a node is.
    #[inline(always)]
    pub fn at(&mut self, node: u32) -> At {
        self.tree.at(node)
    }

    /// The return address of the function that allocates.
    #[inline(always)]
    pub fn innermost(&self) -> u64 {
        self.place.0.pc()
    }
}

/// A key's bits in other places, one to one below 2⁶²: the tree's hash adds the way where a code's
/// number would lie.
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0xd6e8_feb8_6659_fd93) & KEY
}
