//! What a ledger keeps of each call site of its process.

use super::log::Log;
use crate::requests::label::LabelId;
use crate::sites::SiteId;

/// Index into a ledger's sites.
pub type SiteIndex = u32;

/// One call site in one process.
#[derive(Clone, Debug, Default)]
pub struct SiteFigures {
    /// Which.
    pub id: SiteId,
    /// Live now, whoever owns them.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// Requests that allocated here.
    pub requests: u64,
    /// Their labels, sorted.
    pub labels: Vec<LabelId>,
    /// Alive at their request's end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Live bytes at request ends, by the order of those.
    pub live_log: Log,
    /// Survivors' bytes, by the order of their requests' ends.
    pub survivor_log: Log,
    /// Bytes of blocks outside requests that outlived a request's end and were freed before serving
    /// ended, by their birth.
    pub outside_freed_log: Log,
    /// Something changed since the last request's end.
    pub dirty: bool,
}

impl SiteFigures {
    /// `count` requests of a label allocated here.
    pub fn reached_by(&mut self, label: Option<LabelId>, count: u32) {
        self.requests += u64::from(count);
        if let Some(label) = label
            && let Err(at) = self.labels.binary_search(&label)
        {
            self.labels.insert(at, label);
        }
    }
}
