//! The requests of the report.

use rustc_hash::FxHashMap;

use super::range::Leaking;
use crate::analysis::Request;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::trace::Facts;

/// Each one takes its record's place in memory: there may be millions.
pub(super) fn requests(
    records: Vec<Record>,
    endpoint_of: &FxHashMap<LabelId, u32>,
    leaking: &Leaking,
    facts: &Facts,
) -> Vec<Request> {
    const { assert!(size_of::<Request>() <= size_of::<Record>()) };
    let real = records.into_iter().enumerate();
    let real = real.filter(|(_, record)| !record.void);
    let request = |(id, record): (usize, Record)| {
        let id = id as RequestId;
        let figures = &record.figures;
        let thread = facts.threads.get(record.host as usize);
        Request {
            process: record.process,
            thread: thread.map_or(0, |thread| thread.tid),
            source: record.source,
            connection: record.connection,
            endpoint: record
                .label
                .and_then(|label| endpoint_of.get(&label).copied())
                .unwrap_or(0),
            count: record.count,
            status: record.status,
            traffic: record.traffic,
            start_ns: facts.clock.ns(record.start),
            end_ns: record.end.map(|end| facts.clock.ns(end)),
            allocations: figures.allocations,
            allocated_bytes: figures.allocated_bytes,
            associated: Amount {
                blocks: figures.inferred_blocks,
                bytes: figures.associated_bytes,
            },
            live_blocks: figures.live_blocks,
            live_bytes: figures.live_bytes,
            survivor_blocks: figures.survivor_blocks,
            survivor_bytes: figures.survivor_bytes,
            retained_blocks: figures.retained_blocks,
            retained_bytes: figures.retained_bytes,
            leaking_blocks: leaking.get(&id).map_or(0, |leaking| leaking.0),
        }
    };
    real.map(request).collect()
}
