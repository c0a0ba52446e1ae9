//! Nodes of call-site trees in a lane: a third of what an import tells.

use core::sync::atomic::Ordering;

use leak_wire::{Event, record};

use super::{Writer, restartable};

impl Writer {
    /// Writes an event that may be a node: those in a straight line, where the lane's reader knows the epoch and there is
    /// room. `false`: it was dropped, and counted.
    #[inline(always)]
    pub fn tell(&self, event: Event<'_>) -> bool {
        let published = match event {
            Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            } => self.publishes(record::python_frame(id, parent, code, instruction)),
            Event::Pair {
                id,
                native,
                python,
                asked,
            } => self.publishes(record::python_pair(id, native, python, asked)),
            _ => false,
        };
        published || self.write_any(event)
    }

    /// The common case; false: it is another one, and nothing was done.
    #[inline(always)]
    fn publishes(&self, words: [u64; 3]) -> bool {
        let (Some(position), Some(epoch)) = (self.position(), self.epoch.get()) else {
            return false;
        };
        // Acquire: pairs with the AcqRel of the stamps.
        epoch.load(Ordering::Acquire) == self.told.get()
            && position + words.len() as u64 <= self.limit.get()
            && self.has_sequences()
            && restartable::publish_three(self, position, words)
    }
}
