//! Each fact with its exact figures.

use super::*;
use crate::analysis::{Fact, Figure, Octets, Tell};

/// Numbers that look random.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// A request like all others.
pub(super) const ROW: Row = Row {
    leaks: false,
    client_gone: false,
    hour: 12,
    bytes_in: Octets::UNKNOWN,
    bytes_out: Octets::UNKNOWN,
    status: Some(200),
    duration_ns: 1_000,
    place: 2,
    in_flight: 0,
    thread: (0, 7),
    values: NO_VALUES,
};

fn path(place: usize, value: u32) -> Option<String> {
    Some(format!("/{place}/{value}"))
}

fn told(rows: &[Row]) -> Apart {
    apart(rows, &path).expect("enough of both")
}

/// 100 requests, of which each fifth leaks and is what `make` makes of it.
fn fifths(make: impl Fn(u64, &mut Row)) -> Vec<Row> {
    let row = |number| {
        let mut row = Row {
            leaks: number % 5 == 0,
            ..ROW
        };
        make(number, &mut row);
        row
    };
    (0..100).map(row).collect()
}

fn facts(tell: Option<&Tell>) -> &[Fact] {
    tell.map_or(&[], |tell| &tell.facts)
}

/// The fact that is told, which all of 20 have and none of 80.
fn fact_of_all(make: impl Fn(u64, &mut Row)) -> Fact {
    let apart = told(&fifths(make));
    let single = apart.single.expect("a fact");
    let (with, of) = (single.leaking_with, single.leaking);
    assert_eq!(
        (with, of, single.others_with, single.others),
        (20, 20, 0, 80)
    );
    assert_eq!(apart.pair, None);
    single.facts[0].clone()
}

#[test]
fn each_fact_tells_them_apart() {
    fn number<T>(leaks: bool, one: T, other: T) -> T {
        if leaks { one } else { other }
    }
    let status = fact_of_all(|_, row| row.status = Some(number(row.leaks, 500, 200)));
    assert_eq!(status, Fact::Status(Some(500)));
    let unanswered = fact_of_all(|_, row| row.status = (!row.leaks).then_some(200));
    assert_eq!(unanswered, Fact::Status(None));
    // Nor is it answered; that the client is gone says more.
    let gone = fact_of_all(|_, row| {
        (row.client_gone, row.status) = (row.leaks, (!row.leaks).then_some(200));
    });
    assert_eq!(gone, Fact::ClientGone);
    let path = fact_of_all(|at, row| row.values[1] = number(row.leaks, 7, 8 + at as u32));
    assert_eq!(path, Fact::Path("/1/7".into()));
    let first = fact_of_all(|_, row| row.place = number(row.leaks, 1, 4));
    assert_eq!(first, Fact::LessThan(Figure::Nth, 2));
    let third = fact_of_all(|at, row| row.place = number(row.leaks, 3, 1 + at as u32 % 2 * 6));
    assert_eq!(third, Fact::Nth(3));
    let late = fact_of_all(|at, row| row.place = number(row.leaks, 5, 1) + at as u32 % 4);
    assert_eq!(late, Fact::AtLeast(Figure::Nth, 5));
    let read = fact_of_all(|at, row| {
        row.bytes_in = Octets::new(number(row.leaks, 4_900, 130) + at);
    });
    assert_eq!(read, Fact::AtLeast(Figure::BytesIn, 1_000));
    let written = fact_of_all(|at, row| {
        row.bytes_out = Octets::new(number(row.leaks, 100, 50_000) + at);
    });
    assert_eq!(written, Fact::LessThan(Figure::BytesOut, 10_000));
    let crowd = fact_of_all(|at, row| row.in_flight = number(row.leaks, 3, 0) + at as u32 % 3);
    assert_eq!(crowd, Fact::AtLeast(Figure::InFlight, 3));
    let long = fact_of_all(|at, row| {
        row.duration_ns = number(row.leaks, 5_119_000, 60_000) + at;
    });
    assert_eq!(long, Fact::AtLeast(Figure::Duration, 1_000_000));
    let hour = fact_of_all(|_, row| row.hour = number(row.leaks, 3, 14));
    assert_eq!(hour, Fact::Hour(3));
    let thread = fact_of_all(|at, row| row.thread.1 = number(row.leaks, 99, at as u32 % 5));
    assert_eq!(thread, Fact::Thread(0, 99));
}

