//! What is freed together with much else.

use super::dice::Dice;
use super::law::{Block, Server};

/// Each visit keeps a block; all go when there are as many as `full` says next.
fn together(full: impl Fn(&mut Dice) -> usize + Clone + 'static) -> Server {
    Box::new(move || {
        let (mut kept, mut limit, full) = (Vec::new(), None, full.clone());
        Box::new(move |memory, dice, _| {
            let until = *limit.get_or_insert_with(|| full(dice).max(1));
            if kept.len() >= until {
                memory.free_all(std::mem::take(&mut kept));
                limit = None;
            }
            kept.push(memory.keep());
        })
    })
}

fn some_of(dice: &mut Dice, visits: usize, least: f64, most: f64) -> usize {
    ((visits as f64 * dice.magnitude(least, most)) as usize).max(2)
}

/// A collector that runs every so many visits.
pub(super) fn every(dice: &mut Dice, visits: usize) -> Server {
    let visits = some_of(dice, visits, 0.005, 0.3);
    together(move |_| visits)
}

/// As many as come within a while.
pub(super) fn batches(dice: &mut Dice, visits: usize) -> Server {
    let mean = some_of(dice, visits, 0.01, 0.1) as f64;
    together(move |dice| dice.between(0.5 * mean, 1.5 * mean) as usize)
}

pub(super) fn sawtooth(dice: &mut Dice, visits: usize) -> Server {
    let full = dice.count(4, (visits / 4).clamp(5, 60));
    together(move |_| full)
}

/// Lines of different lengths, written when there are enough bytes.
pub(super) fn by_size(dice: &mut Dice, visits: usize) -> Server {
    let limit = 400 * some_of(dice, visits, 0.01, 0.2) as u64;
    Box::new(move || {
        let (mut lines, mut sum) = (Vec::new(), 0);
        Box::new(move |memory, dice, _| {
            let bytes = dice.lognormal(300.0, 0.7) as u64 + 20;
            if sum + bytes > limit {
                memory.free_all(std::mem::take(&mut lines));
                sum = 0;
            }
            sum += bytes;
            lines.push(memory.keep_bytes(bytes));
        })
    })
}

/// Chunks of an arena, one for a few visits, given back together.
pub(super) fn arena(dice: &mut Dice, visits: usize) -> Server {
    let (each, chunks) = (dice.count(1, 6), dice.count(2, (visits / 20).clamp(3, 30)));
    Box::new(move || {
        let (mut kept, mut visit) = (Vec::new(), 0);
        Box::new(move |memory, _, _| {
            if visit % (each * chunks) == 0 {
                memory.free_all(std::mem::take(&mut kept));
            }
            if visit % each == 0 {
                kept.push(memory.keep_bytes(4096));
            }
            visit += 1;
        })
    })
}

/// A vector that doubles as it fills, and is freed with what it holds.
pub(super) fn vector(dice: &mut Dice, visits: usize) -> Server {
    let full = dice.count(8, (visits / 5).clamp(9, 300));
    Box::new(move || {
        let (mut block, mut length) = (None, 0_u64);
        Box::new(move |memory, _, _| {
            if length as usize == full {
                memory.free_all(block.take());
                length = 0;
            }
            length += 1;
            block = match block.take() {
                None => Some(memory.keep_bytes(64)),
                Some(old) if length.is_power_of_two() => Some(memory.grow(old, 64 * length)),
                same => same,
            };
        })
    })
}

/// CPython before 3.14: garbage in cycles waits for a collection of its generation. The youngest is collected by
/// count, the others every tenth time, the oldest only when a quarter as much again has come to it.
pub(super) fn cpython(dice: &mut Dice, visits: usize) -> Server {
    let (threshold, tenth) = (dice.count(1, 4), dice.count(3, 11));
    let lag = dice.between(0.1, 2.0) * threshold as f64;
    let base = visits / dice.count(40, 200);
    Box::new(move || {
        // What is in each generation: the block, and the visit from which on it is garbage.
        let mut young: [Vec<(Block, f64)>; 3] = Default::default();
        let (mut visit, mut runs, mut old_runs, mut survived) = (0_usize, 0, 0, base);
        Box::new(move |memory, dice, _| {
            visit += 1;
            if visit % threshold == 0 {
                runs += 1;
                let middle = runs % tenth == 0;
                old_runs += usize::from(middle);
                let oldest = middle && old_runs % tenth == 0 && 4 * young[2].len() > survived;
                let upto = usize::from(middle) + usize::from(oldest);
                let mut candidates = Vec::new();
                young[..=upto]
                    .iter_mut()
                    .for_each(|part| candidates.append(part));
                let is_garbage = |of: &(Block, f64)| of.1 <= visit as f64;
                let (garbage, alive): (Vec<_>, Vec<_>) =
                    candidates.into_iter().partition(is_garbage);
                memory.free_all(garbage.into_iter().map(|of| of.0));
                if oldest {
                    survived = base + alive.len();
                    memory.shown = true;
                }
                young[(upto + 1).min(2)].extend(alive);
            }
            young[0].push((memory.keep(), visit as f64 + dice.exponential(lag)));
        })
    })
}
