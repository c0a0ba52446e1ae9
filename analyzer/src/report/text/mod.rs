//! The report for people, in the order in which it is needed: what was not seen, the result, what was seen, the
//! endpoints that leak, the call sites behind them, of which types that is, what requests hold that had not ended, what
//! happened outside requests, what is no leak after all, and how live bytes and resident memory went.

mod apart;
mod diff;
mod endpoints;
mod examples;
mod exit;
mod header;
mod labels;
mod leaking;
mod left;
mod live;
mod memory;
mod open;
mod others;
mod outlook;
mod outside;
mod page;
mod result;
mod rows;
mod site;
mod small;
mod sparkline;
mod table;
mod types;
mod undecided;
mod views;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use super::frames::Stacks;
use super::{Input, Options, warnings};
use crate::analysis::{Analysis, Endpoint, Site, Verdict};
use crate::sample::Amount;
use crate::sites::{Memory, SiteId, Sites};
use crate::symbols::Symbolizer;
use crate::trace::{Facts, Warning};
pub use diff::diff;
use page::Page;
pub(super) use result::Tone;
pub use views::views;

/// Lines before the call sites behind the endpoints that leak, unless there is more to warn of.
const SCREEN: usize = 40;

/// Writes the report as text.
pub fn text(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input::new(facts, analysis, sites, options);
    let mut stacks = Stacks::new(facts, sites, symbolizer);
    let leaking = leaking::leaking(analysis, sites);
    // The call sites first: naming functions may bring warnings, and those stand at the head.
    let (before, after) = around_endpoints(&input, &mut stacks, &leaking);
    let mut page = Page::new(options.width, options.color);
    let warnings = warnings(&input, stacks.symbolizer());
    header::write(&mut page, &input, &warnings, &leaking);
    page.append(before);
    if !analysis.requests.is_empty() {
        let lines = SCREEN.saturating_sub(page.height());
        endpoints::write(&mut page, &input, &leaking, lines);
    }
    page.append(after);
    out.write_all(page.into_text().as_bytes())
}

/// The head of the report, for another that begins with the same words. Everything is escaped as for a terminal.
pub(super) struct Head {
    /// What is cut, dropped, guessed or unseen.
    pub(super) missing: Vec<String>,
    /// The result.
    pub(super) result: Vec<(Tone, String)>,
    /// The command that matters.
    pub(super) command: Option<String>,
    /// What was seen.
    pub(super) seen: Vec<String>,
}

/// What the report begins with.
pub(super) fn head(input: &Input<'_>, warnings: &[Warning]) -> Head {
    Head {
        missing: header::missing(input, warnings),
        result: result::sentences(input, &leaking::leaking(input.analysis, input.sites)),
        command: header::main_command(input),
        seen: header::seen(input),
    }
}

/// How many of an endpoint's requests leak, with what is not known of that.
pub(super) fn leaking_requests(endpoint: &Endpoint) -> String {
    endpoints::how_many(endpoint)
}

/// What each endpoint has leaked; `None` where it does not leak.
pub(super) fn leaked_bytes(input: &Input<'_>) -> Vec<Option<u64>> {
    let analysis = input.analysis;
    let leaking = leaking::leaking(analysis, input.sites);
    let endpoints = analysis.endpoints.iter();
    let leaked = endpoints.map(|endpoint| {
        let mut leaking = leaking.iter();
        let of = leaking.find(|leaking| std::ptr::eq(leaking.endpoint, endpoint));
        of.map(|leaking| leaking.bytes)
    });
    leaked.collect()
}

/// What stands before the endpoints, and after them.
fn around_endpoints(
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    leaking: &[leaking::Leaking<'_>],
) -> (Page, Page) {
    let mut before = Page::new(input.options.width, input.options.color);
    let mut after = before.empty();
    if input.analysis.requests.is_empty() {
        live::write(&mut after, input, stacks);
        types::write_all(&mut after, input);
    } else {
        let growth = &input.analysis.growth;
        let leaked: u64 = leaking.iter().map(|leaking| leaking.bytes).sum();
        // What is larger comes first, as in the result.
        let first = !growth.is_explained() && growth.undecided_bytes() > leaked;
        if first {
            let most = match leaking.is_empty() {
                true => undecided::MOST,
                false => undecided::MOST_FIRST,
            };
            undecided::write(&mut before, input, stacks, most);
        }
        write_leaking_sites(&mut after, input, stacks);
        types::write_endpoints(&mut after, input, leaking);
        examples::write(&mut after, input, leaking);
        if !first {
            undecided::write(&mut after, input, stacks, undecided::MOST);
        }
        open::write(&mut after, input, stacks);
        outside::write(&mut after, input, stacks);
        others::write(&mut after, input, stacks);
    }
    memory::write(&mut after, input, stacks);
    outlook::write(&mut after, &input.analysis.outlook);
    (before, after)
}

/// The call sites behind the endpoints that leak.
fn write_leaking_sites(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let leaking: Vec<&Site> = input
        .analysis
        .sites
        .iter()
        .filter(|site| site.of_requests.leaks() && is_reached_by_requests(site))
        .collect();
    if leaking.is_empty() {
        return;
    }
    let counting = leaking
        .iter()
        .filter(|site| input.sites.memory(site.id) != Memory::Stack);
    let whole = counting.map(|site| site.leaked().bytes).sum();
    let (mut small, mut leaking): (Vec<&Site>, Vec<&Site>) = leaking
        .into_iter()
        .partition(|site| small::is_small(input, site.leaked().bytes));
    if leaking.is_empty() {
        std::mem::swap(&mut small, &mut leaking);
    }
    page.heading("Call sites behind them");
    for (number, site) in leaking.iter().take(input.options.most_sites).enumerate() {
        page.blank();
        site::write_leak(page, input, stacks, number + 1, site, whole);
    }
    write_more(page, leaking.len(), input.options.most_sites);
    let small = small.into_iter();
    let small: Vec<(SiteId, Verdict, Amount)> = small
        .map(|site| (site.id, site.of_requests, site.leaked()))
        .collect();
    small::write(page, stacks, &small);
}

/// Whether a request's blocks come from here, so that its endpoint's part is the place to tell it.
fn is_reached_by_requests(site: &Site) -> bool {
    site.requests > 0 || !site.labels.is_empty()
}

/// Says how many were left out.
fn write_more(page: &mut Page, all: usize, shown: usize) {
    if all > shown {
        let more = crate::figures::counted((all - shown) as u64, "more call site");
        let ink = page.ink.dim;
        page.blank();
        page.line(table::paint(
            ink,
            &format!("  … and {more}: --sites {all} shows all"),
        ));
    }
}
