//! When memory runs out, and whether it did: from resident sets while the program served, and the limit.

use crate::analysis::{Outlook, Pace, Request};
use crate::trace::{Facts, LimitKind, ProcessId};

/// Readings that a pace needs.
const LEAST_READINGS: usize = 6;
/// What of the readings' variance a straight line has to explain.
const GOOD_FIT: f64 = 0.9;
/// Growth below this is none: libleak's own lanes and tables are resident in the target.
const LEAST_GROWTH: f64 = (8 << 20) as f64;

/// What is known of a program's memory and its limit.
pub(super) fn outlook(facts: &Facts, requests: &[Request]) -> Outlook {
    let processes = facts.processes.iter().zip(0..);
    let killed: Vec<ProcessId> = processes
        .filter(|(process, _)| process.killed_for_memory)
        .map(|(_, id)| id)
        .collect();
    let pace = match killed.is_empty() {
        true => pace(facts, requests),
        false => None,
    };
    let limit = facts.limit;
    // Resident memory is no part of an address space that can be told.
    let reached = limit.filter(|(kind, _)| *kind != LimitKind::AddressSpace);
    let to_limit = reached.zip(pace).and_then(|((_, bytes), pace)| {
        let left = bytes.checked_sub(pace.resident_bytes)?;
        Some((left as f64 / pace.bytes_per_second) as u64)
    });
    Outlook {
        limit,
        killed,
        seconds_to_limit: to_limit,
        pace,
    }
}

/// How fast resident memory grew over the second half of serving, in all processes together; `None`: it did not, or not
/// evenly.
fn pace(facts: &Facts, requests: &[Request]) -> Option<Pace> {
    let from = requests.iter().map(|request| request.start_ns).min();
    let to = requests.iter().filter_map(|request| request.end_ns).max();
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(facts.duration_ns));
    let half = from + to.saturating_sub(from) / 2;
    let mut resident = vec![0_u64; facts.processes.len()];
    let mut points: Vec<(f64, f64)> = Vec::new();
    for reading in &facts.rss {
        let at = facts.clock.ns(reading.stamp);
        if let Some(of_process) = resident.get_mut(reading.process as usize) {
            *of_process = reading.bytes;
        }
        for (of_process, process) in resident.iter_mut().zip(&facts.processes) {
            if process.end.is_some_and(|end| end < reading.stamp) {
                *of_process = 0;
            }
        }
        if (half..=to).contains(&at) {
            let sum: u64 = resident.iter().sum();
            points.push((at as f64 / 1e9, sum as f64));
        }
    }
    let line = Line::through(&points)?;
    let (first, last) = (points.first()?.0, points.last()?.0);
    let grown = line.slope * (last - first);
    if points.len() < LEAST_READINGS || grown < LEAST_GROWTH || line.fit < GOOD_FIT {
        return None;
    }
    let served = |request: &&Request| {
        let end = request.end_ns.unwrap_or(0) as f64 / 1e9;
        (first..=last).contains(&end)
    };
    let served: u64 = requests
        .iter()
        .filter(served)
        .map(|r| u64::from(r.count))
        .sum();
    Some(Pace {
        bytes_per_second: line.slope,
        resident_bytes: line.at(last) as u64,
        bytes_per_request: (served > 0).then(|| (grown / served as f64) as u64),
    })
}

/// A straight line through points, by least squares.
struct Line {
    slope: f64,
    middle: (f64, f64),
    /// The part of the variance that it explains.
    fit: f64,
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Option<Line> {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let middle = (mean(|point| point.0), mean(|point| point.1));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            let (x, y) = (x - middle.0, y - middle.1);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        (xx > 0.0 && yy > 0.0).then(|| Line {
            slope: xy / xx,
            middle,
            fit: xy * xy / (xx * yy),
        })
    }

    fn at(&self, x: f64) -> f64 {
        self.middle.1 + self.slope * (x - self.middle.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Process, Rss};

    /// Readings of one process each second, in MiB, and the limit of 1 GiB.
    fn facts(resident: &[u64]) -> Facts {
        let mut facts = Facts {
            processes: vec![Process::default()],
            limit: Some((LimitKind::Cgroup, 1 << 30)),
            duration_ns: (resident.len() as u64 - 1) * 1_000_000_000,
            ..Facts::default()
        };
        facts.clock.points = vec![(0, 0), (1_000_000_000_000, 1_000_000_000_000)];
        let readings = (0..).zip(resident).map(|(second, mib)| Rss {
            stamp: second * 1_000_000_000,
            process: 0,
            bytes: mib << 20,
        });
        facts.rss = readings.collect();
        facts
    }

    #[test]
    fn an_even_pace_tells_when_the_limit_is_reached() {
        let even: Vec<u64> = (0..20).map(|second| 100 + 4 * second).collect();
        let found = outlook(&facts(&even), &[]);
        let pace = found.pace.expect("it is even");
        assert_eq!(pace.resident_bytes, 176 << 20);
        assert_eq!(found.seconds_to_limit, Some((1024 - 176) / 4));
        let mut killed = facts(&even);
        killed.processes[0].killed_for_memory = true;
        let found = outlook(&killed, &[]);
        assert_eq!((found.seconds_to_limit, found.killed), (None, vec![0]));
    }

    #[test]
    fn what_is_not_even_or_does_not_grow_tells_nothing() {
        let steps: Vec<u64> = (0..20).map(|second| 100 + 60 * (second / 15)).collect();
        let saw: Vec<u64> = (0..20).map(|second| 100 + 30 * (second % 4)).collect();
        for resident in [vec![100; 20], steps, saw] {
            assert_eq!(outlook(&facts(&resident), &[]).seconds_to_limit, None);
        }
    }
}
