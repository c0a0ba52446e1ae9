//! The stack of Python frames of the calling thread, read from the interpreter's memory.
//!
//! Only a thread that holds the GIL (or, from 3.12, is attached) reads its own stack: nobody else
//! changes it, and while the thread is inside an allocation neither does it itself.

use core::ptr::null;

use super::offsets::{OWNED_BY_C, Offsets, Place};

/// One frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The code object.
    pub code: u64,
    /// As [`Offsets::instruction`] tells it.
    pub instruction: u64,
}

/// Low bits of a pointer that are tags in newer versions.
const TAGS: u64 = 7;
/// No stack is believed to be longer.
const MAX_LINKS: usize = 1 << 20;

/// Gives the frames to `each`, the innermost first, at most `limit`.
///
/// # Safety
/// `state` is null or the calling thread's own thread state, and the thread holds the GIL.
#[inline(always)]
pub unsafe fn walk(offsets: &Offsets, state: *const u8, limit: usize, mut each: impl FnMut(Frame)) {
    // SAFETY: the interpreter's own structures, at its own offsets; so it is for all reads.
    let pointer = |base: *const u8, offset: u16| unsafe {
        base.add(offset.into()).cast::<*const u8>().read()
    };
    if state.is_null() {
        return;
    }
    let holder = offsets
        .cframe
        .map_or(state, |cframe| pointer(state, cframe));
    let mut frame = match holder.is_null() {
        true => null(),
        false => pointer(holder, offsets.frame),
    };
    let mut left = limit;
    for _ in 0..MAX_LINKS {
        if frame.is_null() || left == 0 {
            return;
        }
        let owner = offsets.owner.map_or(0, |owner| {
            // SAFETY: as above.
            unsafe { frame.add(owner.into()).read() }
        });
        if owner < OWNED_BY_C {
            let instruction = match offsets.place {
                Place::Pointer(_) => pointer(frame, offsets.instruction) as u64,
                Place::Index(_) => {
                    // SAFETY: as above.
                    let index =
                        unsafe { frame.add(offsets.instruction.into()).cast::<i32>().read() };
                    index as u64
                }
            };
            each(Frame {
                code: pointer(frame, offsets.code) as u64 & !TAGS,
                instruction,
            });
            left -= 1;
        }
        frame = pointer(frame, offsets.previous);
    }
}

/// A number for the stack: equal for equal stacks, and as good as never for others. `seed` sets
/// stacks of different times apart.
///
/// # Safety
/// As for [`walk`].
#[inline(always)]
pub unsafe fn hash(offsets: &Offsets, state: *const u8, limit: usize, seed: u64) -> u64 {
    let mut hash = seed;
    // SAFETY: the caller's promise.
    unsafe {
        walk(offsets, state, limit, |frame| {
            hash = (hash ^ frame.code ^ frame.instruction.rotate_left(32))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        });
    }
    hash
}

impl Frame {
    /// Bytes from the code's first instruction; `u32::MAX` before the first one.
    pub fn offset(&self, offsets: &Offsets) -> u32 {
        let offset = match offsets.place {
            Place::Pointer(first) => {
                (self.instruction as i64).wrapping_sub(self.code as i64 + i64::from(first))
            }
            Place::Index(unit) => (self.instruction as i64).saturating_mul(unit.into()),
        };
        u32::try_from(offset).unwrap_or(u32::MAX)
    }
}
