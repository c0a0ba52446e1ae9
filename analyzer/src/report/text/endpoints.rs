//! The endpoints that leak, in a table with their curves, and one line for those that don't.

use super::apart;
use super::labels::name;
use super::leaking::Leaking;
use super::page::Page;
use super::sparkline::Curves;
use super::table::{Cell, Side, Table, paint};
use crate::analysis::{Analysis, Endpoint, StatusFigures, Verdict};
use crate::figures::{bytes, count, counted, duration, share};
use crate::report::Input;
use crate::sample::SHOWN;

/// Endpoints in the table: as many as the first screen has room for.
const ROWS: std::ops::RangeInclusive<usize> = 3..=10;
/// Labels that are named in a line.
const MOST_LABELS: usize = 4;
/// Moments of a curve, and those of one that has less room.
const MOMENTS: [usize; 2] = [24, 12];
/// Columns of a page that has room for long curves.
const WIDE: usize = 70;

/// Writes them in about so many lines.
pub(super) fn write(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>], lines: usize) {
    page.blank();
    let mut below = page.empty();
    apart::write(&mut below, leaking);
    write_unsure(&mut below, input);
    write_clean(&mut below, input, leaking);
    if !leaking.is_empty() {
        let form = Form::of(page, input, leaking);
        // Blank lines stand between these parts.
        let room = lines.saturating_sub(below.height() + 3);
        let with = |rows| {
            let mut part = page.empty();
            form.write(&mut part, input, leaking.get(..rows).unwrap_or(leaking));
            form.write_remarks(&mut part, input, leaking, rows);
            part
        };
        let mut rows = ROWS.rev().map(with);
        let part = match input.options.most_endpoints {
            Some(most) => Some(with(most)),
            None => rows.find(|part| part.height() <= room),
        };
        page.append(part.unwrap_or_else(|| with(*ROWS.start())));
    }
    page.append(below);
}

/// How the table is laid out.
struct Form {
    curves: Option<Curves>,
    place: Place,
}

/// Where a row has its curve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At its end.
    Beside,
    /// On a line of its own.
    Below,
    /// Behind the label, which stands on a line above its figures.
    Above,
}

