//! A block of text for each interval: what is left over, and of that only what has changed.

use std::io::{self, Write};

use crate::escape::escaped;
use crate::figures::{self, counted, moment};
use crate::watch::standing::Grown;
use crate::watch::view::{EndpointRow, SiteRow, TypeRow, View, Whose, titled};
use crate::watch::words;

/// Rows of a table.
const MOST_ROWS: usize = 10;
/// Types that are named of an endpoint.
const MOST_TYPES: usize = 3;

/// What is the same in all blocks.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    /// The program, or the trace.
    pub(super) name: String,
    /// What is compared with.
    pub(super) since: String,
    /// When the trace began, nanoseconds since 1970.
    pub(super) started_at_ns: u64,
}

/// Prints a block.
pub(super) fn block(heading: &Heading, view: &View, out: &mut dyn Write) -> io::Result<()> {
    head(heading, view, out)?;
    let endpoints: Vec<&EndpointRow> = view
        .endpoints
        .iter()
        .filter(|row| {
            let types = row.types.iter().take(MOST_TYPES);
            let types_changed = types.map(|of| of.left).any(has_changed);
            has_changed(row.left) || has_changed(row.likely) || types_changed
        })
        .collect();
    if !endpoints.is_empty() {
        let name = "Endpoint → status";
        writeln!(
            out,
            "\n{:>9} {:>9} {:>12} {:>11} {:>11}  {name}",
            "Requests", "Holding", "Count", "Size", "This time"
        )?;
        rows(&endpoints, out, |row, out| endpoint(row, out))?;
    }
    types(view, out)?;
    let sites: Vec<&SiteRow> = view
        .sites
        .iter()
        .filter(|row| has_changed(row.left))
        .collect();
    if !sites.is_empty() {
        let name = "Call site, and whose most of it is";
        writeln!(
            out,
            "\n{:>12} {:>11} {:>11}  {name}",
            "Count", "Size", "This time"
        )?;
        rows(&sites, out, |row, out| site(row, out))?;
    }
    writeln!(out)?;
    out.flush()
}

fn has_changed(left: Grown) -> bool {
    !left.last.is_none()
}

