//! Symbolizing: (module, file address) → functions and source lines.
//!
//! - A file is believed only if it is the one that ran: its build-id is the trace's, or, where the
//!   program has none, it has not changed since the recording. A rebuilt program gives no names, and a
//!   warning, instead of wrong ones.
//! - An address is looked up as `file_address - 1`: the return address may lie past the function.
//! - DWARF comes first, then the symbol tables, within a function's own bounds. No symbol covers the
//!   address: no name, never the neighbour's.
//! - Modules are opened when the first address of theirs is asked for, and answers are kept.

mod collecting;
mod debugfile;
mod demangle;
mod elf;
mod functions;
mod known;
mod module;
mod units;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use rustc_hash::FxHashMap;

pub use collecting::phases;
pub use demangle::{full as full_name, short as short_name};
pub use elf::Files;
pub(crate) use known::{Known, known};

use crate::sites::{Frame, Module, ModuleId};
use crate::trace::Warning;
use module::{Opened, Trouble};

/// One function that an address lies in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Its demangled name, without a hash.
    pub function: Option<String>,
    /// The name as a person would say it: no parameters, template arguments cut short.
    pub short: Option<String>,
    /// Source file of the place within the function.
    pub file: Option<String>,
    /// Its line, from 1.
    pub line: Option<u32>,
    /// Whether it was inlined into the next one.
    pub inlined: bool,
}

/// Where to look, and what to believe.
#[derive(Clone, Debug, Default)]
pub struct SymbolOptions {
    /// `--debug-dir`s, looked at before the system's.
    pub debug_dirs: Vec<PathBuf>,
    /// When the recording ended: a file without a build-id must not be younger.
    pub recorded_until: Option<SystemTime>,
}

/// Finds the functions of addresses.
pub struct Symbolizer<'a> {
    files: &'a Files,
    options: SymbolOptions,
    modules: Vec<Module>,
    opened: FxHashMap<ModuleId, Opened<'a>>,
    known: FxHashMap<Frame, Rc<[Symbol]>>,
}

impl<'a> Symbolizer<'a> {
    /// For addresses in `modules`; what is mapped is kept by `files`.
    pub fn new(files: &'a Files, modules: &[Module], options: SymbolOptions) -> Symbolizer<'a> {
        Symbolizer {
            files,
            options,
            modules: modules.to_vec(),
            opened: FxHashMap::default(),
            known: FxHashMap::default(),
        }
    }

    /// The functions that `frame` lies in, the innermost (inlined) first; never empty: an unknown
    /// address gives one symbol without a function.
    pub fn symbols(&mut self, frame: Frame) -> Rc<[Symbol]> {
        if let Some(known) = self.known.get(&frame) {
            return known.clone();
        }
        let mut symbols = match self.modules.get(frame.module as usize) {
            Some(module) => self
                .opened
                .entry(frame.module)
                .or_insert_with(|| Opened::open(self.files, module, &self.options))
                .symbols(frame.file_address.saturating_sub(1)),
            None => Vec::new(),
        };
        if symbols.is_empty() {
            symbols.push(Symbol::default());
        }
        let symbols: Rc<[Symbol]> = symbols.into();
        self.known.insert(frame, symbols.clone());
        symbols
    }

    /// What was in the way so far, one warning for each kind of trouble.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut ids: Vec<_> = self.opened.keys().copied().collect();
        ids.sort_unstable();
        let paths = |trouble: Trouble| {
            ids.iter()
                .filter(|id| self.opened[id].trouble == Some(trouble))
                .filter_map(|id| self.modules.get(*id as usize))
                .map(|module| module.path.as_str())
                .collect::<Vec<_>>()
        };
        [Trouble::Rebuilt, Trouble::Missing]
            .into_iter()
            .filter_map(|trouble| trouble.warning(&paths(trouble)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
