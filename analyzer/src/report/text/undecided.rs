//! What can't be told yet, the largest in full: two failing requests may be all that there is to find.

use super::page::Page;
use super::{site, write_more};
use crate::analysis::{Site, Verdict};
use crate::report::Input;
use crate::report::frames::Stacks;

/// Sites that are shown.
const MOST: usize = 3;
/// A site that holds less is told in a line, elsewhere.
const LITTLE: u64 = 64 << 10;

/// Writes them, where they hold enough.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let mut sites: Vec<(&Site, u64)> = input.analysis.sites.iter().filter_map(undecided).collect();
    sites.sort_by_key(|(site, bytes)| (std::cmp::Reverse(*bytes), site.id));
    if sites.is_empty() {
        return;
    }
    page.heading("Can't be told yet");
    for (number, (site, _)) in sites.iter().take(MOST).enumerate() {
        page.blank();
        site::write_undecided(page, input, stacks, number + 1, site);
    }
    write_more(page, sites.len(), MOST);
}

/// A site with blocks of which nothing is known yet, and how much those are.
fn undecided(site: &Site) -> Option<(&Site, u64)> {
    let requests = match site.verdict {
        Verdict::TooFewRequests => site.retained_bytes,
        _ => 0,
    };
    let outside = match site.outside_verdict {
        Verdict::TooFewRequests => site.outside_bytes,
        _ => 0,
    };
    (requests + outside >= LITTLE).then_some((site, requests + outside))
}
