//! One step outwards: a frame and its rule give the caller's frame. Pure: memory is read through
//! [`Words`], which refuse what is not known to be readable.

use super::rule::{Kind, Rule, Saved};

/// The memory that a walk goes through.
pub(crate) trait Words {
    /// The word at `address`, if it can be read.
    fn read(&self, address: u64) -> Option<u64>;

    /// The same for a guess, which must stay on the thread's own stack.
    fn read_guessed(&self, address: u64) -> Option<u64>;

    /// Whether the instruction before `address` can be a call.
    fn follows_call(&self, address: u64) -> bool;
}

/// One frame, as far as the walk outwards depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The return address; of a frame that a signal interrupted, its pc plus one. So
    /// `address - 1` always lies in the instruction that is meant.
    pub(crate) address: u64,
    /// rsp in this frame.
    pub(crate) sp: u64,
    /// rbp in this frame.
    pub(crate) bp: u64,
    /// Where this frame's rbx was saved; 0 where it is still in the register, which is not known.
    pub(crate) bx_slot: u64,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The caller.
    Caller(Cursor),
    /// What a signal interrupted.
    Interrupted(Cursor),
    /// The outermost frame, whatever memory holds.
    End,
    /// No caller, because of what memory holds.
    Lost,
}

/// Offsets in the kernel's signal frame on x86_64, from rsp in the restorer: a `ucontext_t`.
/// They are kernel ABI.
mod signal_frame {
    pub(super) const BP: u64 = 120;
    pub(super) const BX: u64 = 128;
    pub(super) const SP: u64 = 160;
    pub(super) const PC: u64 = 168;
}

/// Applies `rule` to `cursor`. The caller's rsp is always above the frame's, except past a signal
/// frame, so a walk ends.
#[inline(always)]
pub(crate) fn step(rule: Rule, cursor: &Cursor, words: &impl Words) -> Step {
    if rule.is_usual() {
        usual(rule, cursor, words)
    } else {
        rare(rule, *cursor, words)
    }
}

#[inline(always)]
fn usual(rule: Rule, cursor: &Cursor, words: &impl Words) -> Step {
    let base = if rule.usual_by_bp() {
        cursor.bp
    } else {
        cursor.sp
    };
    let cfa = base.wrapping_add_signed(rule.offset());
    // Stacks grow down: a caller whose frame is not above its callee's is none.
    if cfa <= cursor.sp || cfa & 7 != 0 {
        return Step::Lost;
    }
    let address = match words.read(cfa - 8) {
        Some(address) if address != 0 => address,
        _ => return Step::Lost,
    };
    let bp = match rule.usual_bp() {
        None => cursor.bp,
        Some(offset) => match words.read(cfa.wrapping_add_signed(offset)) {
            Some(bp) => bp,
            None => return Step::Lost,
        },
    };
    let bx_slot = match rule.usual_bx() {
        None => cursor.bx_slot,
        Some(offset) => cfa.wrapping_add_signed(offset),
    };
    Step::Caller(Cursor {
        address,
        sp: cfa,
        bp,
        bx_slot,
    })
}

/// The kinds that are seldom met, out of the way of the others. The frame is passed by value, so
/// that the usual kinds keep it in registers.
#[cold]
#[inline(never)]
fn rare(rule: Rule, cursor: Cursor, words: &impl Words) -> Step {
    let cursor = &cursor;
    let deref = |base: u64| {
        words
            .read(base.wrapping_add_signed(rule.offset()))
            .map(|cfa| cfa.wrapping_add_signed(rule.addend()))
    };
    match rule.kind() {
        Kind::Bx => match (cursor.bx_slot != 0).then(|| words.read(cursor.bx_slot)) {
            Some(Some(bx)) => plain(rule, cursor, bx, 0, words),
            _ => Step::Lost,
        },
        Kind::DerefSp => plain(
            rule,
            cursor,
            cursor.sp,
            deref(cursor.sp).unwrap_or(0),
            words,
        ),
        Kind::DerefBp => plain(
            rule,
            cursor,
            cursor.bp,
            deref(cursor.bp).unwrap_or(0),
            words,
        ),
        Kind::FramePointer => frame_pointer(cursor, words),
        Kind::Signal => interrupted(cursor, words).map_or(Step::Lost, Step::Interrupted),
        Kind::End => Step::End,
        Kind::Sp => plain(rule, cursor, cursor.sp, 0, words),
        Kind::Bp => plain(rule, cursor, cursor.bp, 0, words),
        Kind::Unsupported => Step::Lost,
    }
}

