//! What can't be told yet, the largest in full: two failing requests may be all that there is to find.

use std::collections::BTreeMap;

use super::page::Page;
use super::site;
use crate::analysis::{Site, TypeRow, Verdict};
use crate::figures::counted;
use crate::report::frames::Stacks;
use crate::report::{Input, MOST_SITES};

/// Sites that are shown.
pub(super) const MOST: usize = 3;
/// Those that are shown before the call sites that leak.
pub(super) const MOST_FIRST: usize = 1;
/// A site that holds less is told in a line, elsewhere.
const LITTLE: u64 = 64 << 10;

/// All that can't be told yet.
#[derive(Default)]
pub(super) struct Undecided<'r> {
    sites: Vec<(&'r Site, u64)>,
    /// Bytes by endpoint, an index.
    pub(super) by_endpoint: BTreeMap<u32, u64>,
    /// Bytes that no request is known to own.
    unowned: u64,
}

/// Takes together what is a part of the growth.
pub(super) fn all<'r>(input: &Input<'r>) -> Undecided<'r> {
    let mut all = Undecided::default();
    let sites = input.analysis.sites.iter();
    for site in sites.filter(|site| input.sites.memory(site.id).is_kept()) {
        let (of_requests, unowned) = undecided(site);
        if of_requests > 0 {
            for part in &site.labels {
                *all.by_endpoint.entry(part.endpoint).or_default() += part.retained.bytes;
            }
        }
        all.unowned += unowned;
        if of_requests + unowned >= LITTLE {
            all.sites.push((site, of_requests + unowned));
        }
    }
    all.sites
        .sort_by_key(|(site, bytes)| (std::cmp::Reverse(*bytes), site.id));
    all
}

impl Undecided<'_> {
    /// How many more requests would tell of the largest.
    pub(super) fn needed(&self) -> Option<u64> {
        let largest = self.sites.first();
        largest.and_then(|(site, _)| site.evidence.requests_needed)
    }

    /// How much.
    pub(super) fn bytes(&self) -> u64 {
        self.unowned + self.by_endpoint.values().sum::<u64>()
    }

    /// What it is, the largest first.
    pub(super) fn types(&self) -> Vec<TypeRow> {
        let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for row in self.sites.iter().flat_map(|(site, _)| &site.types) {
            let sum = sums.entry(&row.name).or_default();
            *sum = (sum.0 + row.blocks, sum.1 + row.bytes);
        }
        let row = |(name, (blocks, bytes)): (&str, (u64, u64))| TypeRow {
            name: name.to_owned(),
            blocks,
            bytes,
        };
        let mut rows: Vec<TypeRow> = sums.into_iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
        rows
    }
}

/// Writes the largest, where they hold enough: at most `most`, unless the user asks for more.
pub(super) fn write(
    page: &mut Page,
    input: &Input<'_>,
    stacks: &mut Stacks<'_, '_, '_>,
    most: usize,
) {
    let sites = all(input).sites;
    if sites.is_empty() {
        return;
    }
    page.heading("Can't be told yet");
    let asked = input.options.most_sites;
    let most = if asked > MOST_SITES { asked } else { most };
    for (number, (site, _)) in sites.iter().take(most).enumerate() {
        page.blank();
        site::write_undecided(page, input, stacks, number + 1, site);
    }
    if sites.len() > most {
        let more = counted((sites.len() - most) as u64, "more call site");
        let all = sites.len().max(MOST_SITES + 1);
        page.blank();
        let text = format!("… and {more}: --sites {all} shows all");
        page.paragraph("  ", page.ink.dim, &text);
    }
}

/// Bytes at a site of which nothing is known yet: requests' and others'.
fn undecided(site: &Site) -> (u64, u64) {
    let requests = match site.of_requests {
        Verdict::TooFewRequests => site.retained_bytes,
        _ => 0,
    };
    let outside = match site.outside_verdict {
        Verdict::TooFewRequests => site.outside_grown.bytes,
        _ => 0,
    };
    (requests, outside)
}
