//! Marks from outside, and processes that are turned away.

use leak_wire::Event;

use super::super::procfs::Program;
use super::Drain;
use crate::trace::{At, Note, ThreadEvents, WriteError};

impl Drain {
    /// A mark from outside: an event of the process, on a thread that is nobody's.
    pub(super) fn mark(&mut self, pid: u32, label: &[u8]) -> Result<(), WriteError> {
        let number = self.images.of_process(pid).into_iter().max();
        let Some(number) = number else {
            return Ok(());
        };
        let Some(image) = self.images.running.get_mut(&number) else {
            return Ok(());
        };
        image.looks.calls += 1;
        let stamp = self.mapping.stamp();
        let (writer, threads) = (&mut self.writer, &mut self.threads);
        let marks = image.marks.get_or_insert_with(|| {
            let thread = *threads;
            *threads += 1;
            writer.note(Note::ThreadBegin {
                thread,
                image: number,
                tid: 0,
                start: stamp,
            });
            ThreadEvents::new(thread, number)
        });
        let label = leak_wire::Bytes::Slice(label);
        marks.push(At::Stamp(stamp), Event::Mark { label });
        writer.write_events(marks)
    }

    /// A process of another user is not recorded.
    pub(super) fn turned_away(&mut self, pid: u32, uid: u32, program: &Program) {
        self.writer.note(Note::Warning {
            code: "other_user".to_owned(),
            text: format!(
                "process {pid} ({}) runs as user {uid}, and that it belongs to this session could not be proved to its \
                 recorder, which is another user's: it is not here, and others like it may not be (it takes Linux 6.5, \
                 and a parent that is traced and lives)",
                program.executable
            ),
        });
    }
}
