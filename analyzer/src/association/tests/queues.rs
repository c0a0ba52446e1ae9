//! Workers that take requests from a queue, in their order: what is made for one is made while many are in flight, most
//! of which wait.

use super::*;

/// Three labels leave blocks, each at a call site of its own: of the last one, one request in ten.
const QUEUE: World = World {
    queue: 1,
    leak: &[0, 1, 4],
    seldom: Some(4),
    ..QUIET
};
const SEEDS: u64 = 6;

impl World {
    /// Of [`SEEDS`] worlds: those where a label has blocks that it should not have, and the mean part of each label's
    /// that it has. What no request makes is made where the last label leaves its blocks.
    fn told(self) -> (u32, [f64; LABELS]) {
        let place = |_, label: Option<u32>| SITE + label.unwrap_or(4);
        let (mut wrong, mut told) = (0, [0.0; LABELS]);
        for seed in 1..=SEEDS {
            let (given, truth) = self.shares_placed(seed, place, &Sites::default());
            let both = || given.iter().zip(&truth).take(LABELS);
            wrong += u32::from(both().any(|(given, truth)| *given > truth + 0.002));
            for (told, (given, truth)) in told.iter_mut().zip(both()) {
                *told += given / truth.max(1e-9) / SEEDS as f64;
            }
        }
        (wrong, told)
    }
}

#[test]
fn a_label_that_seldom_keeps_is_told_by_who_has_waited_longest() {
    // (clients, workers, found at least). By what is in flight alone it is 0.42 of 8 clients', and nothing of 32.
    for (clients, queue, least) in [
        (3, 1, 0.99),
        (8, 1, 0.99),
        (8, 2, 0.99),
        (32, 1, 0.99),
        (32, 2, 0.6),
    ] {
        let world = World {
            clients,
            queue,
            ..QUEUE
        };
        let (wrong, told) = world.told();
        assert!(
            wrong == 0 && told[4] >= least,
            "{clients} clients, {queue} workers: {wrong} wrong, told {told:.2?}"
        );
    }
}

#[test]
fn labels_that_are_worked_for_at_another_stage_or_asked_for_in_turn_are_not_taken_for_others() {
    for in_turn in [None, Some(0.05), Some(0.2)] {
        for (clients, queue) in [(3, 1), (3, 2), (8, 1), (8, 2), (32, 2)] {
            for early in [None, Some(1), Some(4)] {
                let world = World {
                    clients,
                    queue,
                    early,
                    in_turn,
                    ..QUEUE
                };
                for seldom in [None, Some(4)] {
                    let (wrong, told) = World { seldom, ..world }.told();
                    assert_eq!(
                        wrong, 0,
                        "{clients} clients, {queue} workers, in turn: {in_turn:?}, early: {early:?}: {told:.2?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_label_beside_the_background_gets_its_part_by_stages_too() {
    // (clients, workers, error at most): what no request makes while one of the label's is worked for is taken for its.
    for (clients, queue, most) in [(3, 1, 0.1), (8, 1, 0.1), (8, 2, 0.1), (32, 1, 0.15)] {
        let world = World {
            clients,
            queue,
            background: 1_500.0,
            seldom: None,
            ..QUEUE
        };
        let (_, told) = world.told();
        let others = told[2] + told[3];
        assert!(
            others == 0.0 && (told[4] - 1.0).abs() <= most,
            "{clients} clients, {queue} workers: {told:.2?}"
        );
    }
}
