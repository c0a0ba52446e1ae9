//! What caches of bounded size keep, as the recorder last saw it: it outlives requests, and is no leak.

use super::Ledger;
use crate::replay::Block;
use crate::requests::record::RequestId;
use crate::trace::{Cache, MAKERS};
use crate::types::{cached, not_cached};

/// The blocks that such caches keep.
#[derive(Debug, Default)]
pub(super) struct Cached {
    /// Where they lie.
    addresses: Vec<u64>,
    /// How many entries the largest of the caches can have.
    most: u64,
}

impl Cached {
    /// How many entries the largest of the caches can have.
    pub(super) fn most(&self) -> u64 {
        self.most
    }
}

impl Ledger {
    /// All caches of the process that are bounded, and what they kept from `begin` on.
    pub fn caches_read(&mut self, begin: u64, caches: &[Cache]) {
        for address in std::mem::take(&mut self.cached.addresses) {
            let plain = |block: &Block| not_cached(block.of_type);
            if let Some(of_type) = self.heap.get(address).map(plain) {
                self.heap.is_of_type(address, of_type);
            }
        }
        self.cached.most = 0;
        for cache in caches {
            let before = self.cached.addresses.len();
            for entry in &cache.entries {
                self.entry_kept(begin, entry);
            }
            if self.cached.addresses.len() > before {
                self.cached.most = self.cached.most.max(cache.most);
            }
        }
    }

    /// An entry keeps those of these blocks that it was made with. Of an object from a free list it is known only when
    /// that was looked at, which may be at the request's end: it was made with the entry if it is of the same request.
    /// What comes later may grow without the entry.
    fn entry_kept(&mut self, begin: u64, blocks: &[u64]) {
        let makers = blocks.iter().take(MAKERS);
        let makers = makers.filter_map(|address| self.heap.get(*address));
        let Some(last) = makers.max_by_key(|block| block.born) else {
            return;
        };
        let (made, maker) = (last.born, self.request_of(last));
        for address in blocks {
            let block = self.heap.get(*address).filter(|block| block.born < begin);
            let kept = block.filter(|block| {
                block.born <= made || maker.is_some() && self.came_with(block, maker)
            });
            if let Some(of_type) = kept.map(|block| cached(block.of_type)) {
                self.typed = true;
                self.heap.is_of_type(*address, of_type);
                self.cached.addresses.push(*address);
            }
        }
    }

    /// Whether the block was taken from a free list, by this request.
    fn came_with(&self, block: &Block, maker: Option<RequestId>) -> bool {
        let holding = self.holdings.get(self.resolve(block) as usize);
        let used_again =
            holding.is_some_and(|holding| self.sites[holding.site as usize].used_again);
        used_again && self.request_of(block) == maker
    }

    /// The request that the block is proved to be of.
    fn request_of(&self, block: &Block) -> Option<RequestId> {
        let holding = self.holdings.get(self.resolve(block) as usize)?;
        holding.kind.request()
    }
}
