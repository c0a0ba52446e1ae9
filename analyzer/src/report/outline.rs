//! What is compared of a trace, taken out of its analysis: endpoints and call sites by names that hold from build to
//! build. Small, so that a second trace can be read after the first was let go.

mod parts;

use std::collections::BTreeMap;

use super::frames::{Kind, Line, Stack, Stacks};
use super::functions::Functions;
use super::{dropped_events, fingerprint, is_complete};
use crate::analysis::{Analysis, Site, Verdict};
use crate::sample::{Amount, Sample};
use crate::sites::{Memory, Sites};
use crate::symbols::Symbolizer;
use crate::trace::Facts;
pub use parts::Part;
pub(crate) use parts::{OutsidePart, StatusPart};
use parts::{add, empty, endpoint};

/// A trace as far as it is compared.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Path of the trace, as the user gave it.
    pub path: String,
    /// The version of the recorder.
    pub tool_version: String,
    /// First to last moment, nanoseconds.
    pub duration_ns: u64,
    /// Whether all that happened was recorded and can be read.
    pub complete: bool,
    /// Events that were not recorded.
    pub dropped_events: u64,
    /// `LEAK_SAMPLE`; 0: every event.
    pub sample_bytes: u64,
    /// Which sources gave requests.
    pub boundaries: Vec<&'static str>,
    /// The programs that served, or all where none did.
    pub programs: Vec<Program>,
    /// Requests of all endpoints.
    pub requests: u64,
    /// By label.
    pub endpoints: Vec<Part>,
    /// Call sites; those of the same functions are one.
    pub sites: Vec<OutlineSite>,
}

/// A program image that ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Path of the executable.
    pub executable: String,
    /// Its command line, the first word too.
    pub arguments: Vec<String>,
    /// Its build-id, where it has one.
    pub build_id: Option<String>,
}

/// Call sites that go through the same functions.
#[derive(Clone, Debug)]
pub struct OutlineSite {
    /// Their name from build to build.
    pub functions: Functions,
    /// `sites[].fingerprint` of each.
    pub fingerprints: Vec<String>,
    /// The line that a person looks for.
    pub(super) head: Line,
    /// Each function's, file's and module's name, as they were.
    pub all_names: Vec<String>,
    /// The worst verdict.
    pub verdict: Verdict,
    /// By label.
    pub parts: Vec<Part>,
    /// In no request.
    pub outside: Option<OutsidePart>,
}

impl Outline {
    /// Of an analysis.
    pub fn new(
        path: String,
        facts: &Facts,
        analysis: &Analysis,
        sites: &Sites,
        symbolizer: &mut Symbolizer<'_>,
    ) -> Outline {
        let mut stacks = Stacks::new(facts, sites, symbolizer);
        Outline {
            path,
            tool_version: facts.tool_version.clone(),
            duration_ns: facts.duration_ns,
            complete: is_complete(facts),
            dropped_events: dropped_events(facts),
            sample_bytes: facts.sample_bytes,
            boundaries: analysis.boundaries.iter().map(|of| of.name()).collect(),
            programs: programs(facts, analysis, sites),
            requests: analysis.endpoints.iter().map(|of| of.requests).sum(),
            endpoints: endpoints(analysis, sites),
            sites: outline_sites(analysis, sites, &mut stacks),
        }
    }

    /// The endpoint with this label.
    pub fn endpoint(&self, label: &str) -> Option<&Part> {
        self.endpoints.iter().find(|part| part.label == label)
    }

    /// The standard error of an estimate of `bytes`, at most; 0 where every block was recorded.
    pub fn error(&self, bytes: u64) -> u64 {
        Sample::every(self.sample_bytes).error(bytes)
    }
}

fn programs(facts: &Facts, analysis: &Analysis, sites: &Sites) -> Vec<Program> {
    let build_id = |path: &str| {
        let mut modules = sites.modules().iter();
        let module = modules.find(|module| module.path == path)?;
        module.build_id.clone()
    };
    let served = |at: usize| {
        let figures = analysis.processes.get(at);
        figures.is_some_and(|figures| figures.requests > 0)
    };
    let any = (0..facts.processes.len()).any(served);
    let rows = facts.processes.iter().enumerate();
    let rows = rows.filter(|(at, _)| !any || served(*at));
    let mut programs: Vec<Program> = rows
        .map(|(_, process)| Program {
            executable: process.executable.clone(),
            arguments: process.arguments.clone(),
            build_id: build_id(&process.executable),
        })
        .collect();
    programs.sort();
    programs.dedup();
    programs
}

/// The endpoints, with what leaked of them. Threads' stacks are in no sum: most of a stack is never touched.
fn endpoints(analysis: &Analysis, sites: &Sites) -> Vec<Part> {
    let mut parts: Vec<Part> = analysis.endpoints.iter().map(endpoint).collect();
    let counting = analysis.sites.iter();
    let counting = counting.filter(|site| sites.memory(site.id) != Memory::Stack);
    for cell in counting.flat_map(|site| &site.cells) {
        if let Some(part) = parts.get_mut(cell.endpoint as usize) {
            add(part, cell);
        }
    }
    for site in &analysis.sites {
        for label in &site.labels {
            if let Some(part) = parts.get_mut(label.endpoint as usize) {
                part.needed = part.needed.max(site.evidence.requests_needed);
            }
        }
    }
    parts
}

