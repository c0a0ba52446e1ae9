//! A map of blocks by address, for who is asked for tens of millions of them a second: the recorder and the
//! reader of a trace.
//!
//! Open addressing with linear probing and no tombstones: what is kept of a block, 24 bytes at best, and its
//! address lie in half a cache line, so that a look is one miss, and one that can be seen coming
//! ([`ByAddress::expect`]) is none.

/// A place for a block; an address of 0: free.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Slot<B> {
    address: u64,
    block: B,
}

/// The smallest number of slots, a power of two.
const SMALLEST: usize = 64;
/// 2⁶⁴ / φ: Fibonacci hashing (D. E. Knuth, The Art of Computer Programming 3, section 6.4).
const FIBONACCI: u64 = 0x9e37_79b9_7f4a_7c15;

/// Slots in one [part](ByAddress::part) of a table: a fraction of a millisecond.
const PART: usize = 1 << 15;

/// How far a table was walked through in parts. What lay there all the time is met at least once; a block that
/// was moved from the table's begin to its end may be missed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    /// Slots that are still to be seen, the first ones: searches go up, and blocks move down.
    left: usize,
    /// Of so many.
    of: usize,
}

impl Walk {
    /// Whether the end was reached.
    pub(crate) fn is_done(self) -> bool {
        self.left == 0
    }
}

/// See the module's documentation. No block lies at address 0: one that is put there is not kept.
#[derive(Debug)]
pub(crate) struct ByAddress<B> {
    /// A power of two of them, at least half of them free: what a longer search costs is not its steps,
    /// but that nobody can tell their number before.
    slots: Vec<Slot<B>>,
    count: usize,
}

impl<B: Copy + Default> Default for ByAddress<B> {
    fn default() -> Self {
        ByAddress {
            slots: vec![Slot::default(); SMALLEST],
            count: 0,
        }
    }
}

