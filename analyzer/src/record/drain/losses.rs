//! What was not recorded, as lanes and the session count it.

use std::sync::atomic::AtomicU64;

use super::Drain;
use crate::record::lanes::take_count;
use crate::trace::Note;

/// What these count: allocations, frees, and other events.
fn lost([allocations, frees, other]: [&AtomicU64; 3]) -> Option<Note> {
    let (allocations, frees, other) = (
        take_count(allocations),
        take_count(frees),
        take_count(other),
    );
    let some = allocations | frees | other != 0;
    some.then_some(Note::Lost {
        allocations,
        frees,
        other,
    })
}

impl Drain {
    pub(super) fn count_losses(&mut self, index: usize) {
        let Some(header) = self.mapping.lanes().get(index) else {
            return;
        };
        let dropped = lost([
            &header.dropped_allocations,
            &header.dropped_frees,
            &header.dropped_facts,
        ]);
        dropped.into_iter().for_each(|note| self.writer.note(note));
        let ns = take_count(&header.waited_ns);
        if ns != 0 {
            self.writer.note(Note::Waited { ns });
        }
    }

    pub(super) fn count_session_losses(&mut self) {
        for note in self.images.warnings(&self.mapping) {
            self.writer.note(note);
        }
        let header = self.mapping.header();
        let laneless = lost([
            &header.laneless_allocations,
            &header.laneless_frees,
            &header.laneless_facts,
        ]);
        laneless.into_iter().for_each(|note| self.writer.note(note));
        let slotless = take_count(&header.slotless_processes);
        if slotless != 0 && self.slotless == 0 {
            self.writer.note(Note::Warning {
                code: "untraced_processes".to_owned(),
                text: "more processes ran at once than a session has room for; some are not in the trace, trace fewer with LEAK_ONLY".to_owned(),
            });
        }
        self.slotless = self.slotless.saturating_add(slotless);
    }
}
