//! Blocks that came by fork, shared between siblings: a parent's first fork copies its addresses once;
//! later forks share that copy and bring only what changed since.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::{Block, is_mapped};
use crate::addresses::ByAddress;
use crate::sample::Amount;

type Amounts = FxHashMap<u64, Amount>;

/// What a child still has of its parent's blocks.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    base: Rc<Amounts>,
    /// What differs from `base`; `None`: gone.
    overrides: FxHashMap<u64, Option<Amount>>,
    whole: Amount,
}

impl Inherited {
    pub(super) fn blocks(&self) -> u64 {
        self.whole.blocks
    }

    pub(super) fn bytes(&self) -> u64 {
        self.whole.bytes
    }

    fn get(&self, address: u64) -> Option<Amount> {
        match self.overrides.get(&address) {
            Some(overriding) => *overriding,
            None => self.base.get(&address).copied(),
        }
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        self.blocks() > 0 && self.get(address).is_some()
    }

    /// Ends the inherited block at `address`; gives what it counts for.
    pub(super) fn remove(&mut self, address: u64) -> Option<Amount> {
        if self.blocks() == 0 {
            return None;
        }
        let amount = self.get(address)?;
        self.overrides.insert(address, None);
        self.whole -= amount;
        Some(amount)
    }

    /// Puts a block back that was removed.
    pub(super) fn insert(&mut self, address: u64, amount: Amount) {
        self.remove(address);
        self.overrides.insert(address, Some(amount));
        self.whole += amount;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Amount)> + '_ {
        let kept = self
            .base
            .iter()
            .filter(|(address, _)| !self.overrides.contains_key(address))
            .map(|(address, amount)| (*address, *amount));
        let changed = self
            .overrides
            .iter()
            .filter_map(|(address, amount)| amount.map(|amount| (*address, amount)));
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
    base: Rc<Amounts>,
    /// All of `base` together.
    whole: Amount,
    changed: Vec<u64>,
}

impl Snapshot {
    /// Notes that something happened at `address`. A copy that too much has changed since is given up.
    #[inline]
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
        own: &ByAddress<Block>,
        inherited: &Inherited,
        amount: impl Fn(u64, &Block) -> Amount,
    ) -> Inherited {
        let shared = self.shared.get_or_insert_with(|| {
            let mine = own.iter().filter(|(address, _)| !is_mapped(*address));
            let mine = mine.map(|(address, block)| (address, amount(address, block)));
            let base: Amounts = inherited.iter().chain(mine).collect();
            let mut whole = Amount::default();
            base.values().for_each(|amount| whole += *amount);
            Shared {
                base: Rc::new(base),
                whole,
                changed: Vec::new(),
            }
        });
        shared.changed.sort_unstable();
        shared.changed.dedup();
        let now = |address: u64| {
            let mine = own.get(address).map(|block| amount(address, block));
            mine.or_else(|| inherited.get(address))
        };
        let overrides: FxHashMap<u64, Option<Amount>> =
            shared.changed.iter().map(|at| (*at, now(*at))).collect();
        let mut whole = shared.whole;
        for (address, amount) in &overrides {
            if let Some(before) = shared.base.get(address) {
                whole -= *before;
            }
            if let Some(amount) = amount {
                whole += *amount;
            }
        }
        Inherited {
            base: Rc::clone(&shared.base),
            overrides,
            whole,
        }
    }
}
