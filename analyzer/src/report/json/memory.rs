//! How memory grew, what it is made of, and its limit.

use super::super::schema;

use crate::analysis;
use crate::analysis::{Analysis, Growth, Verdict};
use crate::sample::Amount;
use crate::trace::LimitKind;

pub(super) fn growth(growth: &Growth) -> schema::Growth {
    let of_verdict = |(verdict, amount): &(Verdict, Amount)| schema::OfVerdict {
        verdict: verdict.name(),
        blocks: amount.blocks,
        bytes: amount.bytes,
    };
    schema::Growth {
        from_bytes: growth.from_bytes,
        to_bytes: growth.to_bytes,
        by_verdict: growth.by_verdict.iter().map(of_verdict).collect(),
        explained_share: growth.explained(),
        undecided_bytes: growth.undecided_bytes(),
    }
}

pub(super) fn memory(analysis: &Analysis) -> schema::Memory {
    let outlook = &analysis.outlook;
    let pace = outlook.pace;
    let rows = analysis.memory.rows.iter().map(|row| schema::MemoryRow {
        kind: row.kind.name(),
        start_bytes: row.bytes[0],
        middle_bytes: row.bytes[1],
        end_bytes: row.bytes[2],
    });
    let pins = analysis.memory.pins.iter().map(|pin| schema::Pin {
        site_id: pin.site,
        live_blocks: pin.blocks,
        pinned_bytes: pin.bytes,
    });
    schema::Memory {
        rows: rows.collect(),
        moments: moments(&analysis.memory),
        pins: pins.collect(),
        limit_bytes: outlook.limit.map(|(_, bytes)| bytes),
        limited_by: outlook.limit.map(|(kind, _)| match kind {
            LimitKind::Cgroup => "cgroup",
            LimitKind::AddressSpace => "address_space",
            LimitKind::Machine => "machine",
        }),
        resident_bytes_per_second: pace.map(|pace| pace.bytes_per_second as u64),
        resident_bytes_per_request: pace.and_then(|pace| pace.bytes_per_request),
        seconds_to_limit: outlook.seconds_to_limit,
        killed_by: (!outlook.killed.is_empty()).then_some("memory_limit"),
        killed_process_ids: outlook.killed.clone(),
    }
}

fn moments(memory: &analysis::memory::Memory) -> Vec<schema::Moment> {
    if memory.rows.is_empty() {
        return Vec::new();
    }
    let moments = ["start", "middle", "end"].into_iter().enumerate();
    let moments = moments.map(|(at, moment)| schema::Moment {
        moment,
        t_ns: memory.at_ns[at],
        off_ns: memory.off_ns[at],
        processes: memory.processes[at],
        resident_bytes: memory.resident[at],
    });
    moments.collect()
}
