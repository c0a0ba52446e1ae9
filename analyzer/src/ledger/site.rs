//! What a ledger keeps of each call site of its process.

use super::lives::{Lives, MEASURES, SiteLives};
use super::log::Log;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::seldom::{Empty, Seldom};
use crate::sites::SiteId;
use crate::sites::runtimes::Phase;

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
    /// Live when the process's exit began.
    pub before_exit: Amount,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// Requests that allocated here.
    pub requests: u64,
    /// Those besides that may go on in another process, or came from one.
    pub abroad: Vec<RequestId>,
    /// Their labels, sorted, and how many blocks survived the requests of each.
    pub labels: Vec<(LabelId, u64)>,
    /// Blocks that nothing proves to be a request's, freed after all that were in flight at their birth.
    pub open_freed: Amount,
    /// Alive at their request's end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Live bytes at request ends, by the order of those.
    pub live_log: Log,
    /// Survivors' bytes, by the order of their requests' ends.
    pub survivor_log: Seldom<Log>,
    /// Bytes of blocks outside requests that outlived a request's end and were freed before serving
    /// ended, by their birth.
    pub outside_freed_log: Seldom<Log>,
    /// How long such blocks lived, in requests and in time.
    pub outside_lives: Seldom<[Lives; MEASURES]>,
    /// How long survivors live.
    pub lives: Seldom<SiteLives>,
    /// Some of the blocks made after an answer that were freed after that request's end: that request, and the one
    /// that was served when they were freed.
    pub tail_ends: Seldom<Vec<TailEnd>>,
    /// How many there were.
    pub tails_freed: u64,
    /// Its blocks were taken from a free list: each before the look that its birth tells.
    pub used_again: bool,
    /// What is allocated here tells that a collector does this.
    pub phase: Option<Phase>,
    /// Something changed since the last request's end.
    pub dirty: bool,
}

/// A request after whose answer a block was made that was freed after its end, and the request that was served then.
pub type TailEnd = (RequestId, Option<RequestId>);

/// So many of them are kept of a call site.
const TAIL_ENDS: usize = 64;

impl Empty for Vec<TailEnd> {
    const EMPTY: &'static Self = &Vec::new();
}

impl SiteFigures {
    /// A block that was made after `request`'s answer is freed after its end, while `other` is served.
    pub fn tail_ends(&mut self, request: RequestId, other: Option<RequestId>) {
        self.tails_freed += 1;
        if self.tail_ends.len() < TAIL_ENDS {
            self.tail_ends.push((request, other));
        }
    }

    /// `request` allocated here.
    pub fn reached_by(&mut self, request: RequestId, record: &Record) {
        match record.moved || record.end.is_none() {
            true => self.abroad.push(request),
            false => self.requests += u64::from(record.count),
        }
    }

    /// So many survivors were none of the label's requests'.
    pub fn survive_less(&mut self, label: Option<LabelId>, survivors: u64) {
        let known = self.labels.iter_mut();
        for (_, of_label) in known.filter(|known| Some(known.0) == label) {
            *of_label = of_label.saturating_sub(survivors);
        }
    }

    /// A request of `label` left so many survivors.
    pub fn survive(&mut self, label: Option<LabelId>, survivors: u64) {
        survive(&mut self.labels, label, survivors);
    }
}

/// Adds to the survivors of a label's requests in a list that is sorted by label.
pub(super) fn survive(list: &mut Vec<(LabelId, u64)>, label: Option<LabelId>, survivors: u64) {
    let Some(label) = label else {
        return;
    };
    match list.binary_search_by_key(&label, |known| known.0) {
        Ok(at) => list[at].1 += survivors,
        Err(at) => list.insert(at, (label, survivors)),
    }
}
