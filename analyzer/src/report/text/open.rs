//! What requests hold that had not ended: streams, connections of a protocol without answers, or what was in flight
//! when the process ended.

use std::cmp::Reverse;

use super::labels::name;
use super::page::Page;
use super::table::{Cell, Side, Table};
use super::{site, write_more};
use crate::analysis::{Endpoint, Site, SiteOpen, Verdict};
use crate::figures::{bytes, counted};
use crate::report::Input;
use crate::report::frames::Stacks;

/// Endpoints in the table.
const MOST_ROWS: usize = 8;
/// So much in all is worth a section.
const LITTLE: u64 = 4096;

/// Writes it, where they hold something.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let mut endpoints: Vec<&Endpoint> = input.analysis.endpoints.iter().collect();
    endpoints.retain(|endpoint| endpoint.open.blocks > 0);
    let whole: u64 = endpoints.iter().map(|endpoint| endpoint.open.bytes).sum();
    let mut growing: Vec<(&Site, &SiteOpen)> = input
        .analysis
        .sites
        .iter()
        .flat_map(|site| site.open.iter().map(move |open| (site, open)))
        .filter(|(_, open)| open.verdict.leaks())
        .collect();
    if whole < LITTLE && growing.is_empty() {
        return;
    }
    endpoints.sort_by_key(|endpoint| Reverse(endpoint.open.bytes));
    page.heading("Held by requests that had not ended");
    let mut table = Table::new(3, &[Side::Right, Side::Right, Side::Left, Side::Left]);
    let most = input.options.most_endpoints.unwrap_or(MOST_ROWS);
    for endpoint in endpoints.iter().take(most) {
        table.row(vec![
            Cell::new(bytes(endpoint.open.bytes)),
            Cell::styled(counted(endpoint.open_requests, "request"), page.ink.dim),
            Cell::styled(name(input, endpoint), page.ink.strong),
            Cell::new(what(input, endpoint)),
        ]);
    }
    page.table(4, &table);
    if endpoints.len() > most {
        let all = endpoints.len();
        let more = counted((all - most) as u64, "more endpoint");
        let text = format!("… and {more}: --endpoints {all} shows all");
        page.paragraph("    ", page.ink.dim, &text);
    }
    growing.sort_by_key(|(site, open)| (Reverse(open.live.bytes), site.id));
    for (number, (site, open)) in growing.iter().take(input.options.most_sites).enumerate() {
        page.blank();
        let stack = stacks.of(site.id);
        site::write_open(page, input, &stack, number + 1, (site, open), whole);
    }
    write_more(page, growing.len(), input.options.most_sites);
}

/// What is to be thought of what the endpoint's hold.
fn what(input: &Input<'_>, endpoint: &Endpoint) -> &'static str {
    let sites = input.analysis.sites.iter().flat_map(|site| &site.open);
    let own = sites.filter(|open| {
        let of = input.analysis.endpoints.get(open.endpoint as usize);
        of.is_some_and(|of| std::ptr::eq(of, endpoint))
    });
    let mut worst = own.map(|open| open.verdict).collect::<Vec<Verdict>>();
    worst.sort_unstable();
    match worst.first() {
        Some(verdict) if verdict.leaks() => "ever more",
        Some(Verdict::TooFewRequests) => "whether ever more can't be told",
        _ => "not ever more",
    }
}
