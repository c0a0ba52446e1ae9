//! When memory runs out, and whether it did: from resident sets while the program served, and the limit.

use crate::analysis::{Outlook, Pace, Request};
use crate::trace::{Facts, LimitKind, ProcessId, Rss};

/// Readings that a pace needs.
const LEAST_READINGS: usize = 6;
/// What of the readings' variance a straight line has to explain.
const GOOD_FIT: f64 = 0.9;
/// What the slower half of the readings has to grow by, as a part of what the faster one does: what slows down may never
/// come to the limit, and what speeds up comes sooner.
const EVEN: f64 = 0.9;
/// Growth below this is none: libleak's own lanes and tables are resident in the target.
const LEAST_GROWTH: f64 = (8 << 20) as f64;

/// What is known of a program's memory and its limit.
pub(super) fn outlook(facts: &Facts, requests: &[Request]) -> Outlook {
    let processes = facts.processes.iter().zip(0..);
    let killed: Vec<ProcessId> = processes
        .filter(|(process, _)| process.killed_for_memory)
        .map(|(_, id)| id)
        .collect();
    let may_go_on = killed.is_empty();
    let all = pace(facts, requests, &|reading| reading.bytes).filter(|_| may_go_on);
    let limit = facts.limit;
    let to_limit = match limit {
        // Each process has an address space of its own: the largest comes to the limit first.
        Some((LimitKind::AddressSpace, _)) => {
            let mut readings = facts.rss.iter().rev();
            let largest = readings.clone().map(|reading| reading.space).max();
            let first = readings.find(|reading| Some(reading.space) == largest);
            let process = first.map(|reading| reading.process);
            let space = move |reading: &Rss| match Some(reading.process) == process {
                true => reading.space,
                false => 0,
            };
            pace(facts, requests, &space).filter(|_| may_go_on)
        }
        _ => all,
    };
    let seconds = limit.zip(to_limit).and_then(|((_, bytes), pace)| {
        let left = bytes.checked_sub(pace.reached_bytes)?;
        Some((left as f64 / pace.bytes_per_second) as u64)
    });
    Outlook {
        limit,
        killed,
        seconds_to_limit: seconds,
        pace: all,
        to_limit,
    }
}

/// How fast what `of` tells of each reading grew over the second half of serving, in all processes together; `None`: it
/// did not, or not evenly.
fn pace(facts: &Facts, requests: &[Request], of: &dyn Fn(&Rss) -> u64) -> Option<Pace> {
    let from = requests.iter().map(|request| request.start_ns).min();
    let to = requests.iter().filter_map(|request| request.end_ns).max();
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(facts.duration_ns));
    let half = from + to.saturating_sub(from) / 2;
    let mut resident = vec![0_u64; facts.processes.len()];
    let mut points: Vec<(f64, f64)> = Vec::new();
    for reading in &facts.rss {
        let at = facts.clock.ns(reading.stamp);
        if let Some(of_process) = resident.get_mut(reading.process as usize) {
            *of_process = of(reading);
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
    let is_good = line.fit >= GOOD_FIT && is_even(&points);
    if points.len() < LEAST_READINGS || grown < LEAST_GROWTH || !is_good {
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
        reached_bytes: line.at(last) as u64,
        bytes_per_request: (served > 0).then(|| (grown / served as f64) as u64),
    })
}

