//! Call sites, and their parts in endpoints.

use super::early::Early;
use super::verdict::{Evidence, Verdict};
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::trace::ProcessId;

/// One call site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which.
    pub id: SiteId,
    /// The worst verdict: over the requests that reach it, over time on what belongs to none, and on what requests
    /// hold that had not ended.
    pub verdict: Verdict,
    /// That over the requests that ended.
    pub of_requests: Verdict,
    /// Why.
    pub evidence: Evidence,
    /// How it is known whose its blocks are, where that is not proved.
    pub whose: String,
    /// Bytes of live mappings whose contents were given up, at most.
    pub discarded_bytes: u64,
    /// Threads created here that have ended and that nobody joined or detached.
    pub unjoined_threads: u64,
    /// Requests that allocated here.
    pub requests: u64,
    /// Blocks alive at their request's end.
    pub survivor_blocks: u64,
    /// Bytes.
    pub survivor_bytes: u64,
    /// Blocks alive when serving ended.
    pub retained_blocks: u64,
    /// Bytes.
    pub retained_bytes: u64,
    /// Of what is retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Blocks live at their process's end, in a request or not.
    pub live_blocks: u64,
    /// Bytes.
    pub live_bytes: u64,
    /// Blocks live when exits began, as [`Totals::before_exit`](super::Totals::before_exit) has it.
    pub before_exit: Amount,
    /// What is to be thought of those that belong to no request.
    pub outside_verdict: Verdict,
    /// Why.
    pub outside_text: String,
    /// Of `live_blocks`, those that belong to no request.
    pub outside_blocks: u64,
    /// Bytes.
    pub outside_bytes: u64,
    /// Of `before_exit`, those that belong to no request.
    pub outside_before_exit: Amount,
    /// What was made while serving, belongs to no request, and was live when serving ended.
    pub outside_grown: Amount,
    /// What requests hold that had not ended when their process did, by endpoint and verdict.
    pub open: Vec<SiteOpen>,
    /// By endpoint.
    pub labels: Vec<SiteLabel>,
    /// By endpoint and status.
    pub groups: Vec<SiteGroup>,
    /// The same parts as `labels`, by endpoint, status and process.
    pub cells: Vec<SiteCell>,
    /// What its retained blocks are, or where it has none those that were live before the exit, the most bytes
    /// first; empty where no types were read.
    pub types: Vec<TypeRow>,
}

impl Site {
    /// What requests retained here.
    pub fn retained(&self) -> Amount {
        Amount {
            blocks: self.retained_blocks,
            bytes: self.retained_bytes,
        }
    }

    /// What has leaked of what requests retained here, if it leaks: all where no endpoint's part is told to.
    pub fn leaked(&self) -> Amount {
        let mut sum = Amount::default();
        self.labels.iter().for_each(|part| sum += part.leaked);
        match sum.blocks {
            0 => self.retained(),
            _ => sum,
        }
    }
}

/// A site's part in requests of an endpoint that have not ended.
#[derive(Clone, Debug)]
pub struct SiteOpen {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// How many.
    pub requests: u64,
    /// What they hold.
    pub live: Amount,
    /// What is to be thought of that.
    pub verdict: Verdict,
    /// Why.
    pub text: String,
}

/// A site's part in an endpoint.
#[derive(Clone, Debug)]
pub struct SiteLabel {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// Requests of the endpoint that retained blocks here; of blocks that are one or another request's, one that may be
    /// meant.
    pub requests: u64,
    /// Of them, those of which it is known.
    pub told_requests: u64,
    /// What they retained.
    pub retained: Amount,
    /// Of that, what nothing proves to be theirs.
    pub associated: Amount,
    /// Of it, what has leaked: where the requests with their status leak, and less what is bounded.
    pub leaked: Amount,
}

/// A site's part in the requests of one endpoint with one status in one process.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteCell {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// The status.
    pub status: Option<u32>,
    /// The process.
    pub process: ProcessId,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Requests that retained blocks here.
    pub requests: u64,
    /// What they retained.
    pub retained: Amount,
    /// Of that, what nothing proves to be theirs.
    pub associated: Amount,
    /// Of it, what has leaked, as in [`SiteLabel::leaked`].
    pub leaked: Amount,
    /// Requests that leaked blocks here.
    pub leaking_requests: u64,
    /// The sum of the squares of the bytes that each request leaked: what their spread is computed from.
    pub leaked_squares: f64,
    /// What is kept in use, leaked or not, by how many requests of the label had this status before.
    pub early: Early,
    /// Of `retained`, what was live when exits began, as [`Totals::before_exit`](super::Totals::before_exit) has it.
    pub before_exit: Amount,
}

/// What the requests of a label with one status make of a call site.
#[derive(Clone, Debug)]
pub struct SiteGroup {
    /// Index into `Analysis::endpoints`.
    pub endpoint: u32,
    /// The status.
    pub status: Option<u32>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub text: String,
}

/// Blocks of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRow {
    /// Its name, `unknown` where it was not read or is none.
    pub name: String,
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}
