//! How live memory grew while requests were served, and when it runs out.

use super::verdict::Verdict;
use crate::sample::Amount;
use crate::trace::{LimitKind, ProcessId};

/// How live memory grew while requests were served, and what explains that. Sums over processes, of what is live at
/// each one's first begin of a request and at its last end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    /// Live at the begin.
    pub from_bytes: u64,
    /// Live at the end.
    pub to_bytes: u64,
    /// Made while it served and live at the end, by what is thought of it.
    pub by_verdict: Vec<(Verdict, Amount)>,
}

impl Growth {
    /// How much more is live at the end.
    pub fn bytes(&self) -> u64 {
        self.to_bytes.saturating_sub(self.from_bytes)
    }

    /// What has a verdict.
    pub fn decided_bytes(&self) -> u64 {
        let decided = self
            .by_verdict
            .iter()
            .filter(|(verdict, _)| *verdict != Verdict::TooFewRequests);
        decided.map(|(_, amount)| amount.bytes).sum()
    }

    /// What has none.
    pub fn undecided_bytes(&self) -> u64 {
        let undecided = self
            .by_verdict
            .iter()
            .filter(|(verdict, _)| *verdict == Verdict::TooFewRequests);
        let undecided: u64 = undecided.map(|(_, amount)| amount.bytes).sum();
        undecided.max(self.bytes().saturating_sub(self.decided_bytes()))
    }

    /// Whether verdicts explain what grew: nine tenths of it, or all but a MiB.
    pub fn is_explained(&self) -> bool {
        let grown = self.bytes();
        grown <= 1 << 20 || self.undecided_bytes().saturating_mul(10) <= grown
    }

    /// Whether what is undecided is next to nothing: a hundredth of what is live, and 64 KiB.
    pub fn is_all_told(&self) -> bool {
        self.is_next_to_nothing(self.undecided_bytes())
    }

    /// Whether so many bytes are that.
    pub fn is_next_to_nothing(&self, bytes: u64) -> bool {
        bytes <= 64 << 10 && bytes.saturating_mul(100) <= self.to_bytes
    }

    /// The part of the growth that verdicts explain; `None` where nothing grew.
    pub fn explained(&self) -> Option<f64> {
        let grown = self.bytes();
        (grown > 0).then(|| 1.0 - (self.undecided_bytes().min(grown) as f64 / grown as f64))
    }
}

/// What is known of a program's memory and its limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// What limits it, and bytes.
    pub limit: Option<(LimitKind, u64)>,
    /// Processes that the kernel killed for lack of memory.
    pub killed: Vec<ProcessId>,
    /// When the limit is reached at this pace, from the last reading while it served; `None`: that can't be told.
    pub seconds_to_limit: Option<u64>,
    /// How fast resident memory grew; `None`: it did not, or not evenly.
    pub pace: Option<Pace>,
    /// How fast that grew which is limited: resident memory, or the addresses of the process that has the most.
    pub to_limit: Option<Pace>,
}

/// How fast memory grew in the second half of serving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Of a straight line through the readings.
    pub bytes_per_second: f64,
    /// Where that line is at the last of them.
    pub reached_bytes: u64,
    /// For each request that ended meanwhile; `None`: none did.
    pub bytes_per_request: Option<u64>,
}
