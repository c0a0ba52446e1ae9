//! Whether a runtime in the program can say which task each of its threads runs.

use std::path::Path;

use memchr::memmem;

use super::finding::Findings;
use crate::mapping::Mapping;
use crate::record::preflight::{self, Reach};

/// Names of sources that tokio's panics are told with, whether or not there are symbols.
const TOKIO: &[u8] = b"/src/runtime/task/";

/// What the program's variables say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Tasks are told from the start on.
    FromStart,
    /// Recording begins when threads run.
    Later,
    /// Tasks are not to be told.
    Off,
    /// The program's own allocator is not traced: a task ends when its block is freed, and that is not seen.
    Unseen,
}

/// Looks at the executable `file`.
pub(super) fn look_at(file: &Path, asked: Asked, findings: &mut Findings) {
    match preflight::tasks(file) {
        Reach::None if !is_stripped_tokio(file) => {}
        Reach::None => findings.note(
            "tasks",
            "tokio runs in it, and its symbols are stripped: whose a block is is told by what was in flight, which \
             needs traffic",
            "build it with strip = \"debuginfo\" or none to have its tasks told apart",
        ),
        Reach::Detoured(_) if asked == Asked::Later => findings.note(
            "tasks",
            "it runs tasks, which are told apart only where recording begins with the program, and LEAK_START puts it off: \
             whose a block is is told by what was in flight, which needs traffic",
            "leave LEAK_START out where that matters",
        ),
        Reach::Detoured(_) if asked == Asked::Off => findings.note(
            "tasks",
            "it runs tasks, and LEAK_TASKS=off: whose a block is is told by what was in flight, which needs traffic",
            "unset it to have them told apart",
        ),
        Reach::Detoured(_) if asked == Asked::Unseen => findings.note(
            "tasks",
            "it runs tasks, whose ends are not seen, as its allocator is not traced: whose a block is is told by what was in \
             flight, which needs traffic",
            "have its allocator traced",
        ),
        Reach::Detoured(polls) => findings.ok(
            "tasks",
            format!("its tasks are told apart, by detours at {polls} poll functions of their runtime"),
        ),
        Reach::Refused(why) => findings.note(
            "tasks",
            format!("its tasks can't be told apart ({why}): whose a block is is told by what was in flight"),
            "send it more traffic",
        ),
    }
}

fn is_stripped_tokio(file: &Path) -> bool {
    let file = Mapping::open(file).ok();
    file.is_some_and(|bytes| memmem::find(&bytes, TOKIO).is_some())
}
