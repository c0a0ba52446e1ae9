//! The leaks of a trace, one by one.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use crate::analysis::Verdict;
use crate::escape::escaped;
use crate::figures::{bytes, count, counted};
use crate::report::{Outline, OutlineSite, Part};
use crate::warm_up::WARM_UP;

/// Requests that differ by no more than this part leave the same.
const SAME: f64 = 0.01;
/// What others are allowed of what was seen.
const HEADROOM: f64 = 1.5;

/// What a leak must be to be found.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// It has one of these verdicts.
    pub verdicts: Vec<Verdict>,
    /// It holds as much, at least.
    pub min_bytes: u64,
    /// Its label matches; `None`: all, and what belongs to no request.
    pub label: Option<WildMatch>,
}

/// A call site that leaks in requests of one label, or in none.
#[derive(Clone, Debug)]
pub struct Leak<'o> {
    /// The site.
    pub site: &'o OutlineSite,
    /// The label; `None`: in no request.
    pub label: Option<&'o str>,
    /// The verdict.
    pub verdict: Verdict,
    /// What it holds.
    pub bytes: u64,
    /// What each leaking request left, at least and at most; `None` in no request.
    pub each: Option<[u64; 2]>,
    /// Why it is found in spite of a baseline: it is not as that says.
    pub worse: Option<String>,
    /// How many leak, in words.
    pub figures: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome<'o> {
    /// Leaks that nothing covers.
    pub found: Vec<Leak<'o>>,
    /// Leaks that a baseline or a suppression covers.
    pub covered: Vec<Leak<'o>>,
    /// Lines to be said: what was covered by what, what covers nothing or too much.
    pub notes: Vec<String>,
}

/// A call site that holds less than a part in so many of what a label's requests leak has no say, as for verdicts of
/// endpoints: whether it is told at all is chance.
const NO_SAY: u64 = 100;

/// The leaks of a trace that have a say, as they are wanted, the largest first.
pub fn leaks<'o>(outline: &'o Outline, wanted: &Wanted) -> Vec<Leak<'o>> {
    let mut leaks = all(outline, wanted);
    leaks.retain(|leak| leak.has_say(outline));
    leaks
}

/// What to say of leaks that have none.
pub fn overlooked(outline: &Outline, wanted: &Wanted) -> Vec<String> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for leak in all(outline, wanted) {
        if let Some(label) = leak.label.filter(|_| !leak.has_say(outline)) {
            let (sites, held) = sums.entry(label).or_default();
            (*sites, *held) = (*sites + 1, *held + leak.bytes);
        }
    }
    sums.into_iter()
        .map(|(label, (sites, held))| {
            format!(
                "{} less than a hundredth each of what {} leaks: overlooked ({})",
                match sites {
                    1 => "1 call site holds".to_owned(),
                    sites => format!("{} call sites hold", count(sites)),
                },
                escaped(label),
                bytes(held)
            )
        })
        .collect()
}

fn all<'o>(outline: &'o Outline, wanted: &Wanted) -> Vec<Leak<'o>> {
    let mut leaks: Vec<Leak<'o>> = Vec::new();
    for site in &outline.sites {
        let parts = site.parts.iter().filter(|part| part.label != WARM_UP);
        leaks.extend(parts.map(|part| of_part(site, part)));
        let outside = site.outside.filter(|_| wanted.label.is_none());
        leaks.extend(outside.map(|outside| Leak {
            site,
            label: None,
            verdict: outside.verdict,
            bytes: outside.grown.bytes,
            each: None,
            worse: None,
            figures: format!(
                "{} in {}, in no request",
                bytes(outside.grown.bytes),
                counted(outside.grown.blocks, "block")
            ),
        }));
    }
    leaks.retain(|leak| wanted.is(leak));
    leaks.sort_by_key(|leak| (leak.verdict, std::cmp::Reverse(leak.bytes)));
    leaks
}

fn of_part<'o>(site: &'o OutlineSite, part: &'o Part) -> Leak<'o> {
    let [low, high] = part.leaking_range();
    let leaking = match low == high {
        true => count(low),
        false => format!("{} to {}", count(low), count(high)),
    };
    // What does not leak holds what it retained; that is told by the report alone.
    Leak {
        site,
        label: Some(&part.label),
        verdict: part.verdict,
        bytes: part.leaked.bytes,
        each: part.each(),
        worse: None,
        figures: format!(
            "{} in {leaking} of {}",
            bytes(part.leaked.bytes),
            counted(part.requests, "request")
        ),
    }
}

impl Wanted {
    fn is(&self, leak: &Leak<'_>) -> bool {
        let label = |label: &str| self.label.as_ref().is_none_or(|glob| glob.matches(label));
        self.verdicts.contains(&leak.verdict)
            && leak.bytes >= self.min_bytes
            && leak.label.is_none_or(label)
    }
}

impl Leak<'_> {
    fn has_say(&self, outline: &Outline) -> bool {
        let endpoint = self.label.and_then(|label| outline.endpoint(label));
        endpoint.is_none_or(|part| self.bytes.saturating_mul(NO_SAY) >= part.leaked.bytes)
    }

    /// What a baseline is to allow each leaking request: as much as they left where all left the same, else more, as
    /// the next ones will be others.
    pub fn allowance(&self) -> Option<u64> {
        let [_, high] = self.each?;
        let part = self.site.part(self.label?)?;
        let leaking: u64 = part.statuses.iter().map(|of| of.leaking).sum();
        let squares: f64 = part.statuses.iter().map(|of| of.leaked_squares).sum();
        let mean = part.leaked.bytes as f64 / leaking.max(1) as f64;
        let spread = (squares / leaking.max(1) as f64 - mean * mean)
            .max(0.0)
            .sqrt();
        Some(match spread <= mean * SAME && leaking > 0 {
            true => high,
            false => (high as f64 * HEADROOM + spread).ceil() as u64,
        })
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let worse = self
            .worse
            .as_deref()
            .map_or(String::new(), |why| format!("; {why}"));
        format!(
            "{} {} at {}: {} ({}){worse}",
            self.verdict.name(),
            self.label.map_or("in no request".into(), escaped),
            self.site.function(),
            self.figures,
            self.site.functions.fingerprint
        )
    }
}
