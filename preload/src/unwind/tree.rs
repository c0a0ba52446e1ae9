//! One thread's tree of call sites: (parent node, return address) → node.
//!
//! Nodes lie in the order of their numbers, and a hash table with open addressing finds them. Its hash is of
//! all addresses of the way to a node, not of the parent's number: so where a walk leads through many nodes,
//! none has to be found before it is known where the next is, and the waits for memory overlap.
//!
//! The first nodes lie in the thread's state itself, so that a thread that allocates little maps nothing;
//! then the room doubles, up to a bound.
//!
//! A signal handler may jump out of any of this and never come back. Then the tree is cleared before it is
//! used again; so only what `clear` rests on must be right at every instruction: memory that is mapped, and
//! that there are nodes.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use crate::kernel;

/// In the state itself.
const FIRST_SLOTS: usize = 1 << 7;
/// 4 MiB for one thread: some 200,000 nodes, three times what a large Python program made.
const MAX_SLOTS: usize = 1 << NUMBER_BITS;

/// A quarter of the slots stays empty, so that searches are short.
const fn nodes_for(slots: usize) -> usize {
    slots / 4 * 3
}

/// A node. The first of them is the root.
#[derive(Clone, Copy)]
struct Node {
    address: u64,
    parent: u32,
    /// See [`At`].
    path: u32,
}

/// A place in the tree: the node's number, and above it the hash of all addresses on the way to it. One word: what is
/// stored in halves and loaded as a whole right after it stalls. The root's is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At(u64);

impl At {
    #[inline(always)]
    fn new(node: u32, path: u32) -> At {
        At(u64::from(path) << 32 | u64::from(node))
    }

    /// The node's number.
    #[inline(always)]
    pub fn node(self) -> u32 {
        self.0 as u32
    }

    /// The hash of the child for `address`.
    #[inline(always)]
    fn turn(self, address: u64) -> u32 {
        // A multiplication carries bits upwards only: the way has to be added where the result is taken
        // from, and the address below.
        let way = self.0 >> 32 << 32;
        let hash = (address ^ way).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 32) as u32
    }
}

/// A node's number takes so many bits of a slot.
const NUMBER_BITS: u32 = 18;

/// The number of a node, below the bits of its path's hash that don't tell where to look. 0: none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    const EMPTY: Slot = Slot(0);
    const NUMBER: u32 = (1 << NUMBER_BITS) - 1;

    #[inline(always)]
    fn new(node: u32, path: u32) -> Slot {
        Slot(path & !Slot::NUMBER | node)
    }

    #[inline(always)]
    fn node(self) -> u32 {
        self.0 & Slot::NUMBER
    }

    /// Whether it can be one's with this hash.
    #[inline(always)]
    fn fits(self, path: u32) -> bool {
        (self.0 ^ path) & !Slot::NUMBER == 0
    }
}

/// All-zero is an empty tree.
pub(super) struct Tree {
    /// Room in mapped memory.
    mapped: Mapped,
    /// How many nodes there are, without the root.
    count: u32,
    first_nodes: [Node; nodes_for(FIRST_SLOTS)],
    first_slots: [Slot; FIRST_SLOTS],
}

/// Where mapped nodes lie, at a page's start, and below that the power of two that is the number of slots, which
/// follow: one word, so that it changes at once. Zero: there are none, the first ones suffice.
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

    fn nodes(self) -> *mut Node {
        (self.0 & !Mapped::POWER) as *mut Node
    }

    fn bytes(self) -> usize {
        bytes_for(self.slots())
    }

    /// # Safety
    /// It is still mapped, and no one else refers to it.
    #[inline(always)]
    unsafe fn room<'a>(self) -> Room<'a> {
        let (nodes, slots) = (self.nodes(), self.slots());
        // SAFETY: `map` mapped room for both, zeroed, at a page's start; nobody else's, as the caller says.
        unsafe {
            let behind = nodes.add(nodes_for(slots)).cast();
            Room {
                nodes: core::slice::from_raw_parts_mut(nodes, nodes_for(slots)),
                slots: core::slice::from_raw_parts_mut(behind, slots),
            }
        }
    }
}

const fn bytes_for(slots: usize) -> usize {
    nodes_for(slots) * size_of::<Node>() + slots * size_of::<Slot>()
}

