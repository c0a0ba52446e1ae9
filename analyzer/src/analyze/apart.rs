//! What tells an endpoint's leaking requests from its others: of all that is known of a request, the fact that goes
//! with leaking, and the pair of facts that does so better. By Fisher's exact test, corrected by Holm for all that
//! was tried (R. A. Fisher 1922; S. Holm, "A simple sequentially rejective multiple test procedure", 1979). That a
//! fact goes with leaking does not say that it is the reason.
//!
//! A figure is cut at each change of its sorted values. What could do no better than chance whichever of the requests
//! leak (too few or too many have it) is not tried, and does not count (R. E. Tarone, "A modified Bonferroni method for
//! discrete data", 1990).

mod chance;
mod fact;
mod row;
mod search;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::analysis::{Analysis, Apart, Endpoint, Request};
use crate::requests::label::LabelId;
use crate::requests::segments::{NO_VALUES, Segments, Values};
use row::{Row, UNENDED};
use search::Search;

/// Leaking requests, and others, that are needed at least.
const LEAST: u64 = 5;
const HOUR_NS: u64 = 3_600_000_000_000;

/// What requests had in their paths.
pub(super) struct Paths<'r> {
    pub(super) segments: &'r Segments,
    /// Names of labels.
    pub(super) labels: &'r [String],
    /// Places of what was no request, among all.
    pub(super) void: Vec<u32>,
}

impl Paths<'_> {
    fn label(&self, endpoint: &Endpoint) -> Option<LabelId> {
        let found = self.labels.iter().position(|name| *name == endpoint.label);
        found.map(|at| at as LabelId)
    }

    /// The values of an endpoint's requests, by their places in the analysis.
    fn of(&self, label: Option<LabelId>) -> FxHashMap<u32, Values> {
        let all = label.map(|label| self.segments.of_label(label));
        let all = all.into_iter().flatten();
        let place = |id: u32| id - self.void.partition_point(|void| *void < id) as u32;
        all.map(|(id, values)| (place(id), values)).collect()
    }

    /// The label's path with one of the values in its place.
    fn path(&self, label: Option<LabelId>, place: usize, value: u32) -> Option<String> {
        let name = self.labels.get(label? as usize)?;
        self.segments.path(label?, name, place, value)
    }
}

/// Fills in what tells the requests of each leaking endpoint apart.
pub(super) fn tell(analysis: &mut Analysis, started_at_ns: u64, paths: &Paths<'_>) {
    for endpoint in &mut analysis.endpoints {
        endpoint.apart_unproved = is_unproved(endpoint);
    }
    let endpoints = (0..).zip(&analysis.endpoints);
    let told: Vec<usize> = endpoints
        .filter(|(_, of)| is_known(of))
        .map(|(at, _)| at)
        .collect();
    if told.is_empty() {
        return;
    }
    let in_flight = in_flight(&analysis.requests);
    let places = places(&analysis.requests);
    for at in told {
        let label = paths.label(&analysis.endpoints[at]);
        let values = paths.of(label);
        let of = (0..).zip(&analysis.requests);
        let of = of.filter(|(_, request)| request.endpoint as usize == at && request.count == 1);
        let rows: Vec<Row> = of
            .map(|(id, request): (usize, &Request)| Row {
                leaks: request.leaking_blocks > 0,
                client_gone: request.traffic.client_gone,
                hour: ((started_at_ns.saturating_add(request.start_ns)) / HOUR_NS % 24) as u8,
                bytes_in: request.traffic.bytes_in,
                bytes_out: request.traffic.bytes_out,
                status: request.status,
                duration_ns: request
                    .end_ns
                    .map_or(UNENDED, |end| end.saturating_sub(request.start_ns)),
                place: places[id],
                in_flight: in_flight[id],
                thread: (request.process, request.thread),
                values: values.get(&(id as u32)).copied().unwrap_or(NO_VALUES),
            })
            .collect();
        let text = |place, value| paths.path(label, place, value);
        analysis.endpoints[at].apart = apart(&rows, &text);
    }
}

/// Whether some of its requests leak, some don't, and it is known for sure which: there are no more that may leak than
/// those that do.
fn is_known(endpoint: &Endpoint) -> bool {
    let [low, high] = endpoint.leaking_requests_range;
    endpoint.verdict.leaks()
        && low == high
        && endpoint.leaking_requests == low
        && (LEAST..=endpoint.requests.saturating_sub(LEAST)).contains(&low)
}

/// Whether enough of its requests may leak and enough may not, but it is not known which.
fn is_unproved(endpoint: &Endpoint) -> bool {
    let [low, high] = endpoint.leaking_requests_range;
    let may_be_apart = high >= LEAST && low.saturating_add(LEAST) <= endpoint.requests;
    endpoint.verdict.leaks() && may_be_apart && (low, high) != (endpoint.leaking_requests, low)
}

/// Which request of its connection each is.
fn places(requests: &[Request]) -> Vec<u32> {
    let mut seen: FxHashMap<u32, u32> = FxHashMap::default();
    let place = |request: &Request| {
        if request.connection == 0 {
            return 0;
        }
        let place = seen.entry(request.connection).or_default();
        *place += 1;
        *place
    };
    requests.iter().map(place).collect()
}

/// How many others were in flight when each began; requests are in order of their begin.
fn in_flight(requests: &[Request]) -> Vec<u32> {
    let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
    let mut running = 0;
    let count = |request: &Request| {
        while let Some(first) = ends
            .first_entry()
            .filter(|first| *first.key() <= request.start_ns)
        {
            running -= first.remove();
        }
        let others = running;
        *ends.entry(request.end_ns.unwrap_or(u64::MAX)).or_default() += 1;
        running += 1;
        others
    };
    requests.iter().map(count).collect()
}

/// Nothing where there are too few of either kind. `text` gives the path with a value in one of its folded segments.
fn apart(rows: &[Row], text: &dyn Fn(usize, u32) -> Option<String>) -> Option<Apart> {
    let leaking = rows.iter().filter(|row| row.leaks).count() as u64;
    let others = rows.len() as u64 - leaking;
    if leaking < LEAST || others < LEAST {
        return None;
    }
    Some(Search::new(rows, (leaking, others), text).apart())
}

#[cfg(test)]
mod tests;
