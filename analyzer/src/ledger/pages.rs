//! Which of a process's resident pages have live blocks, and how much of each page those fill: what an allocator holds
//! beside them, and which blocks keep it from giving that back. Pure; it takes memory for pages with a part of a block
//! alone.
//!
//! A page is *pinned* where live blocks fill less than a quarter of it: its free bytes are put down to the blocks on it,
//! in equal shares.

use rustc_hash::FxHashMap;

use crate::trace::{Area, AreaKind, PAGE};

/// A page is pinned where its blocks fill less than this part of it.
const PINNED: u64 = 4;
/// Where such small blocks lie in memory of which nothing else is known, an allocator has it.
const SMALL: u64 = 64 << 10;

/// A page with a part of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Filled {
    /// Bytes of live blocks.
    live: u32,
    /// How many of those are here, with a part at least.
    blocks: u32,
    /// Its area.
    area: u32,
}

impl Filled {
    fn add(&mut self, bytes: u64) {
        // Of blocks whose end was not seen there may be too many.
        self.live = (self.live + bytes as u32).min(PAGE as u32);
        self.blocks += 1;
    }

    fn free(self) -> u64 {
        PAGE - u64::from(self.live)
    }

    fn is_pinned(self) -> bool {
        u64::from(self.live) * PINNED < PAGE
    }
}

/// What an area has of each.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// Bytes of pages on which a part of a block lies.
    with_blocks: u64,
    /// Bytes that somebody else than an allocator has mapped.
    claimed: u64,
    /// Small blocks lie here.
    has_small: bool,
    /// Which part of what seems to be there is resident, where the pages are not known.
    share: f64,
}

/// Resident memory, and what is in it.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    areas: &'a [Area],
    /// Resident runs of pages with the numbers of their areas, by address.
    runs: Vec<(u64, u64, u32)>,
    uses: Vec<Use>,
    filled: FxHashMap<u64, Filled>,
    is_closed: bool,
}

/// What allocators hold beside live blocks, and what nobody is known to hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Free on pinned pages.
    pub(super) pinned: u64,
    /// Free on other pages with live blocks, what the allocator keeps to itself there included.
    pub(super) between: u64,
    /// Pages without live blocks.
    pub(super) whole: u64,
    /// Stacks that are told by their areas.
    pub(super) stacks: u64,
    /// Data of programs and libraries.
    pub(super) data: u64,
    /// Nobody's.
    pub(super) rest: u64,
}

impl<'a> Pages<'a> {
    /// Nothing is in them yet.
    pub(super) fn new(areas: &'a [Area]) -> Pages<'a> {
        let mut runs = Vec::new();
        for (number, area) in (0..).zip(areas) {
            match area.runs.is_empty() {
                true => runs.push((area.from, area.to, number)),
                false => runs.extend(area.runs.iter().map(|(from, to)| (*from, *to, number))),
            }
        }
        Pages {
            areas,
            runs,
            uses: vec![Use::default(); areas.len()],
            filled: FxHashMap::default(),
            is_closed: false,
        }
    }

    /// The resident parts of `from..to`, as bytes and the number of the area.
    fn parts(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u32)> + '_ {
        let first = self.runs.partition_point(|run| run.1 <= from);
        let runs = self.runs.get(first..).unwrap_or_default().iter();
        let runs = runs.take_while(move |run| run.0 < to);
        runs.map(move |run| (run.1.min(to) - run.0.max(from), run.2))
    }

    /// A block is live. All come before [`Pages::close`].
    pub(super) fn add(&mut self, address: u64, size: u64) {
        let (first, last, end) = span(address, size);
        let is_small = size < SMALL;
        if first == last {
            self.filled.entry(first).or_default().add(size);
        } else {
            let whole = (first + 1) * PAGE..last * PAGE;
            self.filled
                .entry(first)
                .or_default()
                .add(whole.start - address);
            self.filled.entry(last).or_default().add(end - whole.end);
            let whole: Vec<(u64, u32)> = self.parts(whole.start, whole.end).collect();
            for (bytes, area) in whole {
                self.uses[area as usize].with_blocks += bytes;
            }
        }
        let begin = self.parts(address, address + 1).next();
        if let Some((_, area)) = begin.filter(|_| is_small) {
            self.uses[area as usize].has_small = true;
        }
    }

