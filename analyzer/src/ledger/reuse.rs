//! Blocks that CPython uses again without giving them back: an object that dies comes to a free list, and its block is
//! the next one's that is taken from there. It is nobody's while it waits, and then whose it is who took it.

use super::Ledger;
use super::holding::{AccountId, OUTSIDE};
use crate::replay::{Block, Found};
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::types::TypeId;

impl Ledger {
    /// The object in the block at `address` has died and waits on the free list that `site` stands for.
    pub fn waits(&mut self, address: u64, site: SiteId, of_type: TypeId, stamp: u64) {
        let found = self.heap.remove(address);
        self.becomes(OUTSIDE, (address, found), site, of_type, stamp);
    }

    /// The block at `address` was taken from there, for what `account` stands for, if it still waits there: else it was
    /// freed, and lies there no more, or is another one.
    pub fn taken(
        &mut self,
        account: AccountId,
        address: u64,
        site: SiteId,
        of_type: TypeId,
        stamp: u64,
    ) {
        let found = self.heap.remove(address);
        match found {
            Found::Own(block) if !self.is_from(&block, site) => {
                self.heap.put_back(address, found);
            }
            _ => self.becomes(account, (address, found), site, of_type, stamp),
        }
    }

    fn is_from(&self, block: &Block, site: SiteId) -> bool {
        self.site_of(self.resolve(block)) == site
    }

    /// Another object lies in the block at `address`: whose, from where, of what type. A block that came by fork is the
    /// process's own from then on.
    fn becomes(
        &mut self,
        account: AccountId,
        (address, found): (u64, Found),
        site: SiteId,
        of_type: TypeId,
        stamp: u64,
    ) {
        self.note_older(address, &found);
        let size = match found {
            Found::Own(block) => {
                self.release(address, block);
                block.size
            }
            Found::Inherited(amount) => amount.bytes,
            Found::Nothing => return,
        };
        let (_, Amount { blocks, bytes }) = self.add(account, address, size, site, stamp);
        // Nobody was asked for it.
        let id = self.holding(account, site, stamp);
        let holding = &mut self.holdings[id as usize];
        holding.allocations -= blocks;
        holding.allocated_bytes -= bytes;
        self.sites[holding.site as usize].used_again = true;
        self.typed = true;
        self.heap.is_of_type(address, of_type);
    }

    /// Notes whether the block that is used again was there before requests were served: then it is no growth, whatever
    /// lies in it.
    fn note_older(&mut self, address: u64, found: &Found) {
        let Some(from) = self.serving.from else {
            return;
        };
        let is_older = match found {
            Found::Own(block) => {
                let site = self.holdings[self.resolve(block) as usize].site;
                let again = self.sites[site as usize].used_again && self.older.contains(&address);
                block.born < from || again
            }
            Found::Inherited(_) => true,
            Found::Nothing => false,
        };
        match is_older {
            true => self.older.insert(address),
            false => self.older.remove(&address),
        };
    }
}
