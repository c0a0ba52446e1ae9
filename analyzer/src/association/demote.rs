//! Proofs that prove nothing.

use rustc_hash::{FxHashMap, FxHashSet};

use super::found::Found;
use super::give;
use super::groups::Groups;
use super::parts::Parts;
use super::site::{self, Doubt};
use crate::ledger::{Finished, Loose, Retained};
use crate::requests::record::Record;
use crate::sites::{Memory, SiteId, Sites};

/// Proofs at a call site whose blocks no request explains prove nothing: other work of the worker's comes to that
/// place, too, or alone.
pub(super) fn demote(
    (parts, processes): (&Parts, &mut [&mut Finished]),
    doubtful: &FxHashMap<SiteId, Doubt>,
    (found, groups, sites): (&FxHashMap<SiteId, Found>, &Groups, &Sites),
    records: &mut [Record],
) {
    let is_regular = |site: SiteId| site::is_regular(site, (parts, processes), records);
    let is_none = |(site, doubt): &(&SiteId, &Doubt)| {
        let Some(found) = found.get(site) else {
            return false;
        };
        let mixed = doubt.mixed && found.unproved_background() >= 0.5;
        let tail = doubt.tail && found.is_background() && !is_regular(**site);
        mixed || tail
    };
    let none: FxHashSet<SiteId> = doubtful
        .iter()
        .filter(is_none)
        .map(|(site, _)| *site)
        .collect();
    // What was made after an answer may be another job's that the worker had taken with the first.
    let irregular = doubtful
        .keys()
        .filter(|site| !none.contains(site) && !is_regular(**site));
    let irregular: FxHashSet<SiteId> = irregular.copied().collect();
    let is_denied = |site: SiteId, kept: &Retained, records: &[Record]| {
        let record = records.get(kept.request as usize);
        let label = record.and_then(|record| record.label);
        let found = found.get(&site).zip(label);
        kept.tail_blocks == kept.blocks
            && found.is_some_and(|(found, label)| found.denies(label, groups))
    };
    for finished in processes.iter_mut() {
        let mut loose: Vec<Loose> = Vec::new();
        for site in finished
            .sites
            .iter_mut()
            .filter(|site| none.contains(&site.id) || irregular.contains(&site.id))
        {
            let all = none.contains(&site.id);
            let is_stack = sites.memory(site.id) == Memory::Stack;
            for kept in std::mem::take(&mut site.retained) {
                match all || is_denied(site.id, &kept, records) {
                    true => loose.push(give::loosen(kept, (site, is_stack), records)),
                    false => site.retained.push(kept),
                }
            }
        }
        if !loose.is_empty() {
            finished.loose.append(&mut loose);
            finished.loose.sort_by_key(|loose| loose.born);
        }
    }
}
