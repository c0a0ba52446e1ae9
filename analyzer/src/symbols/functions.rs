//! Functions by the symbol tables: names for addresses that no DWARF covers.

use std::cmp::Reverse;
use std::ops::Range;

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, UnwindSection};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::elf::Elf;

struct Function<'a> {
    start: u64,
    /// 0: not said.
    size: u64,
    /// The furthest end of this function and of all before it.
    furthest: u64,
    name: &'a str,
}

/// The functions of a module, by address.
#[derive(Default)]
pub(super) struct Functions<'a> {
    functions: Vec<Function<'a>>,
}

impl<'a> Functions<'a> {
    /// From the symbol tables of `files`: the module, its debug file, its mini debug file.
    pub(super) fn of(files: &[&Elf<'a>]) -> Functions<'a> {
        let mut functions = Vec::new();
        for elf in files {
            let tables = elf.object.symbols().chain(elf.object.dynamic_symbols());
            functions.extend(tables.filter_map(|symbol| {
                let name = symbol.name().ok().filter(|name| !name.is_empty())?;
                is_code(elf, &symbol).then(|| Function {
                    start: symbol.address(),
                    size: symbol.size(),
                    furthest: 0,
                    name: name.split('@').next().unwrap_or(name),
                })
            }));
        }
        functions.sort_by_key(|function| (function.start, preference(function)));
        functions.dedup_by_key(|function| function.start);
        let mut furthest = 0;
        for function in &mut functions {
            furthest = furthest.max(function.start.saturating_add(function.size));
            function.furthest = furthest;
        }
        Functions { functions }
    }

    /// All of them that say where they end: mangled name and place.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, Range<u64>)> + '_ {
        let sized = self.functions.iter().filter(|function| function.size > 0);
        sized.map(|function| {
            let end = function.start.saturating_add(function.size);
            (function.name, function.start..end)
        })
    }

    /// The mangled name of the function that `address` lies in. `bounds` gives the bounds of the
    /// function by its unwinding rules, for symbols that don't say where they end.
    pub(super) fn name(
        &self,
        address: u64,
        bounds: impl FnOnce() -> Option<(u64, u64)>,
    ) -> Option<&'a str> {
        let after = self.functions.partition_point(|f| f.start <= address);
        let before = self.functions.get(..after)?;
        let sized = before
            .iter()
            .rev()
            .take_while(|function| function.furthest > address)
            .find(|function| address - function.start < function.size);
        if let Some(function) = sized {
            return Some(function.name);
        }
        // Without a size the name is right only if it stands in the same function.
        let nearest = before.last().filter(|function| function.size == 0)?;
        let (start, end) = bounds()?;
        let within = start <= nearest.start && (start..end).contains(&address);
        within.then_some(nearest.name)
    }
}

/// Assembly often leaves the type out: then the section tells.
fn is_code(elf: &Elf<'_>, symbol: &object::Symbol<'_, '_>) -> bool {
    if symbol.is_undefined() {
        return false;
    }
    match symbol.kind() {
        SymbolKind::Text => true,
        SymbolKind::Unknown | SymbolKind::Label => symbol
            .section_index()
            .and_then(|index| elf.object.section_by_index(index).ok())
            .is_some_and(|section| section.kind() == SectionKind::Text),
        _ => false,
    }
}

/// Which of several names of one address is told: one with a size, then the plainest (`malloc`
/// rather than `__libc_malloc`).
fn preference(function: &Function<'_>) -> (bool, usize, Reverse<u64>, usize) {
    let mangled = function.name.starts_with("_Z") || function.name.starts_with("_R");
    let underscores = match mangled {
        true => 0,
        false => function.name.len() - function.name.trim_start_matches('_').len(),
    };
    let libc_alias = usize::from(function.name.starts_with("__libc_"));
    (
        function.size == 0,
        underscores + libc_alias,
        Reverse(function.size),
        function.name.len(),
    )
}

/// The bounds of functions by the unwinding rules in `.eh_frame`, which stripped files keep too.
pub(super) struct Bounds<'a> {
    frames: EhFrame<EndianSlice<'a, LittleEndian>>,
    index: Option<gimli::ParsedEhFrameHdr<EndianSlice<'a, LittleEndian>>>,
    bases: BaseAddresses,
}

impl<'a> Bounds<'a> {
    /// Of a loaded file (debug files have the section without its bytes).
    pub(super) fn of(elf: &Elf<'a>) -> Bounds<'a> {
        let mut bases = BaseAddresses::default();
        if let Some(address) = elf.section_address(".eh_frame") {
            bases = bases.set_eh_frame(address);
        }
        if let Some(address) = elf.section_address(".eh_frame_hdr") {
            bases = bases.set_eh_frame_hdr(address);
        }
        if let Some(address) = elf.section_address(".text") {
            bases = bases.set_text(address);
        }
        let index = EhFrameHdr::new(elf.section(".eh_frame_hdr"), LittleEndian)
            .parse(&bases, 8)
            .ok();
        Bounds {
            frames: EhFrame::new(elf.section(".eh_frame"), LittleEndian),
            index,
            bases,
        }
    }

    /// Start and end of the function that `address` lies in.
    pub(super) fn around(&self, address: u64) -> Option<(u64, u64)> {
        let table = self.index.as_ref().and_then(|index| index.table());
        let entry = match table {
            Some(table) => {
                let by_offset = EhFrame::cie_from_offset;
                table.fde_for_address(&self.frames, &self.bases, address, by_offset)
            }
            None => {
                let by_offset = EhFrame::cie_from_offset;
                self.frames.fde_for_address(&self.bases, address, by_offset)
            }
        }
        .ok()?;
        Some((entry.initial_address(), entry.end_address()))
    }
}
