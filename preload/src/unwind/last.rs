//! The call site of the last capture, to be found again without a walk: a loop that allocates comes
//! from the same place again and again.

use super::chain::Frame;
use super::{Caller, EPOCH, State};
use core::sync::atomic::Ordering;

/// The innermost frame of the last capture, in the chain. All-zero: none.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Last {
    /// rsp at the hook's entry.
    sp: u64,
    address: u64,
    bp: u64,
    /// The bits of rbp that matter: all or none.
    bp_mask: u64,
    checks: u32,
    node: u32,
}

impl Last {
    /// The one whose innermost frame is `frame`.
    #[inline(always)]
    pub(super) fn of(frame: &Frame) -> Last {
        Last {
            sp: frame.sp - 8,
            address: frame.address,
            bp: frame.bp,
            bp_mask: if frame.bp_matters() { u64::MAX } else { 0 },
            checks: frame.checks() as u32,
            node: frame.node,
        }
    }

    /// There is none any more.
    #[inline(always)]
    pub(super) fn forget(&mut self) {
        self.sp = 0;
    }

    #[inline(always)]
    pub(super) fn is_at(&self, caller: Caller) -> bool {
        self.sp == caller.sp
            && self.address == caller.pc()
            && (self.bp ^ caller.bp) & self.bp_mask == 0
    }
}

impl State {
    /// The call site of the code that called the hook, if that is proven without a walk, else 0.
    ///
    /// # Safety
    /// As for [`State::capture`].
    #[inline(always)]
    pub unsafe fn recalled(state: *mut State, caller: Caller) -> u32 {
        // SAFETY: valid, as the caller promises; see `capture`.
        if unsafe { (*state).busy.is_set() } {
            return 0;
        }
        // SAFETY: no capture is under way, so this is the only reference.
        let state = unsafe { &mut *state };
        state.busy.set(caller.sp, caller.pc());
        // Acquire pairs with the Release in `forget`.
        let site = if state.epoch == EPOCH.load(Ordering::Acquire) {
            state.known(caller)
        } else {
            0
        };
        state.busy.clear();
        site
    }

    /// The same, while the state is marked as busy, and its epoch is known to be right.
    #[inline(always)]
    pub(super) fn known(&mut self, caller: Caller) -> u32 {
        if core::mem::take(&mut self.missed) == caller.sp {
            return 0;
        }
        let mut site = self.again(caller);
        if site == 0 {
            site = self.recall(caller);
        }
        if site == 0 {
            self.missed = caller.sp;
        }
        site
    }

    /// The last call site, if it is that one.
    ///
    /// A full walk would meet the frame at once: it has the same address, rsp and rbp, on the stack on
    /// which it was remembered; so if all its checks hold, it gives the same frames. Nor has the limit
    /// of frames changed.
    #[inline(always)]
    fn again(&mut self, caller: Caller) -> u32 {
        if !self.last.is_at(caller) {
            return 0;
        }
        if !self.chain.all_hold(self.last.checks as usize) {
            // The walk finds out what does.
            self.last.forget();
            return 0;
        }
        self.last.node
    }
}
