//! Frames as they were at the last look, laid out to be compared with what they are: with each allocation, all of them.

use super::frames::Frame;
use super::offsets::{Offsets, Place};

/// The most frames that are remembered.
pub const MAX_FRAMES: usize = 1 << 10;

/// Frames, the outermost first, each field by itself: a comparison touches few lines of memory. All zeros: none.
pub struct Held {
    /// Where they lie, behind a 0: each has the one before it for the next outer one.
    at: [u64; MAX_FRAMES + 1],
    code: [u64; MAX_FRAMES],
    instruction: [u64; MAX_FRAMES],
}

impl Held {
    /// Where the frame lies; 0: there is none.
    #[inline(always)]
    pub fn at(&self, index: usize) -> u64 {
        self.at.get(index + 1).copied().unwrap_or(0)
    }

    /// The frame.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Frame {
        let of = |field: &[u64]| field.get(index).copied().unwrap_or(0);
        Frame {
            at: self.at(index),
            code: of(&self.code),
            instruction: of(&self.instruction),
        }
    }

    /// Remembers a frame; false: there is no room.
    #[inline(always)]
    pub fn set(&mut self, index: usize, frame: &Frame) -> bool {
        let (Some(at), Some(code), Some(instruction)) = (
            self.at.get_mut(index + 1),
            self.code.get_mut(index),
            self.instruction.get_mut(index),
        ) else {
            return false;
        };
        (*at, *code, *instruction) = (frame.at, frame.code, frame.instruction);
        true
    }

    /// How many of the first `count` are left, from the outermost, when those inside of the innermost are taken away
    /// that does not hold; 0: all hold. The code objects of the first `alive` are the ones that they were.
    ///
    /// # Safety
    /// The frame of the last one lies on the stack. (So does each that one that holds names as the next outer one:
    /// nothing else is looked at.)
    #[inline(always)]
    pub unsafe fn hold(&self, offsets: &Offsets, count: usize, alive: usize) -> usize {
        // A pointer into a code object tells which one it is, as long as that is not freed.
        let alive = match offsets.place {
            Place::Pointer(_) => alive.min(count),
            Place::Index(_) => 0,
        };
        // SAFETY: the caller's promise.
        unsafe {
            match self.hold_from(offsets, alive..count, true) {
                0 => self.hold_from(offsets, 0..alive, false),
                left => left,
            }
        }
    }

    /// The same of those in `range`, with their code or without.
    #[inline(always)]
    unsafe fn hold_from(
        &self,
        offsets: &Offsets,
        range: core::ops::Range<usize>,
        with_code: bool,
    ) -> usize {
        let outer = self.at.get(range.clone()).unwrap_or(&[]);
        let at = self.at.get(range.start + 1..=range.end).unwrap_or(&[]);
        let codes = self.code.get(range.clone()).unwrap_or(&[]);
        let instructions = self.instruction.get(range.clone()).unwrap_or(&[]);
        let mut left = range.end;
        let each = outer.iter().zip(at).zip(codes.iter().zip(instructions));
        for ((outer, at), (code, instruction)) in each.rev() {
            // SAFETY: the walk has come to it, or the one inside of it holds.
            let (now, previous) = unsafe { Frame::read(offsets, *at) };
            let of_code = if with_code { now.code ^ code } else { 0 };
            if (previous ^ outer) | (now.instruction ^ instruction) | of_code != 0 {
                return left;
            }
            left -= 1;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::offsets;
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    const MINOR: u32 = 11;
    /// Words of a frame.
    const WORDS: usize = 16;

    /// Frames in memory, each called by the one before, as version 3.11 lays them out.
    struct Frames(Vec<[u64; WORDS]>);

    impl Frames {
        fn new(count: usize) -> Frames {
            let mut frames = Frames(Vec::from_iter((0..count).map(|_| [0; WORDS])));
            for index in 1..count {
                let outer = frames.at(index - 1);
                *frames.word(index, offsets().previous) = outer;
            }
            for index in 0..count {
                *frames.word(index, offsets().code) = 0x1000 * (index as u64 + 1);
                *frames.word(index, offsets().instruction) = 0x1000 * (index as u64 + 1) + 200;
            }
            frames
        }

        fn at(&self, index: usize) -> u64 {
            self.0[index].as_ptr() as u64
        }

        fn word(&mut self, index: usize, offset: u16) -> &mut u64 {
            &mut self.0[index][usize::from(offset) / 8]
        }

        fn held(&self) -> Box<Held> {
            // SAFETY: zeros are no frames.
            let mut held: Box<Held> = unsafe { Box::new_zeroed().assume_init() };
            for index in 0..self.0.len() {
                // SAFETY: a frame lies there.
                let (frame, _) = unsafe { Frame::read(&offsets(), self.at(index)) };
                assert!(held.set(index, &frame));
                assert_eq!(held.get(index), frame);
            }
            held
        }
    }

    fn offsets() -> Offsets {
        offsets::of_version(MINOR).expect("a known version")
    }

    /// How many of five frames are left once a field of one of them is another, with so many code objects alive.
    fn left(index: usize, field: impl Fn(&Offsets) -> u16, alive: usize) -> usize {
        let mut frames = Frames::new(5);
        let held = frames.held();
        // SAFETY: the frames lie there.
        unsafe {
            assert_eq!(held.hold(&offsets(), 5, alive), 0, "all hold");
            *frames.word(index, field(&offsets())) += 8;
            held.hold(&offsets(), 5, alive)
        }
    }

    #[test]
    fn what_lies_inside_of_a_frame_that_is_another_is_taken_away() {
        for alive in 0..=5 {
            for index in 0..5 {
                assert_eq!(left(index, |offsets| offsets.instruction, alive), index + 1);
            }
        }
        // One that is called by another frame is looked at no further.
        assert_eq!(left(3, |offsets| offsets.previous, 5), 4);
    }

    #[test]
    fn code_is_compared_where_it_may_have_been_freed() {
        for index in 0..5 {
            assert_eq!(left(index, |offsets| offsets.code, 0), index + 1);
            assert_eq!(left(index, |offsets| offsets.code, index), index + 1);
            assert_eq!(left(index, |offsets| offsets.code, index + 1), 0);
        }
    }

    #[test]
    fn there_is_room_for_as_many_as_are_remembered() {
        // SAFETY: zeros are no frames.
        let mut held: Box<Held> = unsafe { Box::new_zeroed().assume_init() };
        let frame = Frame::default();
        assert!(held.set(MAX_FRAMES - 1, &frame));
        assert!(!held.set(MAX_FRAMES, &frame));
    }
}
