//! The facts that are looked for: their kinds, in the order in which they are told, and whether one holds for a request.

use super::row::Row;
use crate::analysis::Figure;
use crate::requests::segments;

/// A kind of fact. The first of several that are as good is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gone,
    Status,
    /// Of a folded segment of the path.
    Path(usize),
    /// Exactly so many on its connection.
    Nth,
    Hour,
    Thread,
    Figure(Figure),
}

/// All, in the order in which they are told.
const KINDS: [Kind; 9 + segments::MOST] = [
    Kind::Gone,
    Kind::Status,
    Kind::Path(0),
    Kind::Path(1),
    Kind::Path(2),
    Kind::Figure(Figure::Nth),
    Kind::Nth,
    Kind::Figure(Figure::BytesIn),
    Kind::Figure(Figure::InFlight),
    Kind::Hour,
    Kind::Thread,
    Kind::Figure(Figure::BytesOut),
];

/// The last: a request that leaks is longer, too.
const LAST: Kind = Kind::Figure(Figure::Duration);

impl Kind {
    /// Whether it may come of leaking.
    pub(super) fn may_be_caused(self) -> bool {
        matches!(self, Kind::Figure(Figure::BytesOut | Figure::Duration))
    }

    /// The value of a row, where it is one of a few; `None`: it has none that would be told.
    pub(super) fn value(self, row: &Row) -> Option<(u32, u32)> {
        match self {
            Kind::Gone => row.client_gone.then_some((0, 0)),
            Kind::Status => Some(row.status.map_or((0, 0), |status| (1, status))),
            Kind::Path(place) => Some((0, row.values[place])).filter(|value| value.1 != 0),
            Kind::Nth => (row.place > 1).then_some((0, row.place)),
            Kind::Hour => Some((0, u32::from(row.hour))),
            Kind::Thread => Some(row.thread),
            Kind::Figure(_) => None,
        }
    }
}

/// A fact, as it is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Test {
    Value(Kind, (u32, u32)),
    AtLeast(Figure, u64),
    LessThan(Figure, u64),
}

impl Test {
    pub(super) fn holds(self, row: &Row) -> bool {
        match self {
            Test::Value(kind, value) => kind.value(row) == Some(value),
            Test::AtLeast(figure, cut) => row.figure(figure).is_some_and(|value| value >= cut),
            Test::LessThan(figure, cut) => row.figure(figure).is_some_and(|value| value < cut),
        }
    }
}

pub(super) fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().chain([LAST])
}

/// The kind's place among all.
pub(super) fn order(kind: Kind) -> usize {
    let place = KINDS.iter().position(|other| *other == kind);
    place.unwrap_or(KINDS.len())
}

/// Where a figure is cut: above the first value, and not above the second.
pub(super) fn cut(figure: Figure, (below, above): (u64, u64)) -> u64 {
    match figure {
        Figure::Nth | Figure::InFlight => below + 1,
        Figure::BytesIn | Figure::BytesOut | Figure::Duration => {
            // The roundest number.
            let steps = std::iter::successors(Some(1_u64), |step| step.checked_mul(10));
            let next = steps.map(|step| (below / step).saturating_add(1).saturating_mul(step));
            let round = next.take_while(|next| *next <= above).last();
            round.unwrap_or(above)
        }
    }
}
