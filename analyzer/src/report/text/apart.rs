//! What tells the leaking requests of an endpoint from its others.

use super::leaking::Leaking;
use super::page::Page;
use super::table::cut;
use crate::analysis::Endpoint;
use crate::escape::escaped;
use crate::figures::counted;
use crate::report::facts::sentence;

/// Endpoints at most.
const MOST_ROWS: usize = 5;

/// Writes it, where some requests of an endpoint leak and others don't.
pub(super) fn write(page: &mut Page, leaking: &[Leaking<'_>]) {
    let told = leaking.iter().map(|of| of.endpoint);
    let told = told.filter_map(|endpoint| Some((endpoint, text(endpoint)?)));
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        return;
    }
    page.blank();
    page.paragraph("", page.ink.dim, "  What goes with leaking (not: why):");
    for (endpoint, text) in told.iter().take(MOST_ROWS) {
        let label = cut(&escaped(&endpoint.label), page.width / 3);
        let label = format!("  {label}  ");
        page.titled(&label, page.ink.strong, page.ink.strong, &escaped(text));
    }
    if let Some(more) = told.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        let more = counted(more as u64, "more endpoint");
        let text = format!("… and {more}: --format json has all, in apart");
        page.paragraph("  ", page.ink.dim, &text);
    }
}

/// What is to be said of an endpoint, if anything is.
fn text(endpoint: &Endpoint) -> Option<String> {
    let Some(apart) = &endpoint.apart else {
        let text = match endpoint.hidden {
            None => "not told: which requests leak is not proved",
            Some(_) => "not told: a sample knows but some of the requests that leak",
        };
        return endpoint.apart_unproved.then(|| text.to_owned());
    };
    let tells = apart.single.iter().chain(&apart.pair);
    let told: Vec<String> = tells.map(sentence).collect();
    Some(match told.is_empty() {
        true => "nothing that is known of its requests".to_owned(),
        false => told.join("; "),
    })
}
