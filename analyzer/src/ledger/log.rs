//! A series over positions (the order of request ends, or stamps) of bounded length: when it is long,
//! neighbours are merged, so that it stays even over its whole span.

use crate::seldom::Empty;

/// The most points that are kept.
const MAX_POINTS: usize = 256;

/// The points, in order of their position: one at most for each run of `1 << shift` positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    points: Vec<(u64, u64)>,
    shift: u32,
}

impl Empty for Log {
    const EMPTY: &'static Self = &Log::NONE;
}

impl Log {
    /// Without points.
    pub(super) const NONE: Log = Log {
        points: Vec::new(),
        shift: 0,
    };

    /// The level at `position`, which lies after all others, and from there on.
    pub fn level(&mut self, position: u64, value: u64) {
        match self.points.last_mut() {
            Some(last) if last.0 >> self.shift == position >> self.shift => {
                *last = (position, value);
            }
            _ => self.points.push((position, value)),
        }
        self.shorten(|_, later| later);
    }

    /// Adds `value` at `position`, which may lie before others.
    pub fn add(&mut self, position: u64, value: u64) {
        let run = position >> self.shift;
        let at = match self.points.last() {
            Some(last) if last.0 >> self.shift >= run => self
                .points
                .partition_point(|point| point.0 >> self.shift < run),
            _ => self.points.len(),
        };
        match self.points.get_mut(at) {
            Some(point) if point.0 >> self.shift == run => {
                *point = (point.0.max(position), point.1 + value);
            }
            _ => self.points.insert(at, (position, value)),
        }
        self.shorten(|sum, more| sum + more);
    }

    fn shorten(&mut self, merge: fn(u64, u64) -> u64) {
        if self.points.len() <= MAX_POINTS {
            return;
        }
        while self.points.len() > MAX_POINTS / 2 {
            self.shift += 1;
            let shift = self.shift;
            self.points.dedup_by(|later, kept| {
                let same = later.0 >> shift == kept.0 >> shift;
                if same {
                    *kept = (later.0, merge(kept.1, later.1));
                }
                same
            });
        }
    }

    /// All that was added to `other`, too.
    pub fn absorb(&mut self, other: &Log) {
        let points = other.points.iter();
        points.for_each(|(position, value)| self.add(*position, *value));
    }

    /// The sum of both levels.
    pub fn plus(&self, other: &Log) -> Log {
        let both = self.points.iter().chain(&other.points);
        let mut positions: Vec<u64> = both.map(|point| point.0).collect();
        positions.sort_unstable();
        positions.dedup();
        let mut sum = Log::default();
        for position in positions {
            let level = |log: &Log| log.level_before(position + 1);
            sum.level(position, level(self) + level(other));
        }
        sum
    }

    /// The level just before `position`.
    pub fn level_before(&self, position: u64) -> u64 {
        let after = self.points.partition_point(|point| point.0 < position);
        after.checked_sub(1).map_or(0, |last| self.points[last].1)
    }

    /// Its points, in order of their position.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }

    /// What was added before `position`.
    pub fn sum_before(&self, position: u64) -> u64 {
        let before = self.points.iter().take_while(|point| point.0 < position);
        before.map(|point| point.1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_series_are_exact() {
        let (mut levels, mut sums) = (Log::default(), Log::default());
        for position in 0..200 {
            levels.level(position, 10 * position);
            sums.add(position, 1);
        }
        assert_eq!(levels.level_before(0), 0);
        assert_eq!(levels.level_before(101), 1000);
        assert_eq!(sums.sum_before(101), 101);
        sums.add(50, 4);
        assert_eq!(sums.sum_before(51), 55);
    }

    #[test]
    fn series_are_added() {
        let (mut one, mut other) = (Log::default(), Log::default());
        for (position, level) in [(1, 5), (4, 9)] {
            one.level(position, level);
        }
        for (position, level) in [(2, 7), (4, 0), (6, 1)] {
            other.level(position, level);
        }
        let sum = one.plus(&other);
        let levels = [1, 2, 3, 4, 5, 6, 7].map(|position| sum.level_before(position));
        assert_eq!(levels, [0, 5, 12, 12, 9, 9, 10]);
        let mut births = Log::default();
        births.add(3, 2);
        births.absorb(&one);
        let sums = [2, 4, 5].map(|position| births.sum_before(position));
        assert_eq!(sums, [5, 7, 16]);
    }

    #[test]
    fn long_series_stay_short_and_keep_their_shape() {
        let (mut levels, mut sums) = (Log::default(), Log::default());
        for position in 0..100_000 {
            levels.level(position, position);
            sums.add(position, 1);
        }
        assert!(levels.points.len() <= MAX_POINTS && sums.points.len() <= MAX_POINTS);
        assert_eq!(sums.sum_before(u64::MAX), 100_000);
        for eighth in 1..=8 {
            let at = eighth * 12_500;
            assert!(levels.level_before(at).abs_diff(at) <= 100_000 / 64);
            assert!(sums.sum_before(at).abs_diff(at) <= 100_000 / 64);
        }
    }
}