impl<B: Copy + Default> ByAddress<B> {
    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Where the search for an address begins. Neighbourhoods of 256 bytes are strewn, and the blocks of one lie
    /// as they do there: what is allocated in a row is looked for in a row. Not of whole pages: where those are
    /// full of blocks of 8 or 16 bytes, they would be rows of hundreds of taken slots, to be searched to the end.
    #[inline]
    fn home(&self, address: u64) -> usize {
        let bits = self.slots.len().trailing_zeros();
        let neighbourhood = (address >> 8).wrapping_mul(FIBONACCI) >> (64 - bits);
        (neighbourhood + (address >> 4 & 0xf)) as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// The slot of an address, or the free one that ends the search for it.
    #[inline]
    fn find(&self, address: u64) -> usize {
        let mut slot = self.home(address);
        while self.slots[slot].address != address && self.slots[slot].address != 0 {
            slot = self.after(slot);
        }
        slot
    }

    /// The block at `address` will be asked for soon.
    #[inline]
    pub(crate) fn expect(&self, address: u64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let slot: *const Slot<B> = &raw const self.slots[self.home(address)];
        // SAFETY: a prefetch reads nothing, and the slot is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slot.cast()) }
    }

    /// The block at `address`.
    #[inline]
    pub(crate) fn get(&self, address: u64) -> Option<&B> {
        let slot = &self.slots[self.find(address)];
        (slot.address != 0).then_some(&slot.block)
    }

    /// The block at `address`, to be changed.
    pub(crate) fn get_mut(&mut self, address: u64) -> Option<&mut B> {
        let slot = self.find(address);
        let slot = &mut self.slots[slot];
        (slot.address != 0).then_some(&mut slot.block)
    }

    /// Puts a block at `address`; gives the one that was there.
    #[inline]
    pub(crate) fn insert(&mut self, address: u64, block: B) -> Option<B> {
        if address == 0 {
            return None;
        }
        let slot = self.find(address);
        let slot = &mut self.slots[slot];
        if slot.address != 0 {
            return Some(std::mem::replace(&mut slot.block, block));
        }
        *slot = Slot { address, block };
        self.count += 1;
        if self.count > self.slots.len() / 2 {
            self.grow();
        }
        None
    }

    #[cold]
    fn grow(&mut self) {
        self.resize(self.slots.len() * 2);
    }

    /// Gives back what a table has that was once much larger: who walks through it sees every slot.
    pub(crate) fn shrink(&mut self) {
        let enough = (self.count * 4).next_power_of_two().max(SMALLEST);
        if enough < self.slots.len() / 4 {
            self.resize(enough);
        }
    }

    fn resize(&mut self, count: usize) {
        let slots = vec![Slot::default(); count];
        let old = std::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().filter(|slot| slot.address != 0) {
            let place = self.find(slot.address);
            self.slots[place] = slot;
        }
    }

    /// Takes out the block at `address`.
    #[inline]
    pub(crate) fn remove(&mut self, address: u64) -> Option<B> {
        self.remove_if(address, |_| true)
    }

    /// Takes out the block at `address` if it is one that `goes`.
    #[inline]
    pub(crate) fn remove_if(&mut self, address: u64, goes: impl FnOnce(&B) -> bool) -> Option<B> {
        let mut hole = self.find(address);
        let removed = self.slots[hole];
        if removed.address == 0 || !goes(&removed.block) {
            return None;
        }
        self.count -= 1;
        // What was put further on because this slot was taken moves up, so that searches end where they
        // would have without it.
        let mut slot = self.after(hole);
        while self.slots[slot].address != 0 {
            let home = self.home(self.slots[slot].address);
            let mask = self.slots.len() - 1;
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.slots[hole].address = 0;
        Some(removed.block)
    }

    /// The begin of a walk through all blocks.
    pub(crate) fn walk(&self) -> Walk {
        let of = self.slots.len();
        Walk { left: of, of }
    }

    /// The next blocks of a walk, with their addresses. It begins anew where the table has another size since.
    pub(crate) fn part(&self, walk: &mut Walk) -> impl Iterator<Item = (u64, &B)> {
        if walk.of != self.slots.len() {
            *walk = self.walk();
        }
        let end = walk.left;
        walk.left = end.saturating_sub(PART);
        let taken = self.slots[walk.left..end].iter().rev();
        let taken = taken.filter(|slot| slot.address != 0);
        taken.map(|slot| (slot.address, &slot.block))
    }

    /// All blocks, with their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &B)> {
        let taken = self.slots.iter().filter(|slot| slot.address != 0);
        taken.map(|slot| (slot.address, &slot.block))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn holds_what_a_plain_map_holds() {
        // Few addresses beside each other and far apart, so that searches run into each other and wrap.
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let (mut blocks, mut plain) = (ByAddress::default(), BTreeMap::new());
        for step in 0..200_000_u64 {
            // Grows, shrinks, and is as often asked for what it has not.
            let few = if step / 20_000 % 2 == 0 { 4000 } else { 40 };
            let address = 16 + random(few) * 16 + (random(3) << 40);
            match random(3) {
                0 => assert_eq!(blocks.remove(address), plain.remove(&address)),
                1 => assert_eq!(blocks.get(address), plain.get(&address)),
                _ => {
                    let old = plain.insert(address, step);
                    assert_eq!(blocks.insert(address, step), old);
                }
            }
            assert_eq!(blocks.count, plain.len());
        }
        let all: BTreeMap<u64, u64> = blocks.iter().map(|(at, block)| (at, *block)).collect();
        assert_eq!(all, plain);
        for address in plain.keys() {
            assert!(blocks.remove(*address).is_some());
        }
        assert_eq!(blocks.iter().count(), 0);
    }

    #[test]
    fn a_walk_meets_what_stays_though_others_come_and_go() {
        let mut blocks = ByAddress::default();
        for number in 1..=200_000_u64 {
            blocks.insert(number * 16, number);
        }
        let mut walk = blocks.walk();
        let (mut met, mut parts) = (BTreeMap::new(), 0);
        while !walk.is_done() {
            met.extend(blocks.part(&mut walk).map(|(at, block)| (at, *block)));
            // Every second one goes, in the order of their addresses; others come, and make the table grow.
            for number in (1..=5000).map(|number| parts * 5000 + number) {
                blocks.remove(number * 32);
                blocks.insert(number * 32 + 8_000_000, number);
            }
            parts += 1;
        }
        let stayed = (0..100_000_u64).map(|number| 2 * number + 1);
        assert!(
            stayed
                .into_iter()
                .all(|number| met.get(&(number * 16)) == Some(&number))
        );
        assert!(parts > 8);
    }

    #[test]
    fn a_table_that_was_large_is_small_again() {
        let mut blocks = ByAddress::default();
        for address in 1..=10_000_u64 {
            blocks.insert(address * 16, address);
        }
        for address in 101..=10_000_u64 {
            blocks.remove(address * 16);
        }
        blocks.shrink();
        assert_eq!(blocks.slots.len(), 512);
        assert!((1..=100).all(|address| blocks.get(address * 16) == Some(&address)));
        blocks.shrink();
        assert_eq!((blocks.slots.len(), blocks.len()), (512, 100));
    }

    #[test]
    fn nothing_is_ever_at_address_0() {
        let mut blocks = ByAddress::default();
        assert_eq!(blocks.insert(0, 1), None);
        assert_eq!(blocks.get(0), None);
        assert_eq!(blocks.get_mut(0), None);
        assert_eq!(blocks.remove(0), None);
        assert_eq!(blocks.iter().count(), 0);
    }
}
