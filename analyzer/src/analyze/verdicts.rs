//! Judges all call sites, then corrects what the figures of a single one can't tell.

use rustc_hash::{FxHashMap, FxHashSet};

use super::collecting::Collecting;
use super::judged::Judged;
use super::sites::judge;
use super::{
    alike, carved, collected, company, connected, crowd, known_caches, lent, lists, pool, reuse,
    ways,
};
use crate::analysis::Carved;
use crate::ledger::Finished;
use crate::requests::machine::Machine;
use crate::requests::record::{Record, RequestId};
use crate::sites::{SiteId, Sites};
use crate::trace::Facts;
use crate::types::{FREE_LISTS_UNREAD, TypeNames};

/// All call sites with their verdicts. `ended` are the processes, each with the most connections that it held; `unsure` are
/// call sites that are some endpoint's which may be asked for no more. With what modules map that grows, and is nobody's.
pub(super) fn verdicts(
    ended: Vec<(Finished, usize)>,
    machine: &Machine,
    names: &mut TypeNames,
    (facts, places): (&Facts, &Sites),
    (collecting, unsure): (Collecting, [&FxHashSet<SiteId>; 2]),
) -> (Vec<Judged>, Vec<Carved>) {
    let records = &machine.records;
    let closes = machine.closes.as_deref().unwrap_or_default();
    let made_threads = ended.iter().flat_map(|(end, _)| &end.made_threads);
    let made_threads: FxHashMap<RequestId, bool> = made_threads.copied().collect();
    let most_cached = ended.iter().map(|(process, _)| process.most_cached).max();
    let runtimes = collected::Runtimes::of(places, collecting);
    let mut sites = judge(
        ended,
        (records, closes),
        &facts.dropped,
        (
            |site| ways::line(places, site),
            |site| places.is_of_python(site),
        ),
        |site| runtimes.at(site),
    );
    let either = sites
        .iter_mut()
        .filter(|site| unsure.iter().any(|sites| sites.contains(&site.id)));
    either.for_each(Judged::doubt_end);
    let mut warnings = facts.warnings.iter();
    let unread = warnings.any(|warning| warning.code == FREE_LISTS_UNREAD);
    let most_cached = most_cached.unwrap_or(0);
    reuse::correct(&mut sites, names, records, (unread, most_cached));
    alike::correct(&mut sites, records);
    company::settle_shared(&mut sites);
    ways::correct(&mut sites, places, records);
    collected::correct(&mut sites, &runtimes, records);
    lists::correct(&mut sites, places, names, records);
    lent::correct(&mut sites, places, records);
    known_caches::correct(&mut sites, places, names);
    let open = connected::OfOpen::new(records, closes);
    connected::correct(&mut sites, &open);
    crowd::correct(&mut sites, records);
    pool::correct(&mut sites, &made_threads, || at_once(records));
    let carved = carved::correct(&mut sites, places, records);
    (sites, carved)
}

/// How many requests were in flight at once, at most.
fn at_once(records: &[Record]) -> usize {
    let real = records.iter().filter(|record| !record.void);
    let changes = real.flat_map(|record| {
        let end = record.end.map(|end| (end, -1));
        [Some((record.start, 1)), end].into_iter().flatten()
    });
    let mut changes: Vec<(u64, i64)> = changes.collect();
    changes.sort_unstable();
    let mut flying = 0;
    let at_each = changes.into_iter().map(|(_, change)| {
        flying += change;
        flying
    });
    at_each
        .max()
        .map_or(0, |most| usize::try_from(most).unwrap_or(0))
}
