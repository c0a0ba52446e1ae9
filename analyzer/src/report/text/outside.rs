//! What happened outside requests: what grows in full, the rest in a line each.

use super::exit::{self, Live};
use super::page::Page;
use super::table::{Cell, Side, Table, paint};
use super::{is_reached_by_requests, site, small, write_more};
use crate::analysis::{Site, Verdict};
use crate::figures::{bytes, counted};
use crate::report::Input;
use crate::report::frames::Stacks;
use crate::sample::Amount;
use crate::sites::SiteId;

/// Sites that don't grow, in a line each, at most.
const MOST_LINES: usize = 3;

/// Writes it.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let outside = &input.analysis.totals.outside;
    let at_end = Amount {
        blocks: outside.live_blocks,
        bytes: outside.live_bytes,
    };
    let whole = Live::shown(outside.before_exit, at_end, input);
    let is_shown = |site: &&Site| {
        Live::outside(site, input).any()
            || site.outside_verdict.leaks()
            || !is_reached_by_requests(site)
    };
    let sites: Vec<&Site> = input.analysis.sites.iter().filter(is_shown).collect();
    let is_mapped = |site: &&Site| site::is_apart(input, site) && Live::outside(site, input).any();
    if outside.allocations == 0 && !whole.any() && !sites.iter().any(is_mapped) {
        return;
    }
    write_head(page, input, whole);
    let grows = |site: &&Site| site.outside_verdict.leaks();
    let (growing, mut still): (Vec<&Site>, Vec<&Site>) = sites.into_iter().partition(grows);
    let held = |site: &Site| Live::outside(site, input).shown;
    let (little, growing): (Vec<&Site>, Vec<&Site>) = growing
        .into_iter()
        .partition(|site| small::is_small(input, held(site).bytes));
    for (number, site) in growing.iter().take(input.options.most_sites).enumerate() {
        let stack = stacks.of(site.id);
        page.blank();
        site::write_live(
            page,
            input,
            &stack,
            number + 1,
            site,
            Live::outside(site, input),
            whole.shown.bytes,
        );
    }
    write_more(page, growing.len(), input.options.most_sites);
    let little: Vec<(SiteId, Verdict, Amount)> = little
        .into_iter()
        .map(|site| (site.id, site.outside_verdict, held(site)))
        .collect();
    small::write(page, stacks, &little);
    still.sort_by_key(|site| std::cmp::Reverse(Live::outside(site, input).shown.bytes));
    if !growing.is_empty() || !little.is_empty() {
        page.blank();
    }
    let (early, still): (Vec<&Site>, Vec<&Site>) = still
        .into_iter()
        .partition(|site| site.outside_verdict == Verdict::TooFewRequests);
    write_still(page, input, stacks, &early, "Too early to tell:");
    write_still(page, input, stacks, &still, "Not growing:");
}

/// How much was allocated there, and what of that lives.
fn write_head(page: &mut Page, input: &Input<'_>, whole: Live) {
    page.heading("Outside requests");
    let allocations = counted(input.analysis.totals.outside.allocations, "allocation");
    let moment = exit::moment(input);
    let text = match whole.shown.blocks {
        0 => format!("{allocations}, none of them live {moment}"),
        blocks => format!(
            "{allocations}, of them {} with {} live {moment}",
            counted(blocks, "block"),
            bytes(whole.shown.bytes)
        ),
    };
    page.paragraph("  ", page.ink.dim, &text);
    exit::write(page, input);
}

fn write_still(
    page: &mut Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    sites: &[&Site],
    title: &str,
) {
    let mut table = Table::new(3, &[Side::Right, Side::Right, Side::Left, Side::Left]);
    let mut runtime = Amount::default();
    let mut rest = Amount::default();
    let mut shown = 0;
    for site in sites {
        let live = Live::outside(site, input).shown;
        if live.blocks == 0 {
            continue;
        }
        let sum = match stacks.are_runtimes_own(site.id) {
            true => &mut runtime,
            false if shown < MOST_LINES => {
                shown += 1;
                table.row(still_row(page, input, stacks, (site, live)));
                continue;
            }
            // In no sum of blocks.
            false if site::is_apart(input, site) => continue,
            false => &mut rest,
        };
        *sum += live;
    }
    for (sum, whose) in [(rest, "from elsewhere"), (runtime, "the runtime's own")] {
        if sum.blocks > 0 {
            table.row(vec![
                Cell::styled(bytes(sum.bytes), page.ink.dim),
                Cell::styled(counted(sum.blocks, "block"), page.ink.dim),
                Cell::styled(whose, page.ink.dim),
            ]);
        }
    }
    if shown > 0 || runtime.blocks > 0 {
        page.line(paint(page.ink.dim, &format!("  {title}")));
    }
    page.table(4, &table);
}

fn still_row(
    page: &Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    (site, live): (&Site, Amount),
) -> Vec<Cell> {
    let stack = stacks.of(site.id);
    let (name, place) = match stack.lines.get(stack.head()) {
        Some(line) => (line.name.as_str(), line.short_place()),
        None => ("(no backtrace)", ""),
    };
    vec![
        Cell::new(bytes(live.bytes)),
        Cell::styled(counted(live.blocks, site::noun(input, site)), page.ink.dim),
        Cell::styled(name, page.ink.strong),
        Cell::new(place),
    ]
}
