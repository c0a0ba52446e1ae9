//! Endpoints, and what goes with leaking.

use super::super::{Input, facts, schema};

use super::parts::{before_exit, confidence, types, whose};
use crate::analysis::{Endpoint, Tell};

pub(crate) fn endpoint<'r>(input: &Input<'_>, endpoint: &'r Endpoint) -> schema::Endpoint<'r> {
    let statuses = endpoint.statuses.iter();
    schema::Endpoint {
        label: &endpoint.label,
        verdict: endpoint.verdict.name(),
        confidence: endpoint.confidence().map(confidence),
        requests: endpoint.requests,
        leaking_requests: endpoint.leaking_requests,
        leaking_requests_range: endpoint.leaking_requests_range,
        hidden_bytes_per_request: endpoint.hidden.map(|hidden| hidden.bytes_each),
        survivor_blocks: endpoint.survivor_blocks,
        survivor_bytes: endpoint.survivor_bytes,
        survivor_bytes_error: input.error(endpoint.survivor_bytes),
        retained_blocks: endpoint.retained_blocks,
        retained_bytes: endpoint.retained_bytes,
        retained_bytes_error: input.error(endpoint.retained_bytes),
        untold_blocks: endpoint.untold.blocks,
        untold_bytes: endpoint.untold.bytes,
        open_requests: endpoint.open_requests,
        open_blocks: endpoint.open.blocks,
        open_bytes: endpoint.open.bytes,
        before_exit: before_exit(input.before_exit(endpoint.before_exit)),
        whose: whose(endpoint.retained(), endpoint.associated),
        retained_bytes_per_leaking_request: endpoint.retained_bytes_per_leaking_request,
        site_ids: &endpoint.site_ids,
        statuses: statuses
            .map(|figures| schema::Status {
                status: figures.status,
                requests: figures.requests,
                leaking_requests: figures.leaking_requests,
                retained_blocks: figures.retained_blocks,
                retained_bytes: figures.retained_bytes,
            })
            .collect(),
        apart: endpoint.apart.as_ref().map(|apart| schema::Apart {
            single: apart.single.as_ref().map(tell),
            pair: apart.pair.as_ref().map(tell),
            tried: apart.tried,
        }),
        apart_unproved: endpoint.apart_unproved,
        types: types(&endpoint.types),
    }
}

fn tell(tell: &Tell) -> schema::Tell {
    schema::Tell {
        facts: tell.facts.iter().map(facts::words).collect(),
        leaking_requests: tell.leaking,
        leaking_requests_with: tell.leaking_with,
        other_requests: tell.others,
        other_requests_with: tell.others_with,
    }
}
