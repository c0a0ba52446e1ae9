//! Whose the blocks are of which nothing proves it: for each call site, the labels that explain its blocks best.
//!
//! All that is known of such a block is when it was made, which requests were in flight then, and which ones its
//! worker touched last and next (hints). A *component* is a cause that blocks may have: a label (or a label's
//! answers with one status) by what was in flight, by what was touched last or next, or by what made the task;
//! or the *background*, which no request makes: evenly in time, or as the load goes. Under shares w the
//! likelihood of block i is
//!
//! `L_i(w) = sum over components c of w_c r_c(i)`,
//!
//! where `r_c(i)` says how much more likely the block's circumstances are if c made it than at any moment: for
//! what is in flight `n_c(i) / E[n_c]`, the mean taken over the time around it; for a hint 1 / (share of moments
//! with that hint), or 0 where the hint is another's. Components are chosen one by one, beginning with the
//! background, while each explains more than chance would (*forward selection*: expectation maximisation over all
//! at once spreads a background evenly over all labels, which together look just like it). A label that another
//! one explains nearly as well is undecided, and so are both.
//!
//! Where the background keeps a part, a second search has the requests that ended shortly before among its
//! components, and is taken where it explains clearly more: a request may leave work to be done. Where survivors of
//! the call site were freed, only the newest are left: means are taken since the first of these, and what is in
//! flight changes so seldom in a short time that its blocks count as few.
//!
//! Where the work of one label is done at the same stage of its requests as that of the others (whoever takes jobs from a
//! queue works for those that have waited longest), a second pass weighs what is in flight by its stage.
//!
//! | file | |
//! | --- | --- |
//! | `groups` | labels and statuses, numbered |
//! | `flight` | what was in flight at each moment, and on average |
//! | `moments` | how often a hint names a label by chance |
//! | `unproved` | the blocks without proof, and what is looked at of them |
//! | `demote` | proofs that prove nothing |
//! | `dice` | numbers for worlds that are simulated |
//! | `parts` | where call sites lie in the lists of all processes |
//! | `site` | a call site's observations, and how likely each component makes them |
//! | `sizes` | the same of blocks of one size, where several are made at a call site |
//! | `kin` | call sites that share their innermost frames: what one alone can't tell |
//! | `counts` | what the number of blocks at each moment tells |
//! | `counting` | labels whose requests each leave the same number |
//! | `stage` | which of the requests in flight blocks are made for, by how long these have been there |
//! | `component` | the causes that blocks may have, and how likely each makes them |
//! | `closer` | which of two requests blocks follow more closely in time |
//! | `near` | what had ended shortly before a moment, and what began shortly after |
//! | `fit` | shares by expectation maximisation |
//! | `scene` | what was seen at other moments |
//! | `rivals` | whether another label could have made the same |
//! | `search` | forward selection |
//! | `search/tell` | whether a component explains more than chance and others do |
//! | `search/given` | workers that were given their work |
//! | `independent` | how many observations tell something of their own |
//! | `likelihood` | what explains a call site, and how much better than the background |
//! | `explained` | what was found |
//! | `found` | the same of a call site, in words |
//! | `assign` | to whom each block is given |
//! | `give` | blocks become their owners', or nobody's |

mod assign;
mod closer;
mod component;
mod counting;
mod counts;
mod demote;
mod dice;
mod explained;
mod fit;
mod flight;
mod found;
mod give;
mod groups;
mod independent;
mod kin;
mod likelihood;
mod moments;
mod near;
mod parts;
mod rivals;
mod scene;
mod search;
mod site;
mod sizes;
mod stage;
#[cfg(test)]
mod tests;
mod unproved;

use rustc_hash::{FxHashMap, FxHashSet};

use assign::Whose;
use component::Given;
use counting::{Counted, Counting};
use demote::demote;
use flight::Sweep;
use found::Found;
use give::KnownBlocks;
pub use give::Owned;
use groups::Groups;
use kin::{Causes, Lender};
use moments::Moments;
use parts::Parts;
use rivals::Scenes;
use site::Observed;
use stage::Stages;
use unproved::{Unproved, observe};

use crate::ledger::Finished;
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::sites::{SiteId, Sites};
use crate::trace::ProcessId;

/// A component is chosen when it raises the logarithm of the likelihood by so much (by chance: one label in
/// 50,000), ...
pub const GAIN: f64 = 9.0;
/// ... of so many call sites at most. The more there are, the more of them are alike by chance.
const SITES: f64 = 200.0;
/// Fewer observations than this never tell anything.
const TELLING: usize = 3;

/// What was found out of one call site.
#[derive(Clone, Debug, Default)]
pub struct Whereof {
    /// In words, with its numbers; empty where everything is proved.
    pub text: String,
}

