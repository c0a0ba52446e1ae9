//! Blocks that came by fork, shared between siblings: a parent's first fork copies its addresses once;
//! later forks share that copy and bring only what changed since.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Block;

type Sizes = FxHashMap<u64, u64>;

/// What a child still has of its parent's blocks.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    base: Rc<Sizes>,
    /// What differs from `base`; `None`: gone.
    overrides: FxHashMap<u64, Option<u64>>,
    blocks: u64,
    bytes: u64,
}

impl Inherited {
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn get(&self, address: u64) -> Option<u64> {
        match self.overrides.get(&address) {
            Some(overriding) => *overriding,
            None => self.base.get(&address).copied(),
        }
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        self.blocks > 0 && self.get(address).is_some()
    }

    /// Ends the inherited block at `address`; gives its size.
    pub(super) fn remove(&mut self, address: u64) -> Option<u64> {
        if self.blocks == 0 {
            return None;
        }
        let size = self.get(address)?;
        self.overrides.insert(address, None);
        self.blocks -= 1;
        self.bytes -= size;
        Some(size)
    }

    /// Puts a block back that was removed.
    pub(super) fn insert(&mut self, address: u64, size: u64) {
        self.remove(address);
        self.overrides.insert(address, Some(size));
        self.blocks += 1;
        self.bytes += size;
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let kept = self
            .base
            .iter()
            .filter(|(address, _)| !self.overrides.contains_key(address))
            .map(|(address, size)| (*address, *size));
        let changed = self
            .overrides
            .iter()
            .filter_map(|(address, size)| size.map(|size| (*address, size)));
        kept.chain(changed)
    }
}

/// A parent's side: the copy that its children share, and the addresses that changed since it was made.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    base: Rc<Sizes>,
    changed: Vec<u64>,
}

impl Snapshot {
    /// Notes that something happened at `address`. A copy that too much has changed since is given up.
    pub(super) fn changed(&mut self, address: u64) {
        if let Some(shared) = &mut self.shared {
            shared.changed.push(address);
            if shared.changed.len() > shared.base.len() / 2 + 256 {
                self.shared = None;
            }
        }
    }

    /// What a child forked now inherits.
    pub(super) fn take(
        &mut self,
        own: &FxHashMap<u64, Block>,
        own_bytes: u64,
        inherited: &Inherited,
    ) -> Inherited {
        let shared = self.shared.get_or_insert_with(|| {
            let mine = own.iter().map(|(address, block)| (*address, block.size));
            Shared {
                base: Rc::new(inherited.iter().chain(mine).collect()),
                changed: Vec::new(),
            }
        });
        shared.changed.sort_unstable();
        shared.changed.dedup();
        let now = |address: u64| {
            let mine = own.get(&address).map(|block| block.size);
            mine.or_else(|| inherited.get(address))
        };
        let overrides: FxHashMap<u64, Option<u64>> =
            shared.changed.iter().map(|at| (*at, now(*at))).collect();
        Inherited {
            base: Rc::clone(&shared.base),
            overrides,
            blocks: own.len() as u64 + inherited.blocks,
            bytes: own_bytes + inherited.bytes,
        }
    }
}
