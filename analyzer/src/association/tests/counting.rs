//! Labels that are told by numbers: each of their requests leaves as many blocks as the others, while any number is in
//! flight. And what only looks like that.

use super::*;
use crate::ledger::Loose;
use crate::requests::record::RequestId;

const SEEDS: u64 = 12;

/// Labels of these worlds, besides the statuses.
const ALL: u32 = 8;

/// In which order clients ask for labels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Random,
    /// Each client for one after the other.
    InTurn,
    /// All together for one after the other.
    Shared,
}

/// Closed loops of clients.
struct Loops {
    clients: usize,
    requests: usize,
    order: Order,
}

impl Loops {
    /// The requests, in order of their begin.
    fn play(&self, dice: &mut Dice) -> Vec<Record> {
        let mut free: Vec<f64> = (0..self.clients).map(|_| 1_000.0 * dice.next()).collect();
        let mut turns: Vec<u32> = (0..self.clients as u32).collect();
        let mut records = Vec::new();
        for place in 0..self.requests {
            let client = (0..free.len()).min_by(|a, b| free[*a].total_cmp(&free[*b]));
            let client = client.unwrap_or(0);
            let label = match self.order {
                Order::Random => (dice.next() * f64::from(ALL)) as u32,
                Order::InTurn => turns[client] % ALL,
                Order::Shared => place as u32 % ALL,
            };
            turns[client] += 1;
            let start = free[client];
            let end = start + 500.0 + 1_000.0 * dice.next();
            free[client] = end + 20.0 * dice.next();
            records.push(record(label, start as u64, Some(end as u64)));
        }
        records
    }
}

/// A moment while the request was in flight.
fn within(record: &Record, dice: &mut Dice) -> u64 {
    let lasted = record.end.unwrap_or(record.start) - record.start;
    record.start + (dice.next() * lasted as f64) as u64
}

/// Associates blocks made at these stamps, so many at each; gives how many each request has.
fn associated(records: &mut [Record], mut births: Vec<(u64, u64)>) -> FxHashMap<RequestId, u64> {
    births.sort_unstable();
    let made = |blocks: u64| Amount {
        blocks,
        bytes: 64 * blocks,
    };
    let loose = births.into_iter().map(|(born, blocks)| Loose {
        known: None,
        is_stack: false,
        site: SITE,
        born,
        last: born,
        is_further: false,
        hints: Hints::default(),
        live: made(blocks),
        served: made(blocks),
        before_exit: made(blocks),
        collected: false,
        bounded: Amount::default(),
        types: Vec::new(),
    });
    let turns = records
        .iter()
        .flat_map(|record| [Some(record.start), record.end]);
    let moments = turns.flatten().map(|stamp| Moment {
        stamp,
        hints: Hints::default(),
    });
    let end = records.iter().filter_map(|record| record.end).max();
    let mut finished = Finished {
        ends: (0..records.len() as u32).collect(),
        serving: Serving {
            from: Some(0),
            to: end.unwrap_or(0) + 1,
            ..Serving::default()
        },
        sites: vec![FinishedSite {
            id: SITE,
            ..FinishedSite::default()
        }],
        loose: loose.collect(),
        moments: moments.collect(),
        ..Finished::default()
    };
    let labels: Vec<String> = (0..ALL).map(|label| format!("GET /{label}")).collect();
    associate(
        &mut [&mut finished],
        records,
        &labels,
        &Sites::default(),
        false,
    );
    let mut given: FxHashMap<RequestId, u64> = FxHashMap::default();
    for kept in &finished.sites[0].retained {
        *given.entry(kept.request).or_default() += kept.blocks;
    }
    given
}

/// Blocks of these labels, each of whose requests makes its number of them, so long after a moment within it.
fn made_by(
    records: &[Record],
    each: &[(u32, u64)],
    dice: &mut Dice,
    late: bool,
) -> Vec<(u64, u64)> {
    let of_record = |record: &Record| {
        let blocks = each
            .iter()
            .find(|(label, _)| record.label == Some(*label))?
            .1;
        let born = match late {
            true => record.end.unwrap_or(0) + (900.0 * dice.next()) as u64,
            false => within(record, dice),
        };
        Some((born, blocks))
    };
    records.iter().filter_map(of_record).collect()
}

/// How many of a thousand requests have another number than their label's.
fn wrong(records: &[Record], given: &FxHashMap<RequestId, u64>, each: &[(u32, u64)]) -> usize {
    let is_wrong = |(request, record): &(u32, &Record)| {
        let own = each.iter().find(|(label, _)| record.label == Some(*label));
        given.get(request).copied().unwrap_or(0) != own.map_or(0, |own| own.1)
    };
    let all = (0..).zip(records);
    all.filter(is_wrong).count() * 1_000 / records.len()
}

