//! Where a capture starts, and what lies on the stack there.

/// Where a capture starts, and in which tree of call sites.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sp: u64,
    pub(super) address: u64,
    /// That of the thread's state.
    pub(super) generation: u64,
}

impl Place {
    /// The first key.
    #[inline(always)]
    pub(super) fn key(&self) -> u64 {
        mixed(self.address, self.sp)
    }

    /// What lies so many words above rsp.
    #[inline(always)]
    pub(super) fn word(&self, offset: u16) -> u64 {
        let slot = self.sp + 8 * u64::from(offset);
        // SAFETY: offsets are kept with the place, and were checks of a capture that started there: they
        // lie in the live part of the thread's own stack, which goes on above rsp as long as the
        // generation lasts.
        unsafe { (slot as *const u64).read_unaligned() }
    }
}

#[inline(always)]
pub(super) fn mixed(key: u64, word: u64) -> u64 {
    (key.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