/// The caller, where the CFA is `cfa` for an indirect rule, else `base` + offset.
fn plain(rule: Rule, cursor: &Cursor, base: u64, cfa: u64, words: &impl Words) -> Step {
    let indirect = matches!(rule.kind(), Kind::DerefSp | Kind::DerefBp);
    let cfa = if indirect {
        cfa
    } else {
        base.wrapping_add_signed(rule.offset())
    };
    if cfa <= cursor.sp || cfa & 7 != 0 {
        return Step::Lost; // as above
    }
    let slot = |saved: Saved| match saved {
        Saved::Kept => None,
        Saved::Cfa(offset) => Some(cfa.wrapping_add_signed(offset)),
        Saved::Base(offset) => Some(base.wrapping_add_signed(offset)),
    };
    let address = match words.read(cfa - 8) {
        Some(address) if address != 0 => address,
        _ => return Step::Lost,
    };
    let bp = match slot(rule.bp()) {
        None => cursor.bp,
        Some(slot) => match words.read(slot) {
            Some(bp) => bp,
            None => return Step::Lost,
        },
    };
    Step::Caller(Cursor {
        address,
        sp: cfa,
        bp,
        bx_slot: slot(rule.bx()).unwrap_or(cursor.bx_slot),
    })
}

/// The caller by the frame-pointer convention, for code that nothing is known of.
fn frame_pointer(cursor: &Cursor, words: &impl Words) -> Step {
    let bp = cursor.bp;
    if bp < cursor.sp || bp & 7 != 0 || bp > u64::MAX - 16 {
        return Step::Lost;
    }
    match (words.read_guessed(bp), words.read_guessed(bp + 8)) {
        (Some(outer), Some(address)) if words.follows_call(address) => Step::Caller(Cursor {
            address,
            sp: bp + 16,
            bp: outer,
            bx_slot: 0,
        }),
        _ => Step::Lost,
    }
}

