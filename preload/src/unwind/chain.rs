//! The remembered backtrace of a thread, and the proof that it still holds.
//!
//! A frame's caller is a pure function of the frame's rule, its rsp and rbp, and of the words of
//! the stack that the rule reads. So where a new walk meets a remembered frame with the same
//! address and rsp (and rbp, where that still matters further out), and all the words that the
//! walk read outwards of there still hold the same values, then a full walk would go through the
//! remembered frames again. Those words are the *checks*.
//!
//! Only frames of the thread's own stack are remembered, each further out than the last, none
//! across a signal frame.

use super::memory::Memory;
use super::rule::{Kind, Rule, Saved};
use super::step::{self, Cursor, Words};
use core::cell::Cell;

/// The most frames of a backtrace.
pub(super) const MAX_DEPTH: usize = 512;
/// A step reads at most three words.
const MAX_CHECKS: usize = 3 * MAX_DEPTH;

/// A word of the stack and what it held.
#[derive(Clone, Copy)]
struct Check {
    slot: u64,
    value: u64,
}

impl Check {
    /// What is different now: 0 if the check holds.
    #[inline(always)]
    fn wrong(&self) -> u64 {
        // SAFETY: see `Chain::search`: a slot is read only where the walk has met a frame whose
        // rsp is not above it, on the stack in which it was found to lie.
        unsafe { (self.slot as *const u64).read_unaligned() ^ self.value }
    }
}

/// A remembered frame.
///
/// The order of its fields is not that of [`Walked`]: else they would be copied in pairs, right
/// after they were stored one by one, which stalls.
#[derive(Clone, Copy)]
#[repr(C)]
struct Frame {
    sp: u64,
    /// Its node in the call-site tree.
    node: u32,
    /// How many checks, from the first, all steps outwards of this frame need; and whether rbp
    /// matters to them.
    needs: u32,
    bp: u64,
    address: u64,
}

const BP_MATTERS: u32 = 1 << 31;

impl Frame {
    #[inline]
    fn checks(&self) -> usize {
        (self.needs & !BP_MATTERS) as usize
    }

    #[inline]
    fn bp_matters(&self) -> bool {
        self.needs & BP_MATTERS != 0
    }
}

/// A frame that a walk went through, with the rule that led outwards.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Walked {
    address: u64,
    rule: Rule,
    sp: u64,
    bp: u64,
    bx_slot: u64,
}

impl Walked {
    /// `cursor` with the rule of its address.
    #[inline(always)]
    pub(super) fn new(cursor: Cursor, rule: Rule) -> Walked {
        Walked {
            address: cursor.address,
            rule,
            sp: cursor.sp,
            bp: cursor.bp,
            bx_slot: cursor.bx_slot,
        }
    }

    /// The frame's return address.
    #[inline(always)]
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            address: self.address,
            sp: self.sp,
            bp: self.bp,
            bx_slot: self.bx_slot,
        }
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// At the outermost frame, whatever memory holds.
    Outermost,
    /// For want of a caller in what memory holds.
    Lost,
    /// At the limit of frames.
    Limit,
}

/// The frames, outermost first, so that the ones that change are at the end. All-zero is empty.
pub(super) struct Chain {
    frames: [Frame; MAX_DEPTH],
    checks: [Check; MAX_CHECKS],
    len: usize,
    /// Where the stack ends on which they are.
    high: u64,
    /// Whether frames further out were left away for the limit.
    cut: bool,
}

/// Where a walk is in a chain: it has passed all remembered frames from `candidates` on.
#[derive(Clone, Copy, Default)]
pub(super) struct Search {
    candidates: usize,
    /// So many checks were found to hold.
    held: usize,
}

impl Chain {
    /// From the innermost frame outwards, for a walk on the thread's own stack. Nothing will be
    /// met if the frames were on another one.
    #[inline]
    pub(super) fn search(&self, memory: &Memory) -> Search {
        Search {
            candidates: if memory.high() == self.high {
                self.len
            } else {
                0
            },
            held: 0,
        }
    }

    /// How many remembered frames, from the outermost, a full walk from `cursor` would go through
    /// again: `cursor`'s own frame is the last of them. 0 if that can't be said.
    #[inline(always)]
    pub(super) fn meets(&self, search: &mut Search, cursor: &Cursor) -> usize {
        while let Some(frame) = self.frames.get(search.candidates.wrapping_sub(1)) {
            if frame.sp >= cursor.sp {
                let same = frame.sp == cursor.sp
                    && frame.address == cursor.address
                    && (!frame.bp_matters() || frame.bp == cursor.bp);
                if same && self.holds(search, frame.checks()) {
                    return search.candidates;
                }
                return 0;
            }
            search.candidates -= 1;
        }
        0
    }

