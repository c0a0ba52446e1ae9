//! The Python stack that a thread had at its last look, and the proof of how much of it is there still.
//!
//! A frame's node follows from its code, its instruction and its caller's node. So where a walk from the innermost
//! frame comes to a remembered one, and that and all outside of it hold what they held (code, instruction, and the
//! next outer frame), the rest of the stack is what it was, node and all. Nothing is taken for granted: where
//! a frame lay, another lies soon. But where each frame is known beforehand, no look waits for the one before: the
//! whole stack is compared in a fraction of the time that it takes to follow its links.

use super::frames::{Frame, Innermost, Owner};
use super::held::{Held, MAX_FRAMES};
use super::offsets::Offsets;
use crate::unwind::At;

/// Where to look for a frame, by its address.
const PLACE_BITS: u32 = 11;
/// Stacks that are deeper than is told: of so many depths, which follow each other, the nodes are remembered.
const PARTS: usize = 8;
/// So many looks in a row make do with a part of a stack that was too long for more.
const PATIENCE: u32 = 256;

/// What a frame makes with all outside of it. All zeros is none.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// How many frames have code.
    depth: u32,
    has_code: bool,
    /// The node of all frames with code, if it is known.
    node: At,
    /// Where the outermost frame lies that is a generator's or coroutine's, or 0.
    generator: u64,
    /// Where the innermost frame lies that stands for C code, or 0.
    of_c: u64,
}

/// From a node to that of a frame that was called from there.
#[derive(Clone, Copy)]
pub struct Step {
    /// The frame's.
    pub at: At,
    /// Whether its code object was told, so that its end is seen.
    pub is_told: bool,
}

/// A stack without its outermost frames. All zeros is none.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Frames with code that it is without.
    cut: usize,
    /// Its outermost entry.
    first: usize,
    /// Of so many entries, from the stack's outermost, the nodes are known; 0: of none.
    nodes: usize,
}

impl Part {
    /// Of the stack's entries so many are left as they were.
    fn keep(&mut self, kept: usize) {
        self.nodes = match kept > self.first {
            true => self.nodes.min(kept),
            false => 0,
        };
    }
}

/// All zeros is empty.
pub struct Stack {
    /// The outermost frame first, so that those that change are at the end.
    frames: Held,
    entries: [Entry; MAX_FRAMES],
    len: usize,
    /// Of so many, from the outermost, the nodes are known.
    nodes: usize,
    /// Of so many the code objects were told, too: when one of them is freed, the stack is forgotten.
    told: usize,
    /// By how many frames they are without.
    parts: [Part; PARTS],
    nodes_of_parts: [[At; MAX_FRAMES]; PARTS],
    /// One of them is known.
    has_parts: bool,
    /// Looks that take only as many frames as are told; 0: the stack is whole.
    cut: u32,
    /// By a frame's address: its entry.
    places: [u16; 1 << PLACE_BITS],
    /// The frames that a walk has found to be new, the innermost first.
    new: [Frame; MAX_FRAMES],
}

