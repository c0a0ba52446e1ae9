//! What makes the free and the allocation of one address sortable across threads: a stamp from a
//! clock that all cores share, taken before a real free and after a real allocation.

use core::arch::x86_64::{__cpuid, __rdtscp};

/// Now, as a record's stamp. `rdtscp` waits for the loads and calls before it, so that a stamp taken
/// after a real allocation is later than the stamp of the free that gave the block back.
#[inline(always)]
pub fn stamp() -> u64 {
    let mut core = 0;
    // SAFETY: `clock` was asked before anything is recorded; `core` is a live u32.
    unsafe { __rdtscp(&mut core) }
}

/// What this processor has to order events by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `rdtscp`, at one rate on all cores.
    Sure,
    /// `rdtscp`, but the processor does not promise one rate (a virtual one may hide the promise).
    Unsure,
    /// No `rdtscp`.
    Absent,
}

/// Asks the processor: RDTSCP is CPUID 8000_0001h EDX bit 27, the invariant TSC 8000_0007h EDX bit 8
/// (AMD64 Architecture Programmer's Manual, volume 3, appendix E).
pub fn clock() -> Clock {
    const FEATURES: u32 = 0x8000_0001;
    const POWER: u32 = 0x8000_0007;
    let last = __cpuid(0x8000_0000).eax;
    let has = |leaf, bit: u32| last >= leaf && __cpuid(leaf).edx >> bit & 1 == 1;
    match (has(FEATURES, 27), has(POWER, 8)) {
        (true, true) => Clock::Sure,
        (true, false) => Clock::Unsure,
        (false, _) => Clock::Absent,
    }
}
