//! One thread's tree of call sites: (parent node, return address) → node.
//!
//! A hash table with open addressing. The first nodes lie in the thread's state itself, so that a
//! thread that allocates little maps nothing; then it doubles, up to a bound.
//!
//! A signal handler may jump out of any of this and never come back. Then the tree is cleared before it is
//! used again; so only what `clear` rests on must be right at every instruction: memory that is mapped.

use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

/// In the state itself.
const FIRST_SLOTS: usize = 128;
/// 4 MiB for one thread: some 200,000 nodes, three times what a large Python program made.
const MAX_SLOTS: usize = 1 << 18;

/// All-zero is an empty slot: node numbers start at 1.
#[derive(Clone, Copy)]
struct Slot {
    address: u64,
    parent: u32,
    node: u32,
}

const EMPTY: Slot = Slot {
    address: 0,
    parent: 0,
    node: 0,
};

/// All-zero is an empty tree.
pub(super) struct Tree {
    /// Slots in mapped memory.
    mapped: Mapped,
    nodes: u32,
    first: [Slot; FIRST_SLOTS],
}

/// Where mapped slots lie, at a page's start, and below that the power of two that is their number: one word,
/// so that it changes at once. Zero: there are none, the first ones suffice.
#[derive(Clone, Copy)]
struct Mapped(usize);

impl Mapped {
    const NONE: Mapped = Mapped(0);
    const POWER: usize = 0xfff;

    fn is_none(self) -> bool {
        self.0 == 0
    }

    fn slots(self) -> usize {
        1 << (self.0 & Mapped::POWER)
    }

    fn start(self) -> *mut Slot {
        (self.0 & !Mapped::POWER) as *mut Slot
    }
}

/// Why there is no node.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The tree is full: it has to start anew.
    Full,
    /// The new node could not be told.
    Untold,
}

