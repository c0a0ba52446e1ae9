//! One call site: its figures, why it has its verdict, and the frames that matter.

mod stack;

use unicode_width::UnicodeWidthStr;

use super::exit::{self, Live};
use super::labels::name_at;
use super::page::Page;
use super::table::paint;
use super::types;
use crate::analysis::{Site, SiteLabel, SiteOpen};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, share};
use crate::report::frames::{Stack, Stacks};
use crate::report::{Input, fingerprint};
use crate::sites::Memory;
use stack::{INDENT, write_stack};

/// Endpoints that are named below a site.
const MOST_LABELS: usize = 3;
/// A site that leaks, of all that leak `whole` bytes.
pub(super) fn write_leak(
    page: &mut Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    number: usize,
    site: &Site,
    whole: u64,
) {
    let ink = page.ink;
    let leaked = site.leaked();
    // The rest is bounded, or the part of requests that don't leak.
    let of = match site.retained_bytes - leaked.bytes {
        0 => String::new(),
        _ => format!(" of {}", input.estimate(site.retained_bytes)),
    };
    let part = match input.sites.memory(site.id) {
        Memory::Stack => String::new(),
        _ => format!(", {} of what leaks", share(leaked.bytes, whole)),
    };
    let figures = format!(
        "{}{of} retained, {}{part}",
        input.estimate(leaked.bytes),
        blocks(input, site, leaked.blocks, leaked.bytes),
    );
    let first = format!("{number:3}  {}  ", site.of_requests.name());
    page.titled(&first, ink.bad, ink.strong, &figures);
    let told = site.labels.iter().any(|part| part.leaked.blocks > 0);
    write_labels(page, input, &site.labels, |part| match told {
        true => part.leaked.blocks > 0,
        false => part.retained.blocks > 0,
    });
    write_mapped(page, input, site);
    types::write_site(page, input, &site.types);
    write_evidence(page, &site.evidence.text);
    if site.associated.blocks > 0 {
        page.paragraph("     whose: ", page.ink.dim, &escaped(&site.whose));
    }
    write_stack(page, &stacks.of(site.id));
    write_fingerprint(page, input, site);
}

/// What is to be known of mappings and stacks.
fn write_mapped(page: &mut Page, input: &Input<'_>, site: &Site) {
    let mut say = |text: &str| page.paragraph("     note: ", page.ink.dim, text);
    if input.sites.memory(site.id) == Memory::Stack {
        say(
            "the size is what is mapped; most of a stack is never touched, and it is in no endpoint's sum",
        );
    }
    if site.unjoined_threads > 0 {
        say(&format!(
            "{} ended and nobody joined or detached them: pthread_join, or pthread_detach, gives their stacks back",
            counted(site.unjoined_threads, "thread")
        ));
    }
    if site.discarded_bytes > 0 {
        say(&format!(
            "up to {} of it were given up (madvise) and are mapped yet",
            bytes(site.discarded_bytes)
        ));
    }
}

/// A site of which can't be told yet whether it leaks.
pub(super) fn write_undecided(
    page: &mut Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    number: usize,
    site: &Site,
) {
    let ink = page.ink;
    let (blocks_held, bytes_held) = match site.retained_blocks {
        0 => (site.outside_grown.blocks, site.outside_grown.bytes),
        retained => (retained, site.retained_bytes),
    };
    let figures = format!(
        "{} held, {}",
        input.estimate(bytes_held),
        blocks(input, site, blocks_held, bytes_held)
    );
    page.titled(&format!("{number:3}  "), ink.warn, ink.strong, &figures);
    write_labels(page, input, &site.labels, |part| part.retained.blocks > 0);
    types::write_grown(page, input, &site.types, blocks_held);
    write_evidence(page, &site.evidence.text);
    write_stack(page, &stacks.of(site.id));
    write_fingerprint(page, input, site);
}

/// A site that is shown for what is live of it, of `whole` bytes.
pub(super) fn write_live(
    page: &mut Page,
    input: &Input<'_>,
    stack: &Stack,
    number: usize,
    site: &Site,
    live: Live,
    whole: u64,
) {
    let ink = page.ink;
    let (shown, at_end) = (live.shown, live.at_end);
    let mut figures = match (shown.blocks, at_end.blocks) {
        (0, 0) => "grew while requests were served; all freed after that".to_owned(),
        (0, left) => format!(
            "{} live at the end, {}, made by the tear-down",
            input.estimate(at_end.bytes),
            blocks(input, site, left, at_end.bytes)
        ),
        _ => {
            let part = match is_apart(input, site) {
                true => String::new(),
                false => format!(", {} of all", share(shown.bytes, whole)),
            };
            format!(
                "{} live {}, {}{part}",
                input.estimate(shown.bytes),
                exit::moment(input),
                blocks(input, site, shown.blocks, shown.bytes),
            )
        }
    };
    if shown.blocks > at_end.blocks {
        figures += &match at_end.blocks {
            0 => "; freed by the tear-down".to_owned(),
            left => format!("; {} at the end", counted(left, noun(input, site))),
        };
    }
    let first = match site.outside_verdict.leaks() {
        true => format!("{number:3}  {}  ", site.outside_verdict.name()),
        false => format!("{number:3}  "),
    };
    page.titled(&first, ink.bad, ink.strong, &figures);
    if site.outside_verdict.leaks() {
        write_evidence(page, &site.outside_text);
    }
    write_mapped(page, input, site);
    types::write_site(page, input, &site.types);
    write_stack(page, stack);
    write_fingerprint(page, input, site);
}

