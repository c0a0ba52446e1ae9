//! Ends of programs: the calls that bring them, and the return from `main`.

use core::ffi::{c_char, c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::real::Next;
use crate::{exit, process, session};

type Main = extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;

mod next {
    use core::ffi::c_int;

    crate::real! {
        pub fn exit(status: c_int);
        pub fn quick_exit[quick_exit "GLIBC_2.24"](status: c_int);
        pub fn old_quick_exit[quick_exit "GLIBC_2.10"](status: c_int);
        pub fn _exit(status: c_int);
    }
}

/// The program's `main`, as long as [`run`] stands for it.
static MAIN: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// The hook of `__libc_start_main`, which runs `main` and ends the process when that returns: the C library calls
/// its own `exit` then, past the hook, and handlers that are asked for before `main` come after its own.
///
/// It leaves no frame on the stack: each would be walked with every backtrace.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn __libc_start_main() {
    core::arch::naked_asm!(
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "push r9",
        "call {}",
        "mov rdi, rax",
        "mov r11, rdx",
        "pop r9",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "jmp r11",
        sym start,
    )
}

/// What is to run, and by whom: in rax and rdx.
#[repr(C)]
struct Start {
    main: Main,
    next: *mut c_void,
}

extern "C" fn start(main: Main) -> Start {
    #[unsafe(link_section = "leak_next")]
    static NEXT: Next = Next::new(c"__libc_start_main");
    let mut runs = main;
    if session::is_tracing() {
        // Relaxed: read by this thread and those that it makes.
        MAIN.store(main as *mut c_void, Ordering::Relaxed);
        runs = run;
    }
    Start {
        main: runs,
        next: NEXT.get(),
    }
}

/// Runs the program's `main`.
extern "C" fn run(count: c_int, arguments: *mut *mut c_char, variables: *mut *mut c_char) -> c_int {
    // SAFETY: `start` stored a `Main`, and nothing else is ever stored.
    let main = unsafe { transmute::<*mut c_void, Main>(MAIN.load(Ordering::Relaxed)) };
    let status = main(count, arguments, variables);
    exit::begins();
    status
}

/// The hook of `exit`.
#[unsafe(no_mangle)]
pub extern "C" fn exit(status: c_int) {
    exit::begins();
    // SAFETY: takes a number.
    unsafe { next::exit(status) };
}

/// The hook of `quick_exit`.
extern "C" fn quick_exit(status: c_int) {
    exit::at_once(status);
    // SAFETY: takes a number.
    unsafe { next::quick_exit(status) };
}

/// That of the old one, which runs the destructors of the thread's own objects.
extern "C" fn old_quick_exit(status: c_int) {
    exit::at_once(status);
    // SAFETY: takes a number.
    unsafe { next::old_quick_exit(status) };
}

versioned! {
    "quick_exit@@GLIBC_2.24" => quick_exit;
    "quick_exit@GLIBC_2.10" => old_quick_exit;
}

/// The hook of `_exit`.
#[unsafe(no_mangle)]
pub extern "C" fn _exit(status: c_int) {
    if !process::may_be_vfork_child() {
        exit::at_once(status);
    }
    // SAFETY: takes a number.
    unsafe { next::_exit(status) };
}

/// The hook of `_Exit`.
#[unsafe(no_mangle)]
pub extern "C" fn _Exit(status: c_int) {
    _exit(status);
}
