//! The views of a whole run: which blocks were live when most was, which were temporary, how large blocks are.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::page::Page;
use super::table::{Cell, Side, Table};
use crate::analysis::views::{SiteView, Views, class_end};
use crate::figures::{bytes, count, counted, duration, share};
use crate::report::frames::Stacks;
use crate::report::{Options, View};
use crate::sample::Amount;
use crate::sites::{SiteId, Sites};
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// Writes one of them as text.
pub fn views(
    facts: &Facts,
    (view, views): (View, &Views),
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page::new(options.width, options.color);
    let mut stacks = Stacks::new(facts, sites, symbolizer);
    match view {
        View::Leaks => {}
        View::Peak => peak(&mut page, views, &mut stacks, options),
        View::Temporary => temporary(&mut page, views, &mut stacks, options),
        View::Sizes => sizes(&mut page, views),
    }
    if facts.sample_bytes > 0 {
        page.paragraph("", page.ink.dim, "All of it is estimated from a sample.");
    }
    if views.passed.blocks > 0 && view != View::Peak {
        let text = format!(
            "Of {} that came and went only sums were written (LEAK_KEEP=lasting): they count as temporary, and by their mean \
             size.",
            counted(views.passed.blocks, "block")
        );
        page.paragraph("", page.ink.dim, &text);
    }
    out.write_all(page.into_text().as_bytes())
}

fn peak(page: &mut Page, views: &Views, stacks: &mut Stacks<'_, '_, '_>, options: &Options) {
    let text = format!(
        "At most {} were live, in {}, {} after the start{}.",
        bytes(views.peak.bytes),
        counted(views.peak.blocks, "block"),
        duration(views.peak_ns),
        match views.passed.blocks {
            0 => "",
            _ => ", beside what came and went (LEAK_KEEP=lasting)",
        }
    );
    page.paragraph("", page.ink.strong, &text);
    let of = views.sites.iter().map(|view| (view.site, view.at_peak));
    let of: Vec<(SiteId, Amount)> = of.filter(|(_, amount)| amount.blocks > 0).collect();
    let whole = views.peak.bytes;
    let row = |amount: Amount| {
        [
            bytes(amount.bytes),
            share(amount.bytes, whole),
            counted(amount.blocks, "block"),
        ]
    };
    table(page, stacks, options, of, |amount| {
        (amount.bytes, row(amount))
    });
}

fn temporary(page: &mut Page, views: &Views, stacks: &mut Stacks<'_, '_, '_>, options: &Options) {
    let sum = |of: fn(&SiteView) -> Amount| {
        let amounts = views.sites.iter().map(of);
        amounts.fold(0, |sum, amount| sum + amount.blocks)
    };
    let (temporary, all) = (sum(|view| view.temporary), sum(|view| view.allocated));
    let text = format!(
        "{} of {} were temporary: freed by the thread's next event. ({})",
        count(temporary),
        counted(all, "block"),
        share(temporary, all)
    );
    page.paragraph("", page.ink.strong, &text);
    let of = views.sites.iter().map(|view| (view.site, view.temporary));
    let of: Vec<(SiteId, Amount)> = of.filter(|(_, amount)| amount.blocks > 0).collect();
    let made: rustc_hash::FxHashMap<SiteId, u64> = views
        .sites
        .iter()
        .map(|view| (view.site, view.allocated.blocks))
        .collect();
    let mut rows: Vec<(SiteId, Amount)> = of;
    rows.sort_by_key(|(site, amount)| (Reverse(amount.blocks), *site));
    let row = |site: SiteId, amount: Amount| {
        let made = made.get(&site).copied().unwrap_or(0);
        let part = format!("{} of its own", share(amount.blocks, made));
        [counted(amount.blocks, "block"), bytes(amount.bytes), part]
    };
    lines(page, stacks, options, &rows, row);
}

fn table(
    page: &mut Page,
    stacks: &mut Stacks<'_, '_, '_>,
    options: &Options,
    mut rows: Vec<(SiteId, Amount)>,
    cells: impl Fn(Amount) -> (u64, [String; 3]),
) {
    rows.sort_by_key(|(site, amount)| (Reverse(cells(*amount).0), *site));
    lines(page, stacks, options, &rows, |_, amount| cells(amount).1);
}

/// A line for each site, with where it is.
fn lines(
    page: &mut Page,
    stacks: &mut Stacks<'_, '_, '_>,
    options: &Options,
    rows: &[(SiteId, Amount)],
    cells: impl Fn(SiteId, Amount) -> [String; 3],
) {
    let sides = [
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
        Side::Left,
    ];
    let mut table = Table::new(3, &sides);
    for (site, amount) in rows.iter().take(options.most_sites) {
        let stack = stacks.of(*site);
        let (name, place) = match stack.lines.get(stack.head()) {
            Some(line) => (line.name.as_str(), line.short_place()),
            None => ("(no backtrace)", ""),
        };
        let mut row = cells(*site, *amount).map(Cell::new).to_vec();
        row.push(Cell::styled(name, page.ink.strong));
        row.push(Cell::new(place));
        table.row(row);
    }
    page.table(2, &table);
    if rows.len() > options.most_sites {
        let more = counted((rows.len() - options.most_sites) as u64, "more call site");
        let text = format!("… and {more}: --sites {} shows all", rows.len());
        page.paragraph("  ", page.ink.dim, &text);
    }
}

fn sizes(page: &mut Page, views: &Views) {
    let all: u64 = views
        .classes
        .iter()
        .map(|class| class.allocated.blocks)
        .sum();
    let text = format!("{} were allocated.", counted(all, "block"));
    page.paragraph("", page.ink.strong, &text);
    let sides = [Side::Right; 6];
    let mut table = Table::new(0, &sides);
    let heads = ["SIZE, UP TO", "BLOCKS", "PART", "BYTES", "LEFT", "BYTES"];
    table.row(heads.map(|head| Cell::styled(head, page.ink.dim)).to_vec());
    for (class, view) in views.classes.iter().enumerate() {
        if view.allocated.blocks == 0 {
            continue;
        }
        let size = class_end(class).map_or_else(|| "larger".to_owned(), bytes);
        let row = [
            size,
            count(view.allocated.blocks),
            share(view.allocated.blocks, all),
            bytes(view.allocated.bytes),
            count(view.left.blocks),
            bytes(view.left.bytes),
        ];
        table.row(row.map(Cell::new).to_vec());
    }
    page.table(2, &table);
    page.paragraph(
        "  ",
        page.ink.dim,
        "What realloc gave counts as new blocks. Left: live when their process had ended.",
    );
}
