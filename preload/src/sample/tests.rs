//! The countdown against the probabilities that it is to have. Sequences are fixed: nothing here can flake.

use std::sync::Once;
use std::vec::Vec;

use super::*;

/// Whether there is a table, the process's one; made at the first call.
pub(crate) fn prepared() -> bool {
    static MADE: Once = Once::new();
    MADE.call_once(|| assert!(table::prepare(1000)));
    true
}

fn countdown() -> Countdown {
    Countdown {
        left: Cell::new(0),
        held: Cell::new(0),
        random: Cell::new(0x9e37_79b9_7f4a_7c15),
    }
}

/// Of `all` blocks of `size`, those that are in the sample.
fn taken(way: &Countdown, mean: u64, size: usize, all: usize, hold: bool) -> usize {
    let one = |_: &usize| way.reaches(size) && way.arrives(size, mean, hold);
    (0..all).filter(one).count()
}

#[test]
fn logarithms() {
    for number in [1.0, 0.5, 0.999_999, 1e-3, 0.1, 1.0 / (1_u64 << 53) as f64] {
        let difference = logarithm(number) - number.ln();
        assert!(difference.abs() < 1e-8, "{number}: {difference}");
    }
}

#[test]
fn a_block_is_taken_as_often_as_its_size_says() {
    const ALL: usize = 200_000;
    for (mean, size) in [
        (1000, 0),
        (1000, 1),
        (1000, 700),
        (1000, 5000),
        (1, 3),
        (4096, 64),
    ] {
        for hold in [false, true] {
            let taken = taken(&countdown(), mean, size, ALL, hold) as f64;
            let chance = -(-(size.max(1) as f64) / mean as f64).exp_m1();
            let expected = ALL as f64 * chance;
            let deviation = (expected * (1.0 - chance)).sqrt();
            assert!(
                (taken - expected).abs() <= 5.0 * deviation + 1.0,
                "{size} of {mean}: {taken}, not {expected}"
            );
        }
    }
}

#[test]
fn what_came_before_does_not_matter() {
    // A small block after a large one is as rare as any.
    let (way, mean, all) = (countdown(), 1000, 200_000);
    let mut small = 0;
    for _ in 0..all {
        let _ = way.reaches(3000) && way.arrives(3000, mean, false);
        small += usize::from(way.reaches(100) && way.arrives(100, mean, false));
    }
    let expected = all as f64 * -(-0.1_f64).exp_m1();
    assert!(
        (small as f64 - expected).abs() < 5.0 * expected.sqrt(),
        "{small}"
    );
}

#[test]
fn holding_back_changes_nothing_but_the_looks() {
    let (plain, held) = (countdown(), countdown());
    let sizes = (1..50_000_usize).map(|number| number * 7919 % 1500);
    let all: Vec<bool> = sizes
        .map(|size| {
            let taken = plain.reaches(size) && plain.arrives(size, 1000, false);
            let hold = size % 3 == 0;
            assert_eq!(held.reaches(size) && held.arrives(size, 1000, hold), taken);
            taken
        })
        .collect();
    assert!(all.iter().any(|taken| *taken));
}

#[test]
fn nothing_that_a_program_asks_for_overflows() {
    let way = countdown();
    for size in [usize::MAX, isize::MAX as usize, 0, 1, isize::MAX as usize] {
        let _ = way.reaches(size) && way.arrives(size, u64::MAX, false);
        let _ = way.reaches(size) && way.arrives(size, 1, true);
    }
}
