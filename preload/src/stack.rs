//! Where a thread's stack lies, found out without the C library's help (which would allocate).

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
/// With so much of its own stack left, what a thread runs there may take more than a hook asks for.
const PLENTY: u64 = 256 << 10;
/// The program has set a limit: the main thread's stack may end earlier than was found.
static LIMITED: AtomicBool = AtomicBool::new(false);
/// A main thread's stack deeper than this is not looked at: the kernel keeps at least as much free
/// of other mappings below it.
const MAIN_DEPTH: u64 = 120 << 20;
/// What a thread's stack has at least where its size was not seen: the smallest usual default.
static DEFAULT_SIZE: AtomicU64 = AtomicU64::new(0);

/// The calling thread's bounds, and from where upwards it has plenty of its stack left; `u64::MAX`: that is not known.
/// `size` of its stack where it is known (from its creation).
pub fn bounds(size: Option<u64>) -> (Bounds, u64) {
    let is_main = kernel::gettid() == kernel::getpid();
    let found = match is_main {
        true => main_bounds(),
        false => thread_bounds(size),
    };
    let here = &raw const found as u64;
    if !found.contain(here) {
        return (Bounds::default(), u64::MAX);
    }
    let plenty_from = match is_main || size.is_some() {
        true => found.low.saturating_add(PLENTY),
        false => u64::MAX,
    };
    (found, plenty_from)
}

/// The main thread's stack is limited anew: what was found of it is not relied on.
pub fn limit_changes() {
    // Relaxed: the calling thread sees it, and another one's stack is not limited by it.
    LIMITED.store(true, Ordering::Relaxed);
}

/// Whether a stack ends where it was found to.
#[inline(always)]
pub fn ends_as_found() -> bool {
    // Relaxed: as above.
    !LIMITED.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_plenty_left_where_its_size_is_known() {
        const SIZE: u64 = 1 << 20;
        let thread = std::thread::Builder::new().stack_size(SIZE as usize);
        let found = thread.spawn(|| (bounds(Some(SIZE)), bounds(None), bounds(Some(4096))));
        let (known, guessed, wrong) = found.unwrap().join().unwrap();
        assert_eq!(known.0.high - known.0.low, SIZE - PAGE);
        assert_eq!(known.1, known.0.low + PLENTY);
        assert_eq!(guessed.1, u64::MAX);
        assert_eq!(wrong, (Bounds::default(), u64::MAX), "it is not on that");
    }
}
