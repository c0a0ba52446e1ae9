//! What happened in a process, counted.

use super::pieces;
use crate::sample::Amount;
use crate::sites::Memory;

/// What happened in a process, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that returned a new block.
    pub allocations: u64,
    /// Calls that ended one.
    pub frees: u64,
    /// Successful reallocs.
    pub reallocations: u64,
    /// Bytes of allocations, and what reallocs added.
    pub allocated_bytes: u64,
    /// Frees of addresses where nothing was live.
    pub unknown_frees: u64,
    /// Blocks whose end was not seen: another was allocated on them.
    pub missed_frees: u64,
    /// Live blocks of its own.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// What is mapped and no allocator's, in none of the others, in the order of [`Memory::APART`].
    pub apart: [Amount; Memory::APART.len()],
}

impl Counts {
    /// What lives of the kind of memory that has such keys; `None`: of allocators' blocks.
    #[inline]
    pub(super) fn apart_of(&mut self, address: u64) -> Option<&mut Amount> {
        self.apart.get_mut(pieces::apart(address)?)
    }

    /// Of this much more lives at `address`; whether that is an allocator's.
    #[inline]
    pub(super) fn comes(&mut self, address: u64, amount: Amount) -> bool {
        match self.apart_of(address) {
            Some(live) => {
                *live += amount;
                false
            }
            None => {
                self.live_blocks += amount.blocks;
                self.live_bytes += amount.bytes;
                true
            }
        }
    }

    /// This much of what lived at `address` has ended; whether that was an allocator's.
    #[inline]
    pub(super) fn goes(&mut self, address: u64, amount: Amount) -> bool {
        match self.apart_of(address) {
            Some(live) => {
                *live -= amount;
                false
            }
            None => {
                self.live_blocks -= amount.blocks;
                self.live_bytes -= amount.bytes;
                true
            }
        }
    }

    /// Memory that is mapped: no files, and no stacks.
    pub fn mapped(&self) -> Amount {
        let mut sum = self.apart[0];
        sum += self.apart[3];
        sum
    }

    /// Bytes of memory that are live and grow with what is kept: of allocators, and mapped. Arenas grow in large steps,
    /// and with what nobody keeps.
    pub fn held_bytes(&self) -> u64 {
        self.live_bytes + self.apart[0].bytes
    }
}
