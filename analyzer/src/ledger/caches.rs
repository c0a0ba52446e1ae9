//! What caches of bounded size keep, as the recorder last saw it: it outlives requests, and is no leak.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Ledger;
use super::site::SiteIndex;
use crate::replay::Block;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::trace::{Cache, MAKERS};
use crate::types::{cached, is_bounded, not_cached};

/// A block that an entry of such a cache keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entered {
    /// Where it lies.
    address: u64,
    /// The entry's number among all that were read, and how many its cache can have.
    entry: u32,
    most: u64,
}

/// The blocks that such caches keep.
#[derive(Debug, Default)]
pub(super) struct Cached {
    blocks: Vec<Entered>,
    /// How many entries the largest of the caches can have.
    most: u64,
    /// When what they keep was read last.
    read: u64,
}

/// Where at most one in so many blocks is another's, a cache keeps what comes there.
const OTHERS: u64 = 4;

impl Cached {
    /// How many entries the largest of the caches can have.
    pub(super) fn most(&self) -> u64 {
        self.most
    }
}

/// What a label's requests left at a call site that feeds a cache.
#[derive(Debug, Default)]
struct AtPlace {
    /// Blocks that caches keep, of so many entries.
    kept: u64,
    entries: FxHashSet<u32>,
    /// Of these, those that are there yet.
    live: u64,
    /// Blocks that they don't.
    others: u64,
    /// Blocks of which the last reading told nothing.
    late: u64,
    /// How many entries the largest of the caches can have.
    most: u64,
}

impl AtPlace {
    fn add(&mut self, entered: &Entered, is_live: bool) {
        self.kept += 1;
        self.live += u64::from(is_live);
        self.entries.insert(entered.entry);
        self.most = self.most.max(entered.most);
    }

    /// Whether the late ones are in the caches, as nearly all before are: there is room for them.
    fn takes_the_late(&self) -> bool {
        let each = self.kept.div_ceil(self.entries.len().max(1) as u64);
        let room = self.most.saturating_mul(each);
        self.others * OTHERS <= self.kept && self.live + self.late <= room
    }
}

/// Objects from free lists of one entry that count for so many requests may be one's.
const MISTAKEN: usize = 3;

impl Ledger {
    /// All caches of the process that are bounded, and what they kept from `begin` on.
    pub fn caches_read(&mut self, begin: u64, caches: &[Cache]) {
        for Entered { address, .. } in std::mem::take(&mut self.cached.blocks) {
            let plain = |block: &Block| not_cached(block.of_type);
            if let Some(of_type) = self.heap.get(address).map(plain) {
                self.heap.is_of_type(address, of_type);
            }
        }
        self.cached.most = 0;
        self.cached.read = begin;
        let mut number = 0;
        for cache in caches {
            let before = self.cached.blocks.len();
            for entry in &cache.entries {
                self.entry_kept(begin, entry, (number, cache.most));
                number += 1;
            }
            if self.cached.blocks.len() > before {
                self.cached.most = self.cached.most.max(cache.most);
            }
        }
    }

    /// An entry keeps those of these blocks that it was made with. What comes later may grow without the entry; where one
    /// request alone added to it (the one that made it, as a rule), that is as much as there are entries.
    fn entry_kept(&mut self, begin: u64, blocks: &[u64], (entry, most): (u32, u64)) {
        let makers = blocks.iter().take(MAKERS);
        let makers = makers.filter_map(|address| self.heap.get(*address));
        let Some(last) = makers.max_by_key(|block| block.born) else {
            return;
        };
        let (made, maker) = (last.born, self.request_of(last));
        let live = |address: &u64| self.heap.get(*address).filter(|block| block.born < begin);
        let later = blocks.iter().filter_map(live);
        let has_grown = self.many_added(later.filter(|block| block.born > made));
        for address in blocks {
            let block = self.heap.get(*address).filter(|block| block.born < begin);
            let kept = block.filter(|block| {
                let request = self.request_of(block);
                block.born <= made
                    || match self.was_used_again(block) {
                        true => !has_grown || request.is_some() && request == maker,
                        false => !has_grown && request.is_some(),
                    }
            });
            if let Some(of_type) = kept.map(|block| cached(block.of_type)) {
                self.typed = true;
                self.heap.is_of_type(*address, of_type);
                let address = *address;
                let entered = Entered {
                    address,
                    entry,
                    most,
                };
                self.cached.blocks.push(entered);
            }
        }
    }

    /// Whether these blocks are more than one request's. Of objects from free lists, which are seen only when those are
    /// looked at, a few may count for another one's.
    fn many_added<'b>(&self, blocks: impl Iterator<Item = &'b Block>) -> bool {
        let (mut sure, mut others) = (FxHashSet::default(), FxHashSet::default());
        for block in blocks {
            let requests = match self.was_used_again(block) {
                true => &mut others,
                false => &mut sure,
            };
            requests.insert(self.request_of(block));
        }
        sure.len() > 1 || others.len() > MISTAKEN
    }

    /// The process has ended, killed maybe: what came since its caches were read last is theirs, too, where what requests
    /// of the same label left at the call site before is, as far as the caches have room for it. So is what requests made
    /// that had not ended then: they referred to it themselves, and nothing told that the cache alone would keep it.
    pub(super) fn complete_caches(&mut self, records: &[Record]) {
        if self.cached.blocks.is_empty() {
            return;
        }
        self.cached.blocks.sort_unstable();
        self.cached.blocks.dedup_by_key(|entered| entered.address);
        let read = self.cached.read;
        let record = |block: &Block| records.get(self.request_of(block)? as usize);
        let place = |block: &Block| {
            let holding = self.holdings.get(self.resolve(block) as usize)?;
            Some((holding.site, record(block).and_then(|record| record.label)))
        };
        let mut kept: FxHashMap<(SiteIndex, Option<LabelId>), AtPlace> = FxHashMap::default();
        for entered in &self.cached.blocks {
            let block = self.heap.get(entered.address);
            if let Some((place, block)) = block.and_then(|block| Some((place(block)?, block))) {
                // In a full cache another one has come to its address.
                kept.entry(place)
                    .or_default()
                    .add(entered, block.born < read);
            }
        }
        let mut late = Vec::new();
        for (address, block) in self.heap.own() {
            let Some((place, at)) = place(block).and_then(|at| Some((at, kept.get_mut(&at)?)))
            else {
                continue;
            };
            let is_bounded = is_bounded(block.of_type);
            let was_held = || record(block).is_some_and(|r| r.end.is_none_or(|end| end >= read));
            if block.born >= read || !is_bounded && was_held() {
                at.late += 1;
                late.push((address, cached(block.of_type), place));
            } else if !is_bounded {
                at.others += 1;
            }
        }
        for (address, of_type, place) in late {
            if kept.get(&place).is_some_and(AtPlace::takes_the_late) {
                self.heap.is_of_type(address, of_type);
            }
        }
    }

    /// Whether the block was taken from a free list.
    fn was_used_again(&self, block: &Block) -> bool {
        let holding = self.holdings.get(self.resolve(block) as usize);
        holding.is_some_and(|holding| self.sites[holding.site as usize].used_again)
    }

    /// The request that the block is proved to be of.
    fn request_of(&self, block: &Block) -> Option<RequestId> {
        let holding = self.holdings.get(self.resolve(block) as usize)?;
        holding.kind.request()
    }
}