/// What was found out in all.
#[derive(Debug, Default)]
pub struct Associated {
    /// Of each call site that had blocks without proof.
    pub sites: FxHashMap<SiteId, Whereof>,
    /// Births of what nobody was found for, by call site.
    pub births: FxHashMap<SiteId, Vec<(ProcessId, u64)>>,
    /// Call sites whose blocks one label made, or another: nothing tells which.
    pub ambiguous: FxHashSet<SiteId>,
    /// Call sites whose blocks may be any label's, or none's: nothing tells.
    pub unclaimed: FxHashSet<SiteId>,
    /// Blocks and bytes that stayed unknown, of those that outlived a request.
    pub unknown: Amount,
}

/// Gives the loose blocks of all processes to requests, labels or nobody: into the sites of `processes`, and into
/// `records`. `proved_alone`: none is associated.
pub fn associate(
    processes: &mut [&mut Finished],
    records: &mut [Record],
    labels: &[String],
    sites: &Sites,
    proved_alone: bool,
) -> Associated {
    let known = match proved_alone {
        true => KnownBlocks::default(),
        false => give::known(processes, records),
    };
    let unproved = Unproved::of(processes, records, sites);
    if unproved.is_empty() && known.is_empty() {
        return Associated::default();
    }
    let found = match proved_alone {
        true => FxHashMap::default(),
        false => find(processes, records, &unproved, (labels, sites)),
    };
    for (finished, of_process) in processes.iter_mut().zip(known.nobodys) {
        finished.loose.extend(of_process);
    }
    let (unknown, births) = give::leave_the_rest(processes, sites);
    let which = |wanted: fn(&Found) -> bool| {
        let such = found.iter().filter(|(_, found)| wanted(found));
        such.map(|(site, _)| *site).collect()
    };
    Associated {
        births,
        ambiguous: which(Found::is_ambiguous),
        unclaimed: which(Found::is_unclaimed),
        sites: texts(found, &known.given),
        unknown,
    }
}

/// What is found out of each call site, in words.
fn texts(
    found: FxHashMap<SiteId, Found>,
    known: &FxHashMap<SiteId, u64>,
) -> FxHashMap<SiteId, Whereof> {
    let mut texts: FxHashMap<SiteId, String> = found
        .into_iter()
        .map(|(site, found)| (site, found.text))
        .collect();
    for (site, blocks) in known {
        let of_others = texts.entry(*site).or_default();
        *of_others = give::text_of_known(*blocks, std::mem::take(of_others));
    }
    let all = texts.into_iter();
    all.map(|(site, text)| (site, Whereof { text })).collect()
}

/// A call site, what was observed of it, and what explains that.
type Each = (SiteId, Observed, Causes);

/// Finds what explains the blocks of each call site, and gives them to their owners.
fn find(
    processes: &mut [&mut Finished],
    records: &mut [Record],
    unproved: &Unproved,
    (labels, sites): (&[String], &Sites),
) -> FxHashMap<SiteId, Found> {
    let groups = Groups::of(records);
    let mut sweeps: Vec<Sweep> = (0..)
        .zip(processes.iter())
        .map(|(id, finished)| Sweep::of(id, finished, records, &groups))
        .collect();
    let moments: Vec<Moments> = processes
        .iter()
        .map(|finished| Moments::of(&finished.moments, records, &groups))
        .collect();
    let parts = Parts::of(processes, records);
    let observed = observe((&parts, processes), unproved, &groups, &mut sweeps);
    let scenes = Scenes::of(processes, &sweeps, records, &groups);
    let needed = needed_gain(&observed);
    let given = Given {
        groups: &groups,
        sweeps: &sweeps,
        moments: &moments,
        scenes: &scenes,
        stages: None,
        records,
        needed,
    };
    let mut each = causes_of_each(observed, given);
    let mut counting = Counting::new(&groups, records, &sweeps);
    let counted = count(&mut counting, &each, unproved, (&parts, processes), sites);
    tell_counted(&mut each, &counting, &counted);
    let known = explained_by_flight(&each, &groups);
    let stages = Stages::of(&known, &sweeps, records, &groups);
    let given = Given {
        stages: stages.as_ref(),
        ..given
    };
    if stages.is_some() {
        let observed = each.into_iter().map(|(site, observed, _)| (site, observed));
        each = causes_of_each(observed.collect(), given);
        tell_counted(&mut each, &counting, &counted);
    }
    let mut found = explain(each, given, (labels, sites));
    for (site, found) in &mut found {
        let of_site = counting::of_site(&counted, *site);
        if !of_site.is_empty() {
            found.text = counting.text(&of_site, labels);
        }
    }
    demote(
        (&parts, processes),
        &unproved.doubtful,
        (&found, &groups, sites),
        records,
    );
    assign::counted(
        processes,
        records,
        (&groups, &sweeps),
        (&counted, &unproved.mixed),
    );
    let whose = Whose {
        groups: &groups,
        moments: &moments,
        stages: stages.as_ref(),
        found: &found,
        mixed: &unproved.mixed,
    };
    assign::all(processes, records, &whose, &mut sweeps);
    found
}