/// Whether both halves of the time that the points are of are as steep.
fn is_even(points: &[(f64, f64)]) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return false;
    };
    let half = points.partition_point(|point| point.0 < (first.0 + last.0) / 2.0);
    let slope = |part: &[(f64, f64)]| Line::through(part).map_or(0.0, |line| line.slope);
    let (before, after) = points.split_at(half);
    let (before, after) = (slope(before), slope(after));
    before.min(after) >= EVEN * before.max(after)
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
    use crate::trace::Process;

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
            space: (mib + 500) << 20,
        });
        facts.rss = readings.collect();
        facts
    }

    #[test]
    fn an_even_pace_tells_when_the_limit_is_reached() {
        let even: Vec<u64> = (0..20).map(|second| 100 + 4 * second).collect();
        let found = outlook(&facts(&even), &[]);
        let pace = found.pace.expect("it is even");
        assert_eq!(pace.reached_bytes, 176 << 20);
        assert_eq!(found.seconds_to_limit, Some((1024 - 176) / 4));
        let mut killed = facts(&even);
        killed.processes[0].killed_for_memory = true;
        let found = outlook(&killed, &[]);
        assert_eq!((found.seconds_to_limit, found.killed), (None, vec![0]));
    }

    /// 500 MiB more than what is resident are mapped.
    #[test]
    fn a_limit_of_addresses_is_reached_by_addresses() {
        let even: Vec<u64> = (0..20).map(|second| 100 + 4 * second).collect();
        let mut facts = facts(&even);
        facts.limit = Some((LimitKind::AddressSpace, 1 << 30));
        let found = outlook(&facts, &[]);
        assert_eq!(found.seconds_to_limit, Some((1024 - 676) / 4));
        assert_eq!(found.pace.map(|pace| pace.reached_bytes), Some(176 << 20));
        // A trace that does not tell of them.
        facts.rss.iter_mut().for_each(|reading| reading.space = 0);
        assert_eq!(outlook(&facts, &[]).seconds_to_limit, None);
    }

    #[test]
    fn what_is_not_even_or_does_not_grow_tells_nothing() {
        let steps: Vec<u64> = (0..20).map(|second| 100 + 60 * (second / 15)).collect();
        let saw: Vec<u64> = (0..20).map(|second| 100 + 30 * (second % 4)).collect();
        for resident in [vec![100; 20], steps, saw] {
            assert_eq!(outlook(&facts(&resident), &[]).seconds_to_limit, None);
        }
    }

    /// Of how many of 200 worlds with random sizes, lengths and noise a forecast is more than a fifth wrong, and of how
    /// many it is right, where twice as much comes before the limit as came in the second half.
    fn forecasts(shape: fn(f64) -> f64) -> (u32, u32) {
        let mut state = 7_u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let (mut wrong, mut right) = (0, 0);
        for _ in 0..200 {
            let (readings, size) = (16.0 + (184.0 * random()).round(), 40.0 + 960.0 * random());
            let noise = [0.0, 0.3, 2.0][(3.0 * random()) as usize];
            let at = |second: f64| 80.0 + size * shape(second / readings);
            let limit = at(readings) + 2.0 * (at(readings) - at(readings / 2.0)).max(5.0);
            let resident: Vec<u64> = (0..=readings as u64)
                .map(|second| {
                    let off: f64 = (0..6).map(|_| random() - 0.5).sum();
                    ((at(second as f64) + noise * off).max(0.0) * 1024.0) as u64
                })
                .collect();
            let mut facts = facts(&resident);
            facts
                .rss
                .iter_mut()
                .for_each(|reading| reading.bytes >>= 10);
            facts.limit = Some((LimitKind::Cgroup, (limit * 1048576.0) as u64));
            let Some(said) = outlook(&facts, &[]).seconds_to_limit else {
                continue;
            };
            let seconds =
                (0..(40.0 * readings) as u64).find(|more| at(readings + *more as f64) >= limit);
            match seconds {
                Some(truth) if said.abs_diff(truth) * 5 <= truth + 5 => right += 1,
                _ => wrong += 1,
            }
        }
        (wrong, right)
    }

    /// The rates stand in docs/memory.md.
    #[test]
    fn forecasts_are_rarely_wrong() {
        let (wrong, right) = forecasts(|time| time);
        assert!(wrong == 0 && right >= 170, "even: {wrong} {right}");
        type Shape = fn(f64) -> f64;
        let bent: [(&str, Shape); 7] = [
            ("fills soon", |time| 1.0 - (-4.0 * time).exp()),
            ("fills", |time| 1.0 - (-time).exp()),
            ("fills slowly", |time| 1.0 - (-time / 2.0).exp()),
            ("root", f64::sqrt),
            ("square", |time| time * time),
            ("stops", |time| time.min(0.8)),
            ("steps", |time| (2.0 * time + 0.3).floor() / 2.0),
        ];
        for (name, shape) in bent {
            let (wrong, _) = forecasts(shape);
            assert!(wrong <= 20, "{name}: {wrong} of 200");
        }
    }
}
