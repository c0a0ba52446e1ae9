//! What leaks.

use super::dice::Dice;
use super::law::{Memory, Server};
use super::{caches, collectors};

/// A visit leaks if `leaks` says so, which is given its number.
fn leaking<L>(leaks: impl Fn() -> L + 'static) -> Server
where
    L: FnMut(&mut Dice, usize) -> bool + 'static,
{
    Box::new(move || {
        let (mut leaks, mut visit) = (leaks(), 0);
        Box::new(move |memory, dice, _| {
            if leaks(dice, visit) {
                memory.leak();
            }
            visit += 1;
        })
    })
}

/// Some of the visits leak, the others do as `base` does.
fn among(base: Server, part: f64) -> Server {
    Box::new(move || {
        let mut base = base();
        Box::new(move |memory, dice, thread| match dice.falls(part) {
            true => memory.leak(),
            false => base(memory, dice, thread),
        })
    })
}

pub(super) fn nothing(_: &mut Dice, _: usize) -> Server {
    Box::new(|| {
        Box::new(|memory: &mut Memory, _, _| {
            let block = memory.keep();
            memory.free(block);
        })
    })
}

pub(super) fn each(_: &mut Dice, _: usize) -> Server {
    leaking(|| |_, _| true)
}

pub(super) fn steady(dice: &mut Dice, _: usize) -> Server {
    let part = dice.between(0.2, 1.0);
    leaking(move || move |dice, _| dice.falls(part))
}

pub(super) fn rare(dice: &mut Dice, _: usize) -> Server {
    let part = dice.between(0.01, 0.05);
    leaking(move || move |dice, _| dice.falls(part))
}

pub(super) fn thousandth(_: &mut Dice, _: usize) -> Server {
    leaking(|| |dice, _| dice.falls(0.001))
}

pub(super) fn tenth(_: &mut Dice, _: usize) -> Server {
    leaking(|| |_, visit| visit % 10 == 9)
}

pub(super) fn late(dice: &mut Dice, visits: usize) -> Server {
    let from = (visits as f64 * dice.between(0.3, 0.95)) as usize;
    leaking(move || move |_, visit| visit >= from)
}

/// More of it in the first half, as the load changes.
pub(super) fn waning(dice: &mut Dice, visits: usize) -> Server {
    let (part, less) = (dice.between(0.1, 0.5), dice.between(0.7, 1.0));
    leaking(move || {
        move |dice, visit| {
            dice.falls(if visit * 2 < visits {
                part
            } else {
                part * less
            })
        }
    })
}

/// Now more, now less of it, as the load comes and goes.
pub(super) fn wavering(dice: &mut Dice, visits: usize) -> Server {
    let part = dice.between(0.1, 0.5);
    leaking(move || {
        let mut now = part;
        move |dice, visit| {
            if visit % (visits / 12).max(1) == 0 {
                now = part * dice.between(0.5, 1.0);
            }
            dice.falls(now)
        }
    })
}

/// What its first request keeps is not freed at a connection's close.
pub(super) fn connections(dice: &mut Dice, visits: usize) -> Server {
    let mean = dice.between(2.0, (visits as f64 / 10.0).clamp(3.0, 40.0));
    leaking(move || {
        let mut left = 0;
        move |dice, _| {
            let first = left == 0;
            if first {
                left = 1 + dice.exponential(mean) as usize;
            }
            left -= 1;
            first
        }
    })
}

pub(super) fn hidden_collected(dice: &mut Dice, visits: usize) -> Server {
    among(collectors::every(dice, visits / 4), 0.1)
}

pub(super) fn hidden_cached(dice: &mut Dice, visits: usize) -> Server {
    among(caches::ring(dice, visits / 4), 0.1)
}

pub(super) fn hidden_random(dice: &mut Dice, visits: usize) -> Server {
    among(caches::weak(dice, visits / 4), 0.1)
}

/// Leaks among collected ones, and one block that is freed after half of the visits.
pub(super) fn freak(dice: &mut Dice, visits: usize) -> Server {
    let (part, every) = (dice.between(0.05, 0.3), dice.count(2, 9));
    Box::new(move || {
        let (mut kept, mut freak, mut visit) = (Vec::new(), None, 0);
        Box::new(move |memory, dice, _| {
            if visit % every == 0 {
                memory.free_all(std::mem::take(&mut kept));
            }
            if visit == visits / 2 {
                memory.free_all(freak.take());
            }
            match visit {
                1 => freak = Some(memory.keep()),
                _ if dice.falls(part) => memory.leak(),
                _ => kept.push(memory.keep()),
            }
            visit += 1;
        })
    })
}

/// A block that grows, by realloc or not, to the size that `grows` tells for a length.
fn growing(
    starts: u64,
    by_realloc: bool,
    grows: impl Fn(u64) -> Option<u64> + Clone + 'static,
) -> Server {
    Box::new(move || {
        let (mut block, mut length, grows) = (None, 0, grows.clone());
        Box::new(move |memory, _, _| {
            length += 1;
            block = match (block.take(), grows(length)) {
                (None, _) => Some(memory.keep_bytes(starts)),
                (Some(old), Some(bytes)) if by_realloc => Some(memory.grow(old, bytes)),
                (Some(old), Some(bytes)) => {
                    let new = memory.keep_bytes(bytes);
                    memory.free(old);
                    Some(new)
                }
                (same, None) => same,
            };
        })
    })
}

pub(super) fn vector(_: &mut Dice, _: usize) -> Server {
    growing(64, true, doubled)
}

/// As that of C++'s library.
pub(super) fn copied_vector(_: &mut Dice, _: usize) -> Server {
    growing(64, false, doubled)
}

fn doubled(length: u64) -> Option<u64> {
    length.is_power_of_two().then_some(64 * length)
}

/// By a fixed step, from a size that is much larger.
pub(super) fn buffer(dice: &mut Dice, visits: usize) -> Server {
    let each = dice.count(1, (visits / 10).clamp(2, 20)) as u64;
    let base = 1024 * dice.count(1, 40) as u64;
    growing(base, true, move |length| {
        length
            .is_multiple_of(each)
            .then_some(base + 1024 * (length / each))
    })
}
