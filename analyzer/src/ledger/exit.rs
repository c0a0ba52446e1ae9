//! What was live when a process began to end by itself, told apart from what its tear-down makes of it.
//!
//! Nothing is copied at that moment but a sum for each call site. From there on blocks that come are known by
//! their birth, and those that go are added up by the holding that they leave.

use rustc_hash::FxHashMap;

use super::Ledger;
use crate::replay::{Block, HoldingId};
use crate::sample::Amount;
use crate::types::TypeId;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Exit {
    /// Blocks born before this were there; 0: the process does not end yet.
    from: u64,
    /// Those that were live then.
    whole: Amount,
    /// Bytes of memory that were live then, mapped ones too.
    held_bytes: u64,
    /// Of the blocks, those that were freed since.
    torn: Amount,
    /// The same by holding and type.
    torn_of: FxHashMap<(HoldingId, TypeId), Amount>,
    /// Blocks made since and live, by the holding that they name.
    made: FxHashMap<HoldingId, Amount>,
}

/// What was live when a process's exit began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeforeExit {
    /// All of it.
    pub live: Amount,
    /// What the tear-down freed of it.
    pub freed: Amount,
}

impl Exit {
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.from > 0
    }

    /// The birth of a block that is allocated at `stamp`: many events have one stamp, and those after the begin of
    /// the exit must be told from those before it.
    #[inline]
    pub(super) fn birth(&self, stamp: u64) -> u64 {
        stamp.max(self.from)
    }

    /// Whether the block was not there yet when the exit began, if it has begun.
    pub(super) fn is_late(&self, block: &Block) -> bool {
        self.has_begun() && block.born >= self.from
    }

    /// A block is made.
    #[cold]
    pub(super) fn made(&mut self, holding: HoldingId, amount: Amount) {
        *self.made.entry(holding).or_default() += amount;
    }

    /// A block of this holding, as it is by now, has ended, an allocator's or not; whether it was there when the exit
    /// began.
    #[cold]
    pub(super) fn freed(
        &mut self,
        holding: HoldingId,
        block: &Block,
        amount: Amount,
        is_allocated: bool,
    ) -> bool {
        if self.is_late(block) {
            *self.made.entry(block.holding).or_default() -= amount;
            return false;
        }
        if is_allocated {
            self.torn += amount;
        }
        *self.torn_of.entry((holding, block.of_type)).or_default() += amount;
        true
    }

    /// What is live of what was made since, by the holding that it names.
    pub(super) fn made_since(&self) -> impl Iterator<Item = (HoldingId, Amount)> + '_ {
        let live = self.made.iter().filter(|(_, amount)| amount.blocks > 0);
        live.map(|(holding, amount)| (*holding, *amount))
    }

    /// What was live before; `None`: the process did not end by itself, or nobody saw it begin to.
    pub(super) fn before(&self) -> Option<BeforeExit> {
        self.has_begun().then_some(BeforeExit {
            live: self.whole,
            freed: self.torn,
        })
    }

    /// Bytes of memory that were live before, mapped ones too; `None` as above.
    pub(super) fn held_before(&self) -> Option<u64> {
        self.has_begun().then_some(self.held_bytes)
    }

    /// What was freed of what was live before, by the holding and the type.
    pub(super) fn torn(&self) -> impl Iterator<Item = (HoldingId, TypeId, Amount)> + '_ {
        let torn = self.torn_of.iter();
        torn.map(|((holding, of_type), amount)| (*holding, *of_type, *amount))
    }
}

impl Ledger {
    /// Notes what is live as having outlived all periods.
    pub(super) fn close_periods(&mut self) {
        let mut periods = std::mem::take(&mut self.periods);
        periods.close(self.heap.own().map(|(address, block)| {
            let holding = &self.holdings[self.resolve(block) as usize];
            let site = self.sites[holding.site as usize].id;
            (site, block.born, self.heap.amount(address, block))
        }));
        self.periods = periods;
    }

    /// The process begins to end by itself. Only the first time counts.
    pub fn exit_begins(&mut self, stamp: u64) {
        if self.exit.has_begun() {
            return;
        }
        self.close_periods();
        self.exit.from = stamp + 1;
        self.exit.whole = Amount {
            blocks: self.counts.live_blocks,
            bytes: self.counts.live_bytes,
        };
        self.exit.held_bytes = self.counts.held_bytes();
        for site in &mut self.sites {
            site.before_exit = Amount {
                blocks: site.live_blocks,
                bytes: site.live_bytes,
            };
        }
    }
}
