//! What endpoints, requests and call sites say of the same blocks adds up, whatever lies there.

use super::*;
use crate::analysis::Analysis;
use crate::sample::Amount;
use crate::sites::{Frame, Memory, NO_MODULE, NO_SITE, SiteId, Sites};

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::default(), |mut sum, amount| {
        sum += amount;
        sum
    })
}

/// What an endpoint says is what its parts in call sites say, stacks apart, and what its requests say, and what is one or
/// another of theirs.
pub(in crate::analyze) fn assert_sums(analysis: &Analysis, places: &Sites, of: &str) {
    let counting = || {
        let sites = analysis.sites.iter();
        sites.filter(|site| places.memory(site.id) != Memory::Stack)
    };
    for (at, endpoint) in (0..).zip(&analysis.endpoints) {
        let parts = || {
            let parts = counting().flat_map(|site| &site.labels);
            parts.filter(move |part| part.endpoint == at)
        };
        let requests = || analysis.requests.iter().filter(|one| one.endpoint == at);
        let (label, untold) = (&endpoint.label, endpoint.untold);
        let same = |what: &str, of_sites: Amount, of_requests: Amount, whole: Amount| {
            assert_eq!(of_sites, whole, "{what} of {label} at call sites: {of}");
            let all = sum([of_requests, untold].into_iter());
            assert_eq!(all, whole, "{what} of {label} in requests: {of}");
        };
        same(
            "retained",
            sum(parts().map(|part| part.retained)),
            sum(requests().map(|request| request.retained())),
            endpoint.retained(),
        );
        same(
            "associated",
            sum(parts().map(|part| part.associated)),
            sum(requests().map(|request| request.associated)),
            endpoint.associated,
        );
        let survivors = requests().map(|request| request.survivor_blocks);
        let survivors = survivors.sum::<u64>() + untold.blocks;
        assert_eq!(survivors, endpoint.survivor_blocks, "{label}: {of}");
        let statuses = endpoint.statuses.iter();
        let statuses = statuses.map(|status| Amount {
            blocks: status.retained_blocks,
            bytes: status.retained_bytes,
        });
        assert_eq!(sum(statuses), endpoint.retained(), "{label}: {of}");
    }
    let endpoints = || analysis.endpoints.iter();
    let associated = sum(endpoints().map(|endpoint| endpoint.associated));
    let retained = sum(endpoints().map(|endpoint| endpoint.retained()));
    let ownership = &analysis.totals.ownership;
    let told = (ownership.proved_bytes, ownership.associated_bytes);
    let expected = (retained.bytes - associated.bytes, associated.bytes);
    assert_eq!(told, expected, "whose: {of}");
}

/// A site of allocators, of mapped memory and of stacks, by one call; the two latter as the call names them.
fn places() -> (Sites, SiteId, SiteId) {
    let mut sites = Sites::default();
    let frame = Frame {
        module: NO_MODULE,
        file_address: 1,
    };
    let site = sites.child(NO_SITE, frame);
    let mapped = sites.mapped(site);
    (sites, site, mapped)
}

/// Now and then two requests of `/keep` at once, else of `/clean`; while the former are in flight, `who` makes a block, a
/// mapping and a stack for one of them.
fn kept_by(who: &str, (site, mapped): (SiteId, SiteId)) -> String {
    let mut text = "t1 accept c1; t2 accept c2; t1 reads c1; t2 reads c2\n".to_owned();
    for at in 0..4 * KEPT {
        // One of four, which of them has no order; not the very first, which begins the serving.
        let chosen = 1 + ((at as u32 / 4).wrapping_mul(0x9e37_79b9) >> 24) % 3;
        let (label, makes) = match at % 4 == u64::from(chosen) {
            true => (
                "/keep",
                format!(
                    "{who} alloc b{at} 10 @{site}; {who} maps {at} 4096 @{mapped}
                     {who} stack {at} 8388608 @{mapped}; {who} lock"
                ),
            ),
            false => ("/clean", format!("{who} lock")),
        };
        text += &format!(
            "t1 read c1 GET {label}; t2 read c2 GET {label}\n{makes}
             t1 answer c1 200; t1 reads c1; t2 answer c2 200; t2 reads c2; t3 lock\n"
        );
    }
    text + "dies p1"
}

/// How often something is kept.
const KEPT: u64 = 20;

#[test]
fn stacks_are_in_no_sum_whosever_they_are() {
    let (sites, site, mapped) = places();
    for who in ["t1", "t3"] {
        let mut script = Script::default();
        script.tell(&kept_by(who, (site, mapped)));
        let analysis = script.analysis_at(&Options::default(), &sites);
        assert_sums(&analysis, &sites, who);
        let keep = analysis.endpoints.iter();
        let keep = keep.filter(|endpoint| endpoint.label == "GET /keep");
        let keep = keep.collect::<Vec<_>>()[0];
        let expected = Amount {
            blocks: 2 * KEPT,
            bytes: KEPT * (10 + 4096),
        };
        assert_eq!(keep.retained(), expected, "{who}");
        assert_eq!(keep.before_exit, expected, "{who}");
        let live: u64 = analysis.requests.iter().map(|one| one.live_bytes).sum();
        assert_eq!(live + keep.untold.bytes, expected.bytes, "{who}");
        // Another thread's blocks are one request's or another's where two are in flight.
        let associated = if who == "t1" { 0 } else { 2 * KEPT };
        assert_eq!(keep.associated.blocks, associated, "{who}");
        assert_eq!(keep.untold.blocks > 0, who == "t3", "{who}");
        let stacks = analysis
            .sites
            .iter()
            .find(|site| sites.memory(site.id) == Memory::Stack);
        assert_eq!(stacks.map(|stacks| stacks.retained_blocks), Some(KEPT));
    }
}
