//! What grows until it is full, and then keeps nothing more.

use std::collections::HashSet;

use super::dice::Dice;
use super::law::Server;

/// A visit keeps something for ever if `new` says so, which is given the number of the visit and its thread.
fn keeps<N>(new: impl Fn() -> N + 'static) -> Server
where
    N: FnMut(&mut Dice, usize, usize) -> bool + 'static,
{
    Box::new(move || {
        let (mut new, mut visit) = (new(), 0);
        Box::new(move |memory, dice, thread| {
            if new(dice, visit, thread) {
                memory.keep();
            }
            visit += 1;
        })
    })
}

fn some_of(dice: &mut Dice, visits: usize, least: f64, most: f64) -> usize {
    ((visits as f64 * dice.magnitude(least, most)) as usize).max(2)
}

pub(super) fn keys(dice: &mut Dice, visits: usize) -> Server {
    let keys = some_of(dice, visits, 0.02, 0.3);
    keeps(move || {
        let mut seen = HashSet::new();
        move |dice, _, _| seen.insert(dice.count(0, keys))
    })
}

pub(super) fn zipf_keys(dice: &mut Dice, visits: usize) -> Server {
    let keys = some_of(dice, visits, 0.01, 0.1);
    keeps(move || {
        let mut seen = HashSet::new();
        move |dice, _, _| seen.insert(dice.zipf(1.0) % keys)
    })
}

pub(super) fn zipf_endless(dice: &mut Dice, _: usize) -> Server {
    let exponent = dice.between(0.8, 2.0);
    keeps(move || {
        let mut seen = HashSet::new();
        move |dice, _, _| seen.insert(dice.zipf(exponent))
    })
}

/// One more connection whenever more are needed at once than ever before.
pub(super) fn pool(dice: &mut Dice, _: usize) -> Server {
    let (most, load) = (dice.count(2, 33), dice.between(0.1, 0.9));
    keeps(move || {
        let (mut now, mut highest) = (0_usize, 0);
        move |dice, _, _| {
            // A queue's length, as requests come and go.
            now = match dice.falls(load) {
                true => (now + 1).min(most),
                false => now.saturating_sub(dice.count(1, 4)).max(1),
            };
            let is_new = now > highest;
            highest = highest.max(now);
            is_new
        }
    })
}

pub(super) fn warm_up(dice: &mut Dice, visits: usize) -> Server {
    let first = some_of(dice, visits, 0.005, 0.15);
    keeps(move || move |_, visit, _| visit < first)
}

pub(super) fn first(_: &mut Dice, _: usize) -> Server {
    keeps(|| |_, visit, _| visit == 0)
}

/// Functions that are compiled when they have been called often enough; some are called oftener than others.
pub(super) fn jit(dice: &mut Dice, visits: usize) -> Server {
    let (functions, hot) = (dice.count(3, 30), some_of(dice, visits, 0.005, 0.03));
    keeps(move || {
        let mut calls = vec![0; functions];
        move |dice, _, _| {
            let called = (dice.zipf(0.7) - 1) % functions;
            calls[called] += 1;
            calls[called] == hot
        }
    })
}

/// Each thread makes its own when it first needs it.
pub(super) fn of_threads(_: &mut Dice, _: usize) -> Server {
    keeps(|| {
        let mut seen = HashSet::new();
        move |_, _, thread| seen.insert(thread)
    })
}

/// A vector that doubles while it takes in `keys` keys.
fn growing(keys: usize, moves: bool) -> Server {
    Box::new(move || {
        let (mut seen, mut block) = (HashSet::new(), None);
        Box::new(move |memory, dice, _| {
            let is_new = seen.insert(dice.count(0, keys));
            let length = seen.len() as u64;
            block = match block.take() {
                None => Some(memory.keep_bytes(64)),
                Some(old) if is_new && length.is_power_of_two() && moves => {
                    let new = memory.keep_bytes(64 * length);
                    memory.free(old);
                    Some(new)
                }
                Some(old) if is_new && length.is_power_of_two() => {
                    Some(memory.grow(old, 64 * length))
                }
                same => same,
            };
        })
    })
}

pub(super) fn vector(dice: &mut Dice, visits: usize) -> Server {
    growing(some_of(dice, visits, 0.02, 0.3), false)
}

pub(super) fn rehashing(dice: &mut Dice, visits: usize) -> Server {
    growing(some_of(dice, visits, 0.02, 0.3), true)
}

/// A ring that grows by a fixed step until it has its size; then it overwrites.
pub(super) fn growing_ring(dice: &mut Dice, visits: usize) -> Server {
    let (step, steps) = (some_of(dice, visits, 0.01, 0.05), dice.count(2, 8));
    Box::new(move || {
        let (mut block, mut visit) = (None, 0);
        Box::new(move |memory, _, _| {
            let full = 1024 * (visit / step + 1) as u64;
            block = match block.take() {
                None => Some(memory.keep_bytes(1024)),
                Some(old) if visit % step == 0 && visit / step < steps => {
                    Some(memory.grow(old, full))
                }
                same => same,
            };
            visit += 1;
        })
    })
}

/// A buffer that grows to what a request needs, and is kept for the next.
pub(super) fn scratch(dice: &mut Dice, _: usize) -> Server {
    let sigma = dice.between(0.3, 1.0);
    Box::new(move || {
        let (mut block, mut size) = (None, 0);
        Box::new(move |memory, dice, _| {
            let needed = dice.lognormal(1000.0, sigma) as u64 + 1;
            if needed > size {
                size = needed;
                block = match block.take() {
                    None => Some(memory.keep_bytes(size)),
                    Some(old) => Some(memory.grow(old, size)),
                };
            }
        })
    })
}
