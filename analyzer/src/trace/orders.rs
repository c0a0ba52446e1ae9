//! By what the memory events of a trace have their order: for those who work on libleak itself.

use std::fmt;

use leak_wire::order::REGION_BITS;
use leak_wire::{Event, Order};
use rustc_hash::FxHashSet;

use super::Passed;
use super::columns::{ColumnReader, Found};
use super::open::{Error, Trace};
use super::reader;

/// How many memory events there are of each sort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// By the epoch and their lane alone: nobody else used their region.
    pub alone: u64,
    /// By turns.
    pub turns: u64,
    /// By stamps of their own.
    pub stamped: u64,
    /// Regions that became shared.
    pub regions_shared: u64,
}

impl fmt::Display for Orders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "alone={} turns={} stamped={} regions_shared={}",
            self.alone, self.turns, self.stamped, self.regions_shared
        )
    }
}

impl Trace {
    /// Counts them.
    ///
    /// # Errors
    /// [`Error`]: a chunk can't be read.
    pub fn orders(&self) -> Result<Orders, Error> {
        let mut orders = Orders::default();
        let mut shared = FxHashSet::default();
        let mut raw = Vec::new();
        for (lane, thread) in self.lanes.iter().zip(&self.facts.threads) {
            for chunk in &lane.chunks {
                reader::load(&self.file, chunk, &mut raw)
                    .map_err(|error| Error::Io(self.path.clone(), error))?;
                let malformed = |_| Error::Malformed(self.path.clone(), chunk.at);
                let mut events =
                    ColumnReader::new(&raw, chunk.header.count, self.version).map_err(malformed)?;
                loop {
                    let (first, turn) = match events.next(&raw).map_err(malformed)? {
                        Found::Event { first, turn, .. } => (first, turn),
                        Found::Passed(_, Passed::Blocks { blocks, .. }) => {
                            orders.alone = orders.alone.saturating_add(blocks.saturating_mul(2));
                            continue;
                        }
                        Found::Skip(..) | Found::Passed(..) => continue,
                        Found::End => break,
                    };
                    let event: Event<'_> = events.event(&raw).map_err(malformed)?;
                    let Order::Block(address) = event.order() else {
                        continue;
                    };
                    if turn.is_some() {
                        orders.turns += 1;
                        shared.insert((thread.process, address >> REGION_BITS));
                    } else if first {
                        orders.stamped += 1;
                    } else {
                        orders.alone += 1;
                    }
                }
            }
        }
        orders.regions_shared = shared.len() as u64;
        Ok(orders)
    }
}
