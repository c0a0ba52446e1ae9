//! The requests that are in flight in a process.

use crate::requests::record::RequestId;

/// A request in flight.
#[derive(Clone, Copy, Debug)]
struct Flying {
    request: RequestId,
    since: u64,
    /// Its answer has begun and goes on: nobody waits for its end.
    streams: bool,
}

/// Those in flight, in order of their begin.
#[derive(Debug, Default)]
pub struct Flight {
    all: Vec<Flying>,
    /// Changes with every begin and end.
    version: u32,
    most: usize,
    /// Of those that have ended: when the last one did, how many they are, and how long they took in sum.
    last_end: u64,
    ended: u64,
    lasted: u128,
}

/// Work that requests leave to be done after their ends is looked for within so many means of what they take.
pub const AFTER: u64 = 6;

impl Flight {
    /// A request has ended, which took from `start` to `end`.
    pub(super) fn took(&mut self, start: u64, end: u64) {
        self.last_end = self.last_end.max(end);
        self.ended += 1;
        self.lasted += u128::from(end.saturating_sub(start));
    }

    /// Whether a request had ended shortly before `stamp`, or ended later.
    pub(super) fn ended_before(&self, stamp: u64) -> bool {
        let since = u128::from(stamp.saturating_sub(self.last_end));
        self.ended > 0 && since * u128::from(self.ended) <= self.lasted * u128::from(AFTER)
    }

    /// `request` is in flight from now on.
    pub(super) fn begin(&mut self, request: RequestId, stamp: u64) {
        let at = self.all.partition_point(|other| other.request < request);
        let flying = Flying {
            request,
            since: stamp,
            streams: false,
        };
        self.all.insert(at, flying);
        self.most = self.most.max(self.all.len());
        self.version = self.version.wrapping_add(1);
    }

    /// `request` is not in flight any more.
    pub fn end(&mut self, request: RequestId) {
        self.all.retain(|other| other.request != request);
        self.version = self.version.wrapping_add(1);
    }

    /// The answer of `request` comes in more than one write: nobody waits for its end.
    pub fn streams(&mut self, request: RequestId) {
        let place = self
            .all
            .binary_search_by_key(&request, |flying| flying.request);
        if let Some(flying) = place.ok().and_then(|place| self.all.get_mut(place)) {
            flying.streams = true;
        }
    }

    /// Whether all that were in flight at `stamp` have ended, but for those nobody waits for.
    pub(super) fn are_over(&self, stamp: u64) -> bool {
        let mut waited_for = self.all.iter().filter(|flying| !flying.streams);
        waited_for.next().is_none_or(|oldest| oldest.since > stamp)
    }

    /// Whether `request` is in flight.
    pub fn has(&self, request: RequestId) -> bool {
        let place = self
            .all
            .binary_search_by_key(&request, |flying| flying.request);
        place.is_ok()
    }

    /// Whether anything is in flight.
    pub fn any(&self) -> bool {
        !self.all.is_empty()
    }

    /// Those that are, the oldest first.
    pub fn requests(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.all.iter().map(|flying| flying.request)
    }

    /// How many are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The most that were at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Changes with every begin and end.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The request that has been in flight for the longest time.
    pub fn oldest(&self) -> Option<RequestId> {
        self.all.first().map(|flying| flying.request)
    }
}
