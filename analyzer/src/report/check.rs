//! `--fail-on`: whether an analysis found what a script asked it to look for.

use wildmatch::WildMatch;

use super::{is_complete, site_bytes};
use crate::analysis::{Analysis, Endpoint, Site, Verdict};
use crate::figures::{bytes, counted};
use crate::sample::Sample;
use crate::trace::Facts;
use crate::warm_up::WARM_UP;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    /// Verdicts that count.
    pub verdicts: Vec<Verdict>,
    /// Call sites that hold less don't.
    pub min_bytes: u64,
    /// Only the endpoints with such labels do: `*` and `?` are wild, all else (`{id}`, too) is itself.
    pub label: Option<WildMatch>,
}

/// What was found, with a line that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing, and all was seen.
    Nothing,
    /// A call site, at least.
    Found(String),
    /// Nothing, but there may be something.
    CannotTell(String),
}

/// Looks for them.
pub fn check(facts: &Facts, analysis: &Analysis, criteria: &Criteria) -> Finding {
    if criteria.verdicts.is_empty() {
        return Finding::Nothing;
    }
    let mut found: Vec<(Verdict, u64)> = Vec::new();
    for site in &analysis.sites {
        let held = counted_bytes(analysis, site, criteria);
        found.extend(held.filter(|(_, bytes)| *bytes >= criteria.min_bytes));
    }
    if let Some((worst, _)) = found.first() {
        let sum = found.iter().map(|(_, held)| held).sum();
        return Finding::Found(format!(
            "{} found at {}, {}",
            worst.name(),
            counted(found.len() as u64, "call site"),
            bytes(sum)
        ));
    }
    match doubt(facts, analysis, criteria) {
        Some(text) => Finding::CannotTell(text),
        None => Finding::Nothing,
    }
}

/// What a site with such a verdict holds, and the verdict. Where only some endpoints are looked at, these are what
/// their requests make of it. Nothing if no verdict counts.
fn counted_bytes(analysis: &Analysis, site: &Site, criteria: &Criteria) -> Option<(Verdict, u64)> {
    let is_wanted = |verdict: Verdict| criteria.verdicts.contains(&verdict);
    let mut labels = analysis.endpoints.iter().map(|endpoint| &endpoint.label);
    if criteria.label.is_none() && labels.all(|label| label != WARM_UP) {
        return is_wanted(site.verdict).then(|| (site.verdict, site_bytes(site)));
    }
    let is_looked_at = |endpoint: u32| {
        let endpoint = analysis.endpoints.get(endpoint as usize);
        let glob = criteria.label.as_ref();
        endpoint.is_some_and(|endpoint| {
            endpoint.label != WARM_UP && glob.is_none_or(|glob| glob.matches(&endpoint.label))
        })
    };
    let outside = (site.outside_verdict, site.outside_grown.bytes);
    let outside = (criteria.label.is_none() && is_wanted(outside.0)).then_some(outside);
    let ended = site.labels.iter().filter_map(|part| {
        let mut groups = site.groups.iter();
        let group =
            groups.find(|group| group.endpoint == part.endpoint && is_wanted(group.verdict))?;
        is_looked_at(part.endpoint).then_some((group.verdict, part.retained.bytes))
    });
    let open = site.open.iter();
    let open = open.filter(|open| is_looked_at(open.endpoint) && is_wanted(open.verdict));
    ended
        .chain(open.map(|open| (open.verdict, open.live.bytes)))
        .chain(outside)
        .reduce(|(worst, sum), (verdict, bytes)| (worst.min(verdict), sum + bytes))
}

/// Why nothing found does not mean that nothing is there.
pub fn doubt(facts: &Facts, analysis: &Analysis, criteria: &Criteria) -> Option<String> {
    if !is_complete(facts) {
        return Some("the trace is incomplete".into());
    }
    let growth = &analysis.growth;
    if criteria.label.is_none() && !growth.is_explained() {
        return Some(format!(
            "{} of {} that live memory grew by can't be told yet",
            bytes(growth.undecided_bytes()),
            bytes(growth.bytes())
        ));
    }
    let looked_at = |label: &str| {
        criteria
            .label
            .as_ref()
            .is_none_or(|glob| glob.matches(label))
    };
    let mut endpoints = (0..)
        .zip(&analysis.endpoints)
        .filter(|(_, endpoint)| looked_at(&endpoint.label) && endpoint.label != WARM_UP)
        .peekable();
    if endpoints.peek().is_none() {
        return Some("no request was seen".into());
    }
    endpoints.find_map(|(at, endpoint)| {
        // What is not in the sample is less than so much, and so is what any call site may hold of it.
        let hides = Sample::every(facts.sample_bytes).undrawn() > criteria.min_bytes;
        if hides && endpoint.is_hidden().is_some() {
            return Some(too_small(endpoint));
        }
        let (verdict, most) = by_drawn(endpoint);
        match verdict {
            Verdict::TooFewRequests
                if !hides && is_overlooked(analysis, at, criteria.min_bytes) =>
            {
                None
            }
            Verdict::TooFewRequests => Some(format!("too few requests of {}", endpoint.label)),
            verdict if most > 0 && !verdict.leaks() => Some(format!(
                "memory that grows may be of {}: whose it is could not be told",
                endpoint.label
            )),
            _ => None,
        }
    })
}

