//! A trace without requests: what is live at the end, or was before the tear-down, by call site, the runtime's own
//! and what Python's imports made set apart.

use std::cmp::Reverse;

use super::exit::{self, Live};
use super::page::Page;
use super::table::paint;
use super::{site, write_more};
use crate::analysis::{Site, Totals};
use crate::figures::{bytes, counted};
use crate::report::Input;
use crate::report::frames::Stacks;
use crate::sample::Amount;
use crate::sites::Memory;

/// Writes it.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let totals = &input.analysis.totals;
    let whole = totals.before_exit.unwrap_or_default().live;
    let at_end = Amount {
        blocks: totals.live_blocks,
        bytes: totals.live_bytes,
    };
    let whole = Live::shown(whole, at_end, input).shown.bytes;
    let mut live: Vec<&Site> = input.analysis.sites.iter().collect();
    live.retain(|site| Live::of(site, input).any());
    live.sort_by_key(|site| {
        // Most of a stack is never touched: its size says little.
        let is_stack = input.sites.memory(site.id) == Memory::Stack;
        (is_stack, Reverse(Live::of(site, input).most_bytes()))
    });
    let (runtime, own): (Vec<&Site>, Vec<&Site>) = live
        .into_iter()
        .partition(|site| stacks.are_runtimes_own(site.id));
    // What imports made was there before anything was served.
    let (imports, own): (Vec<&Site>, Vec<&Site>) = own
        .into_iter()
        .partition(|site| stacks.are_of_imports(site.id));
    let all: Vec<&Site> = own.iter().chain(&imports).copied().collect();
    write_result(page, input, &all);
    for (number, site) in own.iter().take(input.options.most_sites).enumerate() {
        page.blank();
        site::write_live(
            page,
            input,
            &stacks.of(site.id),
            number + 1,
            site,
            Live::of(site, input),
            whole,
        );
    }
    write_more(page, own.len(), input.options.most_sites);
    write_imports(page, input, &imports);
    write_runtime(page, input, stacks, &runtime);
}

fn write_imports(page: &mut Page, input: &Input<'_>, imports: &[&Site]) {
    let sum = sum(input, imports);
    if sum.blocks == 0 {
        return;
    }
    let text = format!(
        "Set apart: {} in {} of {} that Python's imports made",
        bytes(sum.bytes),
        counted(sum.blocks, "block"),
        counted(imports.len() as u64, "call site")
    );
    write_apart(page, &text);
}

/// What is shown of sites.
fn sum(input: &Input<'_>, sites: &[&Site]) -> Amount {
    let mut sum = Amount::default();
    let shown = sites.iter().map(|site| Live::of(site, input).shown);
    shown.for_each(|shown| sum += shown);
    sum
}

fn write_apart(page: &mut Page, text: &str) {
    page.blank();
    for line in super::table::wrapped(text, page.width) {
        page.line(paint(page.ink.dim, &line));
    }
}

fn write_result(page: &mut Page, input: &Input<'_>, own: &[&Site]) {
    let totals = &input.analysis.totals;
    let allocated = || own.iter().filter(|site| !site::is_apart(input, site));
    let blocks: u64 = allocated().map(|site| site.live_blocks).sum();
    let sum: u64 = allocated().map(|site| site.live_bytes).sum();
    let followed = format!(
        "{} and {} followed, {} live at most",
        counted(totals.allocations, "allocation"),
        counted(totals.frees, "free"),
        bytes(totals.peak_live_bytes)
    );
    page.blank();
    let (style, text) = match blocks {
        0 if totals.live_blocks == 0 => (page.ink.good, "Nothing is live at the end".to_owned()),
        0 => (
            page.ink.good,
            "Nothing is live at the end but the runtime's own".to_owned(),
        ),
        _ => (
            page.ink.bad,
            format!(
                "{} in {} live at the end",
                bytes(sum),
                counted(blocks, "block")
            ),
        ),
    };
    page.paragraph("", style, &format!("{text}: {followed}."));
    if let Some(text) = apart(totals) {
        page.paragraph("  ", page.ink.dim, &text);
    }
    exit::write(page, input);
    page.paragraph(
        "  ",
        page.ink.dim,
        "No requests were seen. They are seen on connections that the program accepts, and between \
         marks (leak.h).",
    );
}

/// What is mapped besides.
fn apart(totals: &Totals) -> Option<String> {
    let of = |amount: Amount, what: &str| {
        let text = format!(
            "{} in {}",
            bytes(amount.bytes),
            counted(amount.blocks, what)
        );
        (amount.blocks > 0).then_some(text)
    };
    let parts = [
        of(totals.mapped, "mapping"),
        of(totals.mapped_files, "mapped file"),
        of(totals.stacks, "thread stack"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("Mapped besides at the end: {}.", parts.join(", ")))
}

fn write_runtime(
    page: &mut Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    runtime: &[&Site],
) {
    let sum = sum(input, runtime);
    if sum.blocks == 0 {
        return;
    }
    let mut names: Vec<String> = runtime
        .iter()
        .filter_map(|site| stacks.of(site.id).asked_for())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(4);
    let text = format!(
        "Set apart: {} in {} that the runtime keeps for itself ({})",
        bytes(sum.bytes),
        counted(sum.blocks, "block"),
        names.join(", ")
    );
    write_apart(page, &text);
}
