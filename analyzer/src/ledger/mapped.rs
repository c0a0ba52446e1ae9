//! Mapped memory as blocks. The address space is cut into pieces, each a part of one block; a block lives as long as
//! there is a byte left of it, and is as large as what is left.
//!
//! Blocks of mappings lie in the heap beside those of allocators, under *keys*, which are no addresses. They are counted
//! apart.
//!
//! A block of a traced allocator that comes to lie in a piece tells that the piece is that allocator's, who gives of it
//! what is traced anyway: the piece's block ends there.

use leak_wire::Backing;

use super::Ledger;
use super::holding::AccountId;
use super::pieces::{Held, Piece, apart, key};
use crate::replay::Found;
use crate::sites::{Memory, SiteId};
use crate::trace::ThreadId;

/// A call that maps memory.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// Where it starts.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// What lies there.
    pub backing: Backing,
    /// The first site of its call.
    pub site: SiteId,
}

impl Ledger {
    /// A thread has mapped memory.
    pub fn map(&mut self, account: AccountId, by: ThreadId, mapping: Mapping, stamp: u64) {
        let Mapping { address, size, .. } = mapping;
        let end = address.saturating_add(size);
        match mapping.backing {
            Backing::Private | Backing::Shared => {
                let before = self.take_away(address, end);
                let was_reserved = before.iter().any(|(_, piece)| piece.block == 0);
                let memory = if was_reserved {
                    Memory::Arena
                } else {
                    Memory::Mapped
                };
                self.put(account, mapping, Some(memory), stamp);
            }
            Backing::File => {
                self.take_away(address, end);
                self.put(account, mapping, Some(Memory::File), stamp);
            }
            Backing::Reserved => {
                self.take_away(address, end);
                self.put(account, mapping, None, stamp);
            }
            Backing::Committed => self.commit(account, mapping, stamp),
            Backing::Remapped => {
                let before = self.mappings.at(address).map(|(_, piece)| piece);
                let moved = self.mappings.gone.get(&by).and_then(|gone| gone.first());
                let before = moved.map(|(_, piece)| *piece).or(before);
                // What nobody knew of came before the trace.
                let memory = match before.map(|piece| apart(piece.block)) {
                    None => Some(Memory::Mapped),
                    Some(None) => None,
                    Some(Some(place)) => Memory::APART.get(place).copied(),
                };
                self.take_away(address, end);
                self.put(account, mapping, memory, stamp);
            }
        }
        self.mappings.gone.remove(&by);
    }

    /// A new piece with a block of its own; `None`: addresses that are only reserved.
    fn put(&mut self, account: AccountId, mapping: Mapping, memory: Option<Memory>, stamp: u64) {
        let Mapping {
            address,
            size,
            site,
            ..
        } = mapping;
        if size == 0 {
            return;
        }
        let place = memory.and_then(Memory::apart);
        let block = place.map_or(0, |place| {
            self.mappings.blocks += 1;
            key(self.mappings.blocks, place)
        });
        let piece = Piece {
            end: address.saturating_add(size),
            block,
            site,
            discarded: 0,
        };
        self.mappings.insert(address, piece);
        if let Some(place) = place {
            self.add(account, block, size, site + place as SiteId, stamp);
        }
    }

    /// Reserved addresses become memory; what is memory already stays what it is.
    fn commit(&mut self, account: AccountId, mapping: Mapping, stamp: u64) {
        let end = mapping.address.saturating_add(mapping.size);
        for (address, piece) in self.mappings.cut(mapping.address, end) {
            if piece.block != 0 {
                self.mappings.insert(address, piece);
                continue;
            }
            let part = Mapping {
                address,
                size: piece.end - address,
                ..mapping
            };
            self.put(account, part, Some(Memory::Arena), stamp);
        }
    }

    /// Nothing is mapped there any more, `by` is about to see to that.
    pub fn unmap(&mut self, by: ThreadId, address: u64, size: u64) {
        let gone = self.take_away(address, address.saturating_add(size));
        self.mappings.gone.insert(by, gone);
    }

