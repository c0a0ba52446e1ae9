//! The call sites of earlier captures, to be found again without a walk: a program that serves
//! requests allocates from the same few places again and again.
//!
//! An entry knows the innermost frames of a backtrace by the words of the stack that led through them,
//! and which frame of the chain they came to. Where the capture starts with the same registers, all
//! these words hold, the chain still has that frame, and what the chain knows of it holds, a full walk
//! would go the same way. So an entry that is found leaves the chain as it is.
//!
//! Captures from one place (the same rsp and return address) differ in words further out. Where two
//! entries did, the first of these words from the innermost decides from then on where to look: the
//! entry becomes a fork.

use super::chain::{Chain, Check};
use super::{Registers, State};

/// 512 KiB, of which only the touched pages exist.
const ENTRIES: usize = 1 << 11;
/// Entries with more words are not kept.
const MAX_CHECKS: usize = 11;
/// The most forks on the way to an entry.
const MAX_FORKS: usize = 6;

/// All-zero is an empty one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Entry {
    /// Of the way that led here.
    key: u64,
    /// [`State`]'s.
    generation: u64,
    sp: u64,
    address: u64,
    /// Of a fork: where the word lies that decides; else 0.
    fork: u64,
    bp: u64,
    join_sp: u64,
    join_bp: u64,
    node: u32,
    join_node: u32,
    /// The chain's frame, counted from the outermost.
    join: u16,
    /// Frames inside of that.
    frames: u16,
    checks_used: u8,
    bp_matters: bool,
    join_bp_matters: bool,
    checks: [Check; MAX_CHECKS],
}

const _: () = assert!(size_of::<Entry>() == 256);

/// All-zero is empty.
pub(super) struct Memo {
    entries: [Entry; ENTRIES],
}

#[inline(always)]
fn mixed(key: u64, word: u64) -> u64 {
    (key.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline(always)]
fn index(key: u64) -> usize {
    const SHIFT: u32 = 64 - ENTRIES.trailing_zeros();
    (key >> SHIFT) as usize % ENTRIES
}

impl Entry {
    #[inline(always)]
    fn is_from(&self, registers: Registers, generation: u64) -> bool {
        self.sp == registers.sp && self.address == registers.pc && self.generation == generation
    }

    fn checks(&self) -> &[Check] {
        let used = usize::from(self.checks_used);
        self.checks.get(..used).unwrap_or(&[])
    }

    /// The call site, if it is proven; else 0. The entry is from these registers' place.
    #[inline(always)]
    fn proven(&self, registers: Registers, chain: &Chain, limit: usize) -> u32 {
        let join = usize::from(self.join);
        let Some(frame) = chain.held(join) else {
            return 0;
        };
        let same = frame.sp == self.join_sp
            && frame.node == self.join_node
            && frame.bp_matters() == self.join_bp_matters
            && (!self.join_bp_matters || frame.bp == self.join_bp)
            && (!self.bp_matters || registers.bp == self.bp);
        if same
            && Check::all_hold(self.checks())
            && chain.fits(join, usize::from(self.frames), limit)
            && chain.all_hold(frame.checks())
        {
            self.node
        } else {
            0
        }
    }
}

/// The word at a slot of an entry that is from the very place where a capture starts.
#[inline(always)]
fn word(slot: u64) -> u64 {
    // SAFETY: the slot lies above that place's rsp, in the live part of the thread's own stack.
    unsafe { (slot as *const u64).read_unaligned() }
}

impl State {
    /// The call site of the code that called the hook, if it is one of those that are remembered; else
    /// 0. The state is marked as busy, and its epoch known to be right.
    #[inline(never)]
    pub(super) fn recall(&self, registers: Registers) -> u32 {
        let mut key = mixed(registers.pc, registers.sp);
        for _ in 0..=MAX_FORKS {
            let Some(entry) = self.memo.entries.get(index(key)) else {
                break;
            };
            if entry.key != key || !entry.is_from(registers, self.generation) {
                break;
            }
            if entry.fork == 0 {
                return entry.proven(registers, &self.chain, self.limit);
            }
            key = mixed(key, word(entry.fork));
        }
        0
    }

    /// Remembers the capture that was pushed to the chain last: `frames` new ones inside the
    /// `join`-th.
    #[inline(never)]
    pub(super) fn memorize(&mut self, registers: Registers, join: usize, frames: usize) {
        let (Some(joined), Some(innermost)) =
            (self.chain.held(join), self.chain.held(join + frames))
        else {
            return;
        };
        let inner = self.chain.checks_between(joined, innermost);
        let mut checks = [Check::NONE; MAX_CHECKS];
        let (Some(place), Ok(join)) = (checks.get_mut(..inner.len()), u16::try_from(join)) else {
            return;
        };
        for (to, from) in place.iter_mut().zip(inner) {
            *to = *from;
        }
        let new = Entry {
            key: 0,
            generation: self.generation,
            sp: registers.sp,
            address: registers.pc,
            fork: 0,
            bp: innermost.bp,
            join_sp: joined.sp,
            join_bp: joined.bp,
            node: innermost.node,
            join_node: joined.node,
            join,
            frames: frames as u16,
            checks_used: inner.len() as u8,
            bp_matters: innermost.bp_matters(),
            join_bp_matters: joined.bp_matters(),
            checks,
        };
        self.memo.put(new, registers, self.generation);
    }
}

impl Memo {
    /// Puts `new` where `State::recall` looks for it.
    fn put(&mut self, new: Entry, registers: Registers, generation: u64) {
        let mut key = mixed(registers.pc, registers.sp);
        for forks in 0..=MAX_FORKS {
            let Some(entry) = self.entries.get_mut(index(key)) else {
                return;
            };
            let same_way = entry.key == key && entry.is_from(registers, generation);
            if same_way && entry.fork == 0 && forks < MAX_FORKS {
                // Another capture from this place: from now on the first difference decides.
                if let Some(differs) = entry.checks().iter().rev().find(|check| check.wrong() != 0)
                {
                    let (old, slot, value) = (*entry, differs.slot, differs.value);
                    entry.fork = slot;
                    self.place(old, mixed(key, value));
                    key = mixed(key, word(slot));
                    self.place(new, key);
                    return;
                }
            }
            if !same_way || entry.fork == 0 || forks == MAX_FORKS {
                return self.place(new, key);
            }
            key = mixed(key, word(entry.fork));
        }
    }

    fn place(&mut self, entry: Entry, key: u64) {
        if let Some(place) = self.entries.get_mut(index(key)) {
            *place = Entry { key, ..entry };
        }
    }
}
