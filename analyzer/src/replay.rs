//! The blocks that are live in one process, by address.
//!
//! A forked child starts with its parent's blocks as *inherited* ones: they are live there too, can be
//! ended there, and are counted apart. A realloc takes its block out for the time between intent and
//! outcome ([`Heap::remove`], then [`Heap::put_back`] or [`Heap::insert`]), so that another thread may
//! be given the same address meanwhile.

mod inherited;

use inherited::{Inherited, Snapshot};

use crate::addresses::ByAddress;
use crate::sample::{Amount, Sample};
use crate::types::{TypeId, cached, is_cached};

/// Names who holds a block, and where it was allocated: an index into a ledger's holdings.
pub type HoldingId = u32;

/// A live block of the process's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Bytes, as the program asked.
    pub size: u64,
    /// Stamp of its allocation.
    pub born: u64,
    /// Whose it is.
    pub holding: HoldingId,
    /// What it is, where that was read.
    pub of_type: TypeId,
}

/// What was live at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A block of the process's own.
    Own(Block),
    /// A block that came by fork, and what it counts for.
    Inherited(Amount),
    /// Nothing known.
    Nothing,
}

/// Set in what stands for the address of a block of mapped memory, and in no address of a program.
pub const MAPPED: u64 = 1 << 63;

/// Whether mapped memory lies there, and no allocator's block.
#[inline]
fn is_mapped(address: u64) -> bool {
    address & MAPPED != 0
}

/// The live blocks of a process.
#[derive(Debug, Default)]
pub struct Heap {
    own: ByAddress<Block>,
    sample: Sample,
    inherited: Inherited,
    snapshot: Snapshot,
}

impl Heap {
    /// No blocks yet, in a trace whose blocks count so.
    pub fn new(sample: Sample) -> Heap {
        Heap {
            sample,
            ..Heap::default()
        }
    }

    /// How blocks count.
    pub fn sample(&self) -> Sample {
        self.sample
    }

    /// What the block at `address` counts for.
    #[inline]
    pub fn amount(&self, address: u64, block: &Block) -> Amount {
        if is_mapped(address) {
            // Not in a sample: each is told.
            return Amount::one(block.size);
        }
        // The address, because many blocks are born at one stamp.
        self.sample.amount(block.size, address ^ block.born)
    }

    /// A new block; gives what was live there, which ended unseen.
    #[inline]
    pub fn insert(&mut self, address: u64, block: Block) -> Found {
        self.changed(address);
        match self.own.insert(address, block) {
            Some(old) => Found::Own(old),
            None if self.inherited.blocks() == 0 => Found::Nothing,
            None => match self.inherited.remove(address) {
                Some(amount) => Found::Inherited(amount),
                None => Found::Nothing,
            },
        }
    }

    /// The block of the process's own at `address`.
    pub fn get(&self, address: u64) -> Option<&Block> {
        self.own.get(address)
    }

    /// What is live at `address` will be asked for soon.
    #[inline]
    pub fn expect(&self, address: u64) {
        self.own.expect(address);
    }

    /// Whether something is live at `address`, or never can be told to be.
    #[inline]
    pub fn may_hold(&self, address: u64) -> bool {
        address == 0 || self.own.get(address).is_some() || self.inherited.contains(address)
    }

    /// Takes out what is live at `address`.
    #[inline]
    pub fn remove(&mut self, address: u64) -> Found {
        self.changed(address);
        match self.own.remove(address) {
            Some(block) => Found::Own(block),
            None => match self.inherited.remove(address) {
                Some(amount) => Found::Inherited(amount),
                None => Found::Nothing,
            },
        }
    }

    /// Undoes a [`Heap::remove`]. Where the address is taken by now the newer block stays, and false is
    /// given: the old one has ended.
    pub fn put_back(&mut self, address: u64, found: Found) -> bool {
        if self.own.get(address).is_some() || self.inherited.contains(address) {
            return false;
        }
        self.snapshot.changed(address);
        match found {
            Found::Own(block) => {
                self.own.insert(address, block);
            }
            Found::Inherited(amount) => self.inherited.insert(address, amount),
            Found::Nothing => {}
        }
        true
    }

    /// A child forked later has something else there. It has no mappings of its own.
    #[inline]
    fn changed(&mut self, address: u64) {
        if !is_mapped(address) {
            self.snapshot.changed(address);
        }
    }

