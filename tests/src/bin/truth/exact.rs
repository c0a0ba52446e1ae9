//! Request by request: which of those that leak are given just what they kept.

use serde_json::Value;

use crate::endpoint::{Endpoint, Family};
use crate::shape::Shape;
use crate::traffic::Traffic;

/// How many leaking requests are told exactly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exact {
    /// Given what they kept.
    pub(crate) told: u64,
    /// Of so many.
    pub(crate) of: u64,
}

impl Exact {
    /// As a part.
    pub(crate) fn part(self) -> f64 {
        self.told as f64 / self.of.max(1) as f64
    }
}

/// Counts over all of `leaking`.
pub(crate) fn count(
    report: &Value,
    shape: &Shape,
    traffic: &Traffic,
    leaking: &[Endpoint],
    connections: usize,
) -> Exact {
    let each = leaking.iter().map(|endpoint| Exact {
        told: told(report, shape.family, *endpoint, traffic, connections),
        of: traffic.keeping(*endpoint),
    });
    each.fold(Exact::default(), |all, one| Exact {
        told: all.told + one.told,
        of: all.of + one.of,
    })
}

fn told(
    report: &Value,
    family: Family,
    endpoint: Endpoint,
    traffic: &Traffic,
    connections: usize,
) -> u64 {
    let requests = requests(report, &endpoint.label());
    let right = |request: &&Value| is_right(request, family, endpoint);
    match endpoint {
        Endpoint::Tenth => {
            let ranks = (0..).zip(&requests);
            let kept = ranks.filter(|(_, request)| right(request));
            let ranks: Vec<u64> = kept.map(|(rank, _)| rank).collect();
            let keeps = |number: &u64| endpoint.keeps(*number);
            let truth: Vec<u64> = (0..traffic.each()).filter(keeps).collect();
            // Requests that are under way together may begin in another order than they were numbered in.
            matched(&truth, &ranks, 2 * (connections as u64 - 1))
        }
        Endpoint::Status => {
            let failed = requests.iter().filter(|request| request["status"] == 500);
            failed.filter(|request| right(request)).count() as u64
        }
        _ => requests.iter().filter(|request| right(request)).count() as u64,
    }
}

/// A label's requests in the order in which they began.
fn requests<'a>(report: &'a Value, label: &str) -> Vec<&'a Value> {
    let all = report["requests"].as_array().map_or(&[][..], Vec::as_slice);
    let mut own: Vec<&Value> = all
        .iter()
        .filter(|request| request["label"] == label)
        .collect();
    own.sort_by_key(|request| request["start_ns"].as_u64());
    own
}

/// A runtime keeps a block or two of its own now and then; a native server keeps nothing else.
fn is_right(request: &Value, family: Family, endpoint: Endpoint) -> bool {
    let kept = endpoint.kept_each(family).blocks;
    let given = request["retained_blocks"].as_u64().unwrap_or_default();
    match family {
        Family::Native => given == kept,
        Family::Python | Family::Managed => (kept..=kept + kept / 10).contains(&given),
    }
}

/// How many of `truth` have a partner of their own in `found` no further away than `distance`; both ascend.
fn matched(truth: &[u64], found: &[u64], distance: u64) -> u64 {
    let mut found = found.iter().peekable();
    let mut count = 0;
    for number in truth {
        while found.next_if(|rank| **rank + distance < *number).is_some() {}
        if found.next_if(|rank| **rank <= number + distance).is_some() {
            count += 1;
        }
    }
    count
}