/// A site at which requests that have not ended hold ever more, of `whole` bytes that they hold.
pub(super) fn write_open(
    page: &mut Page,
    input: &Input<'_>,
    stack: &Stack,
    number: usize,
    (site, open): (&Site, &SiteOpen),
    whole: u64,
) {
    let live = open.live;
    let figures = format!(
        "{} held, {}, {} of it",
        input.estimate(live.bytes),
        blocks(input, site, live.blocks, live.bytes),
        share(live.bytes, whole)
    );
    let first = format!("{number:3}  {}  ", open.verdict.name());
    page.titled(&first, page.ink.bad, page.ink.strong, &figures);
    write_evidence(page, &open.text);
    if site.labels.is_empty() {
        types::write_site(page, input, &site.types);
    }
    write_stack(page, stack);
    write_fingerprint(page, input, site);
}

/// What a block of the site is called.
pub(super) fn noun(input: &Input<'_>, site: &Site) -> &'static str {
    match input.sites.memory(site.id) {
        Memory::Malloc | Memory::Python => "block",
        Memory::Mapped | Memory::Arena => "mapping",
        Memory::File => "mapped file",
        Memory::Stack => "thread stack",
    }
}

/// Whether its blocks are no allocator's, and in none of their sums.
pub(super) fn is_apart(input: &Input<'_>, site: &Site) -> bool {
    input.sites.memory(site.id).apart().is_some()
}

/// `1,000 blocks of 16.0 KiB`, `about` where they differ; of mappings, what was mapped.
fn blocks(input: &Input<'_>, site: &Site, blocks: u64, sum: u64) -> String {
    let block = noun(input, site);
    let Some(each) = sum.checked_div(blocks) else {
        return counted(blocks, block);
    };
    let about = if sum.is_multiple_of(blocks) {
        ""
    } else {
        "about "
    };
    match blocks {
        1 => format!("1 {block}"),
        _ => format!("{} of {about}{}", counted(blocks, block), bytes(each)),
    }
}

fn write_labels(
    page: &mut Page,
    input: &Input<'_>,
    labels: &[SiteLabel],
    wanted: impl Fn(&&SiteLabel) -> bool,
) {
    const FIRST: &str = "     by:  ";
    let endpoints = &input.analysis.endpoints;
    let mut shown: Vec<String> = labels
        .iter()
        .filter(wanted)
        .filter_map(|part| {
            let endpoint = endpoints.get(part.endpoint as usize)?;
            // Whole where it fits on a line: elsewhere it may be cut.
            let whole = escaped(&endpoint.label);
            let label = match whole.width() + FIRST.len() <= page.width {
                true => whole.as_ref(),
                false => name_at(input, part.endpoint as usize),
            };
            // Of which requests the others are is not known, nor which keep what is not in a sample.
            let number = match part.told_requests {
                all if all == part.requests && input.facts.sample_bytes == 0 => count(all),
                0 => "some".to_owned(),
                told => format!("{} or more", count(told)),
            };
            Some(format!(
                "{label} ({number} of {})",
                counted(endpoint.requests, "request")
            ))
        })
        .collect();
    if shown.len() > MOST_LABELS {
        let more = shown.len() - MOST_LABELS;
        shown.truncate(MOST_LABELS);
        shown.push(format!("{more} more"));
    }
    if !shown.is_empty() {
        page.paragraph(FIRST, page.ink.strong, &shown.join(", "));
    }
}

fn write_evidence(page: &mut Page, text: &str) {
    if !text.is_empty() {
        page.paragraph("     why: ", page.ink.dim, &escaped(text));
    }
}

fn write_fingerprint(page: &mut Page, input: &Input<'_>, site: &Site) {
    let line = format!(
        "{}site {}",
        " ".repeat(INDENT),
        fingerprint(input.sites, site.id)
    );
    page.line(paint(page.ink.dim, &line));
}
