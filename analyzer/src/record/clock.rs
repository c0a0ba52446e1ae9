//! Pairs of stamp and time, by which readers turn one into the other.

use std::time::{Duration, Instant};

use super::mapping::Mapping;
use crate::trace::Note;

/// Time since the session's start.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    last: (u64, Duration),
}

impl Clock {
    /// The session starts now.
    pub(crate) fn start() -> Clock {
        Clock {
            start: Instant::now(),
            last: (0, Duration::ZERO),
        }
    }

    /// Now, as a note. Of a few tries the one whose two readings lie closest together counts, lest
    /// an interruption between them bends the clock.
    pub(crate) fn point(&mut self, mapping: &Mapping) -> Note {
        let mut best = (u64::MAX, 0, Duration::ZERO);
        for _ in 0..4 {
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