/// What numbers tell of call sites, but of what hints explain.
fn count(
    counting: &mut Counting<'_>,
    each: &[Each],
    unproved: &Unproved,
    (parts, processes): (&Parts, &[&mut Finished]),
    sites: &Sites,
) -> Vec<Counted> {
    let may = each.iter().filter(|(_, _, causes)| !causes.0.is_by_hint());
    let places = may.filter_map(|(site, ..)| Some((*site, unproved.by_site.get(site)?.as_slice())));
    let places: Vec<(SiteId, &[(usize, usize)])> = places.collect();
    counting.find(&places, (parts, processes), |members| {
        kin::groups(sites, members)
    })
}

/// What numbers tell explains those call sites.
fn tell_counted(each: &mut [Each], counting: &Counting<'_>, counted: &[Counted]) {
    for (site, _, causes) in each {
        let of_site = counting::of_site(counted, *site);
        if !of_site.is_empty() {
            *causes = (counting.explained(&of_site), Vec::new());
        }
    }
}

/// What explains each call site by itself.
fn causes_of_each(observed: Vec<(SiteId, Observed)>, given: Given<'_>) -> Vec<Each> {
    let causes = |(site, observed)| {
        let causes = likelihood::causes(&observed, given);
        (site, observed, causes)
    };
    observed.into_iter().map(causes).collect()
}

/// Call sites that labels in flight explain, and which labels these are.
fn explained_by_flight<'e>(each: &'e [Each], groups: &Groups) -> Vec<(&'e Observed, Vec<LabelId>)> {
    let by_flight = each.iter().filter(|(_, _, (explained, by_size))| {
        by_size.is_empty() && explained.undecided.is_none() && explained.is_by_flight()
    });
    let with_labels = by_flight.map(|(_, observed, causes)| (observed, causes.0.labels(groups)));
    with_labels.collect()
}

/// What explains each call site: what does so by itself, or together with those that share its innermost frames.
fn explain(
    each: Vec<Each>,
    given: Given<'_>,
    (labels, sites): (&[String], &Sites),
) -> FxHashMap<SiteId, Found> {
    let groups = given.groups;
    let causes = |observed: &Observed| likelihood::causes(observed, given);
    let told = |causes: &Causes| causes.0.is_mostly_one(groups) || !causes.1.is_empty();
    let gain = |observed: &Observed, causes: &Causes| likelihood::gain(observed, causes, given);
    let alone = each
        .iter()
        .filter(|(_, _, causes)| causes.0.labels(groups).is_empty() && causes.1.is_empty());
    let alone = alone.map(|(site, observed, _)| (*site, observed)).collect();
    let pauses: Vec<u64> = given.sweeps.iter().map(Sweep::pause).collect();
    let kin = kin::explain(alone, (sites, &pauses), |observed| {
        Some(causes(observed)).filter(told)
    });
    let lenders = each.iter().filter_map(|(site, observed, causes)| {
        let labels = causes.0.labels(groups);
        let lends = causes.0.undecided.is_none() && !labels.is_empty();
        lends.then(|| Lender::new(*site, observed, (causes, labels), sites))
    });
    let lenders: Vec<Lender<'_>> = lenders.collect();
    let best = |(site, observed, own): &Each| {
        let group = kin.iter().find(|group| group.members.contains(site));
        if let Some(group) = group.filter(|group| gain(observed, &group.causes) > 0.0) {
            return Found::new(&group.observed, group.causes.clone(), groups, labels);
        }
        let lender = match own.0.explains_most() {
            true => None,
            false => kin::lender(*site, observed, &lenders, sites),
        };
        // What is known from elsewhere was not fitted to these.
        let fits = |lender: &&Lender<'_>| {
            let least = kin::FITS.max(gain(observed, own) - kin::FITTED);
            gain(observed, lender.causes) >= least
        };
        match lender.filter(fits) {
            Some(lender) => Found::new(lender.observed, lender.causes.clone(), groups, labels),
            None => Found::new(observed, own.clone(), groups, labels),
        }
    };
    each.iter().map(|each| (each.0, best(each))).collect()
}

/// What a component must explain at one of so many call sites: the level is held over all of them (Bonferroni).
fn needed_gain(observed: &[(SiteId, Observed)]) -> f64 {
    let tested = observed
        .iter()
        .filter(|(_, observed)| observed.all.len() >= TELLING);
    GAIN + (tested.count() as f64 / SITES).max(1.0).ln()
}
