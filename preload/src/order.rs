//! What makes the free and the allocation of one address sortable across threads: a stamp from a
//! clock that all cores share, taken before a real free and after a real allocation.

/// Now, as a record's stamp. `rdtscp` waits for the loads and calls before it, so that a stamp taken
/// after a real allocation is later than the stamp of the free that gave the block back.
#[inline(always)]
pub fn stamp() -> u64 {
    let mut core = 0;
    // SAFETY: every x86_64 that glibc 2.31 or later runs on in practice has rdtscp; `core` is a
    // live u32.
    unsafe { core::arch::x86_64::__rdtscp(&mut core) }
}
