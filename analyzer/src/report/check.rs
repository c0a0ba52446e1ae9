//! `--fail-on`: whether an analysis found what a script asked it to look for.

use wildmatch::WildMatch;

use super::{is_complete, site_bytes};
use crate::analysis::{Analysis, Site, Verdict};
use crate::figures::{bytes, counted};
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
    let mut endpoints = analysis
        .endpoints
        .iter()
        .filter(|endpoint| looked_at(&endpoint.label) && endpoint.label != WARM_UP)
        .peekable();
    if endpoints.peek().is_none() {
        return Some("no request was seen".into());
    }
    endpoints.find_map(|endpoint| {
        let [_, most] = endpoint.leaking_requests_range;
        match endpoint.verdict {
            Verdict::TooFewRequests => Some(format!("too few requests of {}", endpoint.label)),
            verdict if most > 0 && !verdict.leaks() => Some(format!(
                "memory that grows may be of {}: whose it is could not be told",
                endpoint.label
            )),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Endpoint, SiteLabel, SiteOpen};
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