/// A leak makes its request longer, and an error has an answer of its own.
#[test]
fn what_was_known_before_is_told_rather_than_what_leaking_may_cause() {
    let known = fact_of_all(|at, row| {
        row.duration_ns = if row.leaks { 9_000 } else { 2_000 } + at;
        row.bytes_out = Octets::new(if row.leaks { 900 } else { 200 });
        row.in_flight = u32::from(row.leaks);
    });
    assert_eq!(known, Fact::AtLeast(Figure::InFlight, 1));
    // One of 20 more that it gets wrong matters nothing, two do.
    for (wrong, expected) in [
        (1, Fact::AtLeast(Figure::InFlight, 1)),
        (2, Fact::AtLeast(Figure::Duration, 3_000)),
    ] {
        let rows = fifths(|at, row| {
            row.duration_ns = if row.leaks { 9_000 } else { 2_000 } + at;
            row.in_flight = u32::from(row.leaks || (1..=wrong).contains(&at));
        });
        let apart = told(&rows);
        assert_eq!(facts(apart.single.as_ref()), [expected], "{wrong}");
    }
}

#[test]
fn what_is_not_known_is_neither_more_nor_less() {
    let rows = fifths(|at, row| {
        // Known of half of them only.
        row.bytes_in = match at % 2 {
            0 => Octets::new(if row.leaks { 5_000 } else { 100 }),
            _ => Octets::UNKNOWN,
        };
    });
    let single = told(&rows).single.expect("a fact");
    assert_eq!(single.facts, [Fact::AtLeast(Figure::BytesIn, 1_000)]);
    assert_eq!((single.leaking_with, single.others_with), (10, 0));
}

#[test]
fn a_pair_tells_more_than_one() {
    let row = |number: u64| {
        let (fails, crowded) = (number.is_multiple_of(2), number % 4 < 2);
        Row {
            leaks: fails && crowded,
            status: Some(if fails { 500 } else { 200 }),
            in_flight: u32::from(crowded),
            ..ROW
        }
    };
    let apart = told(&(0..200).map(row).collect::<Vec<Row>>());
    let pair = apart.pair.expect("a pair");
    let facts = [Fact::Status(Some(500)), Fact::AtLeast(Figure::InFlight, 1)];
    assert_eq!(pair.facts, facts);
    assert_eq!((pair.leaking, pair.leaking_with), (50, 50));
    assert_eq!((pair.others, pair.others_with), (150, 0));
}

/// The cut that is best for a pair is none that is best alone.
#[test]
fn a_pair_has_a_cut_of_its_own() {
    let row = |number: u64| {
        let (fails, long) = (number.is_multiple_of(2), 1_000 + number / 2 % 100 * 10);
        Row {
            leaks: fails && long >= 1_700,
            status: Some(if fails { 500 } else { 200 }),
            duration_ns: if fails { long } else { 3_000 - long },
            ..ROW
        }
    };
    let apart = told(&(0..400).map(row).collect::<Vec<Row>>());
    let pair = apart.pair.expect("a pair");
    let facts = [
        Fact::Status(Some(500)),
        Fact::AtLeast(Figure::Duration, 1_700),
    ];
    assert_eq!(pair.facts, facts);
    assert_eq!((pair.leaking, pair.leaking_with), (60, 60));
    assert_eq!((pair.others, pair.others_with), (340, 0));
}

#[test]
fn chance_tells_nothing() {
    // A thousand endpoints whose leaks have nothing to do with anything: at most a few are told so.
    let mut dice = Dice(1);
    let mut told = 0;
    for number in 0..1_000 {
        let rows: Vec<Row> = (0..60 + number % 3 * 100)
            .map(|_| Row {
                leaks: dice.below(3) == 0,
                client_gone: dice.below(5) == 0,
                hour: dice.below(24) as u8,
                bytes_in: Octets::new(dice.below(1_000)),
                bytes_out: Octets::new(dice.below(100_000)),
                status: Some(200 + dice.below(3) as u32),
                duration_ns: dice.below(1_000_000),
                place: dice.below(4) as u32,
                in_flight: dice.below(4) as u32,
                thread: (0, dice.below(4) as u32),
                values: [0, 1, 2].map(|_| 1 + dice.below(20) as u32),
            })
            .collect();
        let apart = apart(&rows, &path);
        told += usize::from(apart.is_some_and(|of| of.single.is_some() || of.pair.is_some()));
    }
    assert!(told <= 4, "{told} of 1,000");
}

#[test]
fn too_few_tell_nothing() {
    let mut rows = vec![
        Row {
            leaks: true,
            status: Some(500),
            ..ROW
        };
        4
    ];
    rows.extend(vec![ROW; 380]);
    assert_eq!(apart(&rows, &path), None);
}
