//! What images found that they can't trace, in words.

use std::sync::atomic::Ordering;

use leak_wire::layout::warning;
use leak_wire::names::Names;

use super::super::mapping::Mapping;
use super::Images;
use crate::trace::Note;

impl Images {
    /// What images found that they can't trace, each told once.
    pub(crate) fn warnings(&mut self, mapping: &Mapping) -> Vec<Note> {
        let mut notes = Vec::new();
        for image in self.running.values_mut() {
            let Some(slot) = mapping.slots().get(image.slot) else {
                continue;
            };
            // Relaxed: bits by themselves.
            let bits = slot.warnings.load(Ordering::Relaxed) & !image.warned;
            image.warned |= bits;
            for (bit, code, text) in WARNINGS {
                if bits & bit != 0 {
                    notes.push(Note::Warning {
                        code: code.to_owned(),
                        text: format!(
                            "process {} ({}) {text}",
                            image.pid, image.program.executable
                        ),
                    });
                }
            }
        }
        notes.extend(self.bypassing(&mapping.header().bypassing));
        notes
    }

    /// Which libraries bypass libleak, of those that were not told yet.
    pub(super) fn bypassing(&mut self, names: &Names) -> Option<Note> {
        let bytes: Vec<u8> = names.bytes().collect();
        let end = bytes.iter().rposition(|byte| *byte == b'\n')?;
        let names = bytes[..end].split(|byte| *byte == b'\n');
        // Of one that is being written.
        let names = names.filter(|name| !name.contains(&0));
        let names: Vec<_> = names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .filter(|name| self.bypassing.insert(name.clone()))
            .collect();
        (!names.is_empty()).then(|| Note::Warning {
            code: "bypassed".to_owned(),
            text: format!(
                "these libraries' calls of malloc and free bypass libleak: {}",
                names.join(", ")
            ),
        })
    }
}

const WARNINGS: [(u32, &str, &str); 10] = [
    (
        warning::BYPASSED,
        "bypassed",
        "has libraries whose calls go to the C library's malloc and free directly, as they were opened with RTLD_DEEPBIND (PHP's extensions are): what they allocate and free is not here; open them without to see it",
    ),
    (
        warning::UNREACHABLE,
        "unreachable",
        "ran programs (or tried to) from where libleak.so can't be read, because of another root directory or of a user who may not: they are not here; put it and leak-analyze where they can",
    ),
    (
        warning::BORROWED_RIGHTS,
        "borrowed_rights",
        "ran programs (or tried to) with rights that are not its user's, into which nothing can be preloaded: they are not here; have its effective user be its real one",
    ),
    (
        warning::DETOURED,
        "detoured",
        "has an allocator of its own, traced by detours at its entries: what it gave before libleak began, and calls that the compiler inlined, are not here",
    ),
    (
        warning::OWN_OPERATORS,
        "own_operators",
        "runs with an allocator that brings C++ operators of its own, whose calls can't be seen; run it without to trace what C++ code allocates",
    ),
    (
        warning::CONFINED,
        "confined",
        "installed a filter for system calls: what it allocated on threads and in children that began after that is not here",
    ),
    (
        warning::OWN_ALLOCATOR,
        "own_allocator",
        "brings its own allocator, whose calls can't be seen: its memory is not here; build it with the C library's malloc",
    ),
    (
        warning::PRELOADED_ALLOCATOR,
        "preloaded_allocator",
        "has another allocator preloaded before libleak, whose calls can't be seen: its memory is not here; name libleak.so first in LD_PRELOAD",
    ),
    (
        warning::PYTHON_UNKNOWN,
        "python_unknown",
        "runs a Python of an unknown version: its objects and its lines are not here, only what it asks of the C library; use a later libleak",
    ),
    (
        warning::PYTHON_FREE_THREADED,
        "python_free_threaded",
        "runs a free-threaded Python: its objects and its lines are not here, only what it asks of the C library; run a build with the GIL to see them",
    ),
];
