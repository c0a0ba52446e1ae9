//! The rows of each table, chosen and sorted, as cells.

use std::cmp::{Ordering, Reverse};

use ratatui::layout::Constraint;

use super::state::{Sort, State, Tab};
use crate::escape::escaped;
use crate::figures;
use crate::watch::standing::Grown;
use crate::watch::view::{EndpointRow, RequestRow, SiteRow, TypeRow, View, Whose, titled};
use crate::watch::words;

/// A table, ready to be shown.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) head: Vec<&'static str>,
    pub(super) widths: Vec<Constraint>,
    /// So many columns from the left are figures, which stand on the right.
    pub(super) figures: usize,
    pub(super) rows: Vec<Vec<String>>,
    /// Where each row is in the view's list.
    pub(super) places: Vec<usize>,
}

/// With fewer columns some figures give way to names.
const WIDE: u16 = 100;

/// The rows of the tab that is chosen, for a table so wide.
pub(super) fn rows(view: &View, state: &State, width: u16) -> Rows {
    let is_wide = width >= WIDE;
    match state.tab {
        Tab::Endpoints if is_wide => endpoints(view, state),
        Tab::Endpoints => endpoints(view, state).without(&["Holding", "Count"]),
        Tab::Sites if is_wide => sites(view, state),
        Tab::Sites => sites(view, state).without(&["Count", "Verdict"]),
        Tab::Types => types(view, state),
        Tab::Memory => Rows::default(),
        Tab::Requests => requests(view, state),
    }
}

impl Rows {
    /// The same without these columns.
    fn without(mut self, titles: &[&str]) -> Rows {
        let shown: Vec<bool> = self
            .head
            .iter()
            .map(|title| !titles.contains(title))
            .collect();
        let dropped = shown.iter().take(self.figures).filter(|shown| !**shown);
        self.figures -= dropped.count();
        keep(&mut self.head, &shown);
        keep(&mut self.widths, &shown);
        for row in &mut self.rows {
            keep(row, &shown);
        }
        self
    }
}

fn keep<T>(all: &mut Vec<T>, shown: &[bool]) {
    let mut each = shown.iter();
    all.retain(|_| each.next().is_none_or(|shown| *shown));
}

fn widths(figures: &[u16], rest: &[Constraint]) -> Vec<Constraint> {
    let figures = figures.iter().map(|width| Constraint::Length(*width));
    figures.chain(rest.iter().copied()).collect()
}

/// The places of those rows that are shown, in their order.
fn places<T>(
    all: &[T],
    state: &State,
    name: impl Fn(&T) -> String,
    left: impl Fn(&T) -> Grown,
) -> Vec<usize> {
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.retain(|place| state.shows(&name(&all[*place])));
    let compare = |one: &T, other: &T| -> Ordering {
        let (this, that) = (left(one), left(other));
        match state.sort {
            Sort::Size => Reverse(this.since.bytes).cmp(&Reverse(that.since.bytes)),
            Sort::Count => Reverse(this.since.blocks).cmp(&Reverse(that.since.blocks)),
            Sort::ThisTime => Reverse(this.last.bytes).cmp(&Reverse(that.last.bytes)),
            Sort::Name => name(one).cmp(&name(other)),
        }
    };
    places.sort_by(|one, other| compare(&all[*one], &all[*other]));
    places
}

fn endpoints(view: &View, state: &State) -> Rows {
    let name = |row: &EndpointRow| titled(&row.label, row.status);
    let places = places(&view.endpoints, state, name, |row| row.left);
    let cells = |row: &EndpointRow| {
        let of_requests = |number| match row.whose {
            Whose::Endpoint => figures::count(number),
            Whose::Untold | Whose::Outside => String::new(),
        };
        vec![
            of_requests(row.requests),
            of_requests(row.holding),
            words::count(row.left.since.blocks),
            words::bytes(row.left.since.bytes),
            words::change(row.left.last),
            escaped(&name(row)).into_owned(),
            row.judged
                .as_ref()
                .map_or_else(String::new, |of| of.short()),
        ]
    };
    Rows {
        head: vec![
            "Requests",
            "Holding",
            "Count",
            "Size",
            "This time",
            "Endpoint → status",
            "Verdict so far",
        ],
        widths: widths(
            &[8, 7, 9, 10, 10],
            &[Constraint::Fill(1), Constraint::Length(15)],
        ),
        figures: 5,
        rows: places
            .iter()
            .map(|place| cells(&view.endpoints[*place]))
            .collect(),
        places,
    }
}