/// The endpoint's verdict, and how many of its requests may leak; of a sample, by what is in it.
fn by_drawn(endpoint: &Endpoint) -> (Verdict, u64) {
    match endpoint.hidden {
        Some(hidden) => (hidden.verdict, hidden.leaking[1]),
        None => (endpoint.verdict, endpoint.leaking_requests_range[1]),
    }
}

/// Nothing of the endpoint's in the sample leaks, but its requests are too few for that to tell.
fn too_small(endpoint: &Endpoint) -> String {
    format!(
        "too few requests of {} for this sample: a leak of less than {} a request would not show",
        endpoint.label,
        bytes(endpoint.is_hidden().unwrap_or(0))
    )
}

/// Whether all that can't be told of an endpoint yet lies at call sites that hold too little to be looked at.
fn is_overlooked(analysis: &Analysis, at: u32, min_bytes: u64) -> bool {
    let endpoint = analysis.endpoints.get(at as usize);
    let most = endpoint.map_or(u64::MAX, |endpoint| by_drawn(endpoint).1);
    let held = analysis.sites.iter().map(|site| undecided(site, at));
    let held: Vec<(u64, u64)> = held.filter(|(requests, _)| *requests > 0).collect();
    // Where more requests may leak, other memory may be theirs.
    let requests: u64 = held.iter().map(|(requests, _)| requests).sum();
    !held.is_empty() && most <= requests && held.iter().all(|(_, bytes)| *bytes < min_bytes)
}

