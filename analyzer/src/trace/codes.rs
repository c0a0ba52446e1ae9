//! The Python code objects of each process: their numbers → what they are, and instructions → lines.

use leak_wire::Bytes;
use rustc_hash::FxHashMap;

use super::{Facts, Origin, ProcessId};
use crate::python::lines::{self, Layout};
use crate::sites::{Code, CodeId, PythonFrame, Sites};

/// The longest line table that is believed, bytes.
const MAX_TABLE: usize = 16 << 20;

/// One code object.
#[derive(Clone, Debug)]
struct Known {
    id: CodeId,
    first_line: u32,
    version: u32,
    table: Vec<u8>,
    /// The table decoded, once a line was asked for.
    layout: Option<Layout>,
}

/// The code objects of each process, by number.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    processes: Vec<FxHashMap<u32, Known>>,
}

impl Codes {
    /// A process begins: a fork has its parent's code.
    pub(crate) fn begin(&mut self, facts: &Facts, process: ProcessId) {
        let index = process as usize;
        if self.processes.len() <= index {
            self.processes.resize_with(index + 1, FxHashMap::default);
        }
        let Some(begun) = facts.processes.get(index) else {
            return;
        };
        let parent = begun.parent.filter(|_| begun.origin == Origin::Fork);
        let inherited = parent.and_then(|parent| self.processes.get(parent as usize));
        if let Some(codes) = inherited.cloned() {
            self.processes[index] = codes;
        }
    }

    /// A process has ended.
    pub(crate) fn end(&mut self, process: ProcessId) {
        if let Some(codes) = self.processes.get_mut(process as usize) {
            *codes = FxHashMap::default();
        }
    }

    /// A code object is told.
    pub(crate) fn code(
        &mut self,
        sites: &mut Sites,
        process: ProcessId,
        code: u32,
        first_line: u32,
        version: u32,
        text: Bytes<'_>,
    ) {
        let text: Vec<u8> = text.iter().collect();
        let text = String::from_utf8_lossy(&text);
        let (file, function) = text.split_once('\0').unwrap_or(("", &text));
        let id = sites.code(Code {
            file: file.to_owned(),
            function: function.to_owned(),
            first_line,
        });
        let known = Known {
            id,
            first_line,
            version,
            table: Vec::new(),
            layout: None,
        };
        if let Some(codes) = self.processes.get_mut(process as usize) {
            codes.insert(code, known);
        }
    }

    /// A piece of a code object's line table. A table with a missing piece ends before it.
    pub(crate) fn lines(&mut self, process: ProcessId, code: u32, offset: u32, bytes: Bytes<'_>) {
        let codes = self.processes.get_mut(process as usize);
        let Some(known) = codes.and_then(|codes| codes.get_mut(&code)) else {
            return;
        };
        if known.table.len() == offset as usize && known.table.len() < MAX_TABLE {
            known.table.extend(bytes.iter());
            known.layout = None;
        }
    }

    /// The frame that runs `code` at `instruction`.
    pub(crate) fn frame(&mut self, process: ProcessId, code: u32, instruction: u32) -> PythonFrame {
        let codes = self.processes.get_mut(process as usize);
        let Some(known) = codes.and_then(|codes| codes.get_mut(&code)) else {
            return PythonFrame {
                code: None,
                line: None,
            };
        };
        let layout = known
            .layout
            .get_or_insert_with(|| lines::decode(known.version, &known.table, known.first_line));
        PythonFrame {
            code: Some(known.id),
            line: layout.line(instruction),
        }
    }
}
