//! Endpoints: all requests of one label.

use super::site::TypeRow;
use super::verdict::Verdict;
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::trace::ProcessId;

/// All requests of one label.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The label.
    pub label: String,
    /// First verdict of its sites.
    pub verdict: Verdict,
    /// It leaks, and the figures leave little room for another verdict.
    pub is_sure: bool,
    /// Requests (each counted as often as it stands for).
    pub requests: u64,
    /// Those with blocks retained at a leaking or growing site.
    pub leaking_requests: u64,
    /// How many of them there are at least and at most, where it is not known which they are.
    pub leaking_requests_range: [u64; 2],
    /// What a sample may hide of it; `None`: every block was recorded.
    pub hidden: Option<Hidden>,
    /// What outlived its requests: sum over them, and what is `untold`.
    pub survivor_blocks: u64,
    /// Bytes.
    pub survivor_bytes: u64,
    /// What was live of it when serving ended: sum over its requests, and what is `untold`.
    pub retained_blocks: u64,
    /// Bytes.
    pub retained_bytes: u64,
    /// Of what is retained, what is one or another of its requests', and in no request's figures.
    pub untold: Amount,
    /// Its requests that had not ended when their process did, and what they hold.
    pub open_requests: u64,
    /// See there.
    pub open: Amount,
    /// Of `open`, what is held at call sites where such requests hold ever more.
    pub open_leaked: Amount,
    /// Blocks of its requests, ended or not, that were live when exits began, as [`Totals::before_exit`](super::Totals::before_exit) has it.
    pub before_exit: Amount,
    /// Of what is retained, what nothing proves to be its own.
    pub associated: Amount,
    /// Retained bytes at leaking sites by leaking requests, divided by `leaking_requests`.
    pub retained_bytes_per_leaking_request: Option<u64>,
    /// Its sites, the worst first.
    pub site_ids: Vec<SiteId>,
    /// By status code.
    pub statuses: Vec<StatusFigures>,
    /// What tells its leaking requests from the others; `None` where there are too few of either kind, or it is not
    /// known for sure which leak.
    pub apart: Option<Apart>,
    /// There may be enough of both, but it is not known for sure which leak.
    pub apart_unproved: bool,
    /// What its requests retained, the most bytes first; empty where no types were read.
    pub types: Vec<TypeRow>,
}

/// What a sample may hide of an endpoint: requests that leak, and have no block in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// A leak of less than so many bytes a request, on average, would not show.
    pub bytes_each: u64,
    /// The endpoint's verdict by what is in the sample.
    pub verdict: Verdict,
    /// By that, at least and at most so many of its requests leak.
    pub leaking: [u64; 2],
}

impl Endpoint {
    /// It is not known to leak, and has too few requests for the sample to tell: no more than a leak of so many bytes a
    /// request would show.
    pub fn is_hidden(&self) -> Option<u64> {
        let hidden = self.hidden?;
        (hidden.verdict != self.verdict).then_some(hidden.bytes_each)
    }

    /// Whether the figures behind its leak leave little room for another verdict; `None`: it has none.
    pub fn confidence(&self) -> Option<bool> {
        (self.verdict == Verdict::Leak).then_some(self.is_sure)
    }

    /// What its requests retained.
    pub fn retained(&self) -> Amount {
        Amount {
            blocks: self.retained_blocks,
            bytes: self.retained_bytes,
        }
    }
}

/// Requests of one endpoint with one status.
#[derive(Clone, Debug, Default)]
pub struct StatusFigures {
    /// The status, `None` for no answer or no such thing.
    pub status: Option<u32>,
    /// Requests.
    pub requests: u64,
    /// Those that leak.
    pub leaking_requests: u64,
    /// Blocks.
    pub retained_blocks: u64,
    /// Bytes.
    pub retained_bytes: u64,
}

/// What goes with leaking among an endpoint's requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Apart {
    /// The fact that does best, if any does better than chance.
    pub single: Option<Tell>,
    /// A pair of facts that does much better.
    pub pair: Option<Tell>,
    /// How many facts and pairs were tried.
    pub tried: u64,
}

/// Facts that hold together, and of how many requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Tell {
    /// One, or two.
    pub facts: Vec<Fact>,
    /// Leaking requests.
    pub leaking: u64,
    /// Of them, those for which all facts hold.
    pub leaking_with: u64,
    /// The others.
    pub others: u64,
    /// Of them, those for which all facts hold.
    pub others_with: u64,
}

/// Something that is known of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Before its answer was complete, the server found that the client had closed, maybe its side alone.
    ClientGone,
    /// It was answered with this status; `None`: with none.
    Status(Option<u32>),
    /// Its path is this one, in which other folded segments may be anything.
    Path(String),
    /// It was the request of this number on its connection, from 1.
    Nth(u64),
    /// Its figure is so large at least.
    AtLeast(Figure, u64),
    /// Its figure is less.
    LessThan(Figure, u64),
    /// It began in this hour of a day, UTC.
    Hour(u8),
    /// This thread served it last: its process, and its kernel id.
    Thread(ProcessId, u32),
}

/// What is a number of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Which of its connection it is, from 1.
    Nth,
    /// Bytes read with it.
    BytesIn,
    /// Others that were in flight when it began.
    InFlight,
    /// Bytes of its answer.
    BytesOut,
    /// How long it lasted, nanoseconds.
    Duration,
}
