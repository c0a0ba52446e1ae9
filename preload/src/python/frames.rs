//! The stack of Python frames of the calling thread, read from the interpreter's memory.
//!
//! Only a thread that holds the GIL (or, from 3.12, is attached) reads its own stack: nobody else
//! changes it, and while the thread is inside an allocation neither does it itself.

use super::offsets::{Generator, OWNED_BY_C, OWNED_BY_GENERATOR, Offsets, Place};

/// One frame, as it lies in memory. All zeros is none.
///
/// Whether it is a generator's, or stands for C code, follows from its code and where it is in it: code is always one
/// generator's or none's, whose frame moves from the stack into the generator at one instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Where it lies.
    pub at: u64,
    /// The word that points to its code object.
    pub code: u64,
    /// As [`Offsets::instruction`] tells it.
    pub instruction: u64,
}

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A generator's or coroutine's.
    Generator,
    /// It stands for C code and has no code object.
    C,
    /// Anything else.
    Other,
}

/// Low bits of a pointer that are tags in newer versions.
const TAGS: u64 = 7;
/// No stack is believed to be longer.
const MAX_LINKS: usize = 1 << 20;

/// Where a stack begins.
#[derive(Clone, Copy)]
pub struct Innermost {
    /// The innermost frame, 0: there is none.
    pub frame: u64,
    /// A place in the stack frame of the interpreter's innermost loop, where the thread state tells one, else 0: what
    /// the loop called since, native frames as well, lies further in.
    pub edge: u64,
}

impl Innermost {
    /// Of the thread with that state.
    ///
    /// # Safety
    /// `state` is null or the calling thread's own thread state, and the thread is in a call that no frame
    /// of its own survives (it holds the GIL, or waits for a system call). So it is for all that reads frames.
    #[inline(always)]
    pub unsafe fn of(offsets: &Offsets, state: *const u8) -> Innermost {
        // SAFETY: the interpreter's own structures, at its own offsets.
        let pointer = |base: u64, offset: u16| unsafe { word(base, offset) };
        let state = state as u64;
        if state == 0 {
            return Innermost { frame: 0, edge: 0 };
        }
        // The loop's own variable, to 3.12; from then on the frame that stands for the loop's caller is the edge.
        let edge = offsets.cframe.map_or(0, |cframe| pointer(state, cframe));
        let frame = match offsets.cframe {
            Some(_) if edge == 0 => 0,
            Some(_) => pointer(edge, offsets.frame),
            None => pointer(state, offsets.frame),
        };
        Innermost { frame, edge }
    }
}

/// # Safety
/// There is a word.
#[inline(always)]
unsafe fn word(base: u64, offset: u16) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { ((base + u64::from(offset)) as *const u64).read() }
}

impl Frame {
    /// The frame at `at`, and where the next outer one lies (0: there is none).
    ///
    /// # Safety
    /// A frame of the stack lies there: see [`Innermost::of`].
    #[inline(always)]
    pub unsafe fn read(offsets: &Offsets, at: u64) -> (Frame, u64) {
        // SAFETY: the frame's own fields.
        unsafe {
            let frame = Frame {
                at,
                code: word(at, offsets.code),
                // An index is followed by other words of the frame.
                instruction: word(at, offsets.instruction) & offsets.place.mask(),
            };
            (frame, word(at, offsets.previous))
        }
    }

    /// Its code object.
    #[inline(always)]
    pub fn code(&self) -> u64 {
        self.code & !TAGS
    }

    /// Whose it is, as far as frames tell.
    ///
    /// # Safety
    /// As for [`Frame::read`].
    #[inline(always)]
    pub unsafe fn owner(&self, offsets: &Offsets) -> Owner {
        let Some(place) = offsets.generator else {
            return Owner::Other;
        };
        // SAFETY: the frame's own field.
        match unsafe { ((self.at + u64::from(place.owner)) as *const u8).read() } {
            OWNED_BY_GENERATOR => Owner::Generator,
            OWNED_BY_C.. if offsets.owner.is_some() => Owner::C,
            _ => Owner::Other,
        }
    }

    /// Bytes from the code's first instruction; `u32::MAX` before the first one.
    pub fn offset(&self, offsets: &Offsets) -> u32 {
        let offset = match offsets.place {
            Place::Pointer(first) => {
                (self.instruction as i64).wrapping_sub(self.code() as i64 + i64::from(first))
            }
            Place::Index(unit) => i64::from(self.instruction as i32) * i64::from(unit),
        };
        u32::try_from(offset).unwrap_or(u32::MAX)
    }
}

/// The outermost frame that is a generator's or coroutine's, 0: there is none.
///
/// # Safety
/// As for [`Innermost::of`].
pub unsafe fn outermost_generator(offsets: &Offsets, state: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    let mut at = unsafe { Innermost::of(offsets, state) }.frame;
    let mut found = 0;
    for _ in 0..MAX_LINKS {
        if at == 0 {
            break;
        }
        // SAFETY: the chain's own link.
        let (frame, outer) = unsafe { Frame::read(offsets, at) };
        // SAFETY: as above.
        if unsafe { frame.owner(offsets) } == Owner::Generator {
            found = at;
        }
        at = outer;
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
/// `frame` is 0 or lies on the stack: see [`Innermost::of`].
#[inline(always)]
pub unsafe fn coroutine(place: Generator, frame: u64, coroutine_type: u64) -> u64 {
    /// Object → its type; and what the collector keeps before the object.
    const TYPE: u16 = 8;
    const COLLECTED: u64 = 16;
    if frame == 0 {
        return 0;
    }
    // SAFETY: the frame is the tail of an object that is longer than that.
    let (object, of_type) = unsafe {
        let object = frame - u64::from(place.frame);
        (object, word(object, TYPE))
    };
    match of_type == coroutine_type {
        true => object - COLLECTED,
        false => 0,
    }
}
