//! All that is known of one row.

use super::state::Tab;
use crate::escape::escaped;
use crate::figures::{self, counted};
use crate::watch::standing::Grown;
use crate::watch::verdicts::{Judged, Life};
use crate::watch::view::{EndpointRow, RequestRow, SiteRow, TypeRow, View, titled};
use crate::watch::words;

/// Types and call sites that are listed of an endpoint.
const MOST_ROWS: usize = 8;
/// Columns of a bar.
const BAR: usize = 24;

/// Its title, and lines.
pub(super) fn detail(view: &View, tab: Tab, place: usize) -> Option<(String, Vec<String>)> {
    match tab {
        Tab::Endpoints => view.endpoints.get(place).map(|row| endpoint(view, row)),
        Tab::Sites => view.sites.get(place).map(site),
        Tab::Types => view.types.get(place).map(of_type),
        Tab::Requests => view.recent.get(place).map(|row| request(view, row)),
        Tab::Memory => None,
    }
}

fn grown(left: Grown) -> String {
    format!(
        "{} in {} blocks since the baseline, this time {}",
        words::bytes(left.since.bytes),
        words::count(left.since.blocks),
        words::change(left.last)
    )
}

fn endpoint(view: &View, row: &EndpointRow) -> (String, Vec<String>) {
    let name = titled(&row.label, row.status);
    let mut lines = vec![grown(row.left)];
    if !row.likely.since.is_none() {
        let likely = words::bytes(row.likely.since.bytes);
        lines.push(format!("of it {likely} likely, not proved"));
    }
    if row.requests > 0 {
        let holding = counted(row.holding, "request");
        lines.push(format!(
            "{} since; {holding} of all still hold something",
            counted(row.requests, "request")
        ));
    }
    if let Some(judged) = &row.judged {
        lines.push(format!("verdict so far: {}", judged.words()));
    }
    lines.push(String::new());
    for of_type in row.types.iter().take(MOST_ROWS) {
        lines.push(type_line(of_type));
    }
    let sites = view.sites.iter().filter(|site| site.of == name);
    for site_row in sites.take(MOST_ROWS) {
        lines.push(String::new());
        lines.extend(site(site_row).1);
    }
    (escaped(&name).into_owned(), lines)
}

fn type_line(row: &TypeRow) -> String {
    format!(
        "{:>12} {:>11}  {}",
        words::count(row.left.since.blocks),
        words::bytes(row.left.since.bytes),
        escaped(&row.name)
    )
}

fn site(row: &SiteRow) -> (String, Vec<String>) {
    let mut lines = vec![grown(row.left), format!("mostly of {}", escaped(&row.of))];
    if let Some(judged) = &row.judged {
        lines.push(format!("verdict so far: {}", judged.words()));
        if !judged.text.is_empty() {
            lines.push(judged.text.clone());
        }
    }
    lines.push(String::new());
    for (function, place) in &row.named.frames {
        lines.push(format!("  {function}  {place}"));
    }
    if let Some(judged) = &row.judged {
        lines.extend(curve(judged));
    }
    (row.named.function.clone(), lines)
}

/// How long lives what is kept.
fn curve(judged: &Judged) -> Vec<String> {
    if judged.lives.is_empty() {
        return Vec::new();
    }
    let of = |life: &Life| life.freed + life.alive;
    let most = judged.lives.iter().map(of).max().unwrap_or(0).max(1);
    let mut lines = vec![
        String::new(),
        "How long its survivors live, in requests (░ freed, █ alive):".to_owned(),
    ];
    for life in &judged.lives {
        let columns = |part: u64| (part * BAR as u64).div_ceil(most) as usize;
        let bar = "░".repeat(columns(life.freed)) + &"█".repeat(columns(life.alive));
        lines.push(format!(
            "  up to {:>9}  {bar} {} freed, {} alive",
            figures::count(life.up_to_requests),
            figures::count(life.freed),
            figures::count(life.alive)
        ));
    }
    lines
}

fn of_type(row: &TypeRow) -> (String, Vec<String>) {
    (escaped(&row.name).into_owned(), vec![grown(row.left)])
}

fn request(view: &View, row: &RequestRow) -> (String, Vec<String>) {
    let lines = vec![
        format!(
            "ended {} ago, took {}",
            figures::duration(view.at_ns.saturating_sub(row.ended_ns)),
            figures::duration(row.took_ns)
        ),
        format!(
            "left {} in {} when it ended",
            figures::bytes(row.survivors.bytes),
            counted(row.survivors.blocks, "block")
        ),
        format!(
            "holds {} in {} now",
            figures::bytes(row.holds.bytes),
            counted(row.holds.blocks, "block")
        ),
    ];
    (escaped(&titled(&row.label, row.status)).into_owned(), lines)
}
