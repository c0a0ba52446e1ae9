//! A page of each thread's own, for what is copied before a call and read after it. Mapped when it is first needed.

use core::cell::Cell;
use core::ptr::null_mut;

use crate::{kernel, thread};

/// Bytes of a window.
pub const SIZE: usize = 4096;

/// A thread's window.
pub struct Window {
    memory: Cell<*mut u8>,
    /// A place on the stack of the call that has it; 0: none has.
    holder: Cell<usize>,
}

/// The calling thread's window while a call has it.
pub struct Held {
    window: &'static Window,
}

impl Window {
    /// The state is another thread's now.
    pub fn begin(&self) {
        self.holder.set(0);
    }
}

/// The calling thread's window, unless the call that has it is under way: this one is made by a signal handler. A call
/// that was left by a jump is not: it lay deeper on the same stack.
pub fn take() -> Option<Held> {
    let kept = thread::state()?.kept();
    let (window, bounds) = (&kept.window, kept.bounds.get());
    let mark = 0_u8;
    let (here, holder) = (&raw const mark as usize, window.holder.get());
    let is_left = bounds.contain(here as u64) && bounds.contain(holder as u64) && here > holder;
    if holder != 0 && !is_left {
        return None;
    }
    window.holder.set(here);
    let held = Held { window };
    if window.memory.get().is_null() {
        window.memory.set(kernel::map(SIZE).unwrap_or(null_mut()));
    }
    (!window.memory.get().is_null()).then_some(held)
}

impl Held {
    /// Its bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped for ever, with this size, any bytes are valid; only who holds it refers to them.
        unsafe { core::slice::from_raw_parts_mut(self.window.memory.get(), SIZE) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.window.holder.set(0);
    }
}