impl Tree {
    /// The node for `address` under `parent`. A new one is told to `tell` before it exists.
    #[inline(always)]
    pub(super) fn child(
        &mut self,
        parent: u32,
        address: u64,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<u32, Refused> {
        match find(self.slots(), parent, address) {
            Some(slot) if slot.node != 0 => Ok(slot.node),
            _ => self.insert(parent, address, tell),
        }
    }

    /// The node for `address` under `parent`, if there is one.
    pub(super) fn known(&mut self, parent: u32, address: u64) -> Option<u32> {
        let slot = find(self.slots(), parent, address)?;
        (slot.node != 0).then_some(slot.node)
    }

    /// No nodes any more, and no mapped memory.
    pub(super) fn clear(&mut self) {
        self.map_instead(Mapped::NONE);
        if self.nodes != 0 {
            self.first = [EMPTY; FIRST_SLOTS];
        }
        compiler_fence(Ordering::SeqCst);
        self.nodes = 0;
    }

    /// Has `new` for its slots, and gives the old ones back: in this order, so that a jump in between loses
    /// memory at worst, and never leads to what is no longer the tree's.
    fn map_instead(&mut self, new: Mapped) {
        let old = self.mapped;
        compiler_fence(Ordering::SeqCst);
        self.mapped = new;
        compiler_fence(Ordering::SeqCst);
        if !old.is_none() {
            unmap(old);
        }
    }

    #[inline]
    fn slots(&mut self) -> &mut [Slot] {
        if self.mapped.is_none() {
            return &mut self.first;
        }
        // SAFETY: `grow` mapped that many slots there, zeroed, aligned to a page, and only this
        // tree, which is borrowed, refers to them.
        unsafe { core::slice::from_raw_parts_mut(self.mapped.start(), self.mapped.slots()) }
    }

    #[cold]
    #[inline(never)]
    fn insert(
        &mut self,
        parent: u32,
        address: u64,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<u32, Refused> {
        if (self.nodes as usize + 1) * 4 > self.slots().len() * 3 && !self.grow() {
            return Err(Refused::Full);
        }
        let node = self.nodes + 1;
        let slot = find(self.slots(), parent, address).ok_or(Refused::Full)?;
        if !tell(node) {
            return Err(Refused::Untold);
        }
        *slot = Slot {
            address,
            parent,
            node,
        };
        self.nodes = node;
        Ok(node)
    }

    /// Twice as many slots; false if the bound is reached or no memory is to be had.
    fn grow(&mut self) -> bool {
        let slots = self.slots().len() * 2;
        if slots > MAX_SLOTS {
            return false;
        }
        let mapped = map(slots);
        if mapped.is_none() {
            return false;
        }
        // SAFETY: freshly mapped: that many slots, zeroed, page aligned, and nobody else's.
        let new = unsafe { core::slice::from_raw_parts_mut(mapped.start(), slots) };
        for old in self.slots().iter().filter(|slot| slot.node != 0) {
            if let Some(slot) = find(new, old.parent, old.address) {
                *slot = *old;
            }
        }
        self.map_instead(mapped);
        true
    }
}

/// The slot that holds the pair, or the empty one where it belongs. There always is one: a
/// quarter of the slots is empty.
#[inline(always)]
fn find(slots: &mut [Slot], parent: u32, address: u64) -> Option<&mut Slot> {
    // A multiplication carries bits upwards only: the parent has to be added where the index is
    // taken from, and the address below.
    let hash = (address ^ u64::from(parent) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mask = slots.len() - 1;
    let mut index = (hash >> 32) as usize & mask;
    for _ in 0..slots.len() {
        let slot = *slots.get(index)?;
        if slot.node == 0 || (slot.address == address && slot.parent == parent) {
            return slots.get_mut(index);
        }
        index = (index + 1) & mask;
    }
    None
}

/// Memory for `slots`, a power of two.
fn map(slots: usize) -> Mapped {
    // SAFETY: errno is the calling thread's own; a fresh anonymous mapping touches nothing else.
    unsafe {
        let errno = *libc::__errno_location();
        let mapped = libc::mmap(
            ptr::null_mut(),
            slots * size_of::<Slot>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        *libc::__errno_location() = errno;
        if mapped == libc::MAP_FAILED {
            Mapped::NONE
        } else {
            Mapped(mapped as usize | slots.trailing_zeros() as usize)
        }
    }
}

fn unmap(mapped: Mapped) {
    // SAFETY: `map` gave exactly this range, and the caller gives up its only reference to it.
    // munmap of a whole mapping does not fail, so errno stays.
    unsafe { libc::munmap(mapped.start().cast(), mapped.slots() * size_of::<Slot>()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn tree() -> Tree {
        Tree {
            mapped: Mapped::NONE,
            nodes: 0,
            first: [EMPTY; FIRST_SLOTS],
        }
    }

    #[test]
    fn nodes_are_numbered_from_one_and_told_once() {
        let mut tree = tree();
        let mut told = Vec::new();
        for _ in 0..2 {
            for (parent, address, node) in [(0, 10, 1), (1, 20, 2), (1, 10, 3), (2, 20, 4)] {
                let child = tree.child(parent, address, |id| {
                    told.push(id);
                    true
                });
                assert_eq!(child, Ok(node));
            }
        }
        assert_eq!(told, [1, 2, 3, 4]);
        assert_eq!(
            tree.child(4, 20, |_| false),
            Err(Refused::Untold),
            "what can't be told does not exist"
        );
        assert_eq!(tree.child(4, 20, |id| id == 5), Ok(5));
        tree.clear();
        assert_eq!(tree.known(0, 10), None);
        assert_eq!(tree.child(0, 10, |id| id == 1), Ok(1));
    }

    #[test]
    fn grows_to_its_bound() {
        let mut tree = tree();
        let mut nodes = 0;
        // A chain: each node is the last one's child.
        let full = loop {
            match tree.child(nodes, 0x1000 + u64::from(nodes % 7), |_| true) {
                Ok(node) => nodes = node,
                Err(refused) => break refused,
            }
            assert!(nodes < MAX_SLOTS as u32, "no bound");
        };
        assert_eq!(full, Refused::Full);
        assert_eq!(nodes as usize, MAX_SLOTS / 4 * 3);
        let mut at = 0;
        for node in 1..=nodes {
            at = tree.known(at, 0x1000 + u64::from((node - 1) % 7)).unwrap();
            assert_eq!(at, node);
        }
        tree.clear();
    }
}
