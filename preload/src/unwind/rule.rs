//! A compact rule: how to find the caller of one code address, in one word.
//!
//! Only what a call chain needs is kept: where the frame ends (the canonical frame address, CFA),
//! and where rbp and rbx were saved. The return address is always at CFA - 8. Anything else is
//! [`Kind::Unsupported`], which ends the walk rather than guess.

/// How a frame's CFA is found, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// CFA = rsp + offset.
    Sp = 1,
    /// CFA = rbp + offset.
    Bp = 2,
    /// CFA = rbx + offset (ld.so's resolver trampolines).
    Bx = 3,
    /// CFA = *(rsp + offset) + addend (hand-written assembly).
    DerefSp = 4,
    /// CFA = *(rbp + offset) + addend (functions that realign their stack).
    DerefBp = 5,
    /// The kernel's signal frame starts at rsp.
    Signal = 6,
    /// The outermost frame: its return address is undefined.
    End = 7,
    /// Nothing is known of this code; it may keep a frame pointer.
    FramePointer = 8,
    /// There is a rule, of a form that is not supported.
    Unsupported = 9,
}

/// Where a callee-saved register of the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// Still in the register.
    Kept,
    /// In memory at CFA + offset.
    Cfa(i64),
    /// In memory at (the register that the CFA is computed from) + offset.
    Base(i64),
}

/// The rule, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// How the CFA is found.
    pub(crate) kind: Kind,
    /// The kind's offset.
    pub(crate) offset: i64,
    /// The kind's addend.
    pub(crate) addend: i64,
    /// The caller's rbp.
    pub(crate) bp: Saved,
    /// The caller's rbx.
    pub(crate) bx: Saved,
}

/// The rule, packed: kind 4 bits, then in words of 8 bytes offset 24, rbp 2 + 12, rbx 2 + 12,
/// addend 8. Never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule(u64);

impl core::fmt::Debug for Rule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.parts().fmt(f)
    }
}

impl Rule {
    /// The frame-pointer convention.
    pub(crate) const FRAME_POINTER: Rule = Rule::bare(Kind::FramePointer);
    /// The kernel's signal frame.
    pub(crate) const SIGNAL: Rule = Rule::bare(Kind::Signal);
    /// The outermost frame.
    pub(crate) const END: Rule = Rule::bare(Kind::End);
    /// A rule that can't be expressed.
    pub(crate) const UNSUPPORTED: Rule = Rule::bare(Kind::Unsupported);

    const fn bare(kind: Kind) -> Rule {
        Rule(kind as u64)
    }

    /// Packs `parts`; [`Rule::UNSUPPORTED`] where a number does not fit.
    pub(crate) fn new(parts: Parts) -> Rule {
        Self::pack(parts).unwrap_or(Rule::UNSUPPORTED)
    }

    fn pack(parts: Parts) -> Option<Rule> {
        let (bp_mode, bp) = pack_saved(parts.bp)?;
        let (bx_mode, bx) = pack_saved(parts.bx)?;
        Some(Rule(
            parts.kind as u64
                | words(parts.offset, 24)? << 4
                | bp_mode << 28
                | bp << 30
                | bx_mode << 42
                | bx << 44
                | words(parts.addend, 8)? << 56,
        ))
    }

    /// The packed word.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// A word made by [`Rule::bits`]. Others decode to something, and never panic.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Rule {
        Rule(bits)
    }

    /// How the CFA is found.
    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match self.0 & 15 {
            1 => Kind::Sp,
            2 => Kind::Bp,
            3 => Kind::Bx,
            4 => Kind::DerefSp,
            5 => Kind::DerefBp,
            6 => Kind::Signal,
            7 => Kind::End,
            8 => Kind::FramePointer,
            _ => Kind::Unsupported,
        }
    }

    /// The CFA's offset.
    #[inline]
    pub(crate) fn offset(self) -> i64 {
        field(self.0, 4, 24)
    }

    /// The CFA's addend.
    #[inline]
    pub(crate) fn addend(self) -> i64 {
        field(self.0, 56, 8)
    }

    /// Where the caller's rbp is.
    #[inline]
    pub(crate) fn bp(self) -> Saved {
        unpack_saved(self.0, 28)
    }

    /// Where the caller's rbx is.
    #[inline]
    pub(crate) fn bx(self) -> Saved {
        unpack_saved(self.0, 42)
    }

    /// Whether the CFA is found by rsp or rbp, and what is saved by the CFA: so it is nearly always.
    /// The three questions below are for such a rule.
    #[inline(always)]
    pub(crate) fn is_usual(self) -> bool {
        const BY_BASE: u64 = 2 << 28 | 2 << 42;
        matches!(self.0 & 15, 1 | 2) && self.0 & BY_BASE == 0
    }

    /// Whether the CFA is found by rbp.
    #[inline(always)]
    pub(crate) fn usual_by_bp(self) -> bool {
        self.0 & 2 != 0
    }

    /// Where from the CFA the caller's rbp is saved.
    #[inline(always)]
    pub(crate) fn usual_bp(self) -> Option<i64> {
        (self.0 & 1 << 28 != 0).then(|| field(self.0, 30, 12))
    }

    /// Where from the CFA the caller's rbx is saved.
    #[inline(always)]
    pub(crate) fn usual_bx(self) -> Option<i64> {
        (self.0 & 1 << 42 != 0).then(|| field(self.0, 44, 12))
    }

    /// Everything at once.
    pub(crate) fn parts(self) -> Parts {
        Parts {
            kind: self.kind(),
            offset: self.offset(),
            addend: self.addend(),
            bp: self.bp(),
            bx: self.bx(),
        }
    }
}

