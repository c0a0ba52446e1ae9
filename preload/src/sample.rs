//! `LEAK_SAMPLE`: which blocks are recorded.
//!
//! A Poisson process runs over the bytes that a thread allocates, `LEAK_SAMPLE` bytes from point to point on
//! average; a block with a point in it is in the sample. So a block of s bytes is with probability
//! 1 − exp(−s / mean), whatever came before. The end of a block is recorded if its address is in the [`table`].
//!
//! A reallocation ends a block and begins one: either, both or none may be in the sample. The one that isn't
//! is told as address 0.

mod table;

use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use leak_wire::Event;

use crate::thread::{self, Thread};
use crate::{kernel, python};

/// Mean bytes between two points; 0: every block is recorded. Not 0 only with a table.
static MEAN: AtomicU64 = AtomicU64::new(0);

/// One thread's way to the next point. All zeros: not begun.
pub struct Countdown {
    left: Cell<i64>,
    /// Kept back of `left`, so that the next block is looked at in any case.
    held: Cell<i64>,
    random: Cell<u64>,
}

/// Samples from now on, or records everything (0); false if there is no memory for that.
pub fn begin(mean: u64) -> bool {
    let ready = mean == 0 || table::prepare(mean);
    if ready {
        // Relaxed: no event is recorded before this thread has made the session known.
        MEAN.store(mean, Ordering::Relaxed);
    }
    ready
}

/// Whether only a sample is recorded.
#[inline(always)]
pub fn is_on() -> bool {
    MEAN.load(Ordering::Relaxed) != 0
}

/// Whether the end of the block at `address` is recorded; in a sample it is forgotten here.
#[inline(always)]
pub fn ends(address: u64) -> bool {
    // SAFETY: sampling is on, so there is a table.
    !is_on() || unsafe { table::remove(address) }
}

/// The end of the block at `address` is to be recorded, in the sample or not.
pub fn watch(address: u64) {
    // SAFETY: as above.
    let placed = !is_on() || unsafe { table::insert(address) };
    if !placed && let Some(thread) = thread::current() {
        thread.count_dropped_allocation();
    }
}

/// The same of a task's block, each time that the task runs. One that finds no room is no allocation that was lost.
pub fn watch_task(address: u64) {
    if is_on() {
        // SAFETY: as above.
        unsafe { table::insert(address) };
    }
}

impl Thread {
    /// Whether a new block is recorded.
    #[inline(always)]
    pub fn takes(&self, address: u64, size: usize) -> bool {
        !is_on() || !self.passes(size) && self.arrives(address, size)
    }

    /// The same for one of which [`Thread::passes`] said already that it may be.
    pub fn takes_reached(&self, address: u64, size: usize) -> bool {
        !is_on() || self.arrives(address, size)
    }

    /// The next point may lie in this block.
    #[cold]
    #[inline(never)]
    fn arrives(&self, address: u64, size: usize) -> bool {
        let mean = MEAN.load(Ordering::Relaxed);
        // The interpreter's own blocks are none of malloc's: until they are seen, no chance to see to that
        // may be missed.
        let hold = python::wants_wrapping();
        if !self.countdown.arrives(size, mean, hold) {
            return false;
        }
        // SAFETY: sampling is on, so there is a table.
        let placed = unsafe { table::insert(address) };
        if !placed {
            self.count_dropped_allocation();
        }
        placed
    }

    /// Records that the block at `address` is reallocated, if its end is recorded; says whether.
    #[inline(always)]
    pub fn reallocation_begins(&self, address: u64) -> bool {
        let ends = ends(address);
        if ends {
            self.record(Event::ReallocationBegin { address });
        }
        ends
    }

    /// The new block of a reallocation is recorded, next: so is that it is one, if that was not `begun`.
    #[inline(always)]
    pub fn reallocation_goes_on(&self, begun: bool) {
        if !begun {
            self.record(Event::ReallocationBegin { address: 0 });
        }
    }

    /// Records how the reallocation of `old` ended that gave no block, or `new` of `size` bytes, which is
    /// not in the sample.
    pub fn reallocation_gives_none(&self, old: *mut c_void, new: *mut c_void, size: usize) {
        self.record(if !new.is_null() {
            let size = size as u64;
            Event::ReallocationEnd {
                address: 0,
                size,
                site: 0,
            }
        } else if size == 0 {
            Event::ReallocationFreed
        } else {
            watch(old as u64);
            Event::ReallocationFailed
        });
    }
}

impl Countdown {
    /// Goes on by a new block; whether it may be in the sample.
    #[inline(always)]
    pub fn reaches(&self, size: usize) -> bool {
        // A signal handler that allocates in between goes the same way: one of the two steps is lost then,
        // which favours no block.
        let left = self.left.get().wrapping_sub(step(size));
        self.left.set(left);
        left <= 0
    }

    /// Whether the block that was reached is in the sample. `hold`: the next is to be looked at, too.
    fn arrives(&self, size: usize, mean: u64, hold: bool) -> bool {
        let mut left = self.left.get().wrapping_add(self.held.get());
        if self.random.get() == 0 {
            self.random.set(seed(core::ptr::from_ref(self) as u64));
            left = self.way(mean) - step(size);
        }
        let reached = left <= 0;
        if reached {
            // A Poisson process has no memory: what is left of the way is of the same kind as the whole.
            left = self.way(mean);
        }
        let held = if hold { left } else { 0 };
        self.held.set(held);
        self.left.set(left - held);
        reached
    }

    /// To the next point: an exponential variate, at least one byte.
    fn way(&self, mean: u64) -> i64 {
        // xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
        let mut random = self.random.get();
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        self.random.set(random);
        let bits = random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        // In (0, 1].
        let uniform = (bits + 1) as f64 / (1_u64 << 53) as f64;
        let way = -logarithm(uniform) * mean as f64;
        // Up: a point within the last byte is within the block.
        (way.min(4e18) as i64).saturating_add(1)
    }
}

/// How far a block goes; one of no bytes as far as one of a single byte.
#[inline(always)]
fn step(size: usize) -> i64 {
    size.max(1) as i64
}

/// Differs from thread to thread and from run to run; never 0.
fn seed(address: u64) -> u64 {
    let tid = u64::from(kernel::gettid()) << 32;
    let mut word = address ^ tid ^ kernel::now_ns();
    // MurmurHash3's finalizer.
    word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (word ^ word >> 33) | 1
}

/// The natural logarithm of a positive, normal number, to 1e-8: the C library's would bring libm into every target.
fn logarithm(number: f64) -> f64 {
    let bits = number.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    // In [1, 2).
    let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // ln f = 2 artanh((f - 1) / (f + 1)), whose argument is below 1/3.
    let part = (fraction - 1.0) / (fraction + 1.0);
    let square = part * part;
    let mut sum = 0.0;
    let mut odd = 17.0;
    while odd > 0.0 {
        sum = sum * square + 1.0 / odd;
        odd -= 2.0;
    }
    exponent as f64 * core::f64::consts::LN_2 + 2.0 * part * sum
}

#[cfg(test)]
pub(crate) mod tests;
