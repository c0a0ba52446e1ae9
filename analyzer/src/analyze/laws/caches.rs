//! What replaces old by new, or lets it go after a while.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::dice::Dice;
use super::law::{Block, Server};

/// A capacity of 2 to 90 of 100 of the visits.
fn capacity(dice: &mut Dice, visits: usize) -> usize {
    ((visits as f64 * dice.magnitude(0.02, 0.9)) as usize).max(1)
}

/// Blocks that are freed at a visit that is known when they are made.
#[derive(Default)]
struct Due {
    visit: usize,
    blocks: BTreeMap<usize, Vec<Block>>,
}

impl Due {
    /// The next visit; gives what is due.
    fn next(&mut self) -> Vec<Block> {
        self.visit += 1;
        self.blocks.remove(&self.visit).unwrap_or_default()
    }

    fn after(&mut self, visits: usize, block: Block) {
        let due = self.visit + visits.max(1);
        self.blocks.entry(due).or_default().push(block);
    }
}

/// Each visit keeps a block for as many visits as `life` says.
fn lives(life: impl Fn(&mut Dice) -> f64 + Clone + 'static) -> Server {
    Box::new(move || {
        let (mut due, life) = (Due::default(), life.clone());
        Box::new(move |memory, dice, _| {
            memory.free_all(due.next());
            let block = memory.keep();
            due.after(1 + life(dice) as usize, block);
        })
    })
}

/// Blocks by key, in the order of their last use; `key` gives the next.
fn keyed(capacity: usize, key: impl Fn(&mut Dice, usize) -> usize + Clone + 'static) -> Server {
    Box::new(move || {
        let (mut order, mut blocks) = (VecDeque::new(), HashMap::new());
        let (mut visit, key) = (0, key.clone());
        Box::new(move |memory, dice, _| {
            visit += 1;
            let key = key(dice, visit);
            if let Some(at) = order.iter().position(|known| *known == key) {
                order.remove(at);
            } else {
                blocks.insert(key, memory.keep());
            }
            order.push_back(key);
            if order.len() > capacity {
                let oldest = order.pop_front().and_then(|key| blocks.remove(&key));
                memory.free_all(oldest);
            }
        })
    })
}

pub(super) fn lru(dice: &mut Dice, visits: usize) -> Server {
    keyed(capacity(dice, visits), |_, visit| visit)
}

pub(super) fn ring(dice: &mut Dice, visits: usize) -> Server {
    let slots = dice.count(2, (visits / 4).clamp(3, 64));
    keyed(slots, |_, visit| visit)
}

pub(super) fn lru_zipf(dice: &mut Dice, visits: usize) -> Server {
    let exponent = dice.between(0.4, 1.2);
    let capacity = (visits as f64 * dice.between(0.02, 0.2)) as usize;
    keyed(capacity.max(5), move |dice, _| dice.zipf(exponent))
}

/// Every visit is a miss at first, one in thirty later.
pub(super) fn lru_hits(dice: &mut Dice, visits: usize) -> Server {
    let capacity = dice.count(4, (visits / 10).clamp(5, 40));
    let misses = capacity * dice.count(3, 6);
    keyed(capacity, move |dice, visit| {
        match visit < misses || dice.falls(1.0 / 30.0) {
            true => 1_000_000 + visit,
            // Always there, as it is always used.
            false => 0,
        }
    })
}

pub(super) fn lfu_zipf(dice: &mut Dice, visits: usize) -> Server {
    let exponent = dice.between(0.4, 1.2);
    let capacity = ((visits as f64 * dice.between(0.02, 0.2)) as usize).max(5);
    Box::new(move || {
        let mut used: HashMap<usize, (usize, usize, Block)> = HashMap::new();
        let mut visit = 0;
        Box::new(move |memory, dice, _| {
            visit += 1;
            let key = dice.zipf(exponent);
            if let Some((uses, last, _)) = used.get_mut(&key) {
                (*uses, *last) = (*uses + 1, visit);
                return;
            }
            if used.len() == capacity {
                let least = used.iter().min_by_key(|(_, used)| **used);
                let least = least.map(|(key, _)| *key);
                let gone = least.and_then(|key| used.remove(&key));
                memory.free_all(gone.map(|gone| gone.2));
            }
            used.insert(key, (1, visit, memory.keep()));
        })
    })
}