impl Form {
    /// The one that fits the width.
    fn of(page: &Page, input: &Input<'_>, leaking: &[Leaking<'_>]) -> Form {
        let curves = |columns| Curves::new(input.analysis, columns);
        let fits = |form: &Form| form.table(page, input, leaking).fits(2, page.width);
        for columns in MOMENTS {
            let form = Form {
                curves: curves(columns),
                place: Place::Beside,
            };
            if fits(&form) {
                return form;
            }
        }
        let [long, little] = MOMENTS;
        let form = Form {
            curves: curves(if page.width < WIDE { little } else { long }),
            place: Place::Below,
        };
        match fits(&form) {
            true => form,
            false => Form {
                place: Place::Above,
                ..form
            },
        }
    }

    fn write(&self, page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
        let ink = page.ink;
        let table = self.table(page, input, leaking);
        let indent = if self.place == Place::Above { 4 } else { 2 };
        let endpoints = leaking.iter().map(|leaking| Some(leaking.endpoint));
        let rows = std::iter::once(None).chain(endpoints);
        for (line, endpoint) in table.lines(indent, page.width).into_iter().zip(rows) {
            let curve = endpoint.map(|endpoint| (endpoint, self.curve(input, endpoint)));
            match (curve, self.place) {
                (Some((_, curve)), Place::Below) => {
                    page.line(line);
                    if !curve.is_empty() {
                        page.line(format!("    {}", paint(ink.bad, &curve)));
                    }
                }
                (Some((endpoint, curve)), Place::Above) => {
                    let label = paint(ink.strong, name(input, endpoint));
                    page.line(match curve.is_empty() {
                        true => format!("  {label}"),
                        false => format!("  {label}  {}", paint(ink.bad, &curve)),
                    });
                    page.line(line);
                }
                _ => page.line(line),
            }
        }
    }

    /// What is left out beyond so many rows, what the curves are, and what was cut.
    fn write_remarks(
        &self,
        page: &mut Page,
        input: &Input<'_>,
        leaking: &[Leaking<'_>],
        rows: usize,
    ) {
        let (shown, left) = leaking.split_at(rows.min(leaking.len()));
        if !left.is_empty() {
            let sum = left.iter().map(|leaking| leaking.bytes).sum();
            let text = format!(
                "… and {} that {}, {}: --endpoints {} shows all",
                counted(left.len() as u64, "more endpoint"),
                if left.len() == 1 { "leaks" } else { "leak" },
                input.estimate(sum),
                leaking.len()
            );
            page.paragraph("  ", page.ink.dim, &text);
        }
        let mut remarks = Vec::new();
        if let Some(curves) = &self.curves {
            let has_curve = |of: &Leaking<'_>| !self.curve(input, of.endpoint).is_empty();
            let number = shown.iter().filter(|of| has_curve(of)).count();
            let known = match number < shown.len() {
                true => ", where it is known which ones leak",
                false => "",
            };
            if number > 0 {
                let span = duration(curves.span_ns());
                remarks.push(format!(
                    "▁▄█: blocks left by leaking requests, over {span}{known}"
                ));
            }
        }
        let is_cut = |of: &Leaking<'_>| name(input, of.endpoint).contains('…');
        if shown.iter().any(is_cut) {
            remarks.push(
                "labels are cut (…): whole at their call sites and in --format json".to_owned(),
            );
        }
        if !remarks.is_empty() {
            page.paragraph("  ", page.ink.dim, &remarks.join("; "));
        }
    }

    fn curve(&self, input: &Input<'_>, endpoint: &Endpoint) -> String {
        let curves = self.curves.as_ref();
        curves.map_or_else(String::new, |curves| curves.of(input.analysis, endpoint))
    }

    fn table(&self, page: &Page, input: &Input<'_>, leaking: &[Leaking<'_>]) -> Table {
        use Side::{Left, Right};
        // Where all is proved, nobody has to be told.
        let told = |leaking: &Leaking<'_>| leaking.endpoint.associated.blocks > 0;
        let columns = [
            ("ENDPOINT", Left, self.place != Place::Above),
            ("REQUESTS", Right, true),
            ("LEAKING", Right, true),
            ("STATUS", Left, true),
            ("EACH", Right, true),
            ("TOTAL", Right, true),
            ("VERDICT", Left, true),
            ("WHOSE", Left, leaking.iter().any(told)),
            (
                "OVER TIME",
                Left,
                self.place == Place::Beside && self.curves.is_some(),
            ),
        ];
        let shown = |cells: [Cell; 9]| {
            let cells = cells.into_iter().zip(&columns);
            cells
                .filter(|(_, column)| column.2)
                .map(|(cell, _)| cell)
                .collect()
        };
        let sides = columns
            .iter()
            .filter(|column| column.2)
            .map(|column| column.1);
        let mut table = Table::new(0, &sides.collect::<Vec<Side>>());
        table.row(shown(
            columns.map(|(head, ..)| Cell::styled(head, page.ink.dim)),
        ));
        for of in leaking {
            table.row(shown(self.cells(page, input, of)));
        }
        table
    }

    fn cells(&self, page: &Page, input: &Input<'_>, of: &Leaking<'_>) -> [Cell; 9] {
        let ink = page.ink;
        let endpoint = of.endpoint;
        [
            Cell::styled(name(input, endpoint), ink.strong),
            Cell::new(count(endpoint.requests)),
            Cell::new(how_many(endpoint)),
            Cell::new(match endpoint.open_leaked.blocks {
                0 => statuses(endpoint),
                _ => "not ended".into(),
            }),
            Cell::new(match endpoint.retained_bytes_per_leaking_request {
                Some(each) => bytes(each),
                None if endpoint.leaking_requests == 0 => String::new(),
                None => "?".into(),
            }),
            Cell::new(input.estimate(of.bytes)),
            Cell::styled(verdict(endpoint), ink.bad),
            Cell::styled(whose(endpoint), ink.dim),
            Cell::styled(self.curve(input, endpoint), ink.bad),
        ]
    }
}

