//! What stands in for `libgcc_s`: the standard library asks for an unwinder, which a panic that
//! aborts never calls. With a dependency on the real one, libleak would load it into programs that
//! don't have it, and their own first `pthread_exit` would find it there and allocate less.

use core::arch::global_asm;

macro_rules! stand_in {
    ($($name:literal),*) => { $(
        global_asm!(
            concat!(".pushsection .text.", $name, ", \"ax\", @progbits"),
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            "xor eax, eax",
            "ret",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
        );
    )* };
}

stand_in!(
    "_Unwind_Backtrace",
    "_Unwind_DeleteException",
    "_Unwind_FindEnclosingFunction",
    "_Unwind_GetCFA",
    "_Unwind_GetDataRelBase",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_GetLanguageSpecificData",
    "_Unwind_GetRegionStart",
    "_Unwind_GetTextRelBase",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_SetGR",
    "_Unwind_SetIP"
);
