//! The rule by which the environments of new images are changed.

use core::sync::atomic::{AtomicU32, Ordering};

/// What is done to the environments of new images.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Rule {
    /// Nothing.
    Leave = 0,
    /// They join the session.
    Follow = 1,
    /// They must not be traced.
    Strip = 2,
    /// This program is none to trace, its children may be.
    PassOn = 3,
    /// Those that load this library wait to be asked for, as this one does.
    Off = 4,
}

static RULE: AtomicU32 = AtomicU32::new(Rule::Leave as u32);

pub(super) fn rule() -> Rule {
    // Acquire: pairs with the Release in `set_rule`.
    match RULE.load(Ordering::Acquire) {
        1 => Rule::Follow,
        2 => Rule::Strip,
        3 => Rule::PassOn,
        4 => Rule::Off,
        _ => Rule::Leave,
    }
}

pub(super) fn set_rule(rule: Rule) {
    // Release: pairs with the Acquire in `rule`: the texts are written.
    RULE.store(rule as u32, Ordering::Release);
}
