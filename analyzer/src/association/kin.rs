//! Call sites that share their innermost frames, taken together: a function that is called in several ways (a future
//! polled by either of two loops, code compiled twice) leaves a part of its blocks at each. Where one of the ways is
//! rare, and nothing explains its blocks by itself, or not most of them, what explains the others explains these.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::explained::Explained;
use super::site::Observed;
use super::sizes::Size;
use crate::requests::label::LabelId;
use crate::sites::{Frame, PythonFrame, SiteId, Sites};

/// Kin share so many of their innermost frames at least: the function that allocates, and what called it.
const SHARED: usize = 2;
/// So many call sites are looked at, those with the most observations.
const MOST: usize = 200;

/// A frame of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Any {
    Native(Frame),
    Python(PythonFrame),
}

/// A call site's frames, the innermost first: Python's where there are some.
fn frames(sites: &Sites, site: SiteId) -> Vec<Any> {
    let python: Vec<Any> = sites.python_backtrace(site).map(Any::Python).collect();
    match python.is_empty() {
        true => sites.backtrace(site).map(Any::Native).collect(),
        false => python,
    }
}

/// What explains a call site's blocks, and those of one size by themselves.
pub(super) type Causes = (Explained, Vec<(Size, Explained)>);

/// Those who lend what explains them have so many times the borrower's blocks at least, ...
const TIMES: u64 = 2;
/// ... and it makes the borrower's blocks more likely by so much (as a logarithm) than the background: that the
/// function is the same speaks for it already.
pub(super) const FITS: f64 = 2.0;
/// What leaves a part of the borrower's own blocks to the background may explain them better by so much, being fitted to
/// them: about 1 for each share and size.
pub(super) const FITTED: f64 = 2.0;

/// What explains call sites together.
pub(super) struct Together {
    pub(super) members: Vec<SiteId>,
    pub(super) observed: Observed,
    pub(super) causes: Causes,
}

/// Explains `alone`, which nothing explains one by one, with the nearest kin with which
/// `explain` finds a cause.
pub(super) fn explain(
    mut alone: Vec<(SiteId, &Observed)>,
    (sites, pauses): (&Sites, &[u64]),
    explain: impl Fn(&Observed) -> Option<Causes>,
) -> Vec<Together> {
    alone.sort_by_key(|(site, observed)| (std::cmp::Reverse(observed.all.len()), *site));
    alone.truncate(MOST);
    let frames: FxHashMap<SiteId, Vec<Any>> = alone
        .iter()
        .map(|(site, _)| (*site, frames(sites, *site)))
        .collect();
    let deepest = frames.values().map(Vec::len).max().unwrap_or(0);
    let mut found: Vec<Together> = Vec::new();
    let mut size_of: FxHashMap<SiteId, usize> = FxHashMap::default();
    // From those that share most to those that share least.
    for shared in (SHARED..deepest).rev() {
        let mut kin: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut first_with: FxHashMap<&[Any], usize> = FxHashMap::default();
        for (at, (site, _)) in alone.iter().enumerate() {
            let told = found.iter().any(|group| group.members.contains(site));
            if let Some(key) = frames[site].get(..shared).filter(|_| !told) {
                let first = *first_with.entry(key).or_insert(at);
                kin.entry(first).or_default().push(at);
            }
        }
        for group in kin.into_values() {
            // Only a group that has grown can tell more.
            let largest = group
                .iter()
                .map(|at| size_of.get(&alone[*at].0).copied().unwrap_or(1));
            if group.len() <= largest.max().unwrap_or(1) {
                continue;
            }
            let members: Vec<SiteId> = group.iter().map(|at| alone[*at].0).collect();
            members.iter().for_each(|site| {
                size_of.insert(*site, members.len());
            });
            let observed = Observed::of_all(group.iter().map(|at| alone[*at].1), pauses);
            if let Some(causes) = explain(&observed) {
                found.push(Together {
                    members,
                    observed,
                    causes,
                });
            }
        }
    }
    found
}

/// Groups of these call sites, each of which share their innermost frames; those that share most come first.
pub(super) fn groups(sites: &Sites, members: &[SiteId]) -> Vec<Vec<SiteId>> {
    let all: Vec<(SiteId, Vec<Any>)> = members
        .iter()
        .take(MOST)
        .map(|site| (*site, frames(sites, *site)))
        .collect();
    let deepest = all.iter().map(|(_, frames)| frames.len()).max();
    let mut groups: Vec<Vec<SiteId>> = Vec::new();
    for shared in (SHARED..deepest.unwrap_or(0)).rev() {
        let mut kin: BTreeMap<usize, Vec<SiteId>> = BTreeMap::new();
        let mut first_with: FxHashMap<&[Any], usize> = FxHashMap::default();
        for (at, (site, frames)) in all.iter().enumerate() {
            if let Some(key) = frames.get(..shared) {
                let first = *first_with.entry(key).or_insert(at);
                kin.entry(first).or_default().push(*site);
            }
        }
        let several = kin.into_values().filter(|group| group.len() > 1);
        for group in several {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups
}

/// A call site that is explained, and may lend what explains it.
pub(super) struct Lender<'o> {
    pub(super) observed: &'o Observed,
    pub(super) causes: &'o Causes,
    site: SiteId,
    labels: Vec<LabelId>,
    blocks: u64,
    frames: Vec<Any>,
}

impl<'o> Lender<'o> {
    pub(super) fn new(
        site: SiteId,
        observed: &'o Observed,
        (causes, labels): (&'o Causes, Vec<LabelId>),
        sites: &Sites,
    ) -> Lender<'o> {
        Lender {
            observed,
            causes,
            site,
            labels,
            blocks: observed.blocks(),
            frames: frames(sites, site),
        }
    }

    /// How many innermost frames it shares with another.
    fn shared(&self, other: &[Any]) -> usize {
        let both = self.frames.iter().zip(other);
        both.take_while(|(one, other)| one == other).count()
    }
}

/// Whose causes may be those of `site`, too: of those that share most innermost frames with it, the one with most
/// blocks, where all these are of the same labels.
pub(super) fn lender<'l, 'o>(
    site: SiteId,
    observed: &Observed,
    explained: &'l [Lender<'o>],
    sites: &Sites,
) -> Option<&'l Lender<'o>> {
    let own = frames(sites, site);
    let others = || explained.iter().filter(|lender| lender.site != site);
    let most = others().map(|lender| lender.shared(&own)).max()?;
    if most < SHARED {
        return None;
    }
    let nearest = || others().filter(|lender| lender.shared(&own) == most);
    let lender = nearest().max_by_key(|lender| lender.blocks)?;
    let agree = nearest().all(|other| other.labels == lender.labels);
    (agree && lender.blocks >= TIMES * observed.blocks()).then_some(lender)
}