/// Swept now and then: what is older than so many visits goes.
pub(super) fn ttl(dice: &mut Dice, visits: usize) -> Server {
    let life = capacity(dice, visits / 2).max(2);
    let sweep = dice.count(1, life.max(2));
    Box::new(move || {
        let (mut kept, mut visit) = (VecDeque::new(), 0);
        Box::new(move |memory, _, _| {
            visit += 1;
            if visit % sweep == 0 {
                while kept.front().is_some_and(|(born, _)| born + life <= visit) {
                    memory.free_all(kept.pop_front().map(|(_, block)| block));
                }
            }
            kept.push_back((visit, memory.keep()));
        })
    })
}

pub(super) fn random(dice: &mut Dice, visits: usize) -> Server {
    let capacity = ((visits as f64 * dice.magnitude(0.02, 0.3)) as usize).max(2);
    Box::new(move || {
        let mut kept = Vec::new();
        Box::new(move |memory, dice, _| {
            if kept.len() == capacity {
                let gone = kept.swap_remove(dice.count(0, capacity));
                memory.free(gone);
            }
            kept.push(memory.keep());
        })
    })
}

/// When the young generation is full, the old one goes and the young becomes old; what is asked for again is made
/// anew in the young one.
pub(super) fn generations(dice: &mut Dice, visits: usize) -> Server {
    let full = capacity(dice, visits / 3).max(2);
    Box::new(move || {
        let (mut young, mut old) = (Vec::new(), Vec::new());
        Box::new(move |memory, _, _| {
            young.push(memory.keep());
            if young.len() >= full {
                memory.free_all(std::mem::replace(&mut old, std::mem::take(&mut young)));
            }
        })
    })
}

/// An entry goes with the last that uses it.
pub(super) fn weak(dice: &mut Dice, visits: usize) -> Server {
    let mean = visits as f64 * dice.magnitude(0.005, 0.1);
    lives(move |dice| dice.exponential(mean))
}

pub(super) fn lognormal(dice: &mut Dice, visits: usize) -> Server {
    let median = visits as f64 * dice.between(0.003, 0.03);
    let sigma = dice.between(0.5, 1.0);
    lives(move |dice| dice.lognormal(median, sigma))
}

/// The first request of a connection keeps what goes at its close.
pub(super) fn connections(dice: &mut Dice, visits: usize) -> Server {
    let mean = dice.between(2.0, (visits as f64 / 20.0).clamp(3.0, 40.0));
    Box::new(move || {
        let (mut left, mut state) = (0, None);
        Box::new(move |memory, dice, _| {
            if left == 0 {
                memory.free_all(state.take());
                state = Some(memory.keep());
                left = 1 + dice.exponential(mean) as usize;
            }
            left -= 1;
        })
    })
}

/// Most log out; the others' are dropped when they have been left alone for long.
pub(super) fn sessions(dice: &mut Dice, visits: usize) -> Server {
    let median = visits as f64 * dice.between(0.005, 0.03);
    let idle = 6.0 * median;
    lives(move |dice| match dice.falls(0.8) {
        true => dice.lognormal(median, 0.7).min(idle),
        false => idle,
    })
}

/// A ring of the last errors: rare ones, and an outage halfway.
pub(super) fn outage(dice: &mut Dice, visits: usize) -> Server {
    let slots = dice.count(4, (visits / 20).clamp(5, 30));
    let outage = visits / 2..visits / 2 + 4 * slots;
    Box::new(move || {
        let (mut kept, mut visit, outage) = (VecDeque::new(), 0, outage.clone());
        Box::new(move |memory, dice, _| {
            visit += 1;
            if outage.contains(&visit) || dice.falls(0.02) {
                kept.push_back(memory.keep());
            }
            if kept.len() > slots {
                memory.free_all(kept.pop_front());
            }
        })
    })
}
