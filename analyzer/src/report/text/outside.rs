//! What happened outside requests: what grows in full, the rest in a line each.

use super::page::Page;
use super::table::{Cell, Side, Table, paint};
use super::{is_reached_by_requests, site, write_more};
use crate::analysis::{Site, Verdict};
use crate::figures::{bytes, counted};
use crate::report::Input;
use crate::report::frames::Stacks;

/// Sites that don't grow, in a line each, at most.
const MOST_LINES: usize = 3;

/// Writes it.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let outside = &input.analysis.totals.outside;
    if outside.allocations == 0 && outside.live_blocks == 0 {
        return;
    }
    page.heading("Outside requests");
    let allocations = counted(outside.allocations, "allocation");
    let text = match outside.live_blocks {
        0 => format!("{allocations}, none of them live at the end"),
        blocks => format!(
            "{allocations}, of them {} with {} live at the end",
            counted(blocks, "block"),
            bytes(outside.live_bytes)
        ),
    };
    page.paragraph("  ", page.ink.dim, &text);
    let mut sites: Vec<&Site> = input.analysis.sites.iter().collect();
    sites.retain(|site| {
        site.outside_blocks > 0 || site.outside_verdict.leaks() || !is_reached_by_requests(site)
    });
    let grows = |site: &&Site| site.outside_verdict.leaks();
    let (growing, mut still): (Vec<&Site>, Vec<&Site>) = sites.into_iter().partition(grows);
    for (number, site) in growing.iter().take(input.options.most_sites).enumerate() {
        let stack = stacks.of(site.id);
        let live = (site.outside_blocks, site.outside_bytes);
        page.blank();
        site::write_live(
            page,
            input,
            &stack,
            number + 1,
            site,
            live,
            outside.live_bytes,
        );
    }
    write_more(page, growing.len(), input.options.most_sites);
    still.sort_by_key(|site| std::cmp::Reverse(site.outside_bytes));
    if !growing.is_empty() {
        page.blank();
    }
    let (early, still): (Vec<&Site>, Vec<&Site>) = still
        .into_iter()
        .partition(|site| site.outside_verdict == Verdict::TooFewRequests);
    write_still(page, stacks, &early, "Too early to tell:");
    write_still(page, stacks, &still, "Not growing:");
}

fn write_still(page: &mut Page, stacks: &mut Stacks<'_, '_, '_>, sites: &[&Site], title: &str) {
    let mut table = Table::new(3, &[Side::Right, Side::Right, Side::Left, Side::Left]);
    let mut runtime = (0, 0);
    let mut rest = (0, 0);
    let mut shown = 0;
    for site in sites.iter().filter(|site| site.outside_blocks > 0) {
        let sum = match stacks.are_runtimes_own(site.id) {
            true => &mut runtime,
            false if shown < MOST_LINES => {
                shown += 1;
                table.row(still_row(page, stacks, site));
                continue;
            }
            false => &mut rest,
        };
        sum.0 += site.outside_blocks;
        sum.1 += site.outside_bytes;
    }
    for (sum, whose) in [(rest, "from elsewhere"), (runtime, "the runtime's own")] {
        if sum.0 > 0 {
            table.row(vec![
                Cell::styled(bytes(sum.1), page.ink.dim),
                Cell::styled(counted(sum.0, "block"), page.ink.dim),
                Cell::styled(whose, page.ink.dim),
            ]);
        }
    }
    if shown > 0 || runtime.0 > 0 {
        page.line(paint(page.ink.dim, &format!("  {title}")));
    }
    page.table(4, &table);
}

fn still_row(page: &Page, stacks: &mut Stacks<'_, '_, '_>, site: &Site) -> Vec<Cell> {
    let stack = stacks.of(site.id);
    let (name, place) = match stack.lines.get(stack.head()) {
        Some(line) => (line.name.as_str(), line.short_place()),
        None => ("(no backtrace)", ""),
    };
    vec![
        Cell::new(bytes(site.outside_bytes)),
        Cell::styled(counted(site.outside_blocks, "block"), page.ink.dim),
        Cell::styled(name, page.ink.strong),
        Cell::new(place),
    ]
}
