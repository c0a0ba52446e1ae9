//! Blocks: events of the allocators, of CPython's free lists, and blocks that came and went.

use leak_wire::free_list::{Change, List};
use leak_wire::{Common, Event};

use super::machine::{At, Machine};
use crate::ledger::Ledger;
use crate::ledger::holding::AccountId;
use crate::sites::SiteId;
use crate::trace::{Passed, ProcessId, ThreadId};
use crate::types::TypeId;

/// So many events of a run are read before the first of them is taken, while what they need comes from
/// memory.
const AHEAD: usize = 32;

impl Machine {
    /// Events that follow each other on one thread at one stamp, as `read` puts them into its room, none at the end;
    /// gives their number.
    pub fn run(
        &mut self,
        process: ProcessId,
        thread: ThreadId,
        stamp: u64,
        mut read: impl FnMut(&mut [Common]) -> usize,
    ) -> u64 {
        let mut count = 0;
        let mut ahead = [Common::Free { address: 0 }; AHEAD];
        loop {
            let taken = read(&mut ahead);
            let events = ahead.get(..taken).unwrap_or_default();
            if events.is_empty() {
                return count;
            }
            let ledger = self.owners.ledger(process);
            for event in events {
                let (Common::Allocation { address, .. } | Common::Free { address }) = event;
                ledger.expect(*address);
            }
            count += taken as u64;
            self.common((process, thread, stamp), events);
        }
    }

    fn common(
        &mut self,
        (process, thread, stamp): (ProcessId, ThreadId, u64),
        mut events: &[Common],
    ) {
        while !events.is_empty() {
            let at = self.at(process, thread, stamp);
            self.comes(at, 0);
            self.owners.frees(at.process, at.thread, at.host);
            let account = self.owners.account(at.thread);
            let taken = self.blocks(at, account, events);
            events = &events[taken..];
            if self.was_carried(at) {
                continue;
            }
            // The task that ran may be the one that ended.
            if let Some((Common::Free { address }, rest)) = events.split_first() {
                self.freed(at, *address);
                events = rest;
            }
        }
    }

    /// The first of these events, up to the end of a task; gives their number.
    fn blocks(&mut self, at: At, account: AccountId, events: &[Common]) -> usize {
        let ledger = self.owners.ledger(at.process);
        let elsewhere = self.live_bytes - ledger.counts.live_bytes;
        let mut peak = self.peak_live_bytes;
        let mut left = events;
        while let Some((event, rest)) = left.split_first() {
            match *event {
                Common::Free { address } if self.tasks.is_task(at.process, address) => break,
                Common::Free { address } => {
                    ledger.free(address, false);
                    if ledger.freer.freed.is_some() {
                        left = rest;
                        break;
                    }
                }
                Common::Allocation {
                    address,
                    size,
                    site,
                } => {
                    // Every other block of many programs: the next thing is its end.
                    if let Some((Common::Free { address: freed }, after)) = rest.split_first()
                        && *freed == address
                        && !self.tasks.is_task(at.process, address)
                        && ledger.pass_one(account, address, size, site, at.stamp)
                    {
                        left = after;
                        let highest = ledger.counts.live_bytes.saturating_add(size);
                        peak = peak.max(elsewhere.saturating_add(highest));
                        continue;
                    }
                    ledger.allocate(account, address, size, site, at.stamp);
                    peak = peak.max(elsewhere + ledger.counts.live_bytes);
                }
            }
            left = rest;
        }
        self.live_bytes = elsewhere + ledger.counts.live_bytes;
        self.peak_live_bytes = peak;
        events.len() - left.len()
    }

    #[inline]
    fn allocated(&mut self, at: At, account: AccountId, block: (u64, u64, SiteId)) {
        let (address, size, site) = block;
        self.change(at, |ledger| {
            ledger.allocate(account, address, size, site, at.stamp);
        });
    }

