//! Which part of a process's address space belongs to which block of mapped memory. Pure bookkeeping: what that means
//! for who holds what is `mapped`'s.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::replay::MAPPED;
use crate::sample::Amount;
use crate::sites::{Memory, SiteId};
use crate::trace::ThreadId;

/// Bits of a key below its number: what lies there.
const KEY_BITS: u32 = 4;

/// The key of the block with this number.
pub(super) fn key(number: u64, memory: usize) -> u64 {
    MAPPED | number << KEY_BITS | memory as u64
}

/// What lies under a key: its place among [`Memory::APART`]. `None`: it is the address of an allocator's block.
#[inline]
pub(super) fn apart(address: u64) -> Option<usize> {
    (address & MAPPED != 0).then_some((address & 0xf) as usize)
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
pub(super) struct Piece {
    /// Past its last byte.
    pub(super) end: u64,
    /// The block's key; 0: addresses that are only reserved.
    pub(super) block: u64,
    /// The call that mapped it: the first of its sites.
    pub(super) site: SiteId,
    /// Bytes that were given up, at most: they may have been touched since.
    pub(super) discarded: u64,
}

/// The mapped memory of a process.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// By start.
    pieces: BTreeMap<u64, Piece>,
    /// All pieces lie between these.
    bounds: (u64, u64),
    /// How many blocks there were.
    pub(super) blocks: u64,
    /// What each thread's last call took away, by start.
    pub(super) gone: FxHashMap<ThreadId, Vec<(u64, Piece)>>,
    /// Call sites in whose memory blocks of a traced allocator were seen.
    pub(super) of_allocators: FxHashSet<SiteId>,
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

    pub(super) fn insert(&mut self, start: u64, piece: Piece) {
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
    pub(super) fn cut(&mut self, from: u64, to: u64) -> Vec<(u64, Piece)> {
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
    pub(super) fn at(&self, address: u64) -> Option<(u64, Piece)> {
        let (start, piece) = self.pieces.range(..=address).next_back()?;
        (address < piece.end).then_some((*start, *piece))
    }

    /// All pieces, with their starts.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (u64, Piece)> + '_ {
        self.pieces.iter().map(|(start, piece)| (*start, *piece))
    }

    /// The contents of `from..to` were given up.
    pub(super) fn discard(&mut self, from: u64, to: u64) {
        let touched = self.pieces.range_mut(..to).rev();
        for (start, piece) in touched.take_while(|(_, piece)| piece.end > from) {
            let bytes = piece.end.min(to) - (*start).max(from);
            piece.discarded = (piece.discarded + bytes).min(piece.end - start);
        }
    }

    /// Takes down what call sites hold: the process ends, or begins to.
    pub(super) fn close(&mut self) {
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