/// Whether a comparison, or a baseline, looks at the site.
pub(super) fn is_compared(site: &Site) -> bool {
    let mut verdicts = [site.verdict, site.outside_verdict].into_iter();
    let undecided = verdicts.any(|verdict| verdict == Verdict::TooFewRequests);
    !site.labels.is_empty() || site.verdict.leaks() || !site.open.is_empty() || undecided
}

fn outline_sites(
    analysis: &Analysis,
    sites: &Sites,
    stacks: &mut Stacks<'_, '_, '_>,
) -> Vec<OutlineSite> {
    let mut found: BTreeMap<String, OutlineSite> = BTreeMap::new();
    for site in analysis.sites.iter().filter(|site| is_compared(site)) {
        let stack = stacks.of(site.id);
        let functions = Functions::of(&stack);
        let known = found
            .entry(functions.fingerprint.clone())
            .or_insert_with(|| OutlineSite {
                functions,
                fingerprints: Vec::new(),
                head: head(&stack),
                all_names: all_names(sites, &stack, site.id),
                verdict: Verdict::Clean,
                parts: Vec::new(),
                outside: None,
            });
        known.fingerprints.push(fingerprint(sites, site.id));
        known.verdict = known.verdict.min(site.verdict);
        known.add_outside(site);
        known.add_parts(analysis, site);
    }
    found.into_values().collect()
}

fn head(stack: &Stack) -> Line {
    stack.lines.get(stack.head()).cloned().unwrap_or(Line {
        is_python: false,
        name: "(no frames)".into(),
        place: String::new(),
        kind: Kind::Runtime,
        whole: String::new(),
    })
}

/// What a suppression may name.
fn all_names(sites: &Sites, stack: &Stack, site: u32) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in &stack.lines {
        let function = line
            .whole
            .split_once('!')
            .map_or("", |(_, function)| function);
        let file = line
            .place
            .rsplit_once(':')
            .map_or(&*line.place, |(file, _)| file);
        names.extend([function, file].map(str::to_owned));
    }
    let modules = sites.backtrace(site);
    let modules = modules.filter_map(|frame| sites.modules().get(frame.module as usize));
    names.extend(modules.map(|module| module.path.clone()));
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

impl OutlineSite {
    /// The function that a person looks for, escaped.
    pub fn function(&self) -> &str {
        &self.head.name
    }

    /// Its file and line, escaped.
    pub fn place(&self) -> &str {
        &self.head.place
    }

    /// The same apart, where both are known.
    pub fn file_and_line(&self) -> Option<(&str, u32)> {
        let (file, line) = self.head.place.rsplit_once(':')?;
        Some((file, line.parse().ok()?))
    }

    /// Whether it can't be told yet whose what it has is, or whether that stays.
    pub(super) fn is_open(&self) -> bool {
        self.verdict == Verdict::TooFewRequests && self.parts.is_empty()
    }

    /// Its part in a label's requests.
    pub fn part(&self, label: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.label == label)
    }

    fn add_outside(&mut self, site: &Site) {
        if site.outside_grown.blocks == 0 && !site.outside_verdict.leaks() {
            return;
        }
        let outside = self.outside.get_or_insert(OutsidePart {
            verdict: Verdict::Clean,
            grown: Amount::default(),
        });
        outside.verdict = outside.verdict.min(site.outside_verdict);
        outside.grown += site.outside_grown;
    }

    fn add_parts(&mut self, analysis: &Analysis, site: &Site) {
        let labels = site.labels.iter().map(|part| part.endpoint);
        let labels = labels.chain(site.open.iter().map(|open| open.endpoint));
        for endpoint in labels {
            let Some(of) = analysis.endpoints.get(endpoint as usize) else {
                continue;
            };
            let known = self.parts.iter().position(|part| part.label == of.label);
            let at = known.unwrap_or_else(|| {
                self.parts.push(empty(of));
                self.parts.len() - 1
            });
            self.parts[at].add_site(of, endpoint, site);
        }
    }
}

/// A part in which all of so many requests leak so many bytes each.
#[cfg(test)]
pub(crate) fn leaking_part(label: &str, requests: u64, each: u64) -> Part {
    Part {
        label: label.into(),
        verdict: Verdict::Leak,
        requests,
        leaking: [requests, requests],
        hidden: None,
        most: 0,
        leaked: Amount {
            blocks: requests,
            bytes: requests * each,
        },
        associated_bytes: 0,
        needed: None,
        statuses: vec![StatusPart {
            status: Some(200),
            requests,
            leaking: requests,
            leaked_bytes: requests * each,
            leaked_squares: requests as f64 * (each as f64).powi(2),
            early: Default::default(),
            kept_early: Default::default(),
        }],
    }
}

/// A trace of which one call site leaks, in these parts.
#[cfg(test)]
pub(crate) fn example_outline(function: &str, parts: Vec<Part>) -> Outline {
    let head = Line {
        is_python: false,
        name: function.into(),
        place: "server.c:7".into(),
        kind: Kind::Own,
        whole: format!("!{function}"),
    };
    let stack = Stack {
        lines: vec![head.clone()],
        is_python: false,
    };
    Outline {
        complete: true,
        requests: parts.iter().map(|part| part.requests).sum(),
        endpoints: parts.clone(),
        sites: vec![OutlineSite {
            functions: Functions::of(&stack),
            fingerprints: Vec::new(),
            head,
            all_names: vec![function.into()],
            verdict: Verdict::Leak,
            parts,
            outside: None,
        }],
        ..Outline::default()
    }
}