    /// Whether the first `count` checks hold. If not, gives up the frames that need the failed one.
    #[inline(always)]
    fn holds(&self, search: &mut Search, count: usize) -> bool {
        let checks = self.checks.get(search.held..count).unwrap_or(&[]);
        // Hardly ever does one fail: look at them all first, four at a time.
        let (fours, rest) = checks.as_chunks::<4>();
        let mut wrong = 0;
        for [a, b, c, d] in fours {
            wrong |= a.wrong() | b.wrong() | c.wrong() | d.wrong();
        }
        for check in rest {
            wrong |= check.wrong();
        }
        if wrong != 0 {
            self.give_up(search, checks);
            return false;
        }
        search.held = search.held.max(count);
        true
    }

    /// Some of `checks`, the ones from `search.held` on, fail.
    #[cold]
    #[inline(never)]
    fn give_up(&self, search: &mut Search, checks: &[Check]) {
        search.held += checks
            .iter()
            .position(|check| check.wrong() != 0)
            .unwrap_or(0);
        while let Some(frame) = self.frames.get(search.candidates.wrapping_sub(1)) {
            if frame.checks() <= search.held {
                break;
            }
            search.candidates -= 1;
        }
    }

    /// Whether `kept` remembered frames with `new` ones inside them are what a full walk of at
    /// most `limit` frames would give.
    #[inline]
    pub(super) fn fits(&self, kept: usize, new: usize, limit: usize) -> bool {
        if self.cut {
            kept + new == limit
        } else {
            kept + new <= limit
        }
    }

    /// The node of the `kept`-th frame from the outermost; the root for 0.
    #[inline]
    pub(super) fn node(&self, kept: usize) -> u32 {
        self.frames
            .get(kept.wrapping_sub(1))
            .map_or(0, |frame| frame.node)
    }

    /// Forgets everything.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.keep(0);
    }

    /// Forgets all but the `kept` outermost frames, as before pushing the others.
    #[inline]
    pub(super) fn keep(&mut self, kept: usize) {
        self.len = kept;
        self.cut &= kept != 0;
    }

    /// Remembers how the outermost frame `walked` ended the walk. False if that rests on memory
    /// that can't be checked again: then nothing must be pushed.
    #[cold]
    #[inline(never)]
    pub(super) fn push_outermost(
        &mut self,
        walked: &Walked,
        node: u32,
        ended: Ended,
        memory: &Memory,
    ) -> bool {
        let (mut checks, mut sound) = (0, true);
        if ended == Ended::Lost {
            (checks, sound) = self.check_last_step(walked, memory);
        }
        self.cut = ended == Ended::Limit;
        self.high = memory.high();
        let uses_bp = ended != Ended::Limit && uses_bp(walked.rule);
        sound && self.push_frame(walked, node, checks, uses_bp)
    }

    /// What was read on the way to nowhere decided: reads it again, and makes checks of it. Gives
    /// their number, and whether they are all.
    fn check_last_step(&mut self, walked: &Walked, memory: &Memory) -> (usize, bool) {
        let noting = Noting {
            memory,
            sp: walked.sp,
            checks: Cell::from_mut(self.checks.as_mut_slice()).as_slice_of_cells(),
            count: Cell::new(0),
            sound: Cell::new(true),
        };
        step::step(walked.rule, &walked.cursor(), &noting);
        (noting.count.get(), noting.sound.get())
    }

    /// Remembers `walked`, whose caller is the frame that was pushed last. False if that rests on
    /// memory that can't be checked again.
    #[inline(always)]
    pub(super) fn push(&mut self, walked: &Walked, node: u32, memory: &Memory) -> bool {
        let Some(&caller) = self.frames.get(self.len.wrapping_sub(1)) else {
            return false;
        };
        let rule = walked.rule;
        let mut checks = caller.checks();
        let mut sound = true;
        let mut check = |slot: u64, value: u64| {
            if let Some(check) = self.checks.get_mut(checks) {
                *check = Check { slot, value };
                checks += 1;
            } else {
                sound = false;
            }
            // A walk that gets to this frame starts further in, so its memory covers the slot.
            sound &= slot >= walked.sp && memory.on_stack(slot);
        };
        check(caller.sp - 8, caller.address);
        let base = match rule.kind() {
            Kind::Sp | Kind::DerefSp => walked.sp,
            Kind::Bp | Kind::DerefBp | Kind::FramePointer => walked.bp,
            _ => return false,
        };
        if matches!(rule.kind(), Kind::DerefSp | Kind::DerefBp) {
            let slot = base.wrapping_add_signed(rule.offset());
            check(slot, caller.sp.wrapping_add_signed(-rule.addend()));
        }
        let restored = match (rule.kind(), rule.bp()) {
            (Kind::FramePointer, _) => Some(base),
            (_, Saved::Kept) => None,
            (_, Saved::Cfa(offset)) => Some(caller.sp.wrapping_add_signed(offset)),
            (_, Saved::Base(offset)) => Some(base.wrapping_add_signed(offset)),
        };
        if let Some(slot) = restored.filter(|_| caller.bp_matters()) {
            check(slot, caller.bp);
        }
        let bp_matters = uses_bp(rule) || (restored.is_none() && caller.bp_matters());
        sound && self.push_frame(walked, node, checks, bp_matters)
    }

    #[inline(always)]
    fn push_frame(&mut self, walked: &Walked, node: u32, checks: usize, bp_matters: bool) -> bool {
        let Some(frame) = self.frames.get_mut(self.len) else {
            return false;
        };
        *frame = Frame {
            address: walked.address,
            sp: walked.sp,
            bp: walked.bp,
            node,
            needs: checks as u32 | if bp_matters { BP_MATTERS } else { 0 },
        };
        self.len += 1;
        true
    }
}

