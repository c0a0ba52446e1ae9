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
//!
//! One file on purpose: its parts are compiled into each other on the path of every allocation.

use super::memory::Memory;
use super::rule::{Kind, Rule, Saved};
use super::step::{self, Cursor, Words};
use core::cell::Cell;

/// The most frames of a backtrace.
pub(super) const MAX_DEPTH: usize = leak_wire::layout::MAX_DEPTH;
/// A step reads at most three words.
const MAX_CHECKS: usize = 3 * MAX_DEPTH;

/// A word of the stack and what it held.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) slot: u64,
    pub(super) value: u64,
}

impl Check {
    /// Whether all hold: the last ones first, which are the innermost and fail most often.
    #[inline(always)]
    pub(super) fn all_hold(mut checks: &[Check]) -> bool {
        while let Some((outer, [a, b, c, d])) = checks.split_last_chunk() {
            if (a.wrong() | b.wrong() | c.wrong() | d.wrong()) != 0 {
                return false;
            }
            checks = outer;
        }
        checks.iter().fold(0, |wrong, check| wrong | check.wrong()) == 0
    }

    /// What is different now: 0 if the check holds.
    #[inline(always)]
    pub(super) fn wrong(&self) -> u64 {
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
pub(super) struct Frame {
    pub(super) sp: u64,
    /// Its node in the call-site tree.
    pub(super) node: u32,
    /// How many checks, from the first, all steps outwards of this frame need; and whether rbp
    /// matters to them.
    needs: u32,
    pub(super) bp: u64,
    pub(super) address: u64,
}

const BP_MATTERS: u32 = 1 << 31;

impl Frame {
    #[inline]
    pub(super) fn checks(&self) -> usize {
        (self.needs & !BP_MATTERS) as usize
    }

    #[inline]
    pub(super) fn bp_matters(&self) -> bool {
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
#[repr(C)]
pub(super) struct Chain {
    len: usize,
    /// Where the stack ends on which they are.
    high: u64,
    /// Whether frames further out were left away for the limit.
    cut: bool,
    checks: [Check; MAX_CHECKS],
    frames: [Frame; MAX_DEPTH],
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
        while search.held < count {
            let Some(checks) = self.checks.get(search.held..count) else {
                return false;
            };
            // Hardly ever does one fail: four at a time.
            let held = match checks.first_chunk() {
                Some([a, b, c, d]) if (a.wrong() | b.wrong() | c.wrong() | d.wrong()) == 0 => 4,
                _ => match checks.iter().take(4).position(|check| check.wrong() != 0) {
                    None => checks.len().min(4),
                    Some(held) => {
                        search.held += held;
                        self.give_up(search);
                        return false;
                    }
                },
            };
            search.held += held;
        }
        true
    }

    /// Whether the first `count` checks hold.
    #[inline(always)]
    pub(super) fn all_hold(&self, count: usize) -> bool {
        Check::all_hold(self.checks.get(..count).unwrap_or(&[]))
    }

    /// The checks that `inner` needs and `outer`, further out, does not.
    pub(super) fn checks_between(&self, outer: &Frame, inner: &Frame) -> &[Check] {
        let range = outer.checks()..inner.checks();
        self.checks.get(range).unwrap_or(&[])
    }

    /// The check after those that hold fails: gives up the frames that need it.
    #[inline]
    fn give_up(&self, search: &mut Search) {
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

    /// The `kept`-th frame from the outermost, if it is remembered.
    #[inline(always)]
    pub(super) fn held(&self, kept: usize) -> Option<&Frame> {
        if kept > self.len {
            return None;
        }
        self.frames.get(kept.wrapping_sub(1))
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
        if !rule.is_usual() {
            return self.push_rare(walked, caller, node, memory);
        }
        let mut checks = caller.checks();
        let Some([first, second]) = self
            .checks
            .get_mut(checks..)
            .and_then(<[Check]>::first_chunk_mut)
        else {
            return false;
        };
        let (slot, value) = (caller.sp - 8, caller.address);
        *first = Check { slot, value };
        checks += 1;
        // A walk that gets to this frame starts further in, so its memory covers the slot.
        let mut sound = slot >= walked.sp && memory.on_stack(slot);
        let mut bp_matters = rule.usual_by_bp();
        if caller.bp_matters() {
            match rule.usual_bp() {
                Some(offset) => {
                    let (slot, value) = (caller.sp.wrapping_add_signed(offset), caller.bp);
                    *second = Check { slot, value };
                    checks += 1;
                    sound &= slot >= walked.sp && memory.on_stack(slot);
                }
                None => bp_matters = true,
            }
        }
        sound && self.push_frame(walked, node, checks, bp_matters)
    }

    /// The same with a rule of any kind.
    #[cold]
    #[inline(never)]
    fn push_rare(&mut self, walked: &Walked, caller: Frame, node: u32, memory: &Memory) -> bool {
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
mod tests;