    /// That failed. What had ended wholly is a new block, whose age and owner are this call's.
    pub fn unmap_failed(&mut self, account: AccountId, by: ThreadId, stamp: u64) {
        for (address, piece) in self.mappings.gone.remove(&by).unwrap_or_default() {
            self.mappings.insert(address, piece);
            let size = piece.end - address;
            if piece.block != 0 && !self.resize(piece.block, |bytes| bytes + size) {
                let place = apart(piece.block).unwrap_or(0);
                self.add(
                    account,
                    piece.block,
                    size,
                    piece.site + place as SiteId,
                    stamp,
                );
            }
        }
    }

    /// The contents of what is mapped there were given up.
    pub fn discard(&mut self, address: u64, size: u64) {
        self.mappings.discard(address, address.saturating_add(size));
    }

    fn take_away(&mut self, from: u64, to: u64) -> Vec<(u64, Piece)> {
        let gone = self.mappings.cut(from, to);
        for (start, piece) in gone.iter().filter(|(_, piece)| piece.block != 0) {
            let bytes = piece.end - start;
            let size = self.heap.get(piece.block).map_or(0, |block| block.size);
            if size > bytes {
                self.resize(piece.block, |size| size - bytes);
            } else if let Found::Own(block) = self.heap.remove(piece.block) {
                self.release(piece.block, block);
            }
        }
        gone
    }

    /// The block under the key has another size; `false`: it has ended.
    fn resize(&mut self, key: u64, size: impl Fn(u64) -> u64) -> bool {
        let Some(before) = self.heap.get(key).copied() else {
            return false;
        };
        let after = size(before.size);
        self.heap.resize(key, after);
        let change = |bytes: &mut u64| *bytes = (*bytes + after).saturating_sub(before.size);
        let id = self.resolve(&before);
        let holding = &mut self.holdings[id as usize];
        change(&mut holding.live_bytes);
        let site = holding.site;
        let figures = &mut self.sites[site as usize];
        change(&mut figures.live_bytes);
        if !figures.dirty {
            figures.dirty = true;
            self.dirty.push(site);
        }
        if let Some(live) = self.counts.apart_of(key) {
            change(&mut live.bytes);
        }
        true
    }

    /// A block of a traced allocator lies at `address`: so does what it is a part of belong to the allocator.
    #[cold]
    pub(super) fn hand_over(&mut self, address: u64) {
        let Some((start, piece)) = self.mappings.at(address) else {
            return;
        };
        self.mappings.of_allocators.insert(piece.site);
        self.take_away(start, piece.end);
    }

    /// Takes down what call sites have mapped: the process ends, or begins to.
    pub fn close_mappings(&mut self) {
        if self.mappings.held.is_none() {
            self.mappings.close();
            self.close_stacks();
        }
    }

