//! Functions that the C library has in several versions, which do different things: a program gets the one that it was
//! linked with, and so must a hook pass on to it. All others are exported without a version, which is any.

/// `versioned! { "pthread_cond_wait@@GLIBC_2.3.2" => implementation; }` exports the implementation as that version of
/// the symbol; `@@` is what a program gets that is linked now, or asks for none. Each version is a node of
/// `versions.map`.
#[macro_export]
macro_rules! versioned {
    ($($symbol:literal => $implementation:ident;)*) => { $(
        core::arch::global_asm!(
            concat!(".globl leak_", stringify!($implementation)),
            concat!(".type leak_", stringify!($implementation), ",@function"),
            concat!("leak_", stringify!($implementation), ":"),
            ".cfi_startproc",
            "jmp {}",
            ".cfi_endproc",
            concat!(".size leak_", stringify!($implementation), ", . - leak_", stringify!($implementation)),
            concat!(".symver leak_", stringify!($implementation), ", ", $symbol, ", remove"),
            sym $implementation,
        );
    )* };
}
