//! Connections that were upgraded (to WebSocket): what their requests made is in use until they are closed.

use rustc_hash::FxHashMap;

use crate::requests::record::Record;

/// Connections that were upgraded (to WebSocket), and when they were closed; `u64::MAX`: not yet.
pub(super) type Upgraded = FxHashMap<u32, u64>;

pub(super) fn upgraded(records: &[Record], closes: &[(u32, u64)]) -> Upgraded {
    let upgrades = records.iter().filter(|record| record.status == Some(101));
    let mut upgraded: Upgraded = upgrades
        .map(|record| (record.connection, u64::MAX))
        .collect();
    for (connection, closed) in closes {
        if let Some(until) = upgraded.get_mut(connection) {
            *until = *closed;
        }
    }
    upgraded
}

/// Until when the objects that the request makes may be in use: those of an upgraded connection last as long as that.
pub(super) fn used_until(record: &Record, upgraded: &Upgraded) -> u64 {
    let end = record.end.unwrap_or(record.start);
    upgraded
        .get(&record.connection)
        .map_or(end, |until| end.max(*until))
}
