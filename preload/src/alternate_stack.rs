//! A stack of each thread's own, for work that takes more than a hook may ask of its caller: a thread can have 16 KiB
//! in all, a coroutine 4, and the program has counted on what is left of it.
//!
//! - A hook takes less than 1 KiB of its caller's stack: whatever needs more (an `.eh_frame` to read, a head to parse,
//!   a path to build) runs here. The stack lies in the thread's state and is mapped with it.
//! - All signals are held meanwhile. A handler would run on this stack, where its needs were not counted; it could
//!   jump away, which fortified programs are refused from here; and if the hook's caller is a handler itself, on a
//!   stack for signals, the kernel would no longer see that and start the next one at its top.
//! - So is a thread's cancellation: it is a signal. And nothing that the program could wait for without end is waited
//!   for here.
//! - Of an interpreter, which takes much more itself, what is often new is told where it is, if its thread has plenty of
//!   its own stack left: to hold signals takes two system calls. That work can be left for good at any instruction.
//! - In a program that has forbidden itself to hold signals back (by a seccomp filter) work is done where the caller is.

use core::arch::naked_asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::kernel::SignalsHeld;
use crate::thread::{self, Thread};

/// Bytes of such a stack: twice what the deepest work takes, calls to the C library included. What follows it in the
/// thread's state lies on the page of its top, so that a thread with little to do touches one page less.
pub const SIZE: usize = 31 << 10;

/// A thread's alternate stack.
pub struct AlternateStack<'a> {
    /// Past its highest byte: a multiple of 16.
    pub top: *mut u8,
    /// Somebody runs on it.
    pub is_taken: &'a AtomicBool,
}

/// Does `work` on the calling thread's alternate stack, if it can have that.
#[inline(always)]
pub fn run<R, F: FnOnce() -> R>(work: F) -> R {
    let mut job = Job::new(work);
    // SAFETY: `perform` is made for this job.
    unsafe { hold_and_perform((&raw mut job).cast(), perform::<R, F>) };
    // SAFETY: it was performed.
    unsafe { job.result.assume_init() }
}

/// The same where the caller is, if it `has_plenty` of its own stack left: that saves two system calls. Handlers may run
/// meanwhile, on top of it, and jump out of it.
#[inline(always)]
pub fn run_unless<R, F: FnOnce() -> R>(has_plenty: bool, work: F) -> R {
    if !has_plenty {
        return run(work);
    }
    let mut job = Job::new(work);
    // SAFETY: `perform` is made for this job.
    unsafe { perform::<R, F>((&raw mut job).cast()) };
    // SAFETY: it was performed.
    unsafe { job.result.assume_init() }
}

/// The same for the calling thread, whose state is `thread`, with its signals held already.
#[inline(always)]
pub fn run_held<R, F: FnOnce() -> R>(held: &SignalsHeld, thread: &Thread, work: F) -> R {
    let mut job = Job::new(work);
    // SAFETY: as above.
    unsafe { perform_on(held, thread, (&raw mut job).cast(), perform::<R, F>) };
    // SAFETY: as above.
    unsafe { job.result.assume_init() }
}

/// # Safety
/// `perform` can be called with `job`, once.
#[cold]
#[inline(never)]
unsafe fn hold_and_perform(job: *mut c_void, perform: Perform) {
    // Relaxed: whoever takes it looks again.
    let is_free = |thread: &&Thread| !thread.alternate_stack().is_taken.load(Ordering::Relaxed);
    match thread::state().or_else(thread::own).filter(is_free) {
        // SAFETY: the caller's promise.
        Some(thread) => unsafe { perform_on(&SignalsHeld::new(), thread, job, perform) },
        // SAFETY: as above.
        None => unsafe { perform(job) },
    }
}

/// # Safety
/// `perform` can be called with `job`, once. `thread` is the calling thread's state.
unsafe fn perform_on(held: &SignalsHeld, thread: &Thread, job: *mut c_void, perform: Perform) {
    let stack = thread.alternate_stack();
    // Acquire: pairs with the Release below. Taken: by a caller further out on this thread, or by another thread
    // that the program has made without thread-local storage of its own, so that the two share a state.
    if !held.are_held() || stack.is_taken.swap(true, Ordering::Acquire) {
        // SAFETY: the caller's promise.
        return unsafe { perform(job) };
    }
    // SAFETY: the caller's promise. The stack was taken just now, and no handler runs meanwhile.
    unsafe { switch(job, perform, stack.top) };
    stack.is_taken.store(false, Ordering::Release);
}

/// What is to be done, and what came of it.
struct Job<R, F> {
    work: Option<F>,
    result: MaybeUninit<R>,
}

impl<R, F> Job<R, F> {
    fn new(work: F) -> Job<R, F> {
        Job {
            work: Some(work),
            result: MaybeUninit::uninit(),
        }
    }
}

type Perform = unsafe extern "C" fn(*mut c_void);

/// Never inlined: what the work needs is not to lie in its caller's frame.
///
/// # Safety
/// `job` is a `Job<R, F>` that nobody else refers to, and was not performed yet.
#[inline(never)]
unsafe extern "C" fn perform<R, F: FnOnce() -> R>(job: *mut c_void) {
    // SAFETY: the caller's promise.
    let job = unsafe { &mut *job.cast::<Job<R, F>>() };
    if let Some(work) = job.work.take() {
        job.result.write(work());
    }
}

/// Calls `perform` with `job` on the stack that ends at `top`. An unwinder finds its way back by rbp.
///
/// # Safety
/// Nobody runs on that stack, which is large enough and ends at a multiple of 16; `perform` can be called with `job`.
#[unsafe(naked)]
unsafe extern "C" fn switch(job: *mut c_void, perform: Perform, top: *mut u8) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}
