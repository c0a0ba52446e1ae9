//! Live bytes of a process over time, in a bounded number of points.

use crate::trace::{Clock, ProcessId, Rss};

use crate::analysis::TimelinePoint;

/// The most points of one process.
const MAX_POINTS: usize = 256;
/// Ticks between points, at first.
const FIRST_INTERVAL: u64 = 1 << 16;

/// The points of one process.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    points: Vec<(u64, u64, u64)>,
    interval: u64,
    next: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline {
            points: Vec::new(),
            interval: FIRST_INTERVAL,
            next: 0,
        }
    }
}

impl Timeline {
    /// Whether a point is wanted at `stamp`.
    pub(super) fn is_due(&self, stamp: u64) -> bool {
        stamp >= self.next
    }

    /// Live bytes and requests ended at `stamp`.
    pub(super) fn note(&mut self, stamp: u64, live_bytes: u64, requests: u64) {
        if self.is_due(stamp) {
            self.points.push((stamp, live_bytes, requests));
            self.next = stamp.saturating_add(self.interval);
            if self.points.len() > MAX_POINTS {
                // The first stays, and every second after it.
                let mut index = 0;
                self.points.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.interval *= 2;
            }
        }
    }

    /// The last point.
    pub(super) fn close(&mut self, stamp: u64, live_bytes: u64, requests: u64) {
        self.points.push((stamp, live_bytes, requests));
    }

    /// The points, each with the reading of the resident set that is nearest in time.
    pub(super) fn points(
        &self,
        process: ProcessId,
        clock: &Clock,
        rss: &[Rss],
    ) -> Vec<TimelinePoint> {
        let readings: Vec<Rss> = rss
            .iter()
            .filter(|reading| reading.process == process)
            .copied()
            .collect();
        let nearest = |stamp: u64| {
            let after = readings.partition_point(|reading| reading.stamp < stamp);
            let around = [after.checked_sub(1), Some(after)];
            let around = around.iter().flatten().filter_map(|at| readings.get(*at));
            let best = around.min_by_key(|reading| reading.stamp.abs_diff(stamp));
            best.map(|reading| reading.bytes)
        };
        let point = |(stamp, live_bytes, requests): &(u64, u64, u64)| TimelinePoint {
            t_ns: clock.ns(*stamp),
            process,
            live_bytes: *live_bytes,
            rss_bytes: nearest(*stamp),
            requests: *requests,
        };
        self.points.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_keep_evenly_spread_points() {
        let mut timeline = Timeline::default();
        for step in 0..1_000_000u64 {
            timeline.note(step * 1000, step, 0);
        }
        timeline.close(1_000_000_000, 7, 1);
        assert!((64..=MAX_POINTS + 1).contains(&timeline.points.len()));
        assert_eq!(timeline.points.first(), Some(&(0, 0, 0)));
        assert_eq!(timeline.points.last(), Some(&(1_000_000_000, 7, 1)));
    }
}
