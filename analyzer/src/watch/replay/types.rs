//! What the recorder read of the types of blocks.

use super::Replay;
use crate::trace::{ProcessId, Reading};
use crate::types::{TypeId, UNKNOWN};

impl Replay {
    pub(super) fn types_read(&mut self, process: ProcessId, reading: &Reading) {
        if !self.machine.owners.runs(process) {
            return;
        }
        let names = reading.names.iter();
        let ids: Vec<TypeId> = names.map(|name| self.types.id(name)).collect();
        let ledger = self.machine.owners.ledger(process);
        if !reading.caches.is_empty() {
            ledger.caches_read(reading.begin, &reading.caches);
        }
        for (address, name) in &reading.blocks {
            if let Some(of_type) = ids.get(*name as usize) {
                self.retype(process, (*address, reading.begin), *of_type);
                let ledger = self.machine.owners.ledger(process);
                ledger.set_type(*address, reading.begin, *of_type);
            }
        }
    }

    /// A block's type is told: it was of that all the time, also when it was looked at before.
    fn retype(&mut self, process: ProcessId, (address, begin): (u64, u64), to: TypeId) {
        let known = self.machine.owners.standing_of(process, address, begin);
        let Some((holder, site, from, amount, born)) = known.filter(|known| known.2 == UNKNOWN)
        else {
            return;
        };
        let owner = self.owner(holder);
        self.baselines
            .retype((owner, born), (site, from, to), amount);
        if let Some(frozen) = self.frozen.get_mut(&process)
            && let Some(untyped) = frozen.rows.get_mut(&(holder, site, from))
            && untyped.blocks >= amount.blocks
            && untyped.bytes >= amount.bytes
        {
            *untyped -= amount;
            *frozen.rows.entry((holder, site, to)).or_default() += amount;
        }
    }
}
