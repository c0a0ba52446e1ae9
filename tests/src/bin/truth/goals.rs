//! What a row is to reach, and what it misses.

use crate::endpoint::Endpoint;
use crate::group::Group;
use crate::judge::Judged;
use crate::shape::Shape;
use crate::sites;

/// Of what a function kept, given to the right labels, at least.
pub(crate) const RIGHT: f64 = 0.95;
/// Of what a function kept, given to wrong ones, at most.
pub(crate) const WRONG: f64 = 0.02;
/// The same where two labels share the call site.
pub(crate) const WRONG_SHARED: f64 = 0.05;

/// What the row misses, one text each; empty where it reaches all.
pub(crate) fn missed(judged: &Judged, shape: &Shape) -> Vec<String> {
    let mut missed: Vec<String> = judged.groups.iter().flat_map(of_group).collect();
    if !judged.false_leaks.is_empty() {
        missed.push(format!("called leaking: {}", judged.false_leaks.join(", ")));
    }
    let miscounted = judged.miscounted.iter();
    missed.extend(miscounted.map(|(label, requests)| format!("{label} has {requests} requests")));
    for leaking in &judged.leaking {
        let Some((low, high)) = leaking.said else {
            continue;
        };
        if low > leaking.truth.1 || high < leaking.truth.0 {
            let (label, truth) = (&leaking.label, leaking.truth.1);
            missed.push(format!("{label}: {low} to {high} leak, {truth} do"));
        }
    }
    let exact = judged.exact;
    if shape.proof && exact.told + shape.cut_off < exact.of {
        missed.push(format!("{} of {} exact", exact.told, exact.of));
    }
    missed
}

/// The few blocks of `keep_bounded` and `keep_warm` are in the figures only: one of them is a fifth.
pub(crate) fn is_judged(group: &Group) -> bool {
    let few = [Endpoint::Bounded, Endpoint::Warm].map(Endpoint::function);
    !few.contains(&group.function.as_str())
}

/// One text, or none.
fn of_group(group: &Group) -> Option<String> {
    let mut missed = Vec::new();
    let (right, wrong) = (group.right_part(), group.wrong_part());
    // The background is right where it has no label; that it has one is all that can go wrong.
    if is_judged(group) && right < RIGHT && group.function != sites::BACKGROUND {
        missed.push(format!("{:.1} % right", right * 100.0));
    }
    let most = match group.function == Endpoint::SharedA.function() {
        true => WRONG_SHARED,
        false => WRONG,
    };
    if is_judged(group) && wrong > most {
        missed.push(format!("{:.1} % wrong", wrong * 100.0));
    }
    if let Some(blocks @ 1..) = group.proved_wrong {
        missed.push(format!("{blocks} proved wrong"));
    }
    let missed = Some(missed.join(", ")).filter(|missed| !missed.is_empty());
    missed.map(|missed| format!("{} {missed}", group.function))
}
