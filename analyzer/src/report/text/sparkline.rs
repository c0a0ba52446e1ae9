//! How what leaking requests left came to be: a little curve for each endpoint.

use super::leaking::Leaking;
use super::page::Page;
use super::table::{Cell, Side, Table};
use crate::analysis::{Analysis, Request};
use crate::escape::escaped;
use crate::figures::{counted, duration};
use crate::report::Input;

/// Moments of a curve.
const COLUMNS: usize = 24;
/// Curves at most.
const MOST_ROWS: usize = 5;
/// So many leaking requests make a curve.
const LEAST: usize = 3;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Writes the curves of the endpoints whose leaking requests are known.
pub(super) fn write(page: &mut Page, input: &Input<'_>, leaking: &[Leaking<'_>]) {
    let Some((from, to)) = served(input.analysis) else {
        return;
    };
    let mut table = Table::new(0, &[Side::Left, Side::Left, Side::Left]);
    let mut rows = 0;
    for of in leaking.iter().take(MOST_ROWS) {
        if let Some(curve) = left(input.analysis, of, from, to) {
            let most = curve.last().copied().unwrap_or(0);
            rows += 1;
            table.row(vec![
                Cell::styled(escaped(&of.endpoint.label), page.ink.strong),
                Cell::styled(drawn(&curve), page.ink.bad),
                Cell::styled(counted(most, "block"), page.ink.dim),
            ]);
        }
    }
    if rows > 0 {
        page.blank();
        let text = format!("  Left by leaking requests, over {}:", duration(to - from));
        page.paragraph("", page.ink.dim, &text);
        page.table(2, &table);
    }
}

/// When requests were served.
fn served(analysis: &Analysis) -> Option<(u64, u64)> {
    let from = analysis
        .requests
        .iter()
        .map(|request| request.start_ns)
        .min()?;
    let to = analysis
        .requests
        .iter()
        .filter_map(|request| request.end_ns)
        .max()?;
    (to > from).then_some((from, to))
}

/// Blocks that were left at call sites that leak, up to each of the moments; `None` where too few requests are known to
/// leave any.
fn left(analysis: &Analysis, of: &Leaking<'_>, from: u64, to: u64) -> Option<Vec<u64>> {
    let is_leaking = |request: &&Request| {
        let endpoint = analysis.endpoints.get(request.endpoint as usize);
        request.leaking_blocks > 0
            && endpoint.is_some_and(|endpoint| std::ptr::eq(endpoint, of.endpoint))
    };
    let mut curve = vec![0; COLUMNS];
    let mut count = 0;
    for request in analysis.requests.iter().filter(is_leaking) {
        let end = request.end_ns.unwrap_or(to).clamp(from, to);
        let place = u128::from(end - from) * COLUMNS as u128 / (u128::from(to - from) + 1);
        curve[place as usize] += request.leaking_blocks;
        count += 1;
    }
    for at in 1..COLUMNS {
        curve[at] += curve[at - 1];
    }
    (count >= LEAST).then_some(curve)
}

fn drawn(curve: &[u64]) -> String {
    let most = curve.last().copied().unwrap_or(0).max(1);
    let level = |value: &u64| {
        let level = u128::from(*value) * (LEVELS.len() as u128 - 1) / u128::from(most);
        LEVELS[level as usize]
    };
    curve.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn a_curve_ends_at_its_highest() {
        assert_eq!(drawn(&[0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&[0, 0, 9]), "▁▁█");
        assert_eq!(drawn(&[u64::MAX]), "█");
    }
}
