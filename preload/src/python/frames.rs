//! The stack of Python frames of the calling thread, read from the interpreter's memory.
//!
//! Only a thread that holds the GIL (or, from 3.12, is attached) reads its own stack: nobody else
//! changes it, and while the thread is inside an allocation neither does it itself.

use core::ptr::null;

use super::offsets::{Generator, OWNED_BY_C, OWNED_BY_GENERATOR, Offsets, Place};

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

/// What else a walk finds.
#[derive(Clone, Copy)]
pub struct Found {
    /// Where the outermost frame lies that is a generator's or coroutine's, or null.
    pub generator: *const u8,
    /// A place in the stack frame of the interpreter's innermost loop, or null: what it called since, native
    /// frames as well, lies further in.
    pub edge: *const u8,
}

/// Gives the frames to `each`, the innermost first, at most `limit`.
///
/// # Safety
/// `state` is null or the calling thread's own thread state, and the thread is in a call that no frame
/// of its own survives (it holds the GIL, or waits for a system call).
#[inline(always)]
pub unsafe fn walk(
    offsets: &Offsets,
    state: *const u8,
    limit: usize,
    mut each: impl FnMut(Frame),
) -> Found {
    let mut found = Found {
        generator: null(),
        edge: null(),
    };
    // SAFETY: the interpreter's own structures, at its own offsets; so it is for all reads.
    let pointer = |base: *const u8, offset: u16| unsafe {
        base.add(offset.into()).cast::<*const u8>().read()
    };
    if state.is_null() {
        return found;
    }
    let holder = offsets
        .cframe
        .map_or(state, |cframe| pointer(state, cframe));
    // The loop's own variable, to 3.12; from then on the frame that stands for the loop's caller is.
    if offsets.cframe.is_some() {
        found.edge = holder;
    }
    let mut frame = match holder.is_null() {
        true => null(),
        false => pointer(holder, offsets.frame),
    };
    let mut left = limit;
    for _ in 0..MAX_LINKS {
        if frame.is_null() || left == 0 {
            break;
        }
        if let Some(place) = offsets.generator {
            // SAFETY: as above.
            if unsafe { frame.add(place.owner.into()).read() } == OWNED_BY_GENERATOR {
                found.generator = frame;
            }
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
        } else if found.edge.is_null() {
            found.edge = frame;
        }
        frame = pointer(frame, offsets.previous);
    }
    found
}

/// Whether `code` is no function's, but what the interpreter lets return from an `__init__` that it calls
/// without leaving its loop (from 3.12 on). Such code has no line, and one string for its file and its name.
///
/// # Safety
/// `code` is a live code object.
pub unsafe fn is_of_interpreter(offsets: &Offsets, code: u64) -> bool {
    let at = |offset: u16| code + u64::from(offset);
    // SAFETY: fields of a live object, at their own offsets.
    let (file, name, first_line) = unsafe {
        (
            (at(offsets.file) as *const u64).read(),
            (at(offsets.name) as *const u64).read(),
            (at(offsets.first_line) as *const i32).read(),
        )
    };
    first_line == 0 && file == name
}

/// Where the block of the coroutine starts whose frame is `frame`; 0: it is no coroutine's.
///
/// # Safety
/// As for [`walk`], which gave `frame`.
#[inline(always)]
pub unsafe fn coroutine(place: Generator, frame: *const u8, coroutine_type: u64) -> u64 {
    /// Object → its type; and what the collector keeps before the object.
    const TYPE: usize = 8;
    const COLLECTED: u64 = 16;
    if frame.is_null() {
        return 0;
    }
    // SAFETY: the frame is the tail of an object that is longer than that.
    let (object, of_type) = unsafe {
        let object = frame.sub(place.frame.into());
        (object as u64, object.add(TYPE).cast::<u64>().read())
    };
    match of_type == coroutine_type {
        true => object - COLLECTED,
        false => 0,
    }
}

/// A number for the stack: equal for equal stacks, and as good as never for others. `seed` sets
/// stacks of different times apart. And the generator that [`walk`] found.
///
/// # Safety
/// As for [`walk`].
#[inline(always)]
pub unsafe fn hash(
    offsets: &Offsets,
    state: *const u8,
    limit: usize,
    seed: u64,
) -> (u64, *const u8) {
    let mut hash = seed;
    // SAFETY: the caller's promise.
    let found = unsafe {
        walk(offsets, state, limit, |frame| {
            hash = (hash ^ frame.code ^ frame.instruction.rotate_left(32))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 32;
        })
    };
    (hash, found.generator)
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
