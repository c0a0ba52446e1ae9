//! When the resident set of a process is read: often at first, so that short runs have readings, too.

use std::time::{Duration, Instant};

use super::procfs;
use crate::trace::Note;

/// The first pause between readings, and the longest: each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The readings of one image.
#[derive(Debug)]
pub(crate) struct Readings {
    due: Instant,
    pause: Duration,
}

impl Readings {
    /// The first reading is taken now.
    pub(crate) fn start(now: Instant) -> Readings {
        Readings {
            due: now + PAUSE.0,
            pause: PAUSE.0,
        }
    }

    /// Whether one is due; the next is so after a longer pause.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.due;
        if due {
            self.pause = (self.pause * 2).min(PAUSE.1);
            self.due = now + self.pause;
        }
        due
    }
}

/// The resident set of `image`, which is process `pid`, at `stamp`, if it is there.
pub(crate) fn note(image: u32, pid: u32, stamp: u64) -> Option<Note> {
    let bytes = procfs::resident(pid)?;
    Some(Note::Rss {
        image,
        stamp,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second() {
        let start = Instant::now();
        let mut readings = Readings::start(start);
        let mut at = Vec::new();
        for ms in 0..4000 {
            if readings.is_due(start + Duration::from_millis(ms)) {
                at.push(ms);
            }
        }
        assert_eq!(at, [50, 150, 350, 750, 1550, 2550, 3550]);
    }

    #[test]
    fn a_process_that_is_gone_has_no_reading() {
        assert!(
            matches!(note(1, std::process::id(), 5), Some(Note::Rss { bytes, .. }) if bytes > 0)
        );
        assert!(note(1, u32::MAX, 5).is_none());
    }
}
