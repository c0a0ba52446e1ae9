//! Sites whose blocks outlive their requests but are no leak, or not yet known to be one: a line each.

use super::labels::name_at;
use super::page::Page;
use super::table::{Cell, Side, Table, cut};
use super::{is_reached_by_requests, write_more};
use crate::analysis::{Site, Verdict};
use crate::figures::bytes;
use crate::report::Input;
use crate::report::frames::Stacks;

/// Columns of a label.
const MOST_LABEL: usize = 24;

/// Writes them.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let told = |site: &&Site| {
        let verdict = site.of_requests;
        !verdict.leaks() && verdict != Verdict::Clean && is_reached_by_requests(site)
    };
    let mut sites: Vec<&Site> = input.analysis.sites.iter().filter(told).collect();
    if sites.is_empty() {
        return;
    }
    sites.sort_by_key(|site| (site.of_requests, std::cmp::Reverse(held(site))));
    page.heading("Other memory that outlives its request");
    let ink = page.ink;
    let mut table = Table::new(2, &[Side::Left, Side::Right, Side::Left, Side::Left]);
    for site in sites.iter().take(input.options.most_sites) {
        let stack = stacks.of(site.id);
        let name = match stack.lines.get(stack.head()) {
            None => "(no backtrace)".into(),
            Some(line) if line.place.is_empty() => line.name.clone(),
            Some(line) => format!("{} ({})", line.name, line.short_place()),
        };
        table.row(vec![
            Cell::styled(site.of_requests.words(), ink.dim),
            Cell::new(bytes(held(site))),
            Cell::styled(name, ink.strong),
            Cell::styled(labels(input, site), ink.dim),
        ]);
    }
    page.table(2, &table);
    write_more(page, sites.len(), input.options.most_sites);
}

/// What the program goes on holding, or held for a while.
fn held(site: &Site) -> u64 {
    match site.of_requests {
        Verdict::FreedLater => site.survivor_bytes,
        _ => site.retained_bytes,
    }
}

/// The first of the endpoints that reach it, and how many others do.
fn labels(input: &Input<'_>, site: &Site) -> String {
    let mut labels = site.labels.iter();
    let first = labels
        .next()
        .map(|part| name_at(input, part.endpoint as usize));
    let first = cut(first.unwrap_or_default(), MOST_LABEL);
    match labels.count() {
        0 => first,
        more => format!("{first} +{more}"),
    }
}
