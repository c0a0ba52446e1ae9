//! What was not recorded, as lanes and the session count it.

use super::Drain;
use crate::record::lanes::take_count;
use crate::trace::Note;

impl Drain {
    pub(super) fn count_losses(&mut self, index: usize) {
        let Some(header) = self.mapping.lanes().get(index) else {
            return;
        };
        let allocations = take_count(&header.dropped_allocations);
        let frees = take_count(&header.dropped_frees);
        let other = take_count(&header.dropped_facts);
        if allocations | frees | other != 0 {
            self.writer.note(Note::Lost {
                allocations,
                frees,
                other,
            });
        }
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
        let other = take_count(&header.laneless_events);
        if other != 0 {
            self.writer.note(Note::Lost {
                allocations: 0,
                frees: 0,
                other,
            });
        }
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
