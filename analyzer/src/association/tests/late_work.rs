//! Work that is done after the answers: in a random order, and where labels are asked for in turn, so that another
//! label's request is always in flight then.

use super::*;

/// Clients, ticks that they pause, and how long after the end of its request a block is made: at least, and on average
/// so much more. A request takes 1,000 ticks.
const CLIENTS: [usize; 4] = [1, 2, 4, 8];
const PAUSES: [f64; 3] = [0.0, 100.0, 500.0];
const DELAYS: [[f64; 2]; 5] = [
    [10.0, 10.0],
    [10.0, 200.0],
    [300.0, 300.0],
    [1_000.0, 1_000.0],
    [3_000.0, 1_000.0],
];
const SEEDS: u64 = 3;
const LEAKS: usize = 1;

/// How many of some worlds gave the blocks to the right label, and to others.
#[derive(Debug, Default, PartialEq)]
struct Told {
    worlds: u32,
    right: u32,
    wrong: u32,
}

impl Told {
    fn add(&mut self, world: World) {
        for seed in 1..=SEEDS {
            let (given, _) = world.shares(seed);
            let others: f64 = given[..LABELS].iter().sum::<f64>() - given[LEAKS];
            self.worlds += 1;
            self.right += u32::from(others <= 0.02 && given[LEAKS] > 0.9);
            self.wrong += u32::from(others > 0.02);
        }
    }
}

fn worlds(
    in_turn: Option<f64>,
    pause: f64,
    after: Option<[f64; 2]>,
) -> impl Iterator<Item = World> {
    CLIENTS.into_iter().map(move |clients| World {
        clients,
        requests: 600,
        leak: &[LEAKS as u32],
        in_turn,
        pause,
        after,
        ..QUIET
    })
}

#[test]
fn work_after_answers_is_not_given_to_the_label_that_always_comes_next() {
    let mut told = Told::default();
    for jitter in [0.05, 0.3] {
        for pause in PAUSES {
            for after in DELAYS {
                let all = worlds(Some(jitter), pause, Some(after));
                all.for_each(|world| told.add(world));
            }
        }
    }
    // One in eight was wrong before times were compared.
    assert_eq!(told.worlds, 360);
    assert!(told.wrong <= 18, "{told:?}");
}

#[test]
fn work_after_answers_is_found_in_a_random_order() {
    let mut told = Told::default();
    for pause in PAUSES {
        for after in DELAYS {
            let all = worlds(None, pause, Some(after));
            all.for_each(|world| told.add(world));
        }
    }
    assert_eq!((told.worlds, told.wrong), (180, 0));
    assert!(told.right >= 140, "{told:?}");
}

#[test]
fn work_within_requests_is_found_in_turn_where_clients_pause() {
    let mut told = Told::default();
    for jitter in [0.05, 0.3] {
        let all = worlds(Some(jitter), 500.0, None);
        all.for_each(|world| told.add(world));
    }
    assert_eq!((told.worlds, told.wrong), (24, 0));
    assert!(told.right >= 18, "{told:?}");
}
