//! Requests, and the headers that they came with.

use std::collections::BTreeMap;

use super::super::{Input, RequestFilter, schema};
use super::parts::{label, whose};

use crate::analysis::{Analysis, Request};
use crate::asked::trace_id;

pub(crate) fn requests<'r>(input: &Input<'r>) -> impl Iterator<Item = schema::Request<'r>> {
    let analysis = input.analysis;
    let filter = input.options.requests;
    let wanted = move |request: &Request| match filter {
        RequestFilter::All => true,
        RequestFilter::None => false,
        RequestFilter::Leaking => request.leaking_blocks > 0,
    };
    let numbered = analysis.requests.iter().enumerate();
    numbered
        .filter(move |(_, request)| wanted(request))
        .map(|(id, request)| schema::Request {
            id,
            process_id: request.process,
            thread: request.thread,
            source: request.source.name(),
            label: label(analysis, request.endpoint),
            count: request.count,
            status: request.status,
            headers: sent(analysis, id),
            headers_cut: sent_cut(analysis, id),
            trace_id: trace_id(analysis.asked.sent.of(id)),
            start_ns: request.start_ns,
            end_ns: request.end_ns,
            allocations: request.allocations,
            allocated_bytes: request.allocated_bytes,
            whose: whose(request.retained(), request.associated),
            live_blocks: request.live_blocks,
            live_bytes: request.live_bytes,
            survivor_blocks: request.survivor_blocks,
            survivor_bytes: request.survivor_bytes,
            retained_blocks: request.retained_blocks,
            retained_bytes: request.retained_bytes,
        })
}

/// The headers of a request that were recorded.
pub(crate) fn sent(analysis: &Analysis, request: usize) -> Option<BTreeMap<&str, &str>> {
    let headers = analysis.asked.sent.of(request);
    let all: BTreeMap<&str, &str> = headers.map(|header| (header.name, header.value)).collect();
    (!all.is_empty()).then_some(all)
}

/// Those of which only the beginning was.
pub(crate) fn sent_cut(analysis: &Analysis, request: usize) -> Vec<&str> {
    let headers = analysis.asked.sent.of(request);
    headers
        .filter(|header| header.is_cut)
        .map(|header| header.name)
        .collect()
}