    /// What that was, by call site.
    pub fn mapped(&self) -> impl Iterator<Item = (SiteId, Held)> + '_ {
        let held = self.mappings.held.iter().flatten();
        held.map(|(site, held)| (*site, *held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::holding::OUTSIDE;
    use crate::sample::{Amount, Sample};

    const SITE: SiteId = 40;

    fn mapping(address: u64, size: u64, backing: Backing) -> Mapping {
        Mapping {
            address,
            size,
            backing,
            site: SITE,
        }
    }

    /// A ledger in which one thread maps these, one after the other.
    fn ledger(mappings: &[(u64, u64, Backing)]) -> Ledger {
        let mut ledger = Ledger::new(Sample::default());
        for (address, size, backing) in mappings {
            ledger.map(OUTSIDE, 1, mapping(*address, *size, *backing), 1);
        }
        ledger
    }

    fn live(ledger: &Ledger) -> [(u64, u64); 2] {
        [ledger.counts.mapped(), ledger.counts.apart[1]]
            .map(|Amount { blocks, bytes }| (blocks, bytes))
    }

    #[test]
    fn a_block_lives_as_long_as_a_byte_of_it() {
        let mut ledger = ledger(&[(0x10_000, 0x10_000, Backing::Private)]);
        ledger.unmap(1, 0x14_000, 0x4_000);
        assert_eq!(live(&ledger)[0], (1, 0xc_000));
        ledger.unmap(1, 0, 0x14_000);
        ledger.unmap(1, 0x1f_000, 0x10_000);
        assert_eq!(live(&ledger)[0], (1, 0x7_000));
        ledger.unmap(1, 0x10_000, 0x10_000);
        assert_eq!(live(&ledger)[0], (0, 0));
        assert_eq!(ledger.counts.live_blocks + ledger.counts.frees, 0);
    }

    #[test]
    fn what_is_mapped_over_another_ends_that_part_of_it() {
        let all = [
            (0x10_000, 0x10_000, Backing::Private),
            (0x14_000, 0x4_000, Backing::File),
            (0x1c_000, 0x8_000, Backing::Shared),
        ];
        assert_eq!(live(&ledger(&all)), [(2, 0x8_000 + 0x8_000), (1, 0x4_000)]);
    }

    #[test]
    fn reserved_addresses_are_memory_once_they_are_accessible() {
        let reserved = (0x10_000, 0x10_000, Backing::Reserved);
        let committed = (0x18_000, 0x10_000, Backing::Committed);
        let mut twice = ledger(&[reserved, committed, committed]);
        assert_eq!(live(&twice)[0], (1, 0x8_000), "nothing beyond, and once");
        twice.map(
            OUTSIDE,
            1,
            mapping(0x10_000, 0x10_000, Backing::Reserved),
            2,
        );
        assert_eq!(live(&twice)[0], (0, 0));
    }

    #[test]
    fn what_is_moved_stays_what_it_was() {
        let mut ledger = ledger(&[(0x10_000, 0x1_000, Backing::File)]);
        ledger.unmap(1, 0x10_000, 0x1_000);
        ledger.map(OUTSIDE, 1, mapping(0x40_000, 0x2_000, Backing::Remapped), 2);
        assert_eq!(live(&ledger), [(0, 0), (1, 0x2_000)]);
        // In place, with a longer end.
        ledger.map(OUTSIDE, 1, mapping(0x40_000, 0x5_000, Backing::Remapped), 3);
        assert_eq!(live(&ledger), [(0, 0), (1, 0x5_000)]);
    }

    #[test]
    fn what_failed_has_not_happened() {
        let mut ledger = ledger(&[
            (0x10_000, 0x10_000, Backing::Private),
            (0x30_000, 0x1_000, Backing::Private),
        ]);
        for (from, size) in [(0x18_000, 0x1_000), (0x18_000, 0x30_000)] {
            ledger.unmap(1, from, size);
            // Another thread's call is its own matter.
            ledger.unmap(2, 0x90_000, 0x1_000);
            ledger.unmap_failed(OUTSIDE, 1, 2);
            assert_eq!(live(&ledger)[0], (2, 0x11_000));
        }
        ledger.unmap(1, 0, 1 << 40);
        assert_eq!(live(&ledger)[0], (0, 0));
    }

    #[test]
    fn where_a_traced_block_lies_it_is_its_allocators() {
        let mut ledger = ledger(&[(0x10_000, 0x10_000, Backing::Private)]);
        ledger.allocate(OUTSIDE, 0x12_340, 32, 1, 2);
        assert_eq!(live(&ledger)[0], (0, 0));
        assert_eq!(ledger.counts.live_bytes, 32);
        ledger.close_mappings();
        let held: Vec<_> = ledger.mapped().collect();
        assert!(held.len() == 1 && held[0].1.is_allocators);
    }

    #[test]
    fn a_child_has_none_of_its_own() {
        let mut ledger = ledger(&[(0x10_000, 0x10_000, Backing::Private)]);
        ledger.allocate(OUTSIDE, 16, 100, 1, 1);
        let mut child = ledger.fork();
        assert_eq!(child.live_bytes(), 100);
        child.unmap(1, 0x10_000, 0x10_000);
        assert_eq!((live(&child)[0], live(&ledger)[0]), ((0, 0), (1, 0x10_000)));
    }
}
