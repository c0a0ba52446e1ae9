//! Biased order. Each region of addresses belongs to the first thread that touches it. The events of
//! that thread there carry only the epoch that it saw: its lane has their order. When another thread
//! comes, the region becomes shared for good, and every event there takes a turn.
//!
//! Why it is right, for two events on one address that follow each other on different threads:
//!
//! - The owner reads the epoch *before* it reads that the region is its own; who ends that marks the
//!   region *before* it raises the epoch. So every event of an owner has a lower epoch than the rise.
//! - A region reads as shared only *after* the rise, and an event there reads the epoch again after
//!   that, and takes its turn after that. So it has the epoch of the rise or a later one: it comes
//!   after all events of the owner.
//! - Two shared events have turns. Their order is that of the real events, as the first is recorded
//!   before it lets the second happen (a free before the real call, an allocation after it).
//! - The region of a thread that is gone is taken over after a rise of the epoch: all that the gone
//!   one recorded has a lower one.
//!
//! A thread that is stopped for ever between two of these steps leaves a state that the next one goes
//! on from. Regions share slots of a table of fixed size; that makes more of them shared, never wrong.

use leak_wire::order::REGION_BITS;

/// Slots of the table.
pub const REGIONS: usize = 1 << 16;
/// The highest number of a thread.
pub const MAX_OWNER: u32 = u32::MAX - 3;
/// Of a thread that can't own regions.
pub const NOBODY: u32 = u32::MAX - 2;
/// Nobody has touched the region. Zero, as fresh pages are.
const UNOWNED: u32 = 0;
/// Another thread came; the epoch may not have risen yet.
const ENDING: u32 = u32::MAX - 1;
/// Several threads use it.
pub const SHARED: u32 = u32::MAX;

/// The slot of the region of `address`: neighbours side by side, and the high bits folded in, as heaps
/// lie at multiples of large powers of two.
#[inline(always)]
pub fn slot_of(address: u64) -> usize {
    let region = address >> REGION_BITS;
    (region ^ region >> 11) as usize & (REGIONS - 1)
}

/// What the protocol works on.
pub trait Space {
    /// The epoch now.
    fn epoch(&self) -> u64;
    /// Raises the epoch.
    fn bump(&self);
    /// Who has the slot.
    fn owner(&self, slot: usize) -> u32;
    /// Gives the slot from one to another; false: it was not `from`'s.
    fn replace(&self, slot: usize, from: u32, to: u32) -> bool;
    /// Whether the thread has ended and all that it recorded is there.
    fn is_gone(&self, owner: u32) -> bool;
}

/// What an event has to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The epoch.
    pub epoch: u64,
    /// Whether also a turn, taken from now on.
    pub shared: bool,
}

/// The place of an event of the thread `me` in the region of `slot`. Before a real free, after a real
/// allocation. Each round but the last one brings the slot on its way from unowned to shared.
pub fn place(space: &impl Space, me: u32, slot: usize) -> Place {
    loop {
        // In this order: see above.
        let epoch = space.epoch();
        match space.owner(slot) {
            owner if owner == me => {
                return Place {
                    epoch,
                    shared: false,
                };
            }
            SHARED => {
                return Place {
                    epoch: space.epoch(),
                    shared: true,
                };
            }
            UNOWNED => {
                space.replace(slot, UNOWNED, me);
            }
            ENDING => {
                space.bump();
                space.replace(slot, ENDING, SHARED);
            }
            other if space.is_gone(other) => {
                space.bump();
                space.replace(slot, other, me);
            }
            other => {
                space.replace(slot, other, ENDING);
            }
        }
    }
}
