//! What a sample can't tell of an endpoint. Of the requests that leak those alone are known that have a block in it, and
//! where few requests came, none of a leak may have been drawn.

use crate::analysis::{Endpoint, Hidden, StatusFigures, Verdict};
use crate::sample::{SHOWN, Sample};

/// Says of an endpoint, which is as the drawn blocks tell, what they can't.
pub(super) fn widen(endpoint: &mut Endpoint, sample: Sample) {
    let ended = endpoint.requests - endpoint.open_requests.min(endpoint.requests);
    let hidden = Hidden {
        bytes_each: sample.undrawn().div_ceil(ended.max(1)),
        verdict: endpoint.verdict,
        leaking: endpoint.leaking_requests_range,
    };
    if hidden.bytes_each > SHOWN {
        endpoint.verdict = endpoint.verdict.min(Verdict::TooFewRequests);
    }
    let [low, high] = endpoint.leaking_requests_range;
    let most = high.max(most(endpoint, sample.undrawn() / SHOWN));
    endpoint.leaking_requests_range = [low, most];
    // Requests that left what is not in the sample leaked, too.
    endpoint.retained_bytes_per_leaking_request = None;
    endpoint.hidden = Some(hidden);
}

/// So many requests may leak: all with a status of which some do, and of the others so many as the sample may hide.
fn most(endpoint: &Endpoint, unseen: u64) -> u64 {
    let leaks = |of: &&StatusFigures| of.leaking_requests > 0;
    let leaking = endpoint.statuses.iter().filter(leaks);
    let leaking: u64 = leaking.map(|of| of.requests).sum();
    // Of what is one or another request's it is not known what was answered.
    let known = !endpoint.verdict.leaks() || leaking > 0 && endpoint.untold.blocks == 0;
    match known {
        true => leaking + unseen.min(endpoint.requests - leaking),
        false => endpoint.requests,
    }
}