fn sites(view: &View, state: &State) -> Rows {
    let name = |row: &SiteRow| format!("{} {} {}", row.named.function, row.named.place, row.of);
    let places = places(&view.sites, state, name, |row| row.left);
    let cells = |row: &SiteRow| {
        let place = row.named.place.rsplit('/').next().unwrap_or_default();
        vec![
            words::count(row.left.since.blocks),
            words::bytes(row.left.since.bytes),
            words::change(row.left.last),
            format!("{} {place}", row.named.function),
            escaped(&row.of).into_owned(),
            row.judged
                .as_ref()
                .map_or_else(String::new, |of| of.short()),
        ]
    };
    Rows {
        head: vec![
            "Count",
            "Size",
            "This time",
            "Call site",
            "Whose",
            "Verdict",
        ],
        widths: widths(
            &[9, 10, 10],
            &[
                Constraint::Fill(3),
                Constraint::Fill(3),
                Constraint::Length(15),
            ],
        ),
        figures: 3,
        rows: places
            .iter()
            .map(|place| cells(&view.sites[*place]))
            .collect(),
        places,
    }
}

fn types(view: &View, state: &State) -> Rows {
    let mut places = places(
        &view.types,
        state,
        |row: &TypeRow| row.name.clone(),
        |row| row.left,
    );
    places.retain(|place| {
        let left = view.types[*place].left;
        !left.since.is_none() || !left.last.is_none()
    });
    let sum = |of: fn(&TypeRow) -> i64| -> i64 { view.types.iter().map(of).sum() };
    let blocks = sum(|row| row.left.since.blocks.max(0));
    let size = sum(|row| row.left.since.bytes.max(0));
    let mut cumulative = 0;
    let cells = |(index, place): (usize, &usize)| {
        let row = &view.types[*place];
        let since = row.left.since;
        cumulative += since.bytes.max(0);
        vec![
            index.to_string(),
            words::count(since.blocks),
            words::percent(since.blocks, blocks),
            words::bytes(since.bytes),
            words::percent(since.bytes, size),
            figures::bytes(cumulative.unsigned_abs()),
            words::percent(cumulative, size),
            escaped(&row.name).into_owned(),
        ]
    };
    Rows {
        head: vec![
            "Index",
            "Count",
            "%",
            "Size",
            "%",
            "Cumulative",
            "%",
            "Kind",
        ],
        widths: widths(&[5, 10, 3, 10, 3, 10, 3], &[Constraint::Fill(1)]),
        figures: 7,
        rows: places.iter().enumerate().map(cells).collect(),
        places,
    }
}

fn requests(view: &View, state: &State) -> Rows {
    let name = |row: &RequestRow| titled(&row.label, row.status);
    let shown = |place: &usize| state.shows(&name(&view.recent[*place]));
    let mut places: Vec<usize> = (0..view.recent.len()).filter(shown).collect();
    match state.sort {
        // As they came.
        Sort::ThisTime => {}
        Sort::Size => places.sort_by_key(|place| Reverse(view.recent[*place].holds.bytes)),
        Sort::Count => places.sort_by_key(|place| Reverse(view.recent[*place].holds.blocks)),
        Sort::Name => places.sort_by_key(|place| name(&view.recent[*place])),
    }
    let cells = |row: &RequestRow| {
        vec![
            figures::duration(view.at_ns.saturating_sub(row.ended_ns)),
            figures::duration(row.took_ns),
            figures::bytes(row.survivors.bytes),
            figures::count(row.holds.blocks),
            figures::bytes(row.holds.bytes),
            escaped(&name(row)).into_owned(),
        ]
    };
    Rows {
        head: vec![
            "Ago",
            "Took",
            "At end",
            "Count",
            "Holds",
            "Endpoint → status",
        ],
        widths: widths(&[12, 9, 10, 9, 10], &[Constraint::Fill(1)]),
        figures: 5,
        rows: places
            .iter()
            .map(|place| cells(&view.recent[*place]))
            .collect(),
        places,
    }
}
