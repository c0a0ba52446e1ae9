//! Call sites that are one: they differ in code made at run time alone, or by an instruction that CPython has specialised.

use rustc_hash::FxHashMap;

use crate::association::Associated;
use crate::ledger::Finished;
use crate::sites::generated::Merged;
use crate::sites::specialised::{self, Of};
use crate::sites::{SiteId, Sites};
use crate::types::{UNKNOWN, in_use, not_cached};

/// Call sites that differ in code made at run time, or because CPython has specialised an instruction, are one from
/// here on: whose the blocks are was told by each.
pub(super) fn merge(processes: &mut [&mut Finished], associated: &mut Associated, sites: &Sites) {
    let mut weights: FxHashMap<SiteId, u64> = FxHashMap::default();
    for site in processes.iter().flat_map(|finished| &finished.sites) {
        *weights.entry(site.id).or_default() += site.live_bytes;
    }
    if let Some(merged) = Merged::find(sites, &weights) {
        take_together(processes, associated, &merged);
    }
    if let Some(merged) = specialised::find(sites, &types_of_sites(processes)) {
        take_together(processes, associated, &merged);
    }
}

/// What the blocks of each site are, and their bytes; nothing of sites whose blocks' types are unknown.
pub(super) fn types_of_sites(processes: &[&mut Finished]) -> FxHashMap<SiteId, (Of, u64)> {
    let mut types: FxHashMap<SiteId, (Of, u64)> = FxHashMap::default();
    for site in processes.iter().flat_map(|finished| &finished.sites) {
        for typed in &site.types {
            let of_type = not_cached(in_use(typed.of_type));
            if of_type == UNKNOWN {
                continue;
            }
            let (of, bytes) = types.entry(site.id).or_insert((Of::One(of_type), 0));
            *of = of.and(of_type);
            *bytes += typed.bytes;
        }
    }
    types
}

pub(super) fn take_together(
    processes: &mut [&mut Finished],
    associated: &mut Associated,
    merged: &Merged,
) {
    for finished in processes {
        finished.merge(|site| merged.of(site));
    }
    for (site, births) in std::mem::take(&mut associated.births) {
        let of_site = associated.births.entry(merged.of(site)).or_default();
        of_site.extend(births);
    }
}
