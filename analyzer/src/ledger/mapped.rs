//! Mapped memory as blocks. The address space is cut into pieces, each a part of one block; a block lives as long as
//! there is a byte left of it, and is as large as what is left.
//!
//! Blocks of mappings lie in the heap beside those of allocators, under *keys*: odd numbers, where addresses of blocks
//! are even. They are counted apart ([`Counts::apart`]).
//!
//! A block of a traced allocator that comes to lie in a piece tells that the piece is that allocator's, who gives of it
//! what is traced anyway: the piece's block ends there.

use std::collections::BTreeMap;

use leak_wire::Backing;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Ledger;
use super::holding::AccountId;
use crate::replay::Found;
use crate::sample::Amount;
use crate::sites::{Memory, SiteId};
use crate::trace::ThreadId;

/// Bits of a key below its number: what lies there, and the lowest, which no address has.
const KEY_BITS: u32 = 4;

/// The key of the block with this number.
pub(super) fn key(number: u64, memory: usize) -> u64 {
    number << KEY_BITS | (memory as u64) << 1 | 1
}

/// What lies under a key: its place among [`Memory::APART`]. `None`: it is the address of an allocator's block.
#[inline]
pub(super) fn apart(address: u64) -> Option<usize> {
    (address & 1 != 0).then_some((address >> 1 & 7) as usize)
}

/// Whether memory lies there, and no file.
pub(super) fn is_memory(address: u64) -> bool {
    apart(address).is_none_or(|place| Memory::APART.get(place) == Some(&Memory::Mapped))
}

/// Whether a thread's stack lies there: most of one is never touched, so that it counts in no request's bytes.
pub(super) fn is_stack(address: u64) -> bool {
    apart(address).is_some_and(|place| Memory::APART.get(place) == Some(&Memory::Stack))
}

/// A part of the address space, from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// Past its last byte.
    end: u64,
    /// The block's key; 0: addresses that are only reserved.
    block: u64,
    /// The call that mapped it: the first of its sites.
    site: SiteId,
    /// Bytes that were given up, at most: they may have been touched since.
    discarded: u64,
}

/// The mapped memory of a process. See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// By start.
    pieces: BTreeMap<u64, Piece>,
    /// All pieces lie between these.
    bounds: (u64, u64),
    /// How many blocks there were.
    pub(super) blocks: u64,
    /// What each thread's last call took away, by start.
    gone: FxHashMap<ThreadId, Vec<(u64, Piece)>>,
    /// Call sites in whose memory blocks of a traced allocator were seen.
    of_allocators: FxHashSet<SiteId>,
    /// What call sites held when the process's exit began, or at its end.
    pub(super) held: Option<FxHashMap<SiteId, Held>>,
}

/// What a call site has mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many pieces, and their bytes.
    pub amount: Amount,
    /// Of these bytes, those that were given up, at most.
    pub discarded: u64,
    /// It is memory that a traced allocator gives blocks of.
    pub is_allocators: bool,
    /// Threads that have ended and were neither joined nor detached.
    pub unjoined: u64,
}

impl Mappings {
    /// Whether anything may be mapped at `address`.
    #[inline]
    pub(super) fn may_contain(&self, address: u64) -> bool {
        self.bounds.0 <= address && address < self.bounds.1
    }

    fn insert(&mut self, start: u64, piece: Piece) {
        self.pieces.insert(start, piece);
        self.bound();
    }

    fn bound(&mut self) {
        let first = self.pieces.first_key_value();
        let last = self.pieces.last_key_value();
        self.bounds = match (first, last) {
            (Some((start, _)), Some((_, piece))) => (*start, piece.end),
            _ => (0, 0),
        };
    }

    /// Takes out what lies in `from..to`, cut to that.
    fn cut(&mut self, from: u64, to: u64) -> Vec<(u64, Piece)> {
        let touched = self.pieces.range(..to).rev();
        let touched = touched.take_while(|(_, piece)| piece.end > from);
        let starts: Vec<u64> = touched.map(|(start, _)| *start).collect();
        let mut cut = Vec::with_capacity(starts.len());
        for start in starts.into_iter().rev() {
            let Some(piece) = self.pieces.remove(&start) else {
                continue;
            };
            let part = |from: u64, to: u64| Piece {
                end: to,
                discarded: piece.discarded.min(to - from),
                ..piece
            };
            if start < from {
                self.pieces.insert(start, part(start, from));
            }
            if piece.end > to {
                self.pieces.insert(to, part(to, piece.end));
            }
            let (from, to) = (start.max(from), piece.end.min(to));
            cut.push((from, part(from, to)));
        }
        self.bound();
        cut
    }

    /// The piece at `address`, with its start.
    fn at(&self, address: u64) -> Option<(u64, Piece)> {
        let (start, piece) = self.pieces.range(..=address).next_back()?;
        (address < piece.end).then_some((*start, *piece))
    }

    /// The contents of `from..to` were given up.
    fn discard(&mut self, from: u64, to: u64) {
        let touched = self.pieces.range_mut(..to).rev();
        for (start, piece) in touched.take_while(|(_, piece)| piece.end > from) {
            let bytes = piece.end.min(to) - (*start).max(from);
            piece.discarded = (piece.discarded + bytes).min(piece.end - start);
        }
    }

    /// Takes down what call sites hold: the process ends, or begins to.
    fn close(&mut self) {
        let given = Held {
            is_allocators: true,
            ..Held::default()
        };
        let of_allocators = self.of_allocators.iter();
        let mut held: FxHashMap<SiteId, Held> = of_allocators.map(|site| (*site, given)).collect();
        for (start, piece) in self.pieces.iter().filter(|(_, piece)| piece.block != 0) {
            let site = piece.site + apart(piece.block).unwrap_or(0) as SiteId;
            let held = held.entry(site).or_default();
            held.amount += Amount::one(piece.end - start);
            held.discarded += piece.discarded;
        }
        self.held = Some(held);
    }
}

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
                self.take_away(address, end);
                self.put(account, mapping, Some(Memory::Mapped), stamp);
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
            self.put(account, part, Some(Memory::Mapped), stamp);
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