fn write_clean(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let analysis = input.analysis;
    let clean: Vec<&Endpoint> = with(analysis, |verdict| verdict == Verdict::Clean).collect();
    if leaking.is_empty() || clean.is_empty() {
        return;
    }
    page.blank();
    let sampled = input.facts.sample_bytes != 0;
    let title = match (has_untold_growth(analysis), analysis.memory.untold()) {
        (true, _) => "Not known to leak (memory that grows has no owner that could be told, below)"
            .to_owned(),
        (false, Some(_)) => {
            "Not known to leak (resident memory grows of which no call tells, above)".to_owned()
        }
        (false, None) if sampled => {
            format!("Clean, or leaking less than {} a request", bytes(SHOWN))
        }
        (false, None) => "Clean".to_owned(),
    };
    let text = format!("{title}: {}", names(input, &clean));
    page.paragraph("  ", page.ink.dim, &text);
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

/// How many requests leak: those that have not ended, too; `120-300` where it is not known which ones, and `≥ 120` of a
/// sample.
pub(super) fn how_many(endpoint: &Endpoint) -> String {
    match endpoint.leaking_requests_range {
        [low, _] if low > 0 && endpoint.hidden.is_some() => format!("≥ {}", count(low)),
        [low, high] if low < high => format!("{}-{}", count(low), count(high)),
        _ if endpoint.leaking_requests == 0 && endpoint.open_leaked.blocks > 0 => {
            count(endpoint.open_requests)
        }
        _ => count(endpoint.leaking_requests),
    }
}

/// The verdict, and whether it is sure.
fn verdict(endpoint: &Endpoint) -> String {
    let unsure = if is_unsure(endpoint) { ", unsure" } else { "" };
    endpoint.verdict.words().to_owned() + unsure
}

/// Whether the confidence in its leak is low.
pub(super) fn is_unsure(endpoint: &Endpoint) -> bool {
    endpoint.confidence() == Some(false)
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

/// Which statuses leak; `only` where others don't, as a sample can't tell.
fn statuses(endpoint: &Endpoint) -> String {
    let statuses = &endpoint.statuses;
    let leaking: Vec<&StatusFigures> = statuses
        .iter()
        .filter(|figures| figures.leaking_requests > 0)
        .collect();
    let only = leaking.len() < statuses.len() && !leaking.is_empty() && endpoint.hidden.is_none();
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

fn write_unsure(page: &mut Page, input: &Input<'_>) {
    let analysis = input.analysis;
    let unsure = with(analysis, |verdict| verdict == Verdict::TooFewRequests);
    let (hidden, unsure): (Vec<&Endpoint>, Vec<&Endpoint>) =
        unsure.partition(|endpoint| endpoint.is_hidden().is_some());
    write_hidden(page, input, &hidden);
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
    let text = format!(
        "Too few requests to tell{needed}: {}",
        names(input, &unsure)
    );
    page.blank();
    page.paragraph("  ", page.ink.warn, &text);
}

/// Endpoints of which nothing in the sample leaks, that have too few requests for it to tell.
fn write_hidden(page: &mut Page, input: &Input<'_>, endpoints: &[&Endpoint]) {
    if endpoints.is_empty() {
        return;
    }
    let most = input.options.most_endpoints.unwrap_or(MOST_LABELS);
    let named = |endpoint: &&Endpoint| {
        let each = endpoint.is_hidden().unwrap_or(0);
        format!("{} ({})", name(input, endpoint), bytes(each))
    };
    let text = format!(
        "Too few requests for this sample to tell; a leak of less than so much a request would not show: {}",
        listed(endpoints, most, named)
    );
    page.blank();
    page.paragraph("  ", page.ink.warn, &text);
}

fn names(input: &Input<'_>, endpoints: &[&Endpoint]) -> String {
    let most = input.options.most_endpoints.unwrap_or(MOST_LABELS);
    listed(endpoints, most, |endpoint| name(input, endpoint).to_owned())
}

fn listed(endpoints: &[&Endpoint], most: usize, named: impl Fn(&&Endpoint) -> String) -> String {
    let mut names: Vec<String> = endpoints.iter().take(most).map(named).collect();
    if endpoints.len() > most {
        let all = endpoints.len();
        names.push(format!("{} more (--endpoints {all})", all - most));
    }
    names.join(", ")
}