/// How many requests of an endpoint hold what can't be told yet at a call site, and how many bytes.
fn undecided(site: &Site, endpoint: u32) -> (u64, u64) {
    let is_undecided =
        |of: u32, verdict: Verdict| of == endpoint && verdict == Verdict::TooFewRequests;
    let mut groups = site.groups.iter();
    let ended = groups.any(|group| is_undecided(group.endpoint, group.verdict));
    let labels = site.labels.iter();
    let labels = labels.filter(|part| ended && part.endpoint == endpoint);
    let open = site.open.iter();
    let open = open.filter(|open| is_undecided(open.endpoint, open.verdict));
    let parts = labels
        .map(|part| (part.requests, part.retained.bytes))
        .chain(open.map(|open| (open.requests, open.live.bytes)));
    parts.fold((0, 0), |(requests, bytes), part| {
        (requests + part.0, bytes + part.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Hidden, SiteLabel, SiteOpen};
    use crate::report::example;
    use crate::sample::Amount;

    fn criteria(verdicts: &[Verdict], min_bytes: u64, label: Option<&str>) -> Criteria {
        Criteria {
            verdicts: verdicts.to_vec(),
            min_bytes,
            label: label.map(WildMatch::new),
        }
    }

    fn found(criteria: &Criteria) -> Finding {
        let example = example::leaking();
        check(&example.facts, &example.analysis, criteria)
    }

    #[test]
    fn without_verdicts_nothing_is_looked_for() {
        assert_eq!(found(&Criteria::default()), Finding::Nothing);
    }

    #[test]
    fn found_in_requests_and_outside() {
        let leak = &[Verdict::Leak];
        let said = Finding::Found("leak found at 2 call sites, 18.0 MiB".into());
        assert_eq!(found(&criteria(leak, 0, None)), said);
        let said = Finding::Found("leak found at 1 call site, 15.6 MiB".into());
        assert_eq!(found(&criteria(leak, 3_000_000, None)), said);
        assert_eq!(found(&criteria(leak, 0, Some("POST /orders/*"))), said);
        // As the report prints it.
        let printed = Some("POST /orders/{id}");
        assert_eq!(found(&criteria(leak, 0, printed)), said);
    }

    #[test]
    fn what_leaks_of_others_is_not_found_for_a_label() {
        let mut example = example::leaking();
        let analysis = &mut example.analysis;
        let endpoint = |endpoint: &Endpoint| endpoint.label.starts_with("GET /log");
        let log = analysis.endpoints.iter().position(endpoint);
        let log = log.unwrap_or_default();
        // Its requests come to the call site that leaks, too, and leave nothing that lasts.
        let site = &mut analysis.sites[0];
        let labels: Vec<SiteLabel> = site.labels.clone();
        site.labels.extend(labels.into_iter().map(|part| SiteLabel {
            endpoint: log as u32,
            ..part
        }));
        let leak = &[Verdict::Leak];
        let only = criteria(leak, 0, Some("GET /log"));
        let found = |analysis: &Analysis| check(&example.facts, analysis, &only);
        assert_eq!(found(analysis), Finding::Nothing);
        // What is not known to be another's may be its own.
        analysis.endpoints[log].verdict = Verdict::Clean;
        analysis.endpoints[log].leaking_requests_range = [0, 3];
        let said = "memory that grows may be of GET /log: whose it is could not be told";
        assert_eq!(found(analysis), Finding::CannotTell(said.into()));
        let open = SiteOpen {
            endpoint: log as u32,
            requests: 1,
            live: Amount {
                blocks: 2,
                bytes: 300,
            },
            verdict: Verdict::Leak,
            text: String::new(),
        };
        analysis.sites[1].open.push(open);
        let said = "leak found at 1 call site, 300 B";
        assert_eq!(found(analysis), Finding::Found(said.into()));
    }

    #[test]
    fn labels_narrow_what_is_in_doubt_too() {
        let leak = &[Verdict::Leak];
        assert_eq!(
            found(&criteria(leak, 0, Some("GET /log"))),
            Finding::Nothing
        );
        let doubt = Finding::CannotTell("too few requests of DELETE /all".into());
        assert_eq!(found(&criteria(leak, 0, Some("DELETE *"))), doubt);
        let doubt = Finding::CannotTell("no request was seen".into());
        assert_eq!(found(&criteria(leak, 0, Some("PUT *"))), doubt);
    }

    /// What can't be told is overlooked, too, where it is too little.
    #[test]
    fn what_is_too_little_leaves_no_doubt() {
        let mut example = example::leaking();
        let analysis = &mut example.analysis;
        let is_all = |endpoint: &Endpoint| endpoint.label == "DELETE /all";
        let at = analysis
            .endpoints
            .iter()
            .position(is_all)
            .unwrap_or_default();
        let mut part = analysis.sites[0].labels[0].clone();
        (part.endpoint, part.requests, part.retained.bytes) = (at as u32, 2, 224);
        let mut group = analysis.sites[0].groups[0].clone();
        (group.endpoint, group.verdict) = (at as u32, Verdict::TooFewRequests);
        analysis.endpoints[at].leaking_requests_range = [0, 2];
        let told = |analysis: &Analysis, min_bytes| {
            let only = criteria(&[Verdict::Leak], min_bytes, Some("DELETE *"));
            check(&example.facts, analysis, &only)
        };
        let doubt = Finding::CannotTell("too few requests of DELETE /all".into());
        // Nothing is known to hold it.
        assert_eq!(told(analysis, 1 << 30), doubt);
        for site in &mut analysis.sites {
            site.groups.retain(|group| group.endpoint != at as u32);
        }
        analysis.sites[1].groups.push(group);
        analysis.sites[1].labels.push(part);
        assert_eq!(told(analysis, 225), Finding::Nothing);
        assert_eq!(told(analysis, 224), doubt);
        // More requests may leak than hold something there.
        analysis.endpoints[at].leaking_requests_range = [0, 3];
        assert_eq!(told(analysis, 225), doubt);
    }

    #[test]
    fn what_a_sample_may_hide_leaves_a_doubt() {
        let mut example = example::clean();
        example.facts.sample_bytes = 1_000;
        let endpoint = &mut example.analysis.endpoints[0];
        endpoint.verdict = Verdict::TooFewRequests;
        let mut hidden = Hidden {
            bytes_each: 1_000,
            verdict: Verdict::Clean,
            leaking: [0, 0],
        };
        endpoint.hidden = Some(hidden);
        let told = |example: &example::Example, min_bytes| {
            let criteria = criteria(&[Verdict::Leak], min_bytes, None);
            check(&example.facts, &example.analysis, &criteria)
        };
        let said = "too few requests of GET / for this sample: a leak of less than 1000 B a request would not show";
        assert_eq!(told(&example, 4_999), Finding::CannotTell(said.into()));
        // Five times the mean is all that may not have been drawn.
        assert_eq!(told(&example, 5_000), Finding::Nothing);
        hidden.leaking = [0, 3];
        example.analysis.endpoints[0].hidden = Some(hidden);
        let said = "memory that grows may be of GET /: whose it is could not be told";
        assert_eq!(told(&example, 5_000), Finding::CannotTell(said.into()));
    }

    #[test]
    fn an_incomplete_trace_is_never_clean() {
        let mut example = example::clean();
        let criteria = criteria(&[Verdict::Leak], 0, None);
        let clean = check(&example.facts, &example.analysis, &criteria);
        assert_eq!(clean, Finding::Nothing);
        example.facts.dropped.other = 1;
        let doubt = check(&example.facts, &example.analysis, &criteria);
        assert_eq!(doubt, Finding::CannotTell("the trace is incomplete".into()));
    }
}