#[test]
fn each_request_of_a_label_has_its_number_however_many_are_in_flight() {
    // (clients, requests, worlds at most in which what is made after the answer is not told by numbers)
    for (clients, requests, most) in [(2, 240, 0), (8, 480, 0), (32, 2_400, 3), (64, 9_600, 3)] {
        for late in [false, true] {
            let mut untold = 0;
            for seed in 1..=SEEDS {
                let dice = &mut Dice(seed);
                let world = Loops {
                    clients,
                    requests,
                    order: Order::Random,
                };
                let mut records = world.play(dice);
                let births = made_by(&records, &[(2, 3)], dice, late);
                let given = associated(&mut records, births);
                let wrong = wrong(&records, &given, &[(2, 3)]);
                let label = |request: &RequestId| records[*request as usize].label;
                if late && wrong > 0 && given.keys().all(|request| label(request) == Some(2)) {
                    untold += 1;
                    continue;
                }
                assert_eq!(wrong, 0, "{clients} clients, late: {late}, seed {seed}");
            }
            assert!(untold <= most, "{clients} clients: {untold}");
        }
    }
}

#[test]
fn two_labels_with_a_number_each_are_told_together() {
    for clients in [8, 32] {
        for seed in 1..=SEEDS {
            let dice = &mut Dice(seed);
            let world = Loops {
                clients,
                requests: 2_400,
                order: Order::Random,
            };
            let mut records = world.play(dice);
            let each = [(2, 2), (5, 5)];
            let births = made_by(&records, &each, dice, false);
            let given = associated(&mut records, births);
            // Who of two that end together had more, nothing tells.
            let wrong = wrong(&records, &given, &each);
            assert!(wrong <= 10, "{clients} clients, seed {seed}: {wrong}");
        }
    }
}

#[test]
fn as_many_blocks_of_any_requests_are_nobodys() {
    for clients in [1, 2, 8, 32] {
        for seed in 1..=4 * SEEDS {
            let dice = &mut Dice(seed);
            let world = Loops {
                clients,
                requests: 800,
                order: Order::Random,
            };
            let mut records = world.play(dice);
            let own = records.iter().filter(|record| record.label == Some(2));
            let births = (0..own.count()).map(|_| {
                let at = (dice.next() * records.len() as f64) as usize;
                (within(&records[at], dice), 3)
            });
            let births = births.collect();
            let given = associated(&mut records, births);
            assert_eq!(given.len(), 0, "{clients} clients, seed {seed}");
        }
    }
}

#[test]
fn as_many_ticks_of_a_clock_are_nobodys() {
    for clients in [2, 8, 32] {
        for order in [Order::Random, Order::InTurn, Order::Shared] {
            for seed in 1..=SEEDS {
                let dice = &mut Dice(seed);
                let world = Loops {
                    clients,
                    requests: 800,
                    order,
                };
                let mut records = world.play(dice);
                let own = records.iter().filter(|record| record.label == Some(2));
                let count = own.count() as u64;
                let end = records.iter().filter_map(|record| record.end).max();
                let step = end.unwrap_or(0) / count;
                let births = (0..count).map(|at| (at * step + step / 3, 3)).collect();
                let given = associated(&mut records, births);
                assert_eq!(given.len(), 0, "{clients} clients, {order:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn labels_in_turn_are_not_taken_for_each_other() {
    for clients in [2, 3, 8, 32] {
        for seed in 1..=SEEDS {
            let dice = &mut Dice(seed);
            let world = Loops {
                clients,
                requests: 1_200,
                order: Order::InTurn,
            };
            let mut records = world.play(dice);
            let births = made_by(&records, &[(2, 1)], dice, false);
            let given = associated(&mut records, births);
            let label = |request: &RequestId| records[*request as usize].label;
            let abroad = given.keys().filter(|request| label(request) != Some(2));
            assert_eq!(abroad.count(), 0, "{clients} clients, seed {seed}");
        }
    }
}

#[test]
fn what_is_left_to_be_done_in_turn_is_not_the_next_labels() {
    let (mut worlds, mut wrong) = (0, 0);
    for clients in [2, 3, 8, 32] {
        for order in [Order::InTurn, Order::Shared] {
            for [from, to] in [
                [0.0, 500.0],
                [0.0, 2_000.0],
                [500.0, 2_500.0],
                [2_000.0, 8_000.0],
            ] {
                for seed in 1..=SEEDS {
                    let dice = &mut Dice(seed);
                    let world = Loops {
                        clients,
                        requests: 640,
                        order,
                    };
                    let mut records = world.play(dice);
                    let own = records.iter().filter(|record| record.label == Some(2));
                    let born = |record: &Record| {
                        record.end.unwrap_or(0) + (from + (to - from) * dice.next()) as u64
                    };
                    let births = own.map(born).map(|born| (born, 1)).collect();
                    let given = associated(&mut records, births);
                    let label = |request: &RequestId| records[*request as usize].label;
                    let abroad = given.keys().filter(|request| label(request) != Some(2));
                    let abroad = abroad.count();
                    worlds += 1;
                    wrong += u32::from(abroad > 4);
                }
            }
        }
    }
    assert_eq!(worlds, 384);
    assert!(wrong <= 26, "{wrong}");
}
