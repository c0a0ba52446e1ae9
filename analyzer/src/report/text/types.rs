//! What blocks are: the table that guppy's users know.

use super::exit;
use super::labels::name;
use super::leaking::Leaking;
use super::page::Page;
use super::table::{Cell, Side, Table, cut, paint};
use crate::analysis::TypeRow;
use crate::escape::escaped;
use crate::figures::{bytes, count, counted};
use crate::report::Input;

/// Rows of a table, where the user did not say.
const MOST_ROWS: usize = 5;
/// Endpoints that have a table, where the user did not say.
const MOST_ENDPOINTS: usize = 3;
/// Types that are named in a line.
const MOST_NAMES: usize = 3;

/// A table for each of the largest endpoints that leak; where the user asks for types, for each, and one of everything.
pub(super) fn write_endpoints(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let asked = input.options.types;
    let told = leaking.iter().filter(|of| tells(&of.endpoint.types));
    let told: Vec<&Leaking<'_>> = told.collect();
    let most = asked.map_or(MOST_ENDPOINTS, |_| usize::MAX);
    for of in told.iter().take(most) {
        let title = format!("What {} left behind", name(input, of.endpoint));
        write_titled(page, input, &title, &of.endpoint.types);
    }
    if told.len() > most {
        let more = counted((told.len() - most) as u64, "more endpoint");
        page.blank();
        let text = format!("… and types of {more}: --types shows all");
        page.paragraph("  ", page.ink.dim, &text);
    }
    if asked.is_some() {
        write_all(page, input);
    }
}

/// The table of all blocks.
pub(super) fn write_all(page: &mut Page, input: &Input<'_>) {
    let title = match input.analysis.requests.is_empty() {
        true => format!("What is live {}", exit::moment(input)),
        false => format!(
            "What all call sites left behind, or hold {}",
            exit::moment(input)
        ),
    };
    write_titled(page, input, &title, &input.analysis.types);
}

/// What a call site's blocks are, in a line; where the user asks for types, as a table.
pub(super) fn write_site(page: &mut Page, input: &Input<'_>, rows: &[TypeRow]) {
    write_of(page, input, rows, "");
}

/// The same of a site that is shown for `shown` blocks, of what is live there.
pub(super) fn write_grown(page: &mut Page, input: &Input<'_>, rows: &[TypeRow], shown: u64) {
    let all: u64 = rows.iter().map(|row| row.blocks).sum();
    let of = match all > shown {
        true => format!("of all {} that were live: ", count(all)),
        false => String::new(),
    };
    write_of(page, input, rows, &of);
}

fn write_of(page: &mut Page, input: &Input<'_>, rows: &[TypeRow], of: &str) {
    if !tells(rows) {
        return;
    }
    if let Some(most) = input.options.types {
        return write_table(page, rows, most);
    }
    let name = |row: &TypeRow| format!("{} {}", count(row.blocks), escaped(&row.name));
    let mut names: Vec<String> = rows.iter().take(MOST_NAMES).map(name).collect();
    if rows.len() > MOST_NAMES {
        names.push(counted((rows.len() - MOST_NAMES) as u64, "more type"));
    }
    page.paragraph(
        "     are: ",
        page.ink.strong,
        &format!("{of}{}", names.join(", ")),
    );
}

/// Whether there is anything to tell.
fn tells(rows: &[TypeRow]) -> bool {
    rows.iter().any(|row| row.name != "unknown")
}

fn write_titled(page: &mut Page, input: &Input<'_>, title: &str, rows: &[TypeRow]) {
    if tells(rows) {
        page.heading(&cut(title, page.width));
        write_table(page, rows, input.options.types.unwrap_or(MOST_ROWS));
    }
}

fn write_table(page: &mut Page, rows: &[TypeRow], most: usize) {
    use Side::{Left, Right};
    let (strong, dim) = (page.ink.strong, page.ink.dim);
    let sum = |of: fn(&TypeRow) -> u64| rows.iter().map(of).sum::<u64>();
    let (blocks, size) = (sum(|row| row.blocks), sum(|row| row.bytes));
    let sides = [Right, Right, Right, Right, Right, Right, Right, Left];
    let mut table = Table::new(sides.len() - 1, &sides);
    let heads = [
        "INDEX",
        "COUNT",
        "%",
        "SIZE",
        "%",
        "CUMULATIVE",
        "%",
        "TYPE",
    ];
    table.row(heads.map(|head| Cell::styled(head, dim)).to_vec());
    let mut cumulative = 0;
    for (index, row) in rows.iter().take(most).enumerate() {
        cumulative += row.bytes;
        table.row(vec![
            Cell::new(index.to_string()),
            Cell::new(count(row.blocks)),
            Cell::new(percent(row.blocks, blocks)),
            Cell::new(bytes(row.bytes)),
            Cell::new(percent(row.bytes, size)),
            Cell::new(bytes(cumulative)),
            Cell::new(percent(cumulative, size)),
            Cell::styled(escaped(&row.name), strong),
        ]);
    }
    page.table(2, &table);
    if rows.len() > most {
        let more = counted((rows.len() - most) as u64, "more type");
        let line = format!("  … and {more}: --types={} shows all", rows.len());
        page.line(paint(dim, &line));
    }
}

/// A share without its sign, rounded.
fn percent(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    ((part * 100 + whole / 2) / whole).to_string()
}
