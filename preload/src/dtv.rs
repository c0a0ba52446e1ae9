//! What the loader asks for each thread's dtv, as it would without libleak.
//!
//! The dtv has an entry of 16 bytes for each module with thread-local storage, and libleak's own slot
//! makes it such a module. The block outlives its thread with the cached stack, so that the figures of
//! a threaded program would be off by an entry for each. Only the recorded size is put right.
//!
//! A thread that gets a cached stack gets that block, too: it is whose thread runs, not whose was the first to. So it is
//! told at each end that it waits, and at each start that it was taken.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use leak_wire::free_list::{Change, List};
use leak_wire::{Bytes, Event};

use crate::thread;

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

/// A bit for each dtv that a thread has left, and for some others.
static LEFT: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// The calling thread begins: tells that it has its dtv from another thread, if it may have.
pub fn begins() {
    let (block, word, bit) = own();
    // Relaxed: the C library's lock orders who leaves a stack and who gets it.
    if word.load(Ordering::Relaxed) & bit != 0 {
        tell(block, false);
    }
}

/// The calling thread ends, and leaves its dtv.
pub fn ends() {
    let (block, word, bit) = own();
    // Relaxed: as above.
    word.fetch_or(bit, Ordering::Relaxed);
    tell(block, true);
}

/// The block of the calling thread's dtv, and its bit.
fn own() -> (u64, &'static AtomicU64, u64) {
    let dtv: u64;
    // SAFETY: the thread's control block has the address of its dtv there, by the ABI.
    unsafe { asm!("mov {}, fs:[8]", out(reg) dtv, options(nostack, readonly, preserves_flags)) };
    // The block has an entry before it.
    let block = dtv.wrapping_sub(ENTRY as u64);
    // Fibonacci hashing (Knuth, volume 3, 6.4): 12 bits.
    let hash = (block >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    (block, &LEFT[hash as usize / 64], 1 << (hash % 64))
}

fn tell(address: u64, waits: bool) {
    let list = List::Thread;
    let change = Change {
        address,
        list,
        waits,
    };
    thread::record(Event::FreeLists {
        changes: Bytes::Slice(&change.word().to_le_bytes()),
    });
}
