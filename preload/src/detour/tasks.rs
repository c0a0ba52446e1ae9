//! Where the detours at a runtime's poll functions lead: until such a function returns, its thread runs the task.
//! The function itself comes in r11, as everywhere (see `entries`).

use crate::thread;

/// `poll(task) -> ..`. It runs the program's own code, of which backtraces are taken: so no Rust frame lies above it,
/// and unwinders find their way past this one.
#[unsafe(naked)]
pub(super) extern "C" fn poll() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 24",
        ".cfi_adjust_cfa_offset 24",
        "mov [rsp], rdi",
        "mov [rsp + 8], r11",
        "call {polls}",
        "mov rdi, [rsp]",
        "mov [rsp], rax",
        "call [rsp + 8]",
        "mov rdi, [rsp]",
        "mov [rsp], rax",
        "call {polls}",
        "mov rax, [rsp]",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        ".cfi_endproc",
        polls = sym polls,
    )
}

/// The thread runs `task`, 0: none; what it ran before.
extern "C" fn polls(task: u64) -> u64 {
    thread::polls(task)
}