/// The nodes, the root included, and the slots that name them.
struct Room<'a> {
    nodes: &'a mut [Node],
    slots: &'a mut [Slot],
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
    /// Where `node` is.
    #[inline(always)]
    pub(super) fn at(&mut self, node: u32) -> At {
        let path = self.room().nodes.get(node as usize).map_or(0, |of| of.path);
        At::new(node, path)
    }

    /// What is on the way from `start` along `addresses` will be asked for soon: the waits for it overlap. Gives where
    /// that leads, without the node's number.
    #[inline(always)]
    pub(super) fn expect(&mut self, start: At, addresses: impl Iterator<Item = u64>) -> At {
        let (mut way, slots) = (start, self.room().slots);
        for address in addresses {
            let path = way.turn(address);
            way = At::new(0, path);
            if let Some(slot) = slots.get(path as usize & (slots.len() - 1)) {
                // SAFETY: a prefetch reads nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr::from_ref(slot).cast()) }
            }
        }
        way
    }

    /// The node for `address` under `parent`. A new one is told to `tell` before it exists: the stack has to have room for
    /// that, which a hook's caller may not have.
    pub(super) fn child(
        &mut self,
        parent: At,
        address: u64,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<At, Refused> {
        let path = parent.turn(address);
        match self.room().find(parent.node(), path, address) {
            Found::Node(node) => Ok(At::new(node, path)),
            Found::Empty(index) => self.insert(parent, address, index, tell),
        }
    }

    /// The node for `address` under `parent`, if there is one.
    #[inline(always)]
    pub(super) fn known(&mut self, parent: At, address: u64) -> Option<At> {
        let path = parent.turn(address);
        match self.room().find(parent.node(), path, address) {
            Found::Node(node) => Some(At::new(node, path)),
            Found::Empty(_) => None,
        }
    }

    /// No nodes any more, and no mapped memory.
    pub(super) fn clear(&mut self) {
        if self.count == 0 && self.mapped.is_none() {
            return; // of a new thread nothing is written: the page may not be there yet
        }
        self.map_instead(Mapped::NONE);
        self.first_slots = [Slot::EMPTY; FIRST_SLOTS];
        compiler_fence(Ordering::SeqCst);
        self.count = 0;
    }

    /// No nodes any more, and room for as many as there were: those that fill it once will again. The old room is given
    /// back first, so that the new one lies where it was, and the program's own mappings where they would.
    pub(super) fn begin_again(&mut self) {
        let slots = (!self.mapped.is_none()).then(|| self.mapped.slots());
        self.clear();
        if let Some(slots) = slots {
            self.map_instead(map(slots));
        }
    }

    /// Has `new` for its memory, and gives the old one back: in this order, so that a jump in between loses
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

    #[inline(always)]
    fn room(&mut self) -> Room<'_> {
        if self.mapped.is_none() {
            return Room {
                nodes: &mut self.first_nodes,
                slots: &mut self.first_slots,
            };
        }
        // SAFETY: the tree's own, and it is borrowed.
        unsafe { self.mapped.room() }
    }

    /// A new node, of which `index` is the slot.
    fn insert(
        &mut self,
        parent: At,
        address: u64,
        mut index: usize,
        tell: impl FnOnce(u32) -> bool,
    ) -> Result<At, Refused> {
        let node = self.count + 1;
        let path = parent.turn(address);
        if node as usize >= self.room().nodes.len() {
            if !self.grow() {
                return Err(Refused::Full);
            }
            if let Found::Empty(new) = self.room().find(parent.node(), path, address) {
                index = new;
            }
        }
        if !tell(node) {
            return Err(Refused::Untold);
        }
        // Before there is a slot that has to be cleared.
        self.count = node;
        compiler_fence(Ordering::SeqCst);
        let new = Node {
            address,
            parent: parent.node(),
            path,
        };
        let room = self.room();
        if let (Some(place), Some(slot)) =
            (room.nodes.get_mut(node as usize), room.slots.get_mut(index))
        {
            *place = new;
            *slot = Slot::new(node, path);
        }
        Ok(At::new(node, path))
    }

    /// Twice as much room; false if the bound is reached or no memory is to be had.
    fn grow(&mut self) -> bool {
        let count = self.count as usize;
        let old = self.room();
        let slots = old.slots.len() * 2;
        if slots > MAX_SLOTS {
            return false;
        }
        let mapped = map(slots);
        if mapped.is_none() {
            return false;
        }
        // SAFETY: freshly mapped, and nobody else's.
        let mut new = unsafe { mapped.room() };
        // The root is there: all-zero.
        for (node, of) in old.nodes.iter().enumerate().take(count + 1).skip(1) {
            if let Some(place) = new.nodes.get_mut(node) {
                *place = *of;
            }
            new.name(node as u32, *of);
        }
        self.map_instead(mapped);
        true
    }
}

/// What a search comes to.
enum Found {
    Node(u32),
    /// The slot where the node belongs.
    Empty(usize),
}

impl Room<'_> {
    /// There always is an empty slot.
    #[inline(always)]
    fn find(&self, parent: u32, path: u32, address: u64) -> Found {
        let mask = self.slots.len() - 1;
        let mut index = path as usize & mask;
        for _ in 0..self.slots.len() {
            let slot = self.slots.get(index).copied().unwrap_or(Slot::EMPTY);
            if slot == Slot::EMPTY {
                break;
            }
            if slot.fits(path)
                && let Some(node) = self.nodes.get(slot.node() as usize)
                && node.address == address
                && node.parent == parent
            {
                return Found::Node(slot.node());
            }
            index = (index + 1) & mask;
        }
        Found::Empty(index)
    }

    /// `node`, which is `of`, can be found from now on.
    fn name(&mut self, node: u32, of: Node) {
        if let Found::Empty(index) = self.find(of.parent, of.path, of.address)
            && let Some(slot) = self.slots.get_mut(index)
        {
            *slot = Slot::new(node, of.path);
        }
    }
}

/// Memory for `slots`, a power of two, and their nodes.
fn map(slots: usize) -> Mapped {
    match kernel::map(bytes_for(slots)) {
        Some(memory) => Mapped(memory as usize | slots.trailing_zeros() as usize),
        None => Mapped::NONE,
    }
}

fn unmap(mapped: Mapped) {
    // SAFETY: `map` gave exactly this range, and the caller gives up its only reference to it.
    unsafe { kernel::unmap(mapped.nodes().cast(), mapped.bytes()) };
}

#[cfg(test)]
mod tests;
