//! What a program maps by itself, and the stacks of threads that it creates, belongs to whom its thread works for, as its blocks do.

use leak_wire::Event;

use super::machine::{At, Machine};
use crate::ledger::mapped::Mapping;
use crate::ledger::stacks::Created;

impl Machine {
    /// The thread is the one that was created with this number.
    pub(super) fn was_created(&mut self, at: At, number: u64) {
        self.owners.was_created(at.host, number);
        self.owners.ledger(at.process).thread_heard(number);
        if let Some(thread) = self.threads.get_mut(at.host as usize) {
            thread.number = number;
        }
    }

    /// An event of mapped memory.
    pub(super) fn mapped(&mut self, at: At, event: &Event<'_>) {
        let account = self.owners.account(at.thread);
        self.owners.frees(at.process, at.thread, at.host);
        let ledger = self.owners.ledger(at.process);
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
            Event::ThreadStack {
                thread,
                handle,
                size,
                detached,
                site,
            } => {
                let created = Created {
                    number: thread,
                    handle,
                    size,
                    detached,
                    site,
                };
                ledger.thread_created(account, created, at.stamp);
            }
            Event::ThreadReleased { handle, joined } => ledger.thread_released(handle, joined),
            Event::Unmapped { address, size } => ledger.unmap(at.host, address, size),
            Event::UnmapFailed => ledger.unmap_failed(account, at.host, at.stamp),
            Event::Discarded { address, size } => ledger.discard(address, size),
            _ => {}
        }
    }
}
