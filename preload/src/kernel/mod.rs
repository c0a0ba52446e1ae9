//! System calls made directly: they leave errno alone, reach no hook, and are no cancellation points.
//! Once the program has confined itself to certain calls, which may kill it at others, only those of its
//! own allocator are made, and signals are held back where its filters are seen to allow that.

mod child;
pub mod code;
mod file;
mod memory;
mod own;
mod pages;
mod peek;
mod process;
mod signal;
mod socket;
mod wait;

pub use child::*;
pub use file::*;
pub use memory::*;
pub use own::*;
pub use pages::*;
pub use peek::*;
pub use process::*;
pub use signal::*;
pub use socket::*;
pub use wait::*;

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// An error number.
pub type Errno = i32;

/// Calls by which the program has confined itself to certain system calls, or is about to.
pub static CONFINED: AtomicU32 = AtomicU32::new(0);

/// Those of them that may forbid to hold signals back.
pub static UNHELD: AtomicU32 = AtomicU32::new(0);

/// Whether the program has confined itself to certain system calls.
pub fn is_confined() -> bool {
    // Relaxed: a word by itself; the thread that confines itself has counted that before.
    CONFINED.load(Ordering::Relaxed) != 0
}

/// Makes the system call `number`; fails where the program may have confined itself to others.
///
/// # Safety
/// The arguments must be what the call takes: pointers valid for what the kernel does with them.
#[inline]
pub unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
    if is_confined() && !is_still_allowed(number) {
        return Err(libc::EPERM);
    }
    // SAFETY: the caller's promise.
    unsafe { call_anyway(number, arguments) }
}

/// Of a confined program's calls, those of its allocator, and what its filters let pass.
#[cold]
fn is_still_allowed(number: libc::c_long) -> bool {
    match number {
        libc::SYS_mmap | libc::SYS_munmap => true,
        // Relaxed: as in `is_confined`.
        libc::SYS_rt_sigprocmask => UNHELD.load(Ordering::Relaxed) == 0,
        _ => false,
    }
}

/// The same, wherever the program may have confined itself to meanwhile.
///
/// # Safety
/// As for [`call`].
#[inline]
unsafe fn call_anyway(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel clobbers rcx, r11 and rax only; memory as the caller promised.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) {
        Err(-result as Errno)
    } else {
        Ok(result as usize)
    }
}