    /// Whether the block was a task.
    #[inline]
    fn freed(&mut self, at: At, address: u64) -> bool {
        let was_task = self.task_freed(at, address);
        self.change(at, |ledger| ledger.free(address, was_task));
        self.was_carried(at);
        was_task
    }

    /// Whether what was freed last may tell whose job the thread does: then it was looked at.
    #[inline]
    fn was_carried(&mut self, at: At) -> bool {
        let freed = self.owners.ledger(at.process).freer.freed.take();
        if let Some(freed) = freed {
            self.owners.has_freed(at.thread, freed, &mut self.records);
        }
        freed.is_some()
    }

    /// CPython's free lists have changed. `of` gives the site that stands for a list, the type of what waits there and of
    /// what is taken from there.
    pub fn free_lists(
        &mut self,
        (process, thread, stamp): (ProcessId, ThreadId, u64),
        changes: impl Iterator<Item = Change>,
        of: impl Fn(List) -> (SiteId, (TypeId, TypeId)),
    ) {
        let at = self.at(process, thread, stamp);
        self.comes(at, 0);
        self.owners.frees(at.process, at.thread, at.host);
        let account = self.owners.account(at.thread);
        for Change {
            address,
            list,
            waits,
        } in changes
        {
            let (site, (waiting, taken)) = of(list);
            self.change(at, |ledger| match waits {
                true => ledger.waits(address, site, waiting, stamp),
                false => ledger.taken(account, address, site, taken, stamp),
            });
        }
    }

    /// Blocks came and went.
    pub fn passed(&mut self, process: ProcessId, thread: ThreadId, stamp: u64, passed: Passed) {
        let at = self.at(process, thread, stamp);
        match passed {
            Passed::Blocks {
                site,
                blocks,
                bytes,
            } => {
                self.comes(at, 0);
                let account = self.owners.account(at.thread);
                let ledger = self.owners.ledger(process);
                ledger.pass(account, site, stamp, blocks, bytes);
            }
            Passed::Peak { bytes } => {
                let live = self.live_bytes.saturating_add(bytes);
                self.peak_live_bytes = self.peak_live_bytes.max(live);
            }
        }
    }

    pub(super) fn memory(&mut self, at: At, event: &Event<'_>) {
        self.owners.frees(at.process, at.thread, at.host);
        match *event {
            Event::Allocation {
                address,
                size,
                site,
            } => {
                let account = self.owners.account(at.thread);
                self.allocated(at, account, (address, size, site));
            }
            Event::Free { address } => {
                self.freed(at, address);
            }
            Event::ReallocationBegin { address } => {
                self.owners.reallocation_begins(at.host, address);
            }
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => self.reallocated(at, (address, size, site)),
            Event::ReallocationFailed => {
                if let Some((address, old)) = self.owners.reallocated(at.host) {
                    self.change(at, |ledger| ledger.reallocation_failed(address, old));
                }
            }
            Event::ReallocationFreed => {
                if let Some((address, old)) = self.owners.reallocated(at.host) {
                    self.change(at, |ledger| ledger.reallocation_freed(address, old));
                }
            }
            _ => {}
        }
    }

    fn reallocated(&mut self, at: At, (address, size, site): (u64, u64, SiteId)) {
        let old = self.owners.reallocated(at.host);
        let account = self.owners.account(at.thread);
        match old {
            Some(old) => self.change(at, |ledger| {
                ledger.reallocation_ends(old, account, address, size, site, at.stamp);
            }),
            // Its begin was lost: the new block is what is known.
            None if address != 0 => self.allocated(at, account, (address, size, site)),
            None => {}
        }
    }

    /// Changes the process's ledger, and with it what is live over all.
    #[inline]
    fn change(&mut self, at: At, act: impl FnOnce(&mut Ledger)) {
        let ledger = self.owners.ledger(at.process);
        let before = ledger.counts.live_bytes;
        act(ledger);
        self.live_bytes = self.live_bytes + ledger.counts.live_bytes - before;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }
}
