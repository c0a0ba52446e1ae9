//! Reading the target's stack without ever faulting.
//!
//! Between the hook's own rsp and the end of its thread's stack everything is mapped, and is read
//! directly. Anywhere else (signal stacks, coroutines, a broken frame pointer) the kernel is asked
//! once for each page whether it can be read. In a program that has confined itself to certain system
//! calls it can't be asked: there a walk ends where the thread's stack does.

use super::code;
use super::step::Words;
use crate::kernel;
use crate::stack::Bounds;
use core::cell::Cell;

const PAGE: u64 = 4096;

/// What can be read, for one backtrace.
pub(super) struct Memory {
    low: u64,
    span: u64,
    /// Pages, from..to, that the kernel said are readable.
    probed: Cell<(u64, u64)>,
}

impl Memory {
    /// For a backtrace that starts at `sp`, which must be the live stack pointer of the thread.
    #[inline]
    pub(super) fn new(sp: u64, bounds: Bounds) -> Memory {
        let page = sp & !(PAGE - 1);
        Memory {
            low: sp,
            span: if bounds.contain(sp) {
                (bounds.high - sp).saturating_sub(7)
            } else {
                0
            },
            probed: Cell::new((page, page + PAGE)),
        }
    }

    /// From here on nothing is known of the stack: a signal may have interrupted anything.
    pub(super) fn distrust(&mut self) {
        self.span = 0;
    }

    /// Where the thread's own stack ends, for a walk that is on it; else 0.
    #[inline]
    pub(super) fn high(&self) -> u64 {
        if self.span == 0 {
            0
        } else {
            self.low + self.span
        }
    }

    /// Whether `address` is in the thread's own stack, above where the backtrace started.
    #[inline]
    pub(super) fn on_stack(&self, address: u64) -> bool {
        address.wrapping_sub(self.low) < self.span
    }

    #[cold]
    fn read_elsewhere(&self, address: u64) -> Option<u64> {
        if address & 7 != 0 {
            return None;
        }
        let page = address & !(PAGE - 1);
        let (from, to) = self.probed.get();
        if page < from || page >= to {
            if !kernel::is_mapped(address) {
                return None;
            }
            let end = page.checked_add(PAGE)?;
            self.probed.set(match (page == to, end == from) {
                (true, _) => (from, end),
                (_, true) => (page, to),
                _ => (page, end),
            });
        }
        // SAFETY: aligned, and the kernel has just read this page, or it holds the live stack
        // pointer. Nothing else of this thread runs in between that could unmap it.
        Some(unsafe { (address as *const u64).read() })
    }
}

impl Words for Memory {
    #[inline]
    fn read(&self, address: u64) -> Option<u64> {
        if self.on_stack(address) {
            // SAFETY: `on_stack`: the eight bytes lie between the live stack pointer and the end
            // of the thread's stack, which are mapped as long as the thread is in this function.
            return Some(unsafe { (address as *const u64).read_unaligned() });
        }
        self.read_elsewhere(address)
    }

    fn read_guessed(&self, address: u64) -> Option<u64> {
        self.on_stack(address).then(|| self.read(address))?
    }

    fn follows_call(&self, address: u64) -> bool {
        code::follows_call(address, |word| self.read(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(count: usize) -> u64 {
        // SAFETY: a fresh private mapping.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                count * PAGE as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        start as u64
    }

    #[test]
    fn what_is_not_mapped_is_refused() {
        let start = pages(4);
        let hole = start + 2 * PAGE;
        // SAFETY: the third page of the mapping above.
        unsafe { libc::munmap(hole as *mut _, PAGE as usize) };
        let memory = Memory::new(start, Bounds { low: 0, high: 0 });
        assert_eq!(memory.read(start), Some(0));
        assert_eq!(memory.read(start + PAGE), Some(0));
        assert_eq!(memory.read(hole - 8), Some(0));
        assert_eq!(memory.read(hole), None);
        assert_eq!(memory.read(hole + PAGE), Some(0));
        for address in [0, 8, start + 4, u64::MAX, u64::MAX - 7, 1 << 63] {
            assert_eq!(memory.read(address), None);
        }
    }

    #[test]
    fn the_stack_ends_where_it_ends() {
        let start = pages(2);
        let bounds = Bounds {
            low: start,
            high: start + 2 * PAGE,
        };
        let memory = Memory::new(start + 64, bounds);
        assert!(!memory.on_stack(start + 56));
        assert!(memory.on_stack(start + 64));
        assert!(memory.on_stack(start + 2 * PAGE - 8));
        assert!(!memory.on_stack(start + 2 * PAGE - 7));
        assert!(!memory.on_stack(start + 2 * PAGE));
    }
}
