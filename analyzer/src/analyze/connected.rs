//! What hangs on connections that are open when serving ends: the state that a server keeps of each is that of its last
//! request until the next one comes, or the connection is closed; or what its first request of a label makes, as one that
//! logs in, and stays until then.
//!
//! Where all requests that keep something are the last ones of such connections, nothing tells that from a leak: the
//! next request, or the close, would. The same where they are the first ones of their label, one for each connection
//! where chance would have brought some connections several. Where others keep it, too, it is no connection's;
//! nor where many blocks are kept of each.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::analysis::{Source, Verdict};
use crate::figures::counted;
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::verdict::LEAK_REQUESTS;

/// Of requests that keep what hangs on a connection, one in so many may be another one.
const OTHERS: usize = 10;

/// A connection's state is so many blocks of a call site at most.
const BLOCKS: u64 = 16;

/// So many keeping requests come one to a connection by chance as often as this, or less: then it is none.
const BY_CHANCE: f64 = 0.05;

/// Requests of connections that were open when the last request of their process ended.
#[derive(Debug, Default)]
pub(super) struct OfOpen {
    /// The last ones, and whether their connections were closed after that.
    last: FxHashMap<RequestId, bool>,
    /// The same of the first ones of each label.
    first: FxHashMap<RequestId, bool>,
    /// How many connections there were.
    connections: usize,
}

impl OfOpen {
    /// `closes`: when connections were closed.
    pub(super) fn new(records: &[Record], closes: &[(u32, u64)]) -> OfOpen {
        let closes: FxHashMap<u32, u64> = closes.iter().copied().collect();
        let real = || (0..).zip(records).filter(|(_, record)| !record.void);
        let mut served: FxHashMap<u32, u64> = FxHashMap::default();
        for (_, record) in real() {
            let until = served.entry(record.process).or_default();
            *until = (*until).max(record.end.unwrap_or(0));
        }
        let mut connections: FxHashSet<u32> = FxHashSet::default();
        // An upgraded connection has the request that upgraded it, too.
        let mut last: FxHashMap<(u32, Source), (RequestId, bool)> = FxHashMap::default();
        let mut first: FxHashMap<(u32, Option<LabelId>), (RequestId, bool)> = FxHashMap::default();
        for (id, record) in real().filter(|(_, record)| record.connection != 0) {
            let closed = closes.get(&record.connection);
            if closed.is_some_and(|closed| *closed < served[&record.process]) {
                continue;
            }
            let of_open = (id, closed.is_some());
            connections.insert(record.connection);
            last.insert((record.connection, record.source), of_open);
            first
                .entry((record.connection, record.label))
                .or_insert(of_open);
        }
        OfOpen {
            last: last.into_values().collect(),
            first: first.into_values().collect(),
            connections: connections.len(),
        }
    }

    /// Whether it is no chance that no connection has several of so many requests.
    fn is_one_each(&self, requests: usize) -> bool {
        let pairs = requests as f64 * (requests as f64 - 1.0) / 2.0;
        (-pairs / self.connections.max(1) as f64).exp() < BY_CHANCE
    }
}

/// Labels that leak only what hangs on open connections may not leak at all.
pub(super) fn correct(sites: &mut [Judged], open: &OfOpen) {
    let why = |part: &JudgedLabel| {
        let kept = || part.retained.iter().filter(|kept| kept.is_used());
        let requests = distinct(kept());
        let blocks: u64 = kept().map(|kept| kept.blocks).sum();
        if part.verdict != Verdict::Leak || blocks > BLOCKS * requests as u64 {
            return None;
        }
        let hang = |of: &FxHashMap<RequestId, bool>| {
            let others = kept().filter(|kept| !hangs_on_connection(kept, of));
            is_little(distinct(others), requests)
        };
        if hang(&open.last) {
            return Some(said(requests, "the last one"));
        }
        let first = hang(&open.first) && open.is_one_each(requests);
        first.then(|| said(requests, "the first one of its label"))
    };
    for site in sites.iter_mut().filter(|site| site.verdict.leaks()) {
        site.undecide(why);
    }
}

/// Whether it may be the state of a connection that was open: what outlived its close is not.
fn hangs_on_connection(kept: &Retained, of: &FxHashMap<RequestId, bool>) -> bool {
    match of.get(&kept.request) {
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

fn said(requests: usize, which: &str) -> String {
    format!(
        "kept by {}, nearly each {which} of a connection that was still open: the connection's state, or a leak; close \
         the connections before the end, or send more over them",
        counted(requests as u64, "request"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_each_connection_is_told_from_chance() {
        let open = |connections| OfOpen {
            connections,
            ..OfOpen::default()
        };
        assert!(open(110).is_one_each(106) && open(8).is_one_each(8) && open(32).is_one_each(18));
        assert!(!open(4).is_one_each(4) && !open(32).is_one_each(6) && !open(0).is_one_each(1));
    }

    #[test]
    fn few_others_are_no_leak() {
        assert!(is_little(0, 3) && is_little(1, 10) && is_little(2, 20));
        assert!(!is_little(1, 4), "one of four");
        assert!(!is_little(3, 100), "three are a leak");
    }
}
