//! Blocks are given to requests that were in flight when these were made: the one that ends first is served first (the
//! earliest deadline first), which finds room for as many as have any.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::left::Piece;
use crate::requests::record::RequestId;

/// A request that is to have blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) process: u32,
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) request: RequestId,
    /// The place of its key among those that fit.
    pub(super) part: usize,
    pub(super) wants: u64,
    /// It has ended, with this status: without blocks it would be none of these.
    pub(super) must: bool,
}

/// Gives the blocks to requests, in their order: each to the one in flight that ends first; where all want as many as are
/// made at a time (`lots`), to one that wants just so many. Tells `give` the place of the blocks, the request, and how
/// many; gives how many found none, or were missing.
pub(super) fn serve(
    pieces: &[Piece],
    (claims, lots): (&[Claim], &[u64]),
    mut give: impl FnMut(usize, RequestId, u64),
) -> u64 {
    let mut serving = Serving::new(claims, lots);
    for (place, piece) in pieces.iter().enumerate() {
        serving.comes_to(piece.process, piece.born);
        let mut rest = piece.blocks;
        while rest > 0 {
            let Some(at) = serving.next(piece.born, rest) else {
                serving.deficit += rest;
                break;
            };
            let given = rest.min(serving.wants[at]);
            serving.wants[at] -= given;
            rest -= given;
            give(place, claims[at].request, given);
        }
    }
    serving.ends()
}

/// Requests that wait for their blocks.
struct Serving<'c> {
    claims: &'c [Claim],
    wants: Vec<u64>,
    /// By part: when each ends, and its place.
    waiting: Vec<BinaryHeap<Reverse<(u64, usize)>>>,
    /// The next that begins.
    next: usize,
    process: u32,
    /// Those who want just so many come first.
    by_lots: bool,
    deficit: u64,
}

impl<'c> Serving<'c> {
    fn new(claims: &'c [Claim], lots: &[u64]) -> Self {
        let parts = claims.iter().map(|claim| claim.part + 1).max();
        Serving {
            claims,
            wants: claims.iter().map(|claim| claim.wants).collect(),
            waiting: vec![BinaryHeap::new(); parts.unwrap_or(0)],
            next: 0,
            process: 0,
            by_lots: claims.iter().all(|claim| lots.contains(&claim.wants)),
            deficit: 0,
        }
    }

    /// What is missing of one that waits no more.
    fn goes(&mut self, at: usize) {
        if self.claims[at].must {
            self.deficit += self.wants[at];
        }
    }

    /// So late is it: requests have begun.
    fn comes_to(&mut self, process: u32, stamp: u64) {
        if process != self.process {
            self.process = process;
            for of_part in std::mem::take(&mut self.waiting) {
                for Reverse((_, at)) in of_part.iter() {
                    self.goes(*at);
                }
                self.waiting.push(BinaryHeap::new());
            }
        }
        while let Some(claim) = self.claims.get(self.next)
            && (claim.process, claim.from) <= (process, stamp)
        {
            match claim.process == process {
                true => self.waiting[claim.part].push(Reverse((claim.until, self.next))),
                false => self.goes(self.next),
            }
            self.next += 1;
        }
    }

    /// Who is served next with so many.
    fn next(&mut self, stamp: u64, blocks: u64) -> Option<usize> {
        let mut first: Option<(bool, u64, usize)> = None;
        for part in 0..self.waiting.len() {
            while let Some(Reverse((until, at))) = self.waiting[part].peek().copied() {
                if until >= stamp && self.wants[at] > 0 {
                    let one = (self.by_lots && self.wants[at] != blocks, until, at);
                    first = Some(first.map_or(one, |first| first.min(one)));
                    break;
                }
                self.waiting[part].pop();
                self.goes(at);
            }
        }
        first.map(|(.., at)| at)
    }

    /// All blocks are given.
    fn ends(mut self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting);
        for Reverse((_, at)) in waiting.iter().flatten() {
            self.goes(*at);
        }
        for at in self.next..self.claims.len() {
            self.goes(at);
        }
        self.deficit
    }
}
