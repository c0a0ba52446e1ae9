//! What requests hold that had not ended when their process did: streams, one long connection of a protocol without
//! answers, or what was in flight at the kill.

use rustc_hash::FxHashMap;

use super::holding::{Kind, Proof};
use super::log::Log;
use super::site::SiteIndex;
use super::{Ledger, PARTS, Serving};
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;

/// What such a request holds of one call site.
#[derive(Clone, Debug)]
pub struct Open {
    /// Which.
    pub request: RequestId,
    /// Live at the process's end.
    pub live: Amount,
    /// Of that, made while the process served.
    pub grown: Amount,
    /// Bytes of that which were made after the last end of a request.
    pub later_bytes: u64,
    /// Births, by stamp.
    pub births: Log,
}

impl Open {
    /// Adds what the request holds of another call site.
    pub(super) fn absorb(&mut self, other: &Open) {
        self.live += other.live;
        self.grown += other.grown;
        self.later_bytes += other.later_bytes;
        self.births.absorb(&other.births);
    }
}

impl Ledger {
    /// The process ends, and no request had ended: it has served since the first one began, up to the last read or
    /// write. What was read and written meanwhile counts as its requests.
    pub(super) fn serve_without_ends(&mut self, records: &[Record]) {
        let Some(from) = self.serving.from.filter(|_| self.order() == 0) else {
            return;
        };
        let touches = self.touches.points();
        let Some((last, _)) = touches.last().filter(|(last, _)| *last > from) else {
            return;
        };
        let all: u64 = touches.iter().map(|(_, count)| count).sum();
        let end = |part: usize| {
            let mut before = all * (part as u64 + 1) / PARTS as u64;
            let place = touches.iter().find(|(_, count)| {
                let found = before <= *count;
                before = before.saturating_sub(*count);
                found
            });
            place.map_or(*last, |place| place.0)
        };
        let open = self.flight.requests();
        let of_open = open.filter_map(|id| Some(records.get(id as usize)?.touches));
        self.serving = Serving {
            to: *last,
            by_requests: Some(std::array::from_fn(end)),
            to_bytes: self.exit.held_before().unwrap_or(self.counts.held_bytes()),
            requests: of_open.map(u64::from).sum(),
            ..self.serving
        };
    }

    /// By call site and request.
    pub(super) fn open_by_site(
        &self,
        records: &[Record],
        holds: &impl Fn(Proof) -> bool,
    ) -> FxHashMap<SiteIndex, Vec<Open>> {
        let mut by_site: FxHashMap<SiteIndex, Vec<Open>> = FxHashMap::default();
        if !self.flight.any() {
            return by_site;
        }
        let mut places: FxHashMap<(SiteIndex, RequestId), usize> = FxHashMap::default();
        for (address, block) in self.heap.own() {
            let holding = &self.holdings[self.resolve(block) as usize];
            let Kind::Proved(request, proof) = holding.kind else {
                continue;
            };
            let open = |record: &Record| !record.void && record.end.is_none();
            if holding.ended || !holds(proof) || !records.get(request as usize).is_some_and(open) {
                continue;
            }
            let of_site = by_site.entry(holding.site).or_default();
            let place = places.entry((holding.site, request)).or_insert_with(|| {
                of_site.push(Open {
                    request,
                    live: Amount::default(),
                    grown: Amount::default(),
                    later_bytes: 0,
                    births: Log::default(),
                });
                of_site.len() - 1
            });
            let held = &mut of_site[*place];
            let amount = self.heap.amount(address, block);
            held.live += amount;
            held.births.add(block.born, amount.blocks);
            if self.serving.from.is_some_and(|from| block.born >= from) {
                held.grown += amount;
                // Without an end, what is live at the process's end is what was looked at.
                if self.order() > 0 && block.born >= self.serving.to {
                    held.later_bytes += amount.bytes;
                }
            }
        }
        by_site
            .values_mut()
            .for_each(|list| list.sort_unstable_by_key(|open| open.request));
        by_site
    }
}
