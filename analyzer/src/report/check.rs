//! `--fail-on`: whether an analysis found what a script asked it to look for.

use wildmatch::WildMatch;

use super::{is_complete, site_bytes};
use crate::analysis::{Analysis, Site, Verdict};
use crate::figures::{bytes, counted};
use crate::trace::Facts;

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
    let held = |site: &Site| counted_bytes(analysis, site, criteria);
    let found: Vec<(&Site, u64)> = analysis
        .sites
        .iter()
        .filter(|site| criteria.verdicts.contains(&site.verdict))
        .filter_map(|site| Some((site, held(site)?)))
        .filter(|(_, held)| *held >= criteria.min_bytes)
        .collect();
    if let Some((worst, _)) = found.first() {
        let sum = found.iter().map(|(_, held)| held).sum();
        return Finding::Found(format!(
            "{} found at {}, {}",
            worst.verdict.name(),
            counted(found.len() as u64, "call site"),
            bytes(sum)
        ));
    }
    match doubt(facts, analysis, criteria) {
        Some(text) => Finding::CannotTell(text),
        None => Finding::Nothing,
    }
}

/// What a site holds, as far as its endpoints are looked at; nothing if none is.
fn counted_bytes(analysis: &Analysis, site: &Site, criteria: &Criteria) -> Option<u64> {
    let Some(label) = &criteria.label else {
        return Some(site_bytes(site));
    };
    let parts = site.labels.iter().filter(|part| {
        let endpoint = analysis.endpoints.get(part.endpoint as usize);
        endpoint.is_some_and(|endpoint| label.matches(&endpoint.label))
    });
    parts
        .map(|part| part.retained.bytes)
        .reduce(|sum, part| sum + part)
}

/// Why nothing found does not mean that nothing is there.
fn doubt(facts: &Facts, analysis: &Analysis, criteria: &Criteria) -> Option<String> {
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
        .filter(|endpoint| looked_at(&endpoint.label))
        .peekable();
    if endpoints.peek().is_none() {
        return Some("no request was seen".into());
    }
    let unsure = endpoints.find(|endpoint| endpoint.verdict == Verdict::TooFewRequests)?;
    Some(format!("too few requests of {}", unsure.label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

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