fn rows<T>(
    all: &[T],
    out: &mut dyn Write,
    print: impl Fn(&T, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    for row in all.iter().take(MOST_ROWS) {
        print(row, out)?;
    }
    match all.len().saturating_sub(MOST_ROWS) {
        0 => Ok(()),
        more => writeln!(out, "  … and {}", counted(more as u64, "more row")),
    }
}

fn head(heading: &Heading, view: &View, out: &mut dyn Write) -> io::Result<()> {
    let at =
        moment(heading.started_at_ns.saturating_add(view.at_ns) / 1_000_000_000 * 1_000_000_000);
    let ago = figures::duration(view.at_ns.saturating_sub(view.since_ns));
    writeln!(
        out,
        "{at}  {}, since {} ({ago})",
        escaped(&heading.name),
        escaped(&heading.since)
    )?;
    let rate = view
        .rate()
        .map(|rate| format!("{} requests/s, ", words::rate(rate)));
    writeln!(
        out,
        "live {} in {} ({}, this time {}); resident {} ({}); {}{} since; {} in flight",
        figures::bytes(view.live_bytes),
        counted(view.live_blocks, "block"),
        words::bytes(view.live.since.bytes),
        words::change(view.live.last),
        figures::bytes(view.resident),
        words::bytes(view.resident_since),
        rate.unwrap_or_default(),
        counted(view.requests_since, "request"),
        figures::count(view.flying),
    )?;
    let sure = &view.sure;
    let dropped = match view.dropped {
        0 => "nothing dropped".to_owned(),
        dropped => format!(
            "{} DROPPED: figures are lower bounds",
            counted(dropped, "event")
        ),
    };
    let left = sure.proved + sure.likely;
    writeln!(
        out,
        "left over of requests {} ({} proved, {} likely); {} in no request, {} whose can't be told yet; {dropped}",
        words::bytes(left),
        words::bytes(sure.proved),
        words::bytes(sure.likely),
        words::bytes(sure.outside),
        words::bytes(sure.untold),
    )?;
    if view.sample_bytes > 0 {
        writeln!(
            out,
            "a sample, every {} on average: figures are estimates, and of the requests that hold something those count \
             that have a block in it",
            figures::bytes(view.sample_bytes)
        )?;
    }
    if let Some(judged) = view.judged_requests
        && judged < view.requests
    {
        writeln!(out, "verdicts are as of {}", counted(judged, "request"))?;
    }
    Ok(())
}

fn endpoint(row: &EndpointRow, out: &mut dyn Write) -> io::Result<()> {
    let (requests, holding) = match row.whose {
        Whose::Endpoint => (figures::count(row.requests), figures::count(row.holding)),
        Whose::Untold | Whose::Outside => ("–".to_owned(), "–".to_owned()),
    };
    let since = row.left.since;
    write!(
        out,
        "{requests:>9} {holding:>9} {:>12} {:>11} {:>11}  {}",
        words::count(since.blocks),
        words::bytes(since.bytes),
        words::change(row.left.last),
        escaped(&titled(&row.label, row.status)),
    )?;
    if let Some(judged) = &row.judged {
        write!(out, "  [{}]", escaped(&judged.words()))?;
    }
    if !row.likely.since.is_none() {
        write!(
            out,
            "  ({} of it likely)",
            words::bytes(row.likely.since.bytes)
        )?;
    }
    writeln!(out)?;
    let types = row.types.iter().take(MOST_TYPES);
    for of_type in types.filter(|of| of.left.since.is_more()) {
        let count = words::count(of_type.left.since.blocks);
        writeln!(out, "{count:>32}  {}", of_which(row, of_type))?;
    }
    Ok(())
}

/// A type of what requests left, and how many each of them.
fn of_which(row: &EndpointRow, of_type: &TypeRow) -> String {
    let blocks = of_type.left.since.blocks.max(0).unsigned_abs();
    let name = escaped(&of_type.name);
    match row.requests {
        0 => name.into_owned(),
        requests if blocks.is_multiple_of(requests) => {
            format!("{name}: {} a request", figures::count(blocks / requests))
        }
        // What is a fraction of each is not of each.
        _ => name.into_owned(),
    }
}

/// The table that guppy's users know, of all that is more than it was.
fn types(view: &View, out: &mut dyn Write) -> io::Result<()> {
    let more: Vec<&TypeRow> = view
        .types
        .iter()
        .filter(|row| row.left.since.is_more())
        .collect();
    let blocks: i64 = more.iter().map(|row| row.left.since.blocks.max(0)).sum();
    let size: i64 = more.iter().map(|row| row.left.since.bytes.max(0)).sum();
    let mut cumulative = 0;
    let mut lines: Vec<String> = Vec::new();
    for (index, row) in more.iter().enumerate() {
        let since = row.left.since;
        cumulative += since.bytes.max(0);
        if has_changed(row.left) {
            lines.push(format!(
                "{index:>6} {:>12} {:>3} {:>11} {:>3} {:>11} {:>3}  {}",
                figures::count(since.blocks.max(0).unsigned_abs()),
                words::percent(since.blocks, blocks),
                figures::bytes(since.bytes.max(0).unsigned_abs()),
                words::percent(since.bytes, size),
                figures::bytes(cumulative.unsigned_abs()),
                words::percent(cumulative, size),
                escaped(&row.name),
            ));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:>6} {:>12} {:>3} {:>11} {:>3} {:>11} {:>3}  Kind",
        "Index", "Count", "%", "Size", "%", "Cumulative", "%"
    )?;
    rows(&lines, out, |line, out| writeln!(out, "{line}"))
}

fn site(row: &SiteRow, out: &mut dyn Write) -> io::Result<()> {
    let since = row.left.since;
    let place = match row.named.place.as_str() {
        "" => String::new(),
        place => format!(" ({place})"),
    };
    writeln!(
        out,
        "{:>12} {:>11} {:>11}  {}{place}  {}",
        words::count(since.blocks),
        words::bytes(since.bytes),
        words::change(row.left.last),
        row.named.function,
        escaped(&row.of),
    )
}
