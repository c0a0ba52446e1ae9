//! Pairs of stamp and time, by which readers turn one into the other.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::mapping::Mapping;
use crate::trace::Note;

/// Two clocks are read so many times.
const TRIES: usize = 4;

/// Time since the session's start.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Wall clock at the session's start, nanoseconds since the epoch: that of the first point's zero.
    pub(crate) started_at_ns: u64,
    start: Instant,
    last: (u64, Duration),
}

impl Clock {
    /// The session starts now. Requests are compared with moments of the wall clock, so that both clocks are read at
    /// once: of a few tries the one counts that was interrupted least.
    pub(crate) fn start() -> Clock {
        let read = || {
            let before = Instant::now();
            let wall = SystemTime::now();
            let width = before.elapsed();
            (width, before + width / 2, wall)
        };
        let tries = std::iter::repeat_with(read).take(TRIES);
        let best = tries.min_by_key(|(width, ..)| *width);
        let (_, start, wall) = best.unwrap_or_else(read);
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            started_at_ns: since_epoch.as_nanos() as u64,
            start,
            last: (0, Duration::ZERO),
        }
    }

    /// Now, as a note. Of a few tries the one whose two readings lie closest together counts, lest
    /// an interruption between them bends the clock.
    pub(crate) fn point(&mut self, mapping: &Mapping) -> Note {
        let mut best = (u64::MAX, 0, Duration::ZERO);
        for _ in 0..TRIES {
            let before = mapping.ticks();
            let elapsed = self.start.elapsed();
            let after = mapping.ticks();
            let width = after.saturating_sub(before);
            if width <= best.0 {
                best = (width, before + width / 2, elapsed);
            }
        }
        self.last = (best.1.max(self.last.0), best.2.max(self.last.1));
        Note::Clock {
            stamp: self.last.0,
            ns: self.last.1.as_nanos() as u64,
        }
    }
}
