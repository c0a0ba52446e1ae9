//! Memory that libraries map by themselves: an allocator inside one that was opened late takes none of the calls that
//! are traced. Which library, and how much it holds, stands in the report's first lines.

use std::collections::BTreeMap;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::analysis::Untraced;
use crate::ledger::Ledger;
use crate::mapping::Mapping;
use crate::sample::Amount;
use crate::sites::{ModuleId, NO_MODULE, Sites};
use crate::trace::Warning;

/// Less than that is no allocator's: bytes of a module.
const LITTLE: u64 = 1 << 20;

/// The mappings of a process.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// By start: the end, and who mapped it.
    live: BTreeMap<u64, (u64, ModuleId)>,
    /// What modules held when the process's exit began, or at its end.
    held: Option<FxHashMap<ModuleId, Amount>>,
}

impl Mappings {
    /// A module has mapped memory.
    pub(super) fn map(&mut self, address: u64, size: u64, module: ModuleId) {
        self.unmap(address, size);
        if module != NO_MODULE && size > 0 {
            let end = address.saturating_add(size);
            self.live.insert(address, (end, module));
        }
    }

    /// Nothing is mapped there any more.
    pub(super) fn unmap(&mut self, address: u64, size: u64) {
        let end = address.saturating_add(size.next_multiple_of(PAGE));
        let touched: Vec<u64> = self
            .live
            .range(..end)
            .rev()
            .take_while(|(_, mapped)| mapped.0 > address)
            .map(|(start, _)| *start)
            .collect();
        for start in touched {
            let Some((past, module)) = self.live.remove(&start) else {
                continue;
            };
            if start < address {
                self.live.insert(start, (address, module));
            }
            if past > end {
                self.live.insert(end, (past, module));
            }
        }
    }

    /// Takes down what modules hold in which no traced block lies: the process ends, or begins to.
    pub(super) fn close(&mut self, ledger: &Ledger) {
        if self.held.is_some() || self.live.is_empty() {
            return;
        }
        let holder = |address: u64| {
            let (_, (end, module)) = self.live.range(..=address).next_back()?;
            (address < *end).then_some(*module)
        };
        let traced: FxHashSet<ModuleId> = ledger.addresses().filter_map(holder).collect();
        let mut held: FxHashMap<ModuleId, Amount> = FxHashMap::default();
        for (start, (end, module)) in &self.live {
            if !traced.contains(module) {
                *held.entry(*module).or_default() += Amount::one(end - start);
            }
        }
        self.held = Some(held);
    }
}

/// Lengths are rounded up to pages.
const PAGE: u64 = 4096;

/// What libraries hold in all processes that is not traced, the most first.
pub(super) fn untraced<'m>(
    processes: impl Iterator<Item = (&'m str, &'m Mappings)>,
    sites: &Sites,
) -> Vec<Untraced> {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for (executable, mappings) in processes {
        for (module, amount) in mappings.held.iter().flatten() {
            let path = sites.modules().get(*module as usize);
            let path = path.map_or("", |module| module.path.as_str());
            // What a program maps itself is its own affair: a heap of its language, a buffer.
            let is_library = path
                .rsplit('/')
                .next()
                .is_some_and(|name| name.contains(".so"));
            if is_library && path != executable {
                *sums.entry(path).or_default() += *amount;
            }
        }
    }
    let mut all: Vec<Untraced> = sums
        .into_iter()
        .filter(|(_, amount)| amount.bytes >= LITTLE)
        .map(|(path, amount)| Untraced {
            path: path.to_owned(),
            mappings: amount.blocks,
            bytes: amount.bytes,
        })
        .collect();
    all.sort_by_key(|library| (std::cmp::Reverse(library.bytes), library.path.clone()));
    all
}

/// What is said of one.
pub(super) fn warning(library: &Untraced) -> Warning {
    let within = match allocators(&library.path) {
        names if names.is_empty() => String::new(),
        names => format!(" ({} in it)", names.join(" and ")),
    };
    Warning {
        code: "untraced_allocator".to_owned(),
        text: format!(
            "{} gets memory by itself, past malloc{within}: {} in {} at the end, in use or only reserved; what it gave \
             of them is not traced",
            library.path,
            crate::figures::bytes(library.bytes),
            crate::figures::counted(library.mappings, "mapping"),
        ),
    }
}

/// Allocators by what they say in their messages.
const MARKS: [(&str, &[u8]); 3] = [
    ("jemalloc", b"<jemalloc>"),
    ("mimalloc", b"mimalloc: "),
    ("tcmalloc", b"tcmalloc: "),
];

/// The allocators that the library has in it.
fn allocators(path: &str) -> Vec<&'static str> {
    let Ok(file) = Mapping::open(Path::new(path)) else {
        return Vec::new();
    };
    let has = |mark: &[u8]| memchr::memmem::find(&file, mark).is_some();
    let found = MARKS.iter().filter(|(_, mark)| has(mark));
    found.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(mappings: &Mappings) -> Vec<(u64, u64, ModuleId)> {
        let live = mappings.live.iter();
        live.map(|(start, (end, module))| (*start, *end, *module))
            .collect()
    }

    #[test]
    fn what_is_unmapped_is_cut_out() {
        let mut mappings = Mappings::default();
        mappings.map(0x10_000, 0x10_000, 1);
        mappings.map(0x20_000, 0x10_000, 2);
        mappings.unmap(0x18_000, 0x10_000);
        assert_eq!(
            mapped(&mappings),
            [(0x10_000, 0x18_000, 1), (0x28_000, 0x30_000, 2)]
        );
        mappings.map(0x12_000, 1, 3);
        assert_eq!(mapped(&mappings)[1], (0x12_000, 0x12_001, 3));
        assert_eq!(mapped(&mappings)[2], (0x13_000, 0x18_000, 1));
        mappings.unmap(0, u64::MAX / 2);
        assert_eq!(mapped(&mappings), []);
    }
}
