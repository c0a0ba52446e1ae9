//! One call site: its figures, why it has its verdict, and the frames that matter.

use unicode_width::UnicodeWidthStr;

use super::exit::{self, Live};
use super::page::Page;
use super::table::{cut, cut_front, paint};
use super::types;
use crate::analysis::{Site, SiteLabel, SiteOpen};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, share};
use crate::report::frames::{Kind, Line, Stack, Stacks};
use crate::report::{Input, fingerprint};
use crate::sites::Memory;

/// Lines of a backtrace, at most; one of them says how many are hidden.
const MOST_LINES: usize = 12;
/// Of these, at the outer end.
const OUTER_LINES: usize = 3;
/// Endpoints that are named below a site.
const MOST_LABELS: usize = 3;
/// Columns before a frame's name.
const INDENT: usize = 6;

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
    let endpoints = &input.analysis.endpoints;
    let mut shown: Vec<String> = labels
        .iter()
        .filter(wanted)
        .filter_map(|part| {
            let endpoint = endpoints.get(part.endpoint as usize)?;
            Some(format!(
                "{} ({} of {})",
                escaped(&endpoint.label),
                count(part.requests),
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
        page.paragraph("     by:  ", page.ink.strong, &shown.join(", "));
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

/// A row of a printed backtrace.
enum Row<'s> {
    Frame(&'s Line),
    /// What the program called to get the block.
    Via(&'s Line),
    Hidden(usize),
}

fn write_stack(page: &mut Page, stack: &Stack) {
    if stack.lines.is_empty() {
        let line = format!("{}(no backtrace)", " ".repeat(INDENT));
        page.line(paint(page.ink.dim, &line));
        return;
    }
    let rows = rows(stack);
    let head = stack.lines.get(stack.head());
    let room = page.width.saturating_sub(INDENT + 2);
    let widest = |part: fn(&Line) -> &str| {
        let widths = rows.iter().map(|row| match row {
            Row::Frame(line) => part(line).width(),
            Row::Via(_) | Row::Hidden(_) => 0,
        });
        widths.max().unwrap_or(0)
    };
    // Names give way to places, but not beyond three fifths of the room.
    let places = widest(|line| &line.place) + 2;
    let most = room.saturating_sub(places).max(room * 3 / 5);
    let name_width = widest(|line| &line.name).min(most);
    for row in &rows {
        let line = row_text(page, row, head, name_width, room);
        page.line(line);
    }
}

fn row_text(
    page: &Page,
    row: &Row<'_>,
    head: Option<&Line>,
    name_width: usize,
    room: usize,
) -> String {
    let ink = page.ink;
    let indent = " ".repeat(INDENT - 2);
    match row {
        Row::Hidden(frames) => {
            let text = format!("{indent}  … {}", counted(*frames as u64, "frame"));
            paint(ink.dim, &text)
        }
        Row::Via(line) => {
            let name = cut(&line.name, room.saturating_sub(5));
            paint(ink.dim, &format!("{indent}  (by {name})"))
        }
        Row::Frame(line) => {
            // Where nothing is the program's own, the next best is shown as such.
            let own = line.kind == Kind::Own || head.is_some_and(|head| std::ptr::eq(head, *line));
            let (mark, style) = if own {
                ("> ", ink.strong)
            } else {
                ("  ", ink.dim)
            };
            let alone = line.place.is_empty();
            let name = cut(&line.name, if alone { room } else { name_width });
            let blanks = name_width.saturating_sub(name.width()) + 2;
            let place = cut_front(&line.place, room.saturating_sub(name_width + 2));
            match alone {
                true => format!("{indent}{mark}{}", paint(style, &name)),
                false => {
                    let place = paint(if own { anstyle::Style::new() } else { ink.dim }, &place);
                    let blanks = " ".repeat(blanks);
                    format!("{indent}{mark}{}{blanks}{place}", paint(style, &name))
                }
            }
        }
    }
}

/// Leading frames of the runtime become one, runs of them within become a count, and a long rest is
/// cut in its middle: from Python's stacks, only frames of installed code, and what is shown already.
fn rows(stack: &Stack) -> Vec<Row<'_>> {
    let leading = stack.leading();
    let (inner, rest) = stack.lines.split_at(leading);
    let mut rows = Vec::new();
    if let Some(called) = inner.last() {
        rows.push(Row::Via(called));
    }
    let all_runtime = stack.lines.iter().all(|line| line.kind == Kind::Runtime);
    let mut at = rest.iter().peekable();
    while let Some(line) = at.next() {
        let mut hidden = 0;
        if line.kind == Kind::Runtime && !all_runtime {
            hidden = 1;
            while at.next_if(|next| next.kind == Kind::Runtime).is_some() {
                hidden += 1;
            }
        }
        rows.push(match hidden {
            0 | 1 => Row::Frame(line),
            _ => Row::Hidden(hidden),
        });
    }
    shorten(rows, stack.is_python)
}

fn shorten(mut rows: Vec<Row<'_>>, is_python: bool) -> Vec<Row<'_>> {
    if rows.len() <= MOST_LINES {
        return rows;
    }
    let inner = MOST_LINES - OUTER_LINES - 1;
    let outer = rows.split_off(rows.len() - OUTER_LINES);
    let middle = rows.split_off(inner);
    let mut hidden = 0;
    for row in middle {
        let stays =
            is_python && row.is_own() && !rows.iter().chain(&outer).any(|of| of.shows(&row));
        match row {
            _ if stays => {
                rows.extend((hidden > 0).then_some(Row::Hidden(hidden)));
                hidden = 0;
                rows.push(row);
            }
            Row::Hidden(frames) => hidden += frames,
            Row::Frame(_) | Row::Via(_) => hidden += 1,
        }
    }
    rows.extend((hidden > 0).then_some(Row::Hidden(hidden)));
    rows.extend(outer);
    rows
}

impl Row<'_> {
    fn is_own(&self) -> bool {
        matches!(self, Row::Frame(line) if line.kind == Kind::Own)
    }

    /// Whether both are frames at the same line.
    fn shows(&self, other: &Row<'_>) -> bool {
        match (self, other) {
            (Row::Frame(line), Row::Frame(other)) => {
                (&line.name, &line.place) == (&other.name, &other.place)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of frames by name (`own...` is the program's), the innermost first: `…3` hides three.
    fn shown(names: &[&str], is_python: bool) -> Vec<String> {
        let line = |name: &&str| Line {
            name: (*name).into(),
            place: "file:1".into(),
            kind: match name.starts_with("own") {
                true => Kind::Own,
                false => Kind::Library,
            },
            is_python,
            whole: String::new(),
        };
        let stack = Stack {
            lines: names.iter().map(line).collect(),
            is_python,
        };
        let shown = rows(&stack).into_iter().map(|row| match row {
            Row::Frame(line) | Row::Via(line) => line.name.clone(),
            Row::Hidden(frames) => format!("…{frames}"),
        });
        shown.collect()
    }

    #[test]
    fn a_users_own_line_is_never_hidden() {
        let mut names = vec!["boto"; 8];
        names.extend([
            "boto",
            "own handler",
            "boto",
            "boto",
            "own view",
            "own view",
        ]);
        names.extend(["boto", "own handler", "flask", "flask", "flask"]);
        let mut expected = vec!["boto"; 8];
        expected.extend(["…1", "own handler", "…2", "own view", "…3"]);
        expected.extend(["flask", "flask", "flask"]);
        assert_eq!(shown(&names, true), expected);
        // A native program's frames are all its own.
        assert_eq!(shown(&names, false)[8], "…8");
        assert_eq!(shown(&["own"; 40], true)[8], "…29");
        assert_eq!(shown(&names[..12], true), names[..12]);
    }
}
