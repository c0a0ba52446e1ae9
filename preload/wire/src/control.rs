//! The few words in a target's own memory by which its recording is begun from outside. They lie in one piece, which
//! begins a multiple of 64 bytes from a page; `leak-analyze start` looks for the magic.

use core::sync::atomic::{AtomicU8, AtomicU32};

/// What the piece begins with.
pub const MAGIC: [u8; 16] = *b"\x7fleak control\x1b\x9a\xe7";
/// Where the build lies, in every one of them.
pub const BUILD_AT: u64 = core::mem::offset_of!(Control, build) as u64;
/// Where the gate lies.
pub const GATE_AT: u64 = core::mem::offset_of!(Control, gate) as u64;
/// Where it is counted how often recording could not begin.
pub const FAILED_AT: u64 = core::mem::offset_of!(Control, failed) as u64;
/// Where it is counted how often recording has begun.
pub const BEGUN_AT: u64 = core::mem::offset_of!(Control, begun) as u64;
/// Where what the target told its user last lies, up to a zero byte.
pub const TOLD_AT: u64 = core::mem::offset_of!(Control, told) as u64;
/// Bytes of all.
pub const SIZE: u64 = size_of::<Control>() as u64;

/// The words.
#[repr(C, align(64))]
pub struct Control {
    /// [`MAGIC`].
    pub magic: [u8; 16],
    /// [`BUILD`](crate::build::BUILD).
    pub build: u32,
    /// A [`Gate`]. The word that each hook tests: written by the target, and by `leak-analyze start`, which writes
    /// [`Gate::Wanted`] where it has read one of the two that are shut, or where the recorder is gone.
    pub gate: AtomicU32,
    /// How often recording was to begin and could not.
    pub failed: AtomicU32,
    /// How often recording has begun: from then on whatever a thread does is recorded.
    pub begun: AtomicU32,
    /// What the target told its user last.
    pub told: [AtomicU8; 224],
}

/// What the hooks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Gate {
    /// They record, or find out whether they are to.
    Open = 0,
    /// Nothing, until recording is wanted.
    Off = 1,
    /// Recording is to begin with the next call.
    Wanted = 2,
    /// Nothing, and those that are no allocator's look now and then whether a condition has come true.
    Watching = 3,
}

impl Gate {
    /// The bit of those in which the allocator's hooks do nothing.
    pub const SHUT: u32 = 1;

    /// The gate of this number.
    pub fn of_word(word: u32) -> Option<Gate> {
        [Gate::Open, Gate::Off, Gate::Wanted, Gate::Watching]
            .into_iter()
            .find(|gate| *gate as u32 == word)
    }
}