    /// The block at `address` has another size.
    pub fn resize(&mut self, address: u64, size: u64) {
        self.changed(address);
        if let Some(block) = self.own.get_mut(address) {
            block.size = size;
        }
    }

    /// The heap of a child forked now.
    pub fn fork(&mut self) -> Heap {
        let sample = self.sample;
        let amount = |address: u64, block: &Block| sample.amount(block.size, address ^ block.born);
        let inherited = self.snapshot.take(&self.own, &self.inherited, amount);
        Heap {
            inherited,
            ..Heap::new(sample)
        }
    }

    /// The block at `address` is of this type, if it was there before `begin`. That a cache keeps it may be known before
    /// what it is.
    pub fn set_type(&mut self, address: u64, begin: u64, of_type: TypeId) {
        if let Some(block) = self.own.get_mut(address)
            && block.born < begin
        {
            block.of_type = match is_cached(block.of_type) {
                true => cached(of_type),
                false => of_type,
            };
        }
    }

    /// The block of the process's own at `address` is of this type.
    pub fn is_of_type(&mut self, address: u64, of_type: TypeId) {
        if let Some(block) = self.own.get_mut(address) {
            block.of_type = of_type;
        }
    }

    /// The live blocks of the process's own, with their addresses.
    pub fn own(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.own.iter()
    }

    /// The blocks that came by fork and are live, with their addresses.
    pub fn inherited_blocks(&self) -> impl Iterator<Item = (u64, Amount)> + '_ {
        self.inherited.iter()
    }

    /// How many inherited blocks are live, and their bytes.
    pub fn inherited(&self) -> (u64, u64) {
        (self.inherited.blocks(), self.inherited.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: u64) -> Block {
        Block {
            size,
            born: 0,
            holding: 0,
            of_type: 0,
        }
    }

    #[test]
    fn a_child_has_its_parents_blocks_as_inherited_ones() {
        let mut parent = Heap::default();
        parent.insert(16, block(1));
        parent.insert(32, block(2));
        let mut child = parent.fork();
        assert_eq!(child.inherited(), (2, 3));
        assert_eq!(child.remove(16), Found::Inherited(Amount::one(1)));
        assert_eq!(child.remove(16), Found::Nothing);
        assert_eq!(parent.remove(16), Found::Own(block(1)));
        assert_eq!(child.inherited(), (1, 2));
    }

    #[test]
    fn children_forked_one_after_the_other_see_the_parent_of_their_time() {
        let mut parent = Heap::default();
        for address in 1..=100 {
            parent.insert(address, block(address));
        }
        let mut first = parent.fork();
        parent.remove(7);
        parent.insert(200, block(9));
        let mut second = parent.fork();
        assert_eq!(first.remove(7), Found::Inherited(Amount::one(7)));
        assert_eq!(first.remove(200), Found::Nothing);
        assert_eq!(second.remove(7), Found::Nothing);
        assert_eq!(second.remove(200), Found::Inherited(Amount::one(9)));
        assert_eq!(second.inherited(), (99, 5050 - 7));
    }

    #[test]
    fn a_grandchild_has_the_blocks_of_both() {
        let mut parent = Heap::default();
        parent.insert(1, block(1));
        parent.insert(2, block(2));
        let mut child = parent.fork();
        child.remove(1);
        child.insert(3, block(3));
        let mut grandchild = child.fork();
        assert_eq!(grandchild.inherited(), (2, 5));
        assert_eq!(grandchild.remove(1), Found::Nothing);
        assert_eq!(grandchild.remove(3), Found::Inherited(Amount::one(3)));
    }

    #[test]
    fn an_allocation_on_a_live_address_tells_what_it_ended() {
        let mut heap = Heap::default();
        assert_eq!(heap.insert(1, block(1)), Found::Nothing);
        assert_eq!(heap.insert(1, block(2)), Found::Own(block(1)));
        let mut child = heap.fork();
        assert_eq!(child.insert(1, block(3)), Found::Inherited(Amount::one(2)));
        assert_eq!(child.remove(1), Found::Own(block(3)));
    }

    #[test]
    fn a_block_put_back_is_as_before_unless_its_address_is_taken() {
        let mut heap = Heap::default();
        heap.insert(1, block(1));
        let found = heap.remove(1);
        assert!(heap.put_back(1, found));
        assert_eq!(heap.remove(1), Found::Own(block(1)));
        heap.insert(1, block(5));
        assert!(!heap.put_back(1, found));
        assert_eq!(heap.remove(1), Found::Own(block(5)));
    }
}
