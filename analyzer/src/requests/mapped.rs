//! What a program maps by itself belongs to whom its thread works for, as its blocks do.

use leak_wire::Event;

use super::machine::{At, Machine};
use crate::ledger::mapped::Mapping;

impl Machine {
    /// An event of mapped memory.
    pub(super) fn mapped(&mut self, at: At, event: &Event<'_>) {
        let account = self.owners.account(at.thread);
        let ledger = self.owners.ledger(at.process);
        ledger.freeing = at.host;
        match *event {
            Event::Mapped {
                address,
                size,
                backing,
                site,
            } => {
                let mapping = Mapping {
                    address,
                    size,
                    backing,
                    site,
                };
                ledger.map(account, at.host, mapping, at.stamp);
            }
            Event::Unmapped { address, size } => ledger.unmap(at.host, address, size),
            Event::UnmapFailed => ledger.unmap_failed(account, at.host, at.stamp),
            Event::Discarded { address, size } => ledger.discard(address, size),
            _ => {}
        }
    }
}