    /// The program or the C library has mapped `from..to`; gives what of that is resident.
    pub(super) fn claim(&mut self, from: u64, to: u64) -> u64 {
        let parts: Vec<(u64, u32)> = self.parts(from, to).collect();
        let mut resident = 0;
        for (bytes, number) in parts {
            let area = &self.areas[number as usize];
            let bytes = match area.runs.is_empty() {
                // Not known: as much of each part.
                true => (bytes as f64 * share(area.resident, area.to - area.from)) as u64,
                false => bytes,
            };
            let claimed = &mut self.uses[number as usize].claimed;
            // Nothing is claimed twice.
            let bytes = bytes.min(area.resident - *claimed);
            *claimed += bytes;
            resident += bytes;
        }
        resident
    }

    /// All blocks have come, and all that is claimed.
    pub(super) fn close(&mut self) {
        let mut filled = std::mem::take(&mut self.filled);
        filled.retain(|page, of| {
            let part = self.parts(page * PAGE, (page + 1) * PAGE).next();
            if let Some((_, area)) = part {
                of.area = area;
                self.uses[area as usize].with_blocks += PAGE;
            }
            part.is_some()
        });
        self.filled = filled;
        for (area, uses) in self.areas.iter().zip(&mut self.uses) {
            uses.share = share(area.resident - uses.claimed, uses.with_blocks).min(1.0);
        }
        self.is_closed = true;
    }

    /// What of a block is resident, and the bytes that it pins.
    pub(super) fn of_block(&self, address: u64, size: u64) -> (f64, f64) {
        let (first, last, end) = span(address, size);
        let on = |page: u64, bytes: u64| {
            let Some(filled) = self.filled.get(&page) else {
                return (0.0, 0.0);
            };
            let share = self.uses[filled.area as usize].share;
            let pinned = match filled.is_pinned() {
                true => filled.free() as f64 / f64::from(filled.blocks.max(1)),
                false => 0.0,
            };
            (bytes as f64 * share, pinned * share)
        };
        if first == last {
            return on(first, size);
        }
        let whole = (first + 1) * PAGE..last * PAGE;
        let head = on(first, whole.start - address);
        let tail = on(last, end - whole.end);
        let whole = self.parts(whole.start, whole.end);
        let whole = whole.map(|(bytes, area)| bytes as f64 * self.uses[area as usize].share);
        let whole: f64 = whole.sum();
        (head.0 + whole + tail.0, head.1 + tail.1)
    }

    /// What is held beside live blocks; all sums together with what is resident of blocks and of what was claimed are
    /// what is resident.
    pub(super) fn held(&self) -> Held {
        debug_assert!(self.is_closed, "not all blocks are there");
        let mut sums = (0.0, 0.0);
        for filled in self.filled.values() {
            let share = self.uses[filled.area as usize].share;
            let sum = match filled.is_pinned() {
                true => &mut sums.0,
                false => &mut sums.1,
            };
            *sum += filled.free() as f64 * share;
        }
        let mut held = Held {
            pinned: sums.0 as u64,
            between: sums.1 as u64,
            ..Held::default()
        };
        for (area, uses) in self.areas.iter().zip(&self.uses) {
            let left = area.resident.saturating_sub(uses.claimed);
            let left = left.saturating_sub(uses.with_blocks);
            let sum = match area.kind {
                AreaKind::Heap => &mut held.whole,
                AreaKind::Anonymous if uses.has_small => &mut held.whole,
                AreaKind::MainStack => &mut held.stacks,
                AreaKind::Data => &mut held.data,
                AreaKind::Anonymous | AreaKind::Shared => &mut held.rest,
            };
            *sum += left;
        }
        held
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 {
        1.0
    } else {
        part as f64 / of as f64
    }
}

/// The first and the last page of a block, and its end. An empty one is where it is.
fn span(address: u64, size: u64) -> (u64, u64, u64) {
    let end = address.saturating_add(size);
    (
        address / PAGE,
        end.max(address + 1).saturating_sub(1) / PAGE,
        end,
    )
}

#[cfg(test)]
mod tests;
