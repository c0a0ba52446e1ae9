//! The search finds what trying everything finds.

use super::super::tests::{Dice, ROW};
use super::*;

fn search(rows: &[Row]) -> Search<'_> {
    let leaking = rows.iter().filter(|row| row.leaks).count() as u64;
    let others = rows.len() as u64 - leaking;
    Search::new(rows, (leaking, others), &|_, _| None)
}

/// The best of all cuts of the figure among the rows that are `asked`, each of them tried by counting all rows; and
/// how many they are.
fn best_of_all(of: &Search<'_>, figure: Figure, asked: &[bool]) -> (f64, u64) {
    let rows = || of.rows.iter().zip(asked).filter(|(_, asked)| **asked);
    let mut cuts: Vec<u64> = rows().filter_map(|(row, _)| row.figure(figure)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let (mut best, mut tests) = (f64::INFINITY, 0);
    for cut in cuts.into_iter().skip(1) {
        for test in [Test::AtLeast(figure, cut), Test::LessThan(figure, cut)] {
            let mut with = Both::default();
            let rows = rows().filter(|(row, _)| test.holds(row));
            rows.for_each(|(row, _)| with.add(row.leaks));
            if of.testable.contains(&with.all()) {
                tests += 1;
                best = best.min(of.all.ln_chance(with));
            }
        }
    }
    (best, tests)
}

#[test]
fn the_best_cut_is_the_best_of_all() {
    let mut dice = Dice(7);
    let mut found = 0;
    for number in 0..600 {
        let (size, values) = (10 + dice.below(90), 2 + dice.below(60));
        let (share, bias) = (1 + dice.below(9), dice.below(values));
        let row = |_| {
            let value = dice.below(values);
            let is_above = (value >= bias) == (number % 2 == 0);
            Row {
                leaks: dice.below(10) < share && (is_above || dice.below(4) == 0),
                place: value as u32,
                duration_ns: value * 1_000,
                ..ROW
            }
        };
        let rows: Vec<Row> = (0..size).map(row).collect();
        let search = search(&rows);
        let asked: Vec<bool> = rows
            .iter()
            .map(|_| number % 3 > 0 || dice.below(2) == 0)
            .collect();
        for figure in [Figure::Nth, Figure::Duration] {
            let looked = search.look(Kind::Figure(figure), Some(&asked));
            let (best, tests) = best_of_all(&search, figure, &asked);
            assert_eq!(looked.tests, tests, "{rows:?}");
            if best > CHANCE.ln() {
                // Nobody is told of it.
                continue;
            }
            let first = looked.best.first().expect("a cut");
            found += 1;
            assert!((first.ln_chance - best).abs() < 1e-9, "{best}: {rows:?}");
            let held = rows.iter().zip(&asked);
            let held = held.filter(|(row, asked)| **asked && first.test.holds(row));
            let mut with = Both::default();
            held.for_each(|(row, _)| with.add(row.leaks));
            assert_eq!(first.with, with);
        }
    }
    assert!(found > 200, "{found}");
}

#[test]
fn a_cut_is_round_and_between() {
    for (between, round) in [((40_000, 5_119_300), 1_000_000), ((7, 9), 8), ((0, 1), 1)] {
        assert_eq!(cut(Figure::Duration, between), round);
    }
    assert_eq!(cut(Figure::BytesIn, (1_999, 2_150)), 2_000);
    assert_eq!(cut(Figure::Nth, (1, 9)), 2);
    assert_eq!(cut(Figure::Duration, (1, u64::MAX)), 10_u64.pow(19));
}

#[test]
fn what_is_tried_is_counted() {
    // 20 and 20, all of one kind but for their status: two values, each as good as can be.
    let row = |number: u32| Row {
        leaks: number < 20,
        status: Some(200 + number / 20),
        ..ROW
    };
    let rows: Vec<Row> = (0..40).map(row).collect();
    let apart = search(&rows).apart();
    assert_eq!(apart.tried, 2);
    assert_eq!(apart.single.map(|tell| tell.leaking_with), Some(20));
}
