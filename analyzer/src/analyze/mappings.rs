//! Memory that libraries map by themselves: it is told by the calls that mapped it. Where a library has an allocator in
//! it that was opened late, nothing is known of what that gave: which library, and how much it holds, stands in the
//! report's first lines.

use std::collections::BTreeMap;
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::analysis::Untraced;
use crate::ledger::pieces::Held;
use crate::mapping::Mapping;
use crate::sample::Amount;
use crate::sites::{Memory, SiteId, Sites};
use crate::trace::Warning;

/// Less than that is no allocator's: bytes of a module.
const LITTLE: u64 = 1 << 20;

/// What libraries hold in all processes that is not traced, the most first.
pub(super) fn untraced<'m>(
    processes: impl Iterator<Item = (&'m str, &'m [(SiteId, Held)])>,
    sites: &Sites,
) -> Vec<Untraced> {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for (executable, mapped) in processes {
        let module = |site: SiteId| Some(sites.backtrace(site).next()?.module);
        let given = mapped.iter().filter(|(_, held)| held.is_allocators);
        let given: FxHashSet<_> = given.filter_map(|(site, _)| module(*site)).collect();
        for (site, held) in mapped {
            let Some(module) = module(*site).filter(|module| !given.contains(module)) else {
                continue;
            };
            let is_memory = matches!(sites.memory(*site), Memory::Mapped | Memory::Arena);
            let path = sites.modules().get(module as usize);
            let path = path.map_or("", |module| module.path.as_str());
            // What a program maps itself is its own affair: a heap of its language, a buffer.
            let is_library = path
                .rsplit('/')
                .next()
                .is_some_and(|name| name.contains(".so"));
            if is_memory && is_library && path != executable {
                *sums.entry(path).or_default() += held.amount;
            }
        }
    }
    let mut all: Vec<Untraced> = sums
        .into_iter()
        .filter(|(_, amount)| amount.bytes >= LITTLE)
        .filter_map(|(path, amount)| {
            Some(Untraced {
                path: path.to_owned(),
                allocators: allocators(path)?,
                mappings: amount.blocks,
                bytes: amount.bytes,
            })
        })
        .collect();
    all.sort_by_key(|library| (std::cmp::Reverse(library.bytes), library.path.clone()));
    all
}

/// What call sites had mapped in all processes.
pub(super) fn held<'m>(
    processes: impl Iterator<Item = &'m [(SiteId, Held)]>,
) -> FxHashMap<SiteId, Held> {
    let mut sums: FxHashMap<SiteId, Held> = FxHashMap::default();
    for (site, held) in processes.flatten() {
        let sum = sums.entry(*site).or_default();
        sum.amount += held.amount;
        sum.discarded += held.discarded;
        sum.unjoined += held.unjoined;
    }
    sums
}

/// What is said of one.
pub(super) fn warning(library: &Untraced) -> Warning {
    let within = match library.allocators.is_empty() {
        true => String::new(),
        false => format!(" ({} in it)", library.allocators.join(" and ")),
    };
    Warning {
        code: "untraced_allocator".to_owned(),
        text: format!(
            "{} gets memory by itself, past malloc{within}: {} in {} at the end, in use or not; what it gave of them is \
             not traced",
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

/// The allocators that the library has in it; `None`: none of those that are known. A file that can't be read may have
/// any.
pub(super) fn allocators(path: &str) -> Option<Vec<&'static str>> {
    let Ok(file) = Mapping::open(Path::new(path)) else {
        return Some(Vec::new());
    };
    let has = |mark: &[u8]| memchr::memmem::find(&file, mark).is_some();
    let found = MARKS.iter().filter(|(_, mark)| has(mark));
    let found: Vec<_> = found.map(|(name, _)| *name).collect();
    (!found.is_empty()).then_some(found)
}
