//! The one TLS slot: eight bytes, initial-exec, so that reading it is one instruction and never a call
//! into the loader, which could allocate.

use core::arch::{asm, global_asm};

use crate::thread::Thread;

global_asm!(
    ".pushsection .tbss.leak_thread, \"awT\", @nobits",
    ".balign 8",
    ".globl leak_thread_slot",
    ".hidden leak_thread_slot",
    ".type leak_thread_slot, @object",
    ".size leak_thread_slot, 8",
    "leak_thread_slot: .zero 8",
    ".popsection",
);

/// What the calling thread's slot holds.
#[inline(always)]
pub fn slot() -> *mut Thread {
    let thread;
    // SAFETY: reads this thread's own slot; initial-exec, so no call that could allocate.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + leak_thread_slot@GOTTPOFF]",
            "mov {0}, qword ptr fs:[{0}]",
            out(reg) thread, options(nostack, preserves_flags, readonly),
        );
    }
    thread
}

/// Puts a state into the calling thread's slot.
pub fn set_slot(thread: *mut Thread) {
    // SAFETY: writes this thread's own slot.
    unsafe {
        asm!(
            "mov {1}, qword ptr [rip + leak_thread_slot@GOTTPOFF]",
            "mov qword ptr fs:[{1}], {0}",
            in(reg) thread, out(reg) _, options(nostack, preserves_flags),
        );
    }
}
