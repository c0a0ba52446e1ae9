//! How fast types are read: a twentieth of the time while the lanes are busy, all of it once they are quiet.

use std::time::{Duration, Instant};

/// How long no lane has had an event when the target is said to be idle, all threads that did anything being in waits.
const QUIET: Duration = Duration::from_millis(50);
/// The same where a thread's last event was no wait: it may be at work that has no events, such as CPython's collection
/// of garbage.
const SILENT: Duration = Duration::from_millis(250);
/// How long between two looks for blocks that are due, while it is busy.
const PAUSE: Duration = Duration::from_millis(100);
/// How long between two looks at caches, while it is busy.
const CACHES: Duration = Duration::from_secs(1);
/// One part in so many of a busy time may be spent.
const SHARE: i64 = 20;
/// What may be saved up for it, in nanoseconds.
const MOST_CREDIT: i64 = 50_000_000;

/// Decides when types may be read. It takes all times from its callers.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds that may be spent; below 0: so many were spent too much, and are waited for.
    credit: i64,
    refilled: Instant,
    /// When an event came last.
    heard: Instant,
    /// When one came last of a thread that does not wait.
    working: Option<Instant>,
    /// When the last look for blocks that are due was allowed.
    looked: Instant,
    /// When caches were looked at last while it was busy.
    caches: Instant,
}

impl Pace {
    /// Nothing was spent yet.
    pub(super) fn start(now: Instant) -> Pace {
        Pace {
            credit: MOST_CREDIT,
            refilled: now,
            heard: now,
            working: None,
            looked: now,
            caches: now,
        }
    }

    /// Events came, up to `now`; `working`: when the last ones of threads that do not wait.
    pub(super) fn hear(&mut self, now: Instant, working: Option<Instant>) {
        self.heard = now;
        self.working = working;
    }

    /// Time has passed until `now`.
    pub(super) fn refill(&mut self, now: Instant) {
        let passed = nanoseconds(now.saturating_duration_since(self.refilled));
        self.credit = (self.credit + passed / SHARE).min(MOST_CREDIT);
        self.refilled = now;
    }

    /// How long until the target is idle if no event comes; nothing: it is.
    pub(super) fn until_idle(&self, now: Instant) -> Duration {
        let left =
            |time: Duration, since| time.saturating_sub(now.saturating_duration_since(since));
        let working = self.working.map(|working| left(SILENT, working));
        left(QUIET, self.heard).max(working.unwrap_or_default())
    }

    /// Whether no event came lately.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.until_idle(now).is_zero()
    }

    /// Whether a little may be read.
    pub(super) fn may_work(&self, now: Instant) -> bool {
        self.credit > 0 || self.is_idle(now)
    }

    /// Whether new looks for blocks that are due may begin: one each, where the target is busy.
    pub(super) fn may_look(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.looked) >= PAUSE;
        let may = self.is_idle(now) || due && self.credit > 0;
        if may {
            self.looked = now;
        }
        may
    }

    /// Whether a look at caches may begin, where the target is busy.
    pub(super) fn may_read_caches(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.caches) >= CACHES;
        let may = due && self.credit > 0 && !self.is_idle(now);
        if may {
            self.caches = now;
        }
        may
    }

    /// Work has taken `time` of the recorder's own, up to `now`. Nobody is charged for what took it from no one.
    pub(super) fn spend(&mut self, now: Instant, time: Duration) {
        if !self.is_idle(now) {
            self.credit = self.credit.saturating_sub(nanoseconds(time));
        }
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
