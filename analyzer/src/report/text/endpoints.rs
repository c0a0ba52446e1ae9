//! The endpoints that leak, in a table, and one line for those that don't.

use super::apart;
use super::leaking::Leaking;
use super::page::Page;
use super::result::at_least;
use super::sparkline;
use super::table::{Cell, Side, Table, cut, paint};
use super::words;
use crate::analysis::{Analysis, Endpoint, StatusFigures, Verdict};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, share};
use crate::report::Input;

/// Endpoints in the table.
const MOST_ROWS: usize = 25;
/// Labels that are named in a line.
const MOST_LABELS: usize = 4;

/// Writes them.
pub(super) fn write(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let analysis = input.analysis;
    page.blank();
    if !leaking.is_empty() {
        write_table(page, input, leaking.get(..MOST_ROWS).unwrap_or(leaking));
    }
    if leaking.len() > MOST_ROWS {
        let more = counted((leaking.len() - MOST_ROWS) as u64, "more endpoint");
        page.paragraph(
            "  ",
            page.ink.dim,
            &format!("… and {more}: --format json has all"),
        );
    }
    sparkline::write(page, input, leaking);
    apart::write(page, leaking);
    write_unsure(page, analysis);
    if !leaking.is_empty() {
        let clean: Vec<&Endpoint> = with(analysis, |verdict| verdict == Verdict::Clean).collect();
        if !clean.is_empty() {
            page.blank();
            let title = match has_untold_growth(analysis) {
                true => {
                    "Not known to leak (memory that grows has no owner that could be told, below)"
                }
                false => "Clean",
            };
            page.paragraph("  ", page.ink.dim, &format!("{title}: {}", names(&clean)));
        }
    }
}

/// Whether something grows of which no label could be told to have made it: it may be any one's.
pub(super) fn has_untold_growth(analysis: &Analysis) -> bool {
    let mut sites = analysis.sites.iter();
    sites.any(|site| site.outside_verdict.leaks() && !site.whose.is_empty())
}

/// The endpoints with such a verdict.
pub(super) fn with(
    analysis: &Analysis,
    wanted: impl Fn(Verdict) -> bool,
) -> impl Iterator<Item = &Endpoint> {
    let endpoints = analysis.endpoints.iter();
    endpoints.filter(move |endpoint| wanted(endpoint.verdict))
}

/// The table; where the labels don't fit into it, each stands on a line above its figures.
fn write_table(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let whole = table(page, input, leaking, true);
    if whole.fits(2, page.width) {
        page.table(2, &whole);
        return;
    }
    let lines = table(page, input, leaking, false).lines(4, page.width);
    let labels = leaking.iter().map(|leaking| Some(leaking.endpoint));
    for (line, endpoint) in lines.iter().zip(std::iter::once(None).chain(labels)) {
        if let Some(endpoint) = endpoint {
            let label = cut(&escaped(&endpoint.label), page.width - 2);
            page.line(format!("  {}", paint(page.ink.strong, &label)));
        }
        page.line(line);
    }
}

fn table(page: &Page, input: &Input<'_>, leaking: &[Leaking<'_>], with_labels: bool) -> Table {
    use Side::{Left, Right};
    let ink = page.ink;
    let skipped = usize::from(!with_labels);
    // Where all is proved, nobody has to be told.
    let associated = leaking
        .iter()
        .any(|leaking| leaking.endpoint.associated.blocks > 0);
    let columns = if associated { 8 } else { 7 };
    let sides = [Left, Right, Right, Left, Right, Right, Left, Left];
    let mut table = Table::new(0, sides.get(skipped..columns).unwrap_or_default());
    let heads = [
        "ENDPOINT", "REQUESTS", "LEAKING", "STATUS", "EACH", "TOTAL", "VERDICT", "WHOSE",
    ];
    let heads = heads.map(|head| Cell::styled(head, ink.dim));
    table.row(heads.into_iter().take(columns).skip(skipped).collect());
    for Leaking {
        endpoint,
        bytes: sum,
    } in leaking
    {
        let each = endpoint.retained_bytes_per_leaking_request;
        let row = [
            Cell::styled(escaped(&endpoint.label), ink.strong),
            Cell::new(count(endpoint.requests)),
            Cell::new(at_least(input).to_owned() + &how_many(endpoint)),
            Cell::new(match endpoint.open_leaked.blocks {
                0 => statuses(&endpoint.statuses),
                _ => "not ended".into(),
            }),
            Cell::new(match each {
                Some(each) => bytes(each),
                None if endpoint.leaking_requests == 0 => String::new(),
                None => "?".into(),
            }),
            Cell::new(input.estimate(*sum)),
            Cell::styled(words(endpoint.verdict), ink.bad),
            Cell::styled(whose(endpoint), ink.dim),
        ];
        table.row(row.into_iter().take(columns).skip(skipped).collect());
    }
    table
}

/// How many requests leak: those that have not ended, too; `120-300` where it is not known which ones.
pub(super) fn how_many(endpoint: &Endpoint) -> String {
    match endpoint.leaking_requests_range {
        [low, high] if low < high => format!("{}-{}", count(low), count(high)),
        _ if endpoint.leaking_requests == 0 && endpoint.open_leaked.blocks > 0 => {
            count(endpoint.open_requests)
        }
        _ => count(endpoint.leaking_requests),
    }
}

/// How it is known that the memory is the endpoint's.
fn whose(endpoint: &Endpoint) -> String {
    let (all, associated) = (endpoint.retained_bytes, endpoint.associated.bytes);
    match associated {
        0 => "proved".into(),
        _ if associated >= all => "associated".into(),
        _ => format!("{} associated", share(associated, all)),
    }
}

/// Which statuses leak; `only` where others don't.
fn statuses(statuses: &[StatusFigures]) -> String {
    let leaking: Vec<&StatusFigures> = statuses
        .iter()
        .filter(|figures| figures.leaking_requests > 0)
        .collect();
    let only = leaking.len() < statuses.len() && !leaking.is_empty();
    let mut names: Vec<String> = leaking
        .iter()
        .map(|figures| {
            figures
                .status
                .map_or_else(|| "none".into(), |s| s.to_string())
        })
        .collect();
    if names == ["none"] && !only {
        return String::new();
    }
    if names.len() > 3 {
        let more = names.len() - 2;
        names.truncate(2);
        names.push(format!("+{more}"));
    }
    let before = if only { "only " } else { "" };
    format!("{before}{}", names.join(", "))
}

fn write_unsure(page: &mut Page, analysis: &Analysis) {
    let unsure: Vec<&Endpoint> =
        with(analysis, |verdict| verdict == Verdict::TooFewRequests).collect();
    if unsure.is_empty() {
        return;
    }
    let needed = analysis
        .sites
        .iter()
        .filter_map(|site| site.evidence.requests_needed);
    let needed = match needed.max() {
        Some(number) => format!(" ({} would do)", counted(number, "more request")),
        None => String::new(),
    };
    let text = format!("Too few requests to tell{needed}: {}", names(&unsure));
    page.blank();
    page.paragraph("  ", page.ink.warn, &text);
}

fn names(endpoints: &[&Endpoint]) -> String {
    let mut names: Vec<String> = endpoints
        .iter()
        .take(MOST_LABELS)
        .map(|endpoint| escaped(&endpoint.label).into_owned())
        .collect();
    if endpoints.len() > MOST_LABELS {
        names.push(format!("{} more", endpoints.len() - MOST_LABELS));
    }
    names.join(", ")
}