/// Whether the step that `rule` describes depends on rbp.
#[inline]
fn uses_bp(rule: Rule) -> bool {
    matches!(rule.kind(), Kind::Bp | Kind::DerefBp | Kind::FramePointer)
}

/// Memory that makes checks of what is read.
struct Noting<'a> {
    memory: &'a Memory,
    /// A walk that gets to the frame starts further in, so its memory covers the slots above.
    sp: u64,
    checks: &'a [Cell<Check>],
    count: Cell<usize>,
    /// Whether everything that was read can be read again.
    sound: Cell<bool>,
}

impl Words for Noting<'_> {
    fn read(&self, slot: u64) -> Option<u64> {
        let value = self.memory.read(slot);
        match (value, self.checks.get(self.count.get())) {
            (Some(value), Some(check)) if self.memory.on_stack(slot) && slot >= self.sp => {
                check.set(Check { slot, value });
                self.count.set(self.count.get() + 1);
            }
            _ => self.sound.set(false),
        }
        value
    }

    fn read_guessed(&self, slot: u64) -> Option<u64> {
        // What lies off the stack is refused every time.
        self.memory.on_stack(slot).then(|| self.read(slot))?
    }

    fn follows_call(&self, address: u64) -> bool {
        let found = self.memory.follows_call(address);
        // Code that comes later may be one.
        self.sound.set(self.sound.get() && found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Parts;
    use super::super::step::Step;
    use super::*;
    use crate::stack::Bounds;
    use std::boxed::Box;
    use std::vec::Vec;

    /// A stack of 64 words, and the chain of what was walked there.
    struct Thread {
        words: Vec<u64>,
        chain: Box<Chain>,
        rules: Vec<Rule>,
    }

    fn rule(kind: Kind, offset: i64, bp: Saved) -> Rule {
        Rule::new(Parts {
            kind,
            offset,
            addend: 0,
            bp,
            bx: Saved::Kept,
        })
    }

    impl Thread {
        /// `rules` are those of the addresses 100, 101, ...; the word at `at` holds `value`.
        fn new(rules: &[Rule], stack: &[(usize, u64)]) -> Thread {
            let mut words = Vec::from([0; 64]);
            for (at, value) in stack {
                words[*at] = *value;
            }
            // SAFETY: all-zero is an empty chain.
            let chain = unsafe { Box::new_zeroed().assume_init() };
            Thread {
                words,
                chain,
                rules: rules.to_vec(),
            }
        }

        fn at(&self, word: usize) -> u64 {
            self.words.as_ptr() as u64 + 8 * word as u64
        }

        fn memory(&self) -> Memory {
            let (low, high) = (self.at(0), self.at(64));
            Memory::new(low, Bounds { low, high })
        }

        fn frame(&self, address: u64, word: usize, bp: u64) -> Cursor {
            Cursor {
                address,
                sp: self.at(word),
                bp,
                bx_slot: 0,
            }
        }

        /// Walks from `from` to the end and remembers that; node 1 is the outermost frame.
        fn remember(&mut self, from: Cursor) -> usize {
            let memory = self.memory();
            let (mut cursor, mut walked) = (from, Vec::new());
            let ended = loop {
                let rule = self.rules[cursor.address as usize - 100];
                walked.push(Walked::new(cursor, rule));
                match step::step(rule, &cursor, &memory) {
                    Step::Caller(caller) => cursor = caller,
                    Step::End => break Ended::Outermost,
                    Step::Lost => break Ended::Lost,
                    Step::Interrupted(_) => unreachable!(),
                }
            };
            self.chain.clear();
            for (index, frame) in walked.iter().rev().enumerate() {
                let node = index as u32 + 1;
                assert!(if index == 0 {
                    self.chain.push_outermost(frame, node, ended, &memory)
                } else {
                    self.chain.push(frame, node, &memory)
                });
            }
            walked.len()
        }

        fn meets(&self, cursor: Cursor) -> usize {
            let mut search = self.chain.search(&self.memory());
            self.chain.meets(&mut search, &cursor)
        }
    }

    /// Three frames of four words each, found by rsp, and a fourth that is the outermost.
    fn by_stack_pointer() -> Thread {
        let plain = rule(Kind::Sp, 32, Saved::Kept);
        let rules = [plain, plain, plain, Rule::END];
        Thread::new(&rules, &[(5, 101), (9, 102), (13, 103)])
    }

    #[test]
    fn what_still_holds_is_met() {
        let mut thread = by_stack_pointer();
        assert_eq!(thread.remember(thread.frame(100, 2, 0)), 4);
        assert_eq!(thread.meets(thread.frame(100, 2, 77)), 4, "rbp is not used");
        assert_eq!(thread.meets(thread.frame(101, 6, 0)), 3);
        assert_eq!(thread.chain.node(3), 3);
        assert_eq!(thread.meets(thread.frame(101, 2, 0)), 0, "another address");
        assert_eq!(thread.meets(thread.frame(101, 7, 0)), 0, "another place");
    }

    #[test]
    fn a_changed_return_address_voids_the_frames_inside_of_it() {
        let mut thread = by_stack_pointer();
        thread.remember(thread.frame(100, 2, 0));
        thread.words[9] = 103;
        let mut search = thread.chain.search(&thread.memory());
        let chain = &thread.chain;
        assert_eq!(chain.meets(&mut search, &thread.frame(100, 2, 0)), 0);
        assert_eq!(chain.meets(&mut search, &thread.frame(101, 6, 0)), 0);
        assert_eq!(chain.meets(&mut search, &thread.frame(103, 10, 0)), 0);
        assert_eq!(chain.meets(&mut search, &thread.frame(103, 14, 0)), 1);
    }

    #[test]
    fn rbp_counts_where_a_frame_further_out_uses_it() {
        // 100 keeps rbp, 101 is found by it and restores it, 102 does not use what was restored.
        let rules = [
            rule(Kind::Sp, 32, Saved::Kept),
            rule(Kind::Bp, 16, Saved::Cfa(-16)),
            rule(Kind::Sp, 32, Saved::Kept),
            Rule::END,
        ];
        let mut thread = Thread::new(&rules, &[(5, 101), (12, 55), (13, 102), (17, 103)]);
        let bp = thread.at(12);
        assert_eq!(thread.remember(thread.frame(100, 2, bp)), 4);
        assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4);
        assert_eq!(thread.meets(thread.frame(100, 2, bp + 8)), 0);
        thread.words[12] = 56;
        assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4, "saved, not used");

        // The same, but 102 is found by the restored rbp.
        thread.rules[2] = rule(Kind::Bp, 16, Saved::Kept);
        thread.words[12] = thread.at(16);
        assert_eq!(thread.remember(thread.frame(100, 2, bp)), 4);
        assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4);
        thread.words[12] += 8;
        assert_eq!(thread.meets(thread.frame(100, 2, bp)), 0);
        assert_eq!(thread.meets(thread.frame(102, 14, thread.at(16))), 2);
    }

    #[test]
    fn a_walk_that_ended_for_want_of_a_caller_ends_there_while_there_is_none() {
        let plain = rule(Kind::Sp, 32, Saved::Kept);
        let mut thread = Thread::new(&[plain, plain], &[(5, 101)]);
        assert_eq!(thread.remember(thread.frame(100, 2, 0)), 2);
        assert_eq!(thread.meets(thread.frame(100, 2, 0)), 2);
        thread.words[9] = 100;
        assert_eq!(thread.meets(thread.frame(100, 2, 0)), 0);
    }

    #[test]
    fn a_cut_chain_serves_only_the_walk_of_the_same_length() {
        let mut thread = by_stack_pointer();
        thread.remember(thread.frame(100, 2, 0));
        assert!(thread.chain.fits(3, 1, 4) && thread.chain.fits(3, 1, 128));
        assert!(!thread.chain.fits(3, 2, 4));
        thread.chain.cut = true;
        assert!(thread.chain.fits(3, 1, 4));
        assert!(!thread.chain.fits(3, 1, 128) && !thread.chain.fits(2, 1, 4));
    }
}