/// `bytes` in words of 8, as `bits` bits of two's complement.
fn words(bytes: i64, bits: u32) -> Option<u64> {
    let words = bytes / 8;
    let limit = 1i64 << (bits - 1);
    (bytes % 8 == 0 && (-limit..limit).contains(&words)).then_some(words as u64 & ((1 << bits) - 1))
}

/// The reverse of [`words`], for the field at `shift` of `rule`.
#[inline]
fn field(rule: u64, shift: u32, bits: u32) -> i64 {
    ((rule << (64 - shift - bits)) as i64 >> (64 - bits)) * 8
}

fn pack_saved(saved: Saved) -> Option<(u64, u64)> {
    match saved {
        Saved::Kept => Some((0, 0)),
        Saved::Cfa(offset) => Some((1, words(offset, 12)?)),
        Saved::Base(offset) => Some((2, words(offset, 12)?)),
    }
}

#[inline]
fn unpack_saved(rule: u64, shift: u32) -> Saved {
    match rule >> shift & 3 {
        1 => Saved::Cfa(field(rule, shift + 2, 12)),
        2 => Saved::Base(field(rule, shift + 2, 12)),
        _ => Saved::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_survive_packing() {
        let saved = [
            Saved::Kept,
            Saved::Cfa(-16),
            Saved::Base(0),
            Saved::Cfa(-16384),
            Saved::Base(16376),
        ];
        for kind in [Kind::Sp, Kind::Bp, Kind::Bx, Kind::DerefSp, Kind::DerefBp] {
            for offset in [8, 0, -8, 96, 67_108_856, -67_108_864] {
                for addend in [0, 8, -1024, 1016] {
                    for bp in saved {
                        for bx in saved {
                            let parts = Parts {
                                kind,
                                offset,
                                addend,
                                bp,
                                bx,
                            };
                            assert_eq!(Rule::new(parts).parts(), parts);
                            assert_ne!(Rule::new(parts).bits(), 0);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_usual_rule_says_the_same_in_short() {
        let saved = [Saved::Kept, Saved::Cfa(-16), Saved::Base(-24)];
        for kind in [Kind::Sp, Kind::Bp, Kind::Bx, Kind::DerefSp] {
            for (bp, bx) in saved.iter().flat_map(|bp| saved.map(|bx| (*bp, bx))) {
                let rule = Rule::new(Parts {
                    kind,
                    offset: 48,
                    addend: 0,
                    bp,
                    bx,
                });
                let based = |saved| matches!(saved, Saved::Base(_));
                let usual = matches!(kind, Kind::Sp | Kind::Bp) && !based(bp) && !based(bx);
                assert_eq!(rule.is_usual(), usual);
                if usual {
                    let short = |offset| match offset {
                        None => Saved::Kept,
                        Some(offset) => Saved::Cfa(offset),
                    };
                    assert_eq!(rule.usual_by_bp(), kind == Kind::Bp);
                    assert_eq!(short(rule.usual_bp()), bp);
                    assert_eq!(short(rule.usual_bx()), bx);
                }
            }
        }
        for rule in [Rule::END, Rule::SIGNAL, Rule::FRAME_POINTER] {
            assert!(!rule.is_usual());
        }
    }

    #[test]
    fn what_does_not_fit_is_unsupported() {
        let fits = Parts {
            kind: Kind::Sp,
            offset: 8,
            addend: 0,
            bp: Saved::Kept,
            bx: Saved::Kept,
        };
        for parts in [
            Parts {
                offset: 67_108_864,
                ..fits
            },
            Parts { offset: 12, ..fits },
            Parts {
                bp: Saved::Cfa(-16_392),
                ..fits
            },
            Parts {
                bx: Saved::Base(4),
                ..fits
            },
            Parts {
                addend: 1024,
                ..fits
            },
        ] {
            assert_eq!(Rule::new(parts), Rule::UNSUPPORTED);
        }
    }
}
