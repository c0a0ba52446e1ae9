//! What tells the leaking requests of an endpoint from its others.

use super::leaking::Leaking;
use super::page::Page;
use super::table::cut;
use crate::escape::escaped;
use crate::report::facts::sentence;

/// Endpoints at most.
const MOST_ROWS: usize = 5;

/// Writes it, where some requests of an endpoint leak and others don't.
pub(super) fn write(page: &mut Page, leaking: &[Leaking<'_>]) {
    let told = leaking
        .iter()
        .filter_map(|of| Some((of.endpoint, of.endpoint.apart.as_ref()?)));
    let told: Vec<_> = told.take(MOST_ROWS).collect();
    if told.is_empty() {
        return;
    }
    page.blank();
    page.paragraph("", page.ink.dim, "  What goes with leaking (not: why):");
    for (endpoint, apart) in told {
        let text = match (&apart.single, &apart.pair) {
            (None, None) => "nothing that is known of its requests".to_owned(),
            (Some(tell), None) | (None, Some(tell)) => sentence(tell),
            (Some(single), Some(pair)) => format!("{}; {}", sentence(single), sentence(pair)),
        };
        let label = cut(&escaped(&endpoint.label), page.width / 3);
        let label = format!("  {label}  ");
        page.titled(&label, page.ink.strong, page.ink.strong, &text);
    }
}