/// The frame that a signal interrupted, from what the kernel saved.
fn interrupted(cursor: &Cursor, words: &impl Words) -> Option<Cursor> {
    let at = |offset: u64| cursor.sp.checked_add(offset);
    let pc = words.read(at(signal_frame::PC)?)?;
    Some(Cursor {
        address: pc.checked_add(1)?,
        sp: words.read(at(signal_frame::SP)?)?,
        bp: words.read(at(signal_frame::BP)?)?,
        bx_slot: at(signal_frame::BX)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::rule::Parts;
    use super::*;

    /// Words that start at 0x1000; code lies from 5000 on.
    struct Stack<'a>(&'a [u64]);

    impl Words for Stack<'_> {
        fn read(&self, address: u64) -> Option<u64> {
            let index = address.checked_sub(0x1000)? / 8;
            self.0.get(index as usize).copied()
        }

        fn read_guessed(&self, address: u64) -> Option<u64> {
            self.read(address)
        }

        fn follows_call(&self, address: u64) -> bool {
            address >= 5000
        }
    }

    const FRAME: Cursor = Cursor {
        address: 7,
        sp: 0x1000,
        bp: 0x1010,
        bx_slot: 0,
    };

    fn rule(kind: Kind, offset: i64) -> Parts {
        Parts {
            kind,
            offset,
            addend: 0,
            bp: Saved::Kept,
            bx: Saved::Kept,
        }
    }

    #[test]
    fn from_the_stack_pointer() {
        let parts = Parts {
            bp: Saved::Cfa(-16),
            bx: Saved::Cfa(-24),
            ..rule(Kind::Sp, 32)
        };
        let caller = Cursor {
            address: 40,
            sp: 0x1020,
            bp: 30,
            bx_slot: 0x1008,
        };
        let words = [10, 20, 30, 40];
        assert_eq!(
            step(Rule::new(parts), &FRAME, &Stack(&words)),
            Step::Caller(caller)
        );
    }

    #[test]
    fn from_the_frame_pointer() {
        let parts = Parts {
            bp: Saved::Cfa(-16),
            ..rule(Kind::Bp, 16)
        };
        let caller = Cursor {
            address: 40,
            sp: 0x1020,
            bp: 30,
            bx_slot: 0,
        };
        let words = [10, 20, 30, 40];
        for rule in [Rule::new(parts), Rule::FRAME_POINTER] {
            let words = [words[0], words[1], words[2], words[3] + 5000];
            let caller = Cursor {
                address: caller.address + 5000,
                ..caller
            };
            assert_eq!(step(rule, &FRAME, &Stack(&words)), Step::Caller(caller));
        }
    }

    #[test]
    fn through_a_saved_register_or_a_slot() {
        let words = [10, 0x1010, 30, 40, 50];
        let saved = Cursor {
            bx_slot: 0x1008,
            ..FRAME
        };
        let by_bx = step(Rule::new(rule(Kind::Bx, 16)), &saved, &Stack(&words));
        assert!(
            matches!(by_bx, Step::Caller(caller) if caller.sp == 0x1020 && caller.address == 40)
        );
        let unknown = step(Rule::new(rule(Kind::Bx, 16)), &FRAME, &Stack(&words));
        assert_eq!(unknown, Step::Lost);

        let parts = Parts {
            addend: 24,
            bp: Saved::Base(0),
            ..rule(Kind::DerefBp, -8)
        };
        let by_slot = step(Rule::new(parts), &FRAME, &Stack(&words));
        assert!(
            matches!(by_slot, Step::Caller(caller) if caller.sp == 0x1028 && caller.address == 50 && caller.bp == 30)
        );
    }

    #[test]
    fn a_signal_frame_gives_what_it_interrupted() {
        let mut words = [0; 32];
        (words[15], words[16], words[20], words[21]) = (77, 88, 0x5000, 99);
        let interrupted = Cursor {
            address: 100,
            sp: 0x5000,
            bp: 77,
            bx_slot: 0x1080,
        };
        assert_eq!(
            step(Rule::SIGNAL, &FRAME, &Stack(&words)),
            Step::Interrupted(interrupted)
        );
    }

    #[test]
    fn never_inwards_and_never_past_what_is_readable() {
        for (rule, words) in [
            (Rule::new(rule(Kind::Sp, 0)), &[1, 2][..]),
            (Rule::new(rule(Kind::Sp, -8)), &[1, 2]),
            (Rule::new(rule(Kind::Sp, 64)), &[1, 2]),
            (Rule::new(rule(Kind::Sp, 8)), &[0, 2]),
            (Rule::new(rule(Kind::DerefSp, 0)), &[0x1001, 2]),
            (Rule::new(rule(Kind::DerefSp, 64)), &[0x1001, 2]),
            (Rule::FRAME_POINTER, &[1, 2]),
            (Rule::FRAME_POINTER, &[1, 2, 3, 4]),
            (Rule::SIGNAL, &[1, 2]),
            (Rule::UNSUPPORTED, &[1, 2]),
        ] {
            assert_eq!(step(rule, &FRAME, &Stack(words)), Step::Lost);
        }
        assert_eq!(step(Rule::END, &FRAME, &Stack(&[])), Step::End);
    }
}
