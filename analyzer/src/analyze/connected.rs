//! What hangs on connections that are open when serving ends: the state that a server keeps of each is that of its last
//! request until the next one comes, or the connection is closed.
//!
//! Where all requests that keep something are the last ones of such connections, nothing tells that from a leak: the
//! next request, or the close, would. Where others keep it, too, it is no connection's;
//! nor where many blocks are kept of each.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::analysis::Source;
use crate::figures::counted;
use crate::ledger::Retained;
use crate::requests::record::{Record, RequestId};
use crate::verdict::LEAK_REQUESTS;

/// Of requests that keep what hangs on a connection, one in so many may be another one.
const OTHERS: usize = 10;

/// A connection's state is so many blocks of a call site at most.
const BLOCKS: u64 = 16;

/// The last requests of connections that were open when the last request of their process ended, and whether they were
/// closed after that. `closes`: when connections were closed.
pub(super) fn last_of_open(
    records: &[Record],
    closes: &[(u32, u64)],
) -> FxHashMap<RequestId, bool> {
    let closes: FxHashMap<u32, u64> = closes.iter().copied().collect();
    let mut served: FxHashMap<u32, u64> = FxHashMap::default();
    // An upgraded connection has the request that upgraded it, too.
    let mut last: FxHashMap<(u32, Source), RequestId> = FxHashMap::default();
    for (id, record) in (0..).zip(records).filter(|(_, record)| !record.void) {
        let until = served.entry(record.process).or_default();
        *until = (*until).max(record.end.unwrap_or(0));
        if record.connection != 0 {
            last.insert((record.connection, record.source), id);
        }
    }
    let open = last.into_iter().filter_map(|((connection, _), request)| {
        let until = served.get(&records[request as usize].process)?;
        match closes.get(&connection) {
            None => Some((request, false)),
            Some(closed) => (closed >= until).then_some((request, true)),
        }
    });
    open.collect()
}

/// Labels that leak only what hangs on open connections may not leak at all.
pub(super) fn correct(sites: &mut [Judged], last: &FxHashMap<RequestId, bool>) {
    let why = |part: &JudgedLabel| {
        let kept = || part.retained.iter().filter(|kept| kept.is_used());
        let others = kept().filter(|kept| !hangs_on_connection(kept, last));
        let requests = distinct(kept());
        let blocks: u64 = kept().map(|kept| kept.blocks).sum();
        let hangs = blocks <= BLOCKS * requests as u64 && is_little(distinct(others), requests);
        (part.verdict.leaks() && hangs).then(|| said(requests))
    };
    for site in sites.iter_mut().filter(|site| site.verdict.leaks()) {
        site.undecide(why);
    }
}

/// Whether it may be the state of a connection that was open: what outlived its close is not.
fn hangs_on_connection(kept: &Retained, last: &FxHashMap<RequestId, bool>) -> bool {
    match last.get(&kept.request) {
        None => false,
        Some(closed) => !closed || kept.before_exit.blocks == 0,
    }
}

fn distinct<'k>(kept: impl Iterator<Item = &'k Retained>) -> usize {
    kept.map(|kept| kept.request)
        .collect::<FxHashSet<RequestId>>()
        .len()
}

/// Whether so many of these requests are too few to be a leak.
fn is_little(others: usize, requests: usize) -> bool {
    (others as u64) < LEAK_REQUESTS && others * OTHERS <= requests
}

fn said(requests: usize) -> String {
    format!(
        "kept by {}, nearly each the last one of a connection that was still open: the connection's state, or a leak; close \
         the connections before the end, or send more over them",
        counted(requests as u64, "request"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_others_are_no_leak() {
        assert!(is_little(0, 3) && is_little(1, 10) && is_little(2, 20));
        assert!(!is_little(1, 4), "one of four");
        assert!(!is_little(3, 100), "three are a leak");
    }
}
