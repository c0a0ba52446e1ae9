//! What is left at a call site, as far as numbers can tell of it.

use rustc_hash::FxHashMap;

use super::super::parts::Parts;
use crate::ledger::Finished;
use crate::requests::record::RequestId;
use crate::sites::SiteId;

/// A number of blocks is made at a time as a rule where one in so many pieces has it.
const OF_A_LOT: usize = 10;

/// Blocks made at one moment by one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) process: u32,
    pub(super) born: u64,
    pub(super) blocks: u64,
}

/// What was left at a call site.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// In order of process and birth.
    pub(super) pieces: Vec<Piece>,
    /// What is proved to be a request's.
    pub(super) proved: FxHashMap<RequestId, u64>,
    pub(super) blocks: u64,
}

impl Left {
    /// What is left of a site; `None` where numbers can't tell: some was freed, or is a part of what there was.
    pub(super) fn of(
        site: SiteId,
        places: &[(usize, usize)],
        (parts, processes): (&Parts, &[&mut Finished]),
    ) -> Option<Left> {
        let mut left = Left::default();
        for (process, at) in places {
            let loose = &processes[*process].loose[*at];
            if loose.is_stack || loose.collected {
                return None;
            }
            left.pieces.push(Piece {
                process: *process as u32,
                born: loose.born,
                blocks: loose.served.blocks,
            });
        }
        for (_, part) in parts.of_site(site, processes) {
            if part.sample.is_partial() || part.has_frees() || !part.outside_births.is_empty() {
                return None;
            }
            for kept in &part.retained {
                *left.proved.entry(kept.request).or_default() += kept.blocks;
            }
        }
        Some(left.sorted())
    }

    /// How many blocks are made at a time, where that is one of a few numbers as a rule.
    pub(super) fn lots(&self) -> Vec<u64> {
        let mut lots: FxHashMap<u64, usize> = FxHashMap::default();
        for piece in &self.pieces {
            *lots.entry(piece.blocks).or_default() += 1;
        }
        lots.retain(|_, count| *count * OF_A_LOT >= self.pieces.len());
        let mut lots: Vec<u64> = lots.into_keys().collect();
        lots.sort_unstable();
        lots
    }

    pub(super) fn together<'l>(all: impl Iterator<Item = &'l Left>) -> Left {
        let mut together = Left::default();
        for left in all {
            together.pieces.extend(&left.pieces);
            for (request, blocks) in &left.proved {
                *together.proved.entry(*request).or_default() += blocks;
            }
        }
        together.sorted()
    }

    pub(super) fn sorted(mut self) -> Left {
        self.pieces.sort_by_key(|piece| (piece.process, piece.born));
        let pieces = self.pieces.iter().map(|piece| piece.blocks);
        self.blocks = pieces.chain(self.proved.values().copied()).sum();
        self
    }
}
