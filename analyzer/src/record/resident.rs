//! When the resident set of a process is read: often at first, so that short runs have readings, too. And when it is
//! looked at what that is made of: this takes the kernel a walk through all of its pages, and so it is done after a
//! fixed part of the time that the process runs, and sooner where the target is idle.

use std::time::{Duration, Instant};

use super::{procfs, smaps};
use crate::trace::{self, Note};

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

/// Between two looks at what the resident set is made of there is at least this part of the time that the image runs,
/// where the target is busy, and where it is idle; and so many times what the last look took.
const BUSY: (u32, u32) = (32, 100);
const IDLE: (u32, u32) = (512, 20);

/// When it is looked at what the resident set of one image is made of.
#[derive(Debug)]
pub(crate) struct Looks {
    began: Instant,
    last: Instant,
    /// How long that took.
    took: Duration,
    /// Something was drained from the image since.
    pub(crate) is_due: bool,
    /// It had served when that was looked at.
    served: bool,
    /// Events of requests' connections, and marks, so far.
    pub(crate) calls: u64,
}

impl Looks {
    /// The image has begun, and nobody has looked yet.
    pub(crate) fn start(now: Instant) -> Looks {
        Looks {
            began: now,
            last: now,
            took: Duration::ZERO,
            is_due: false,
            served: false,
            calls: 0,
        }
    }

    /// Whether it is time.
    pub(crate) fn may(&self, now: Instant, idle: bool) -> bool {
        let (part, times) = if idle { IDLE } else { BUSY };
        let runs = now.saturating_duration_since(self.began);
        let pause = (runs / part).max(self.took * times).max(PAUSE.0);
        // The start of serving is a moment to be shown.
        let serves_first = self.calls > 0 && !self.served;
        self.is_due && (serves_first || now.saturating_duration_since(self.last) >= pause)
    }

    /// Looks at what is resident of `image`, which is process `pid`.
    pub(crate) fn look(&mut self, image: u32, pid: u32, stamp: u64) -> Option<Note> {
        let begin = Instant::now();
        let found = smaps::read(pid);
        self.last = Instant::now();
        self.took = self.last.saturating_duration_since(begin);
        self.is_due = false;
        self.served |= self.calls > 0;
        let found = found?;
        Some(Note::Resident {
            image,
            stamp,
            calls: self.calls,
            files: found.files,
            own: found.own,
            rest: found.rest,
            areas: trace::areas_to_note(&found.areas),
        })
    }
}

/// The resident set of `image`, which is process `pid`, at `stamp`, if it is there.
pub(crate) fn note(image: u32, pid: u32, stamp: u64) -> Option<Note> {
    let bytes = procfs::resident(pid)?;
    Some(Note::Rss {
        image,
        stamp,
        bytes,
        space: smaps::address_space(pid).unwrap_or(0),
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
    fn looks_are_taken_sooner_where_the_target_is_idle() {
        let start = Instant::now();
        let mut looks = Looks::start(start);
        let after = |ms| start + Duration::from_millis(ms);
        assert!(!looks.may(after(1000), true), "nothing has happened");
        looks.is_due = true;
        assert!(!looks.may(after(49), true) && looks.may(after(50), true));
        looks.calls = 1;
        assert!(looks.may(after(1), false), "the first request has come");
        looks.served = true;
        assert!(!looks.may(after(1), false));
        looks.last = after(10_000);
        assert!(!looks.may(after(10_100), false) && looks.may(after(10_100), true));
        assert!(looks.may(after(10_400), false));
        looks.took = Duration::from_millis(10);
        assert!(!looks.may(after(10_400), false) && looks.may(after(11_000), false));
        assert!(!looks.may(after(10_100), true) && looks.may(after(10_200), true));
        let note = looks.look(3, std::process::id(), 7);
        assert!(matches!(note, Some(Note::Resident { image: 3, files, .. }) if files > 0));
        assert!(!looks.is_due);
    }

    #[test]
    fn a_process_that_is_gone_has_no_reading() {
        assert!(
            matches!(note(1, std::process::id(), 5), Some(Note::Rss { bytes, .. }) if bytes > 0)
        );
        assert!(note(1, u32::MAX, 5).is_none());
    }
}
