//! Leaks of less than a thousandth of the growth: a line for each of the largest, and one for the others.

use super::page::Page;
use super::table::{Cell, Side, Table, paint};
use super::words;
use crate::analysis::Verdict;
use crate::figures::{bytes, counted};
use crate::report::Input;
use crate::report::frames::Stacks;
use crate::sample::Amount;
use crate::sites::SiteId;

/// A small leak is less than one in so many bytes of the growth.
const PART: u64 = 1_000;
/// Lines at most.
const MOST_LINES: usize = 3;

/// Whether so many bytes are little of what live memory grew by.
pub(super) fn is_small(input: &Input<'_>, bytes: u64) -> bool {
    bytes.saturating_mul(PART) < input.analysis.growth.bytes()
}

/// Writes them.
pub(super) fn write(
    page: &mut Page,
    stacks: &mut Stacks<'_, '_, '_>,
    sites: &[(SiteId, Verdict, Amount)],
) {
    if sites.is_empty() {
        return;
    }
    let sides = [Side::Right, Side::Right, Side::Left, Side::Left, Side::Left];
    let mut table = Table::new(3, &sides);
    for (site, verdict, held) in sites.iter().take(MOST_LINES) {
        let stack = stacks.of(*site);
        let (name, place) = match stack.lines.get(stack.head()) {
            Some(line) => (line.name.as_str(), line.short_place()),
            None => ("(no backtrace)", ""),
        };
        table.row(vec![
            Cell::new(bytes(held.bytes)),
            Cell::styled(counted(held.blocks, "block"), page.ink.dim),
            Cell::new(words(*verdict)),
            Cell::styled(name, page.ink.strong),
            Cell::new(place),
        ]);
    }
    let mut rest = Amount::default();
    let others = sites.get(MOST_LINES..).unwrap_or_default();
    others.iter().for_each(|(_, _, held)| rest += *held);
    if !others.is_empty() {
        table.row(vec![
            Cell::styled(bytes(rest.bytes), page.ink.dim),
            Cell::styled(counted(rest.blocks, "block"), page.ink.dim),
            Cell::new(""),
            Cell::styled(
                format!("at {}", counted(others.len() as u64, "other call site")),
                page.ink.dim,
            ),
        ]);
    }
    page.blank();
    page.line(paint(
        page.ink.dim,
        "  Less than a thousandth of the growth each:",
    ));
    page.table(4, &table);
}
