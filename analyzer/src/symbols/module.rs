//! One module: its file, its debug files, and what they know of an address.

use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use addr2line::Context;

use super::debugfile::{self, Wanted};
use super::elf::{Elf, Files};
use super::functions::{Bounds, Functions};
use super::units::{Slice, Units};
use super::{Symbol, SymbolOptions, demangle};
use crate::sites::Module;
use crate::trace::Warning;

/// An unpacked mini debug file is at most this large.
const MOST_UNPACKED: u64 = 1 << 30;

/// Why a module gives no symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The file that stands at its path is another one now.
    Rebuilt,
    /// There is no such file on this machine.
    Missing,
}

impl Trouble {
    /// What to say of the modules at `paths` that have it.
    pub(super) fn warning(self, paths: &[&str]) -> Option<Warning> {
        let (first, more) = paths.split_first()?;
        let which = match more.len() {
            0 => format!("{first} "),
            1 => format!("{first} and 1 more module "),
            count => format!("{first} and {count} more modules "),
        };
        let (code, text) = match self {
            Trouble::Rebuilt => (
                "rebuilt_module",
                "changed since the recording, so that its functions are not named; \
                 record again, or give the files that ran with --debug-dir",
            ),
            Trouble::Missing => (
                "missing_module",
                "not found on this machine, so that its functions are not named; \
                 report where it ran, or give its files with --debug-dir",
            ),
        };
        Some(Warning {
            code: code.into(),
            text: which + text,
        })
    }
}

/// A module whose files were looked for.
pub(super) struct Opened<'a> {
    units: Option<Units<'a>>,
    functions: Functions<'a>,
    bounds: Option<Bounds<'a>>,
    pub(super) trouble: Option<Trouble>,
}

impl<'a> Opened<'a> {
    /// Finds the files of `module`; what can't be found or believed is left out.
    pub(super) fn open(files: &'a Files, module: &Module, options: &SymbolOptions) -> Opened<'a> {
        let path = Path::new(
            module
                .path
                .strip_suffix(" (deleted)")
                .unwrap_or(&module.path),
        );
        let (own, trouble) = own_file(files, path, module, options.recorded_until);
        let wanted = Wanted {
            path,
            build_id: module.build_id.as_deref(),
            link: own.as_ref().and_then(Elf::debug_link),
        };
        let full = own.as_ref().is_some_and(Elf::has_dwarf);
        let separate = match full {
            true => None,
            false => debugfile::find(files, &wanted, &options.debug_dirs),
        };
        let mini = own.as_ref().and_then(|elf| mini_debug_file(files, elf));
        let units = [separate.as_ref(), own.as_ref()]
            .into_iter()
            .flatten()
            .find(|elf| elf.has_dwarf())
            .map(|elf| Units::of(files, elf, &options.debug_dirs));
        let with_tables = [separate.as_ref(), own.as_ref(), mini.as_ref()];
        Opened {
            units,
            functions: Functions::of(&with_tables.into_iter().flatten().collect::<Vec<_>>()),
            bounds: own.as_ref().map(Bounds::of),
            // Names from a debug file are as good as the module's own.
            trouble: trouble.filter(|_| separate.is_none()),
        }
    }

    /// The functions that `address` lies in, the innermost first; empty if none is known.
    pub(super) fn symbols(&mut self, address: u64) -> Vec<Symbol> {
        let mut symbols = self.by_dwarf(address).unwrap_or_default();
        if let Some(last) = symbols.last_mut() {
            last.inlined = false;
        } else {
            symbols.push(Symbol::default());
        }
        if let Some(outermost) = symbols.last_mut()
            && outermost.function.as_deref().is_none_or(is_unqualified)
            && let Some(name) = self.by_tables(address)
            && (outermost.function.is_none() || is_mangled(name))
        {
            outermost.function = Some(demangle::full(name));
            outermost.short = Some(demangle::short(name));
        }
        symbols.retain(|symbol| symbol.function.is_some() || symbol.file.is_some());
        symbols
    }

    /// The functions of its symbol tables by their mangled names, with where they lie.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'a str, Range<u64>)> + '_ {
        self.functions.all()
    }

    fn by_dwarf(&mut self, address: u64) -> Option<Vec<Symbol>> {
        self.units
            .as_mut()?
            .at(address, |context| functions(context, address))
    }

    fn by_tables(&self, address: u64) -> Option<&'a str> {
        let bounds = || self.bounds.as_ref()?.around(address);
        self.functions.name(address, bounds)
    }
}

/// The functions that `address` lies in, as far as `context` knows.
fn functions(context: &Context<Slice<'_>>, address: u64) -> Option<Vec<Symbol>> {
    let mut frames = context.find_frames(address).skip_all_loads().ok()?;
    let mut symbols = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let name = frame.function.as_ref();
        let raw = name.and_then(|name| name.raw_name().ok());
        let location = frame.location.as_ref();
        symbols.push(Symbol {
            function: raw.as_deref().map(demangle::full),
            short: raw.as_deref().map(demangle::short),
            file: location.and_then(|at| at.file).map(str::to_owned),
            line: location.and_then(|at| at.line).filter(|line| *line > 0),
            inlined: true,
        });
    }
    (!symbols.is_empty()).then_some(symbols)
}

/// DWARF calls a lambda `operator()` and no more; the symbol table knows whose it is.
fn is_unqualified(function: &str) -> bool {
    !function.contains("::")
}

fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("_R")
}

/// The file at the module's path if it is the one that ran, else why not.
fn own_file<'a>(
    files: &'a Files,
    path: &Path,
    module: &Module,
    recorded_until: Option<SystemTime>,
) -> (Option<Elf<'a>>, Option<Trouble>) {
    if !path.is_absolute() {
        // The kernel's own (vdso), or something that never was a file.
        return (None, None);
    }
    let Some(elf) = Elf::open(files, path) else {
        return (None, Some(Trouble::Missing));
    };
    let same = elf.build_id() == module.build_id
        && (module.build_id.is_some() || !younger(path, recorded_until));
    match same {
        true => (Some(elf), None),
        false => (None, Some(Trouble::Rebuilt)),
    }
}

fn younger(path: &Path, than: Option<SystemTime>) -> bool {
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    matches!((modified, than), (Ok(modified), Some(than)) if modified > than)
}

/// `.gnu_debugdata`: a symbol table, packed by xz.
fn mini_debug_file<'a>(files: &'a Files, elf: &Elf<'a>) -> Option<Elf<'a>> {
    use std::io::Read;
    let packed = elf.section(".gnu_debugdata");
    if packed.is_empty() {
        return None;
    }
    let mut unpacked = Vec::new();
    lzma_rust2::XzReader::new(packed, true)
        .take(MOST_UNPACKED)
        .read_to_end(&mut unpacked)
        .ok()?;
    Elf::parse(files, &elf.path, files.keep(unpacked))
}
