//! What the loader asks for each thread's dtv, as it would without libleak.
//!
//! The dtv has an entry of 16 bytes for each module with thread-local storage, and libleak's own slot
//! makes it such a module. The block outlives its thread with the cached stack, so that the figures of
//! a threaded program would be off by an entry for each. Only the recorded size is put right.

use core::sync::atomic::{AtomicUsize, Ordering};

/// Size of an entry, and the second argument of the loader's `calloc`.
const ENTRY: usize = 16;

static BASE: AtomicUsize = AtomicUsize::new(0);
/// 0 before it was looked up.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// The size to record for `calloc(count, size)`, called with its return address at `sp`.
#[inline(always)]
pub fn recorded_size(count: usize, size: usize, sp: u64) -> usize {
    let asked = count.wrapping_mul(size);
    if size == ENTRY && is_loaders(sp) {
        return asked.saturating_sub(ENTRY);
    }
    asked
}

/// Whether the loader's code is what returns to.
#[cold]
fn is_loaders(sp: u64) -> bool {
    // SAFETY: at a function's entry its return address lies at the stack pointer.
    let from = unsafe { *(sp as *const usize) };
    // Acquire pairs with the Release below: with the length comes its base.
    let length = match LENGTH.load(Ordering::Acquire) {
        0 => look_up(),
        length => length,
    };
    // Relaxed: ordered by the load above; every thread writes the same.
    from.wrapping_sub(BASE.load(Ordering::Relaxed)) < length
}

/// Finds where the loader is mapped; its length, at least 1.
fn look_up() -> usize {
    // SAFETY: getauxval reads what the kernel left; 0 where there is no loader apart.
    let base = unsafe { libc::getauxval(libc::AT_BASE) } as usize;
    let mut length = 1;
    if base != 0 {
        let header = base as *const libc::Elf64_Ehdr;
        // SAFETY: the kernel mapped the loader here, its ELF header first.
        let (offset, count) = unsafe { ((*header).e_phoff, (*header).e_phnum) };
        let first = (base + offset as usize) as *const libc::Elf64_Phdr;
        for number in 0..usize::from(count) {
            // SAFETY: the table has `count` entries and lies in the loader's first segment.
            let segment = unsafe { &*first.add(number) };
            if segment.p_type == libc::PT_LOAD {
                length = length.max((segment.p_vaddr + segment.p_memsz) as usize);
            }
        }
    }
    BASE.store(base, Ordering::Relaxed);
    // Release pairs with the Acquire above.
    LENGTH.store(length, Ordering::Release);
    length
}
