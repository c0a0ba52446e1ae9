//! What a process knows of the time that others serve, which it may have begun in.

use super::log::Log;

/// What a process knows of the time that others serve.
#[derive(Debug, Default)]
pub(super) struct OfTree {
    /// Live bytes when the first request of all began, or it did itself, whichever came later.
    pub(super) from_bytes: Option<u64>,
    /// When it began, if others served already.
    pub(super) begun: Option<u64>,
    /// If so: when its threads came to a wait.
    pub(super) waits: Log,
}

impl OfTree {
    /// The ends of equal parts of its jobs, which its waits tell apart, until `to`; `None`: it never waited.
    pub(super) fn jobs<const PARTS: usize>(&self, to: u64) -> Option<[u64; PARTS]> {
        let waits = self.waits.points().iter();
        let waits: Vec<(u64, u64)> = waits.take_while(|wait| wait.0 < to).copied().collect();
        let count: u64 = waits.iter().map(|wait| wait.1).sum();
        let end = |part: usize| {
            let mut before = ((count + 1) * (part as u64 + 1)).div_ceil(PARTS as u64);
            let last = waits.iter().find(|wait| {
                let found = before <= wait.1;
                before = before.saturating_sub(wait.1);
                found
            });
            last.map_or(to, |wait| wait.0)
        };
        (count > 0).then(|| std::array::from_fn(end))
    }
}
