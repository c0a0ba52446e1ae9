//! What a process's resident memory is at a moment of which the recorder has told which pages are: live blocks of call
//! sites, what its allocators hold beside them, what is mapped.

use rustc_hash::FxHashMap;

use super::Ledger;
use super::holding::Kind;
use super::pages::Pages;
use super::standing::{Pin, Since, Standing};
use crate::replay::Block;
use crate::sites::{NO_SITE, SiteId};
use crate::trace::{PAGE, Resident};

impl Ledger {
    /// How things stand now; what came before `from` is start-up, if the process had no request before it.
    pub fn stands(&self, reading: &Resident, from: Option<u64>) -> Standing {
        let from = self.serving.from.or(from).unwrap_or(u64::MAX);
        let mut pages = Pages::new(&reading.areas);
        let mut live: FxHashMap<(SiteId, Since), f64> = FxHashMap::default();
        for (start, piece) in self.mappings.pieces() {
            if let Some(block) = self.heap.get(piece.block) {
                let resident = pages.claim(start, piece.end) as f64;
                *live.entry(self.since(block, from)).or_default() += resident;
            }
        }
        let stacks: u64 = self
            .stack_ranges()
            .map(|(from, to)| pages.claim(from, to))
            .sum();
        let inherited = || self.heap.inherited_blocks();
        let own = || {
            self.heap
                .own()
                .filter(|(address, _)| super::pieces::apart(*address).is_none())
        };
        inherited().for_each(|(address, amount)| pages.add(address, amount.bytes));
        own().for_each(|(address, block)| pages.add(address, block.size));
        pages.close();
        let mut pins: FxHashMap<SiteId, Pin> = FxHashMap::default();
        let mut take = |(site, since), address, size| {
            let (resident, pinned) = pages.of_block(address, size);
            *live.entry((site, since)).or_default() += resident;
            if pinned > 0.0 {
                let pin = pins.entry(site).or_insert(Pin {
                    site,
                    blocks: 0,
                    bytes: 0.0,
                });
                pin.blocks += 1;
                pin.bytes += pinned;
            }
        };
        inherited().for_each(|(at, amount)| take((NO_SITE, Since::StartUp), at, amount.bytes));
        own().for_each(|(address, block)| take(self.since(block, from), address, block.size));
        let held = pages.held();
        Standing::of(reading, live, pins, (held, stacks))
    }

    /// The call site of a block, and why it is there.
    fn since(&self, block: &Block, from: u64) -> (SiteId, Since) {
        let holding = &self.holdings[self.resolve(block) as usize];
        let since = match holding.kind {
            _ if block.born < from => Since::StartUp,
            Kind::Proved(..) if !holding.ended => Since::InUse,
            Kind::Pending(_) => Since::InUse,
            Kind::Proved(..) | Kind::Open(_) | Kind::Prepared(_) | Kind::Outside => Since::Later,
        };
        (self.sites[holding.site as usize].id, since)
    }

    /// Where stacks of threads lie: a thread's handle is the address of what the C library keeps at its stack's end.
    fn stack_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        /// Bytes of that, of some versions.
        const THREAD: u64 = 2304;
        self.stacks.threads.iter().filter_map(|(handle, stack)| {
            let size = self.heap.get(stack.block)?.size;
            let end = (handle + THREAD).next_multiple_of(PAGE);
            Some((end.saturating_sub(size), end))
        })
    }
}
