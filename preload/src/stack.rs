//! Where a thread's stack lies, found out without the C library's help (which would allocate).

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::kernel;

/// The stack of a thread: `low..high` may be read from the stack pointer upwards. Both 0: unknown.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lowest address that can belong to it.
    pub low: u64,
    /// Past the highest.
    pub high: u64,
}

impl Bounds {
    /// Whether `address` lies on it.
    pub fn contain(&self, address: u64) -> bool {
        (self.low..self.high).contains(&address)
    }
}

const PAGE: u64 = 4096;
/// A main thread's stack deeper than this is not looked at: the kernel keeps at least as much free
/// of other mappings below it.
const MAIN_DEPTH: u64 = 120 << 20;
/// What a thread's stack has at least where its size was not seen: the smallest usual default.
static DEFAULT_SIZE: AtomicU64 = AtomicU64::new(0);

/// The calling thread's bounds. `size` of its stack where it is known (from its creation).
pub fn bounds(size: Option<u64>) -> Bounds {
    let found = if kernel::gettid() == kernel::getpid() {
        main_bounds()
    } else {
        thread_bounds(size)
    };
    let here = &raw const found as u64;
    if found.contain(here) {
        found
    } else {
        Bounds::default()
    }
}

/// The initial stack ends with the strings that the kernel put there, the program's name last.
fn main_bounds() -> Bounds {
    // SAFETY: getauxval reads a table of the C library.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let high = (name + 1).next_multiple_of(PAGE);
    Bounds {
        low: high
            .saturating_sub(MAIN_DEPTH.min(kernel::limit(libc::RLIMIT_STACK).unwrap_or(8 << 20))),
        high,
    }
}

/// The C library keeps a thread's descriptor (at `fs:0`) at the upper end of its stack, also of one
/// that the program provided.
fn thread_bounds(size: Option<u64>) -> Bounds {
    let descriptor: u64;
    // SAFETY: the word at fs:16 holds the descriptor's own address, by the x86_64 ABI of glibc.
    unsafe {
        asm!("mov {0}, qword ptr fs:[16]", out(reg) descriptor, options(nostack, preserves_flags, readonly));
    }
    let size = size.unwrap_or_else(default_size);
    Bounds {
        low: descriptor.saturating_sub(size) + PAGE,
        high: descriptor,
    }
}

/// The size of the stack of a thread that was created without one, as the C library has it.
pub fn default_size() -> u64 {
    // Relaxed: a word by itself.
    DEFAULT_SIZE.load(Ordering::Relaxed)
}

/// Asks the C library for that size. Once, at the start.
pub fn remember_default_size() {
    // SAFETY: zeros are valid; pthread_getattr_default_np fills the attributes and allocates only
    // where the program set a default CPU set, which it can't have done yet.
    let size = unsafe {
        let mut attributes: libc::pthread_attr_t = core::mem::zeroed();
        let mut size = 0;
        let found = pthread_getattr_default_np(&raw mut attributes) == 0
            && libc::pthread_attr_getstacksize(&raw const attributes, &raw mut size) == 0;
        if found { size as u64 } else { 0 }
    };
    DEFAULT_SIZE.store(size, Ordering::Relaxed);
}

// SAFETY: as glibc's <pthread.h> declares it.
unsafe extern "C" {
    fn pthread_getattr_default_np(attributes: *mut libc::pthread_attr_t) -> libc::c_int;
}
