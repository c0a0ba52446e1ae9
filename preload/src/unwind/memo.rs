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

/// 512 KiB at most; a thread with few call sites touches 16.
const ENTRIES: usize = 1 << MAX_BITS;
const MAX_BITS: u32 = 11;
const FIRST_BITS: u32 = 6;
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
    /// So many times as many entries as at first are in use, as a power of two.
    growth: u32,
    /// Entries that had to make room for others since it grew.
    displaced: u32,
}

#[inline(always)]
fn mixed(key: u64, word: u64) -> u64 {
    (key.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
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
        let found = self.memo.find(registers, self.generation);
        found.map_or(0, |entry| entry.proven(registers, &self.chain, self.limit))
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
    /// The entry to try for a capture that starts with `registers`.
    #[inline(always)]
    fn find(&self, registers: Registers, generation: u64) -> Option<&Entry> {
        let mut key = mixed(registers.pc, registers.sp);
        for _ in 0..=MAX_FORKS {
            let entry = self.entries.get(self.index(key))?;
            if entry.key != key || !entry.is_from(registers, generation) {
                return None;
            }
            if entry.fork == 0 {
                return Some(entry);
            }
            key = mixed(key, word(entry.fork));
        }
        None
    }

    /// Puts `new` where `find` looks for it.
    fn put(&mut self, new: Entry, registers: Registers, generation: u64) {
        let mut key = mixed(registers.pc, registers.sp);
        for forks in 0..=MAX_FORKS {
            let index = self.index(key);
            let Some(entry) = self.entries.get_mut(index) else {
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
        let index = self.index(key);
        let Some(place) = self.entries.get_mut(index) else {
            return;
        };
        let displaces = place.key != key && place.generation == entry.generation;
        self.displaced = self.displaced.wrapping_add(u32::from(displaces));
        // Much hangs on a fork: one makes room only now and then.
        if !displaces || place.fork == 0 || self.displaced.is_multiple_of(64) {
            *place = Entry { key, ..entry };
        }
        // What lies elsewhere then is put there anew when it comes again.
        if self.displaced > (1 << self.bits()) / 8 && self.bits() < MAX_BITS {
            self.growth += 1;
            self.displaced = 0;
        }
    }

    #[inline(always)]
    fn bits(&self) -> u32 {
        FIRST_BITS + self.growth
    }

    #[inline(always)]
    fn index(&self, key: u64) -> usize {
        (key >> (64 - self.bits())) as usize % ENTRIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A stack whose words differ from site to site, and what is remembered of the sites.
    struct Sites {
        stack: Vec<u64>,
        memo: Box<Memo>,
    }

    impl Sites {
        fn new() -> Sites {
            Sites {
                stack: Vec::from([0; 8]),
                // SAFETY: all-zero is empty.
                memo: unsafe { Box::new_zeroed().assume_init() },
            }
        }

        fn registers(&self) -> Registers {
            Registers {
                pc: 100,
                sp: self.stack.as_ptr() as u64,
                bp: 0,
            }
        }

        /// Remembers as site `node` that all words of the stack are as they are.
        fn put(&mut self, node: u32) {
            let registers = self.registers();
            let mut checks = [Check::NONE; MAX_CHECKS];
            // Outermost first, as in the chain.
            for (check, word) in checks.iter_mut().zip(self.stack.iter().rev()) {
                let slot = core::ptr::from_ref(word) as u64;
                *check = Check { slot, value: *word };
            }
            let new = Entry {
                key: 0,
                generation: 1,
                sp: registers.sp,
                address: registers.pc,
                fork: 0,
                bp: 0,
                join_sp: 0,
                join_bp: 0,
                node,
                join_node: 0,
                join: 1,
                frames: 1,
                checks_used: self.stack.len() as u8,
                bp_matters: false,
                join_bp_matters: false,
                checks,
            };
            self.memo.put(new, registers, 1);
        }

        fn find(&self, generation: u64) -> Option<u32> {
            let found = self.memo.find(self.registers(), generation)?;
            Some(found.node)
        }
    }

    #[test]
    fn sites_of_one_place_are_told_apart_by_the_words_in_which_they_differ() {
        let mut sites = Sites::new();
        let mut fewest_lost = usize::MAX;
        // The first rounds make room.
        for _ in 0..100 {
            let mut lost = 0;
            for node in 1..=64 {
                // They differ in one, two or three words.
                sites.stack[1] = u64::from(node % 4);
                sites.stack[4] = u64::from(node / 4 % 4);
                sites.stack[7] = u64::from(node / 16);
                if sites.find(1) != Some(node) {
                    lost += 1;
                    sites.put(node);
                }
            }
            fewest_lost = fewest_lost.min(lost);
        }
        // Now and then one lies where another was.
        assert!(fewest_lost < 16, "{fewest_lost} of 64 lost");
    }

    #[test]
    fn what_was_remembered_of_an_older_tree_is_not_found() {
        let mut sites = Sites::new();
        sites.put(1);
        assert_eq!(sites.find(1), Some(1));
        assert_eq!(sites.find(2), None);
    }

    #[test]
    fn nothing_is_proven_without_the_frame_that_it_came_to() {
        let mut sites = Sites::new();
        sites.put(1);
        // SAFETY: all-zero is an empty chain.
        let chain: Box<Chain> = unsafe { Box::new_zeroed().assume_init() };
        let found = sites.memo.find(sites.registers(), 1).unwrap();
        assert_eq!(found.proven(sites.registers(), &chain, 128), 0);
    }
}