impl Stack {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.keep(0);
    }

    /// Of its entries, from the outermost, so many are left as they were.
    #[inline(always)]
    fn keep(&mut self, kept: usize) {
        self.len = kept;
        self.nodes = self.nodes.min(kept);
        self.told = self.told.min(kept);
        if self.has_parts {
            self.parts.iter_mut().for_each(|part| part.keep(kept));
        }
    }

    /// Becomes the stack that begins at `innermost`; of one that is too long the innermost frames, at least `limit`
    /// with code. `expect` is told at once which step the innermost frame seems to be.
    ///
    /// # Safety
    /// See [`Innermost::of`], which gave it.
    #[inline(always)]
    pub unsafe fn update(
        &mut self,
        offsets: &Offsets,
        innermost: Innermost,
        limit: usize,
        expect: impl FnOnce(At, &Frame),
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if innermost.frame != 0 {
                let (frame, outer) = Frame::read(offsets, innermost.frame);
                let index = self.index_of(outer);
                let parent = self.entries.get(index);
                expect(parent.map_or_else(At::default, |of| of.node), &frame);
            }
            if self.cut == 0 && self.follow(offsets, innermost.frame) {
                return;
            }
            self.follow_part(offsets, innermost.frame, limit);
        }
    }

    /// Walks until it meets what is remembered. False: the stack is too long.
    #[inline(always)]
    unsafe fn follow(&mut self, offsets: &Offsets, innermost: u64) -> bool {
        let mut at = innermost;
        let (mut new, mut kept, mut candidates) = (0, 0, self.len);
        while at != 0 {
            let index = self.index_of(at);
            if index < candidates && self.frames.at(index) == at {
                // SAFETY: the walk has come to that frame.
                let held = unsafe { self.frames.hold(offsets, index + 1, self.told) };
                if held == 0 {
                    kept = index + 1;
                    break;
                }
                candidates = held - 1;
            }
            let Some(place) = self.new.get_mut(new) else {
                return false;
            };
            // SAFETY: the chain's own link.
            (*place, at) = unsafe { Frame::read(offsets, at) };
            new += 1;
        }
        self.keep(kept);
        // SAFETY: the new frames lie on the stack.
        unsafe { self.push(offsets, new) }
    }

    /// Where the frame at `at` would be.
    #[inline(always)]
    fn index_of(&self, at: u64) -> usize {
        usize::from(self.places.get(place_of(at)).copied().unwrap_or(0))
    }

    /// Takes the innermost frames alone.
    #[cold]
    #[inline(never)]
    unsafe fn follow_part(&mut self, offsets: &Offsets, innermost: u64, limit: usize) {
        self.clear();
        let (mut at, mut new, mut left) = (innermost, 0, limit);
        while at != 0 && left != 0 {
            let Some(place) = self.new.get_mut(new) else {
                break;
            };
            // SAFETY: the chain's own link.
            (*place, at) = unsafe { Frame::read(offsets, at) };
            // SAFETY: as above.
            left -= usize::from(unsafe { place.owner(offsets) } != Owner::C);
            new += 1;
        }
        // Now and then it is tried again whether it is still too long.
        self.cut = match (at, self.cut) {
            (0, _) => 0,
            (_, 0) => PATIENCE,
            (_, cut) => cut - 1,
        };
        // SAFETY: as above.
        unsafe { self.push(offsets, new) };
    }

    /// The `new` frames lie inside of those that are remembered. False: there is no room.
    #[inline(always)]
    unsafe fn push(&mut self, offsets: &Offsets, new: usize) -> bool {
        let mut last = self.last();
        let frames = self.new.get(..new).unwrap_or(&[]);
        for frame in frames.iter().rev() {
            // SAFETY: it lies on the stack.
            let owner = unsafe { frame.owner(offsets) };
            let has_code = owner != Owner::C;
            last = Entry {
                depth: last.depth + u32::from(has_code),
                has_code,
                node: At::default(),
                generator: match last.generator {
                    0 if owner == Owner::Generator => frame.at,
                    outer => outer,
                },
                of_c: if has_code { last.of_c } else { frame.at },
            };
            let Some(place) = self.entries.get_mut(self.len) else {
                return false;
            };
            *place = last;
            self.frames.set(self.len, frame);
            if let Some(place) = self.places.get_mut(place_of(frame.at)) {
                *place = self.len as u16;
            }
            self.len += 1;
        }
        true
    }

    /// The node of its frames with code, at most `limit` from the innermost on; `step` gives that of a frame that was
    /// called from a node. The root: there are none.
    #[inline(always)]
    pub fn node<E>(
        &mut self,
        limit: usize,
        mut step: impl FnMut(At, &Frame) -> Result<Step, E>,
    ) -> Result<At, E> {
        let depth = self.last().depth as usize;
        if self.cut != 0 || depth > limit {
            return self.node_of_part(depth.saturating_sub(limit), step);
        }
        let known = self.nodes.checked_sub(1);
        let known = known.and_then(|last| self.entries.get(last));
        let mut node = known.map_or_else(At::default, |entry| entry.node);
        let unknown = self.entries.get_mut(self.nodes..self.len);
        let mut all_told = self.told == self.nodes;
        for entry in unknown.unwrap_or(&mut []) {
            if entry.has_code {
                let step = step(node, &self.frames.get(self.nodes))?;
                node = step.at;
                all_told &= step.is_told;
            }
            entry.node = node;
            self.nodes += 1;
            if all_told {
                self.told = self.nodes;
            }
        }
        Ok(node)
    }

    /// The same without the `cut` outermost ones.
    #[cold]
    #[inline(never)]
    fn node_of_part<E>(
        &mut self,
        cut: usize,
        mut step: impl FnMut(At, &Frame) -> Result<Step, E>,
    ) -> Result<At, E> {
        let entries = self.entries.get(..self.len).unwrap_or(&[]);
        let (place, nodes) = (cut % PARTS, &mut self.nodes_of_parts);
        let (Some(part), Some(nodes)) = (self.parts.get_mut(place), nodes.get_mut(place)) else {
            return Ok(At::default());
        };
        if part.nodes == 0 || part.cut != cut {
            let first = entries.partition_point(|entry| entry.depth as usize <= cut);
            let nodes = 0;
            *part = Part { cut, first, nodes };
            self.has_parts = true;
        }
        let known = part.nodes.checked_sub(1);
        let mut node = known
            .and_then(|last| nodes.get(last).copied())
            .unwrap_or_default();
        let from = part.nodes.max(part.first);
        for (index, (entry, place)) in entries.iter().zip(nodes).enumerate().skip(from) {
            if entry.has_code {
                node = step(node, &self.frames.get(index))?.at;
            }
            *place = node;
            part.nodes = index + 1;
        }
        Ok(node)
    }

    /// Where the outermost frame lies that is a generator's or coroutine's, or 0.
    #[inline(always)]
    pub fn generator(&self) -> u64 {
        self.last().generator
    }

    /// Where the innermost frame lies that stands for C code, or 0.
    #[inline(always)]
    pub fn of_c(&self) -> u64 {
        self.last().of_c
    }

    /// The innermost frame's code object and instruction.
    pub fn place(&self) -> (u64, u64) {
        let last = self.len.checked_sub(1);
        let frame = last.map_or_else(Frame::default, |last| self.frames.get(last));
        (frame.code(), frame.instruction)
    }

    #[inline(always)]
    fn last(&self) -> Entry {
        let last = self.len.checked_sub(1);
        let last = last.and_then(|last| self.entries.get(last));
        last.copied().unwrap_or_default()
    }
}

#[inline(always)]
fn place_of(frame: u64) -> usize {
    (frame.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACE_BITS)) as usize
}
