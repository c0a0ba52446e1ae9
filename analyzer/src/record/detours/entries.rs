//! The entries of allocators that a file defines: which functions calls of the program go to.

use std::collections::BTreeMap;

use leak_wire::detour::Shape;
use object::{Object, ObjectSymbol, SymbolKind};

/// What allocators put before the names of their entries where they don't take the C library's.
const PREFIXES: [&str; 5] = ["", "je_", "_rjem_", "mi_", "tc_"];

/// The entries that are detoured, as C calls them.
const ENTRIES: [(&str, Shape); 30] = [
    ("malloc", Shape::Allocate),
    ("valloc", Shape::Allocate),
    ("pvalloc", Shape::Allocate),
    ("mallocx", Shape::Allocate),
    ("zalloc", Shape::Allocate),
    ("malloc_small", Shape::Allocate),
    ("zalloc_small", Shape::Allocate),
    ("malloc_aligned", Shape::Allocate),
    ("zalloc_aligned", Shape::Allocate),
    ("malloc_skip_new_handler", Shape::Allocate),
    ("calloc", Shape::Count),
    ("calloc_aligned", Shape::Count),
    ("mallocn", Shape::Count),
    ("aligned_alloc", Shape::Aligned),
    ("memalign", Shape::Aligned),
    ("posix_memalign", Shape::Place),
    ("realloc", Shape::Resize),
    ("rallocx", Shape::Resize),
    ("realloc_aligned", Shape::Resize),
    ("reallocarray", Shape::ResizeCount),
    ("reallocn", Shape::ResizeCount),
    ("free", Shape::Free),
    ("dallocx", Shape::Free),
    ("sdallocx", Shape::Free),
    ("free_size", Shape::Free),
    ("free_size_aligned", Shape::Free),
    ("free_aligned", Shape::Free),
    ("free_sized", Shape::Free),
    ("free_aligned_sized", Shape::Free),
    ("sdallocx_noflags", Shape::Free),
];

/// The prefix of mimalloc's own names, and what CPython defines that carries a copy of it within (from 3.13
/// on): that one gives what Python's own allocators are asked for, from heaps whose entries are others.
const MIMALLOC: &str = "mi_";

const PYTHON: &str = "_PyRuntime";

/// What one that is neither exported nor has a prefix must have: its names could as well be those of
/// something else.
const NEEDED: [&str; 4] = ["malloc", "calloc", "realloc", "free"];

/// The C++ operators, all of whose names begin so.
pub(super) fn operator(name: &str) -> Option<Shape> {
    let known = |rest: &str| {
        matches!(
            rest,
            "" | "RKSt9nothrow_t" | "St11align_val_t" | "St11align_val_tRKSt9nothrow_t"
        )
    };
    let (made, freed) = (["_Znwm", "_Znam"], ["_ZdlPv", "_ZdaPv"]);
    let rest = |starts: [&str; 2]| starts.iter().find_map(|start| name.strip_prefix(start));
    if rest(made).is_some_and(known) {
        return Some(Shape::Operator);
    }
    let rest = rest(freed)?;
    (known(rest) || rest.strip_prefix('m').is_some_and(known)).then_some(Shape::Free)
}

/// An entry of an allocator in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// In the file's address space.
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) shape: Shape,
}

/// The functions of a file that allocators have, each address once. Empty where there is no allocator.
pub(super) fn entries(file: &object::File<'_>) -> Vec<Entry> {
    let mut found: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut symbols = file.symbols().chain(file.dynamic_symbols());
    let is_python = symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(PYTHON));
    let prefixes = PREFIXES.into_iter();
    for prefix in prefixes.filter(|prefix| !(is_python && *prefix == MIMALLOC)) {
        for entry in family(file, prefix) {
            found.entry(entry.address).or_insert(entry);
        }
    }
    found.into_values().collect()
}

/// The entries whose names begin with `prefix`, if they make an allocator.
fn family(file: &object::File<'_>, prefix: &str) -> Vec<Entry> {
    let mut exported: BTreeMap<String, Entry> = BTreeMap::new();
    let mut unexported: BTreeMap<String, Option<Entry>> = BTreeMap::new();
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let Some(entry) = as_entry(&symbol, prefix) else {
            continue;
        };
        if symbol.is_local() {
            // Of two with one name, one is something else.
            let once = unexported.entry(entry.name.clone());
            once.and_modify(|before| *before = None)
                .or_insert(Some(entry));
        } else {
            exported.insert(entry.name.clone(), entry);
        }
    }
    let unexported: Vec<Entry> = unexported.into_values().flatten().collect();
    let exported: Vec<Entry> = exported.into_values().collect();
    if is_allocator(&exported, prefix) {
        return exported;
    }
    let named = |name: &&str| unexported.iter().any(|entry| entry.name == **name);
    let certain = !prefix.is_empty() || NEEDED.iter().all(named);
    match certain && is_allocator(&unexported, prefix) {
        true => unexported,
        false => Vec::new(),
    }
}

/// Whether it can give blocks and take them back; linkers leave out what a program doesn't call.
fn is_allocator(entries: &[Entry], prefix: &str) -> bool {
    let has = |shape: Shape, name: &str| {
        let mut entries = entries.iter();
        entries.any(|entry| entry.shape == shape && (!prefix.is_empty() || entry.name == name))
    };
    has(Shape::Allocate, "malloc") && has(Shape::Free, "free")
}

fn as_entry<'d>(symbol: &impl ObjectSymbol<'d>, prefix: &str) -> Option<Entry> {
    if !symbol.is_definition() || symbol.kind() != SymbolKind::Text {
        return None;
    }
    let name = symbol.name().ok()?;
    let name = name.split('@').next().unwrap_or(name);
    let plain = name.strip_prefix(prefix)?;
    let shape = ENTRIES
        .iter()
        .find_map(|(entry, shape)| (*entry == plain).then_some(*shape))
        .or_else(|| operator(plain).filter(|_| prefix.is_empty()))?;
    Some(Entry {
        name: name.to_owned(),
        address: symbol.address(),
        size: symbol.size(),
        shape,
    })
}
