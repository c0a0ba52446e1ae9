//! What a run can show: whether its law is seen in what it kept.

use super::super::law::{Shows, Truth, Where};
use super::{Past, Process, World};

/// By chance: one in ten thousand.
const CHANCE: f64 = 1e-4;
/// A leak can be told by so many requests that leaked, or more, ...
const CLEAR: usize = 8;
/// ... when they are so many times as old as what is freed becomes.
const OUTLIVED: usize = 8;
/// A buffer that grew so often is not replaced by chance.
const GROWN: usize = 6;

impl World<'_> {
    pub(super) fn leaked(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().filter(|past| past.leaked)
    }

    /// Whether what was recorded shows what is true of the law.
    pub(super) fn shown(&self, processes: &[Process]) -> bool {
        match self.run.law.truth {
            Truth::Holds(Shows::Always) => true,
            Truth::Holds(Shows::Says) => {
                let says = |process: &Process| process.memory.shown;
                let mut served = processes.iter().filter(|process| process.visits > 0);
                served.all(says)
            }
            Truth::Holds(Shows::Turnover) => {
                let own = self.past.iter().filter(|past| past.subject);
                let own = own.filter(|past| !past.moved);
                let (freed, left): (Vec<&Past>, Vec<_>) =
                    own.partition(|past| past.death.is_some());
                freed.len() >= left.len()
            }
            Truth::Holds(Shows::Stop) => self.by_chance(processes) < CHANCE,
            Truth::Leaks => self.shows_a_leak(processes),
            Truth::Grows => self.shows_growth(processes),
        }
    }

    /// The probability that one that goes on keeping would have stopped so early in its processes (Fisher's method).
    fn by_chance(&self, processes: &[Process]) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for (index, process) in processes.iter().enumerate() {
            let own = |past: &&Past| past.subject && past.process == index;
            let kept = self.past.iter().filter(own);
            if let Some(last) = kept.clone().map(|past| past.visit + 1).max() {
                let part = last as f64 / process.visits.max(1) as f64;
                sum -= kept.count() as f64 * part.ln();
                count += 1;
            }
        }
        // At least that much of a sum of so many exponential ones.
        let mut term = f64::exp(-sum);
        let mut chance = if count == 0 { 0.0 } else { term };
        for k in 1..count {
            term *= sum / f64::from(k);
            chance += term;
        }
        chance
    }

    /// Whether enough leaks have clearly outlived what is freed.
    fn shows_a_leak(&self, processes: &[Process]) -> bool {
        let freed = self.past.iter().filter(|past| past.death.is_some());
        let life = |past: &Past| {
            let (request, visit) = past.death.unwrap_or_default();
            (request - past.request, visit - past.visit)
        };
        let typical = |mut lives: Vec<usize>| {
            lives.sort_unstable();
            lives.get(lives.len() * 98 / 100).copied()
        };
        let requests = typical(freed.clone().map(|past| life(past).0).collect());
        let own = freed.filter(|past| past.subject);
        let visits = typical(own.map(|past| life(past).1).collect());
        let outlived =
            |age: usize, life: Option<usize>| life.is_none_or(|life| age > OUTLIVED * life);
        let mut firsts = vec![true; processes.len()];
        let clear = self.leaked().filter(|past| {
            let of = &processes[past.process];
            let is_first = std::mem::replace(&mut firsts[past.process], false);
            !is_first
                && outlived(of.requests - past.request, requests)
                && outlived(of.visits - past.visit, visits)
        });
        let clear: Vec<&Past> = clear.collect();
        match self.run.law.at {
            Where::Requests | Where::Failing(_) => clear.len() >= CLEAR,
            // Over most of the serving time of a process.
            Where::Background => processes.iter().enumerate().any(|(index, process)| {
                let mine = clear.iter().filter(|past| past.process == index);
                let mut eighths: Vec<usize> = mine
                    .map(|past| past.request * 8 / process.requests)
                    .collect();
                let enough = eighths.len() >= CLEAR;
                eighths.dedup();
                enough && eighths.len() >= 6
            }),
        }
    }

    /// Whether a process's block grew several times, also in the second half.
    fn shows_growth(&self, processes: &[Process]) -> bool {
        processes.iter().enumerate().any(|(index, process)| {
            // Its first block is made, all others are what it grew into.
            let blocks = self.past.iter().filter(|past| past.process == index);
            let grown = blocks.skip(1);
            let late = grown.clone().any(|past| 2 * past.visit >= process.visits);
            grown.count() >= GROWN && late && process.visits >= 20
        })
    }
}
