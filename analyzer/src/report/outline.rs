//! What is compared of a trace, taken out of its analysis: endpoints and call sites by names that hold from build to
//! build. Small, so that a second trace can be read after the first was let go.

use std::collections::BTreeMap;

use super::frames::{Kind, Line, Stack, Stacks};
use super::functions::Functions;
use super::{dropped_events, fingerprint, is_complete};
use crate::analysis::{Analysis, Endpoint, Site, SiteCell, Verdict};
use crate::sample::{Amount, Sample};
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

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

/// What requests of one label left behind: all of it, or at one call site.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The label.
    pub label: String,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Requests of the label.
    pub requests: u64,
    /// How many leaked, at least and at most.
    pub leaking: [u64; 2],
    /// What leaked.
    pub leaked: Amount,
    /// Of `leaked`'s bytes, those of which nothing proves that they are the label's.
    pub associated_bytes: u64,
    /// How many more requests are needed to tell, where that is known.
    pub needed: Option<u64>,
    /// By status.
    pub statuses: Vec<StatusPart>,
}

/// A part of one status.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StatusPart {
    /// The status.
    pub status: Option<u32>,
    /// Requests of the label that have it.
    pub requests: u64,
    /// How many leaked.
    pub leaking: u64,
    /// What they leaked, bytes.
    pub leaked_bytes: u64,
    /// The sum over requests of the square of that.
    pub leaked_squares: f64,
}

/// What is left outside of requests at a call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsidePart {
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Made while serving, and live when that ended.
    pub grown: Amount,
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
            endpoints: endpoints(analysis),
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

impl Part {
    /// Bytes that each leaking request left, at least and at most; `None` where none leaked.
    pub fn each(&self) -> Option<[u64; 2]> {
        let [low, high] = self.leaking;
        let known = high > 0 && self.leaked.blocks > 0;
        known.then(|| [self.leaked.bytes / high, self.leaked.bytes / low.max(1)])
    }

    /// Its requests of `status`, if there were any.
    pub fn status(&self, status: Option<u32>) -> Option<&StatusPart> {
        self.statuses.iter().find(|part| part.status == status)
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

fn endpoints(analysis: &Analysis) -> Vec<Part> {
    let mut parts: Vec<Part> = analysis.endpoints.iter().map(endpoint).collect();
    for cell in analysis.sites.iter().flat_map(|site| &site.cells) {
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

fn endpoint(endpoint: &Endpoint) -> Part {
    let [mut low, mut high] = endpoint.leaking_requests_range;
    if endpoint.open_leaked.blocks > 0 {
        (low, high) = (low + endpoint.open_requests, high + endpoint.open_requests);
    }
    let statuses = endpoint.statuses.iter().map(|of| StatusPart {
        status: of.status,
        requests: of.requests,
        leaking: of.leaking_requests,
        ..StatusPart::default()
    });
    let mut part = Part {
        label: endpoint.label.clone(),
        verdict: endpoint.verdict,
        requests: endpoint.requests,
        leaking: [low.min(endpoint.requests), high.min(endpoint.requests)],
        leaked: Amount::default(),
        associated_bytes: 0,
        needed: None,
        statuses: statuses.collect(),
    };
    part.add_open(endpoint.open_requests, endpoint.open_leaked);
    part
}

impl Part {
    /// What requests hold that have not ended: they have no status.
    fn add_open(&mut self, requests: u64, leaked: Amount) {
        if leaked.blocks == 0 {
            return;
        }
        self.leaked += leaked;
        let mut statuses = self.statuses.iter_mut();
        if let Some(of) = statuses.find(|of| of.status.is_none()) {
            of.leaking = (of.leaking + requests).min(of.requests);
            of.leaked_bytes += leaked.bytes;
            of.leaked_squares += (leaked.bytes as f64).powi(2) / requests.max(1) as f64;
        }
    }
}

fn add(part: &mut Part, cell: &SiteCell) {
    part.leaked += cell.leaked;
    if cell.leaked.blocks > 0 {
        part.associated_bytes += cell.associated.bytes.min(cell.leaked.bytes);
    }
    let mut statuses = part.statuses.iter_mut();
    if let Some(of) = statuses.find(|of| of.status == cell.status) {
        of.leaked_bytes += cell.leaked.bytes;
        // The root of a sum of squares is never more than the sum of the roots: what one request left at several
        // sites counts as if it had always come together.
        of.leaked_squares = (of.leaked_squares.sqrt() + cell.leaked_squares.sqrt()).powi(2);
    }
}

/// Whether a comparison, or a baseline, looks at the site.
pub(super) fn is_compared(site: &Site) -> bool {
    let undecided = site.outside_verdict == Verdict::TooFewRequests;
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

fn empty(of: &Endpoint) -> Part {
    let statuses = of.statuses.iter().map(|of| StatusPart {
        status: of.status,
        requests: of.requests,
        ..StatusPart::default()
    });
    Part {
        label: of.label.clone(),
        verdict: Verdict::Clean,
        requests: of.requests,
        leaking: [0, 0],
        leaked: Amount::default(),
        associated_bytes: 0,
        needed: None,
        statuses: statuses.collect(),
    }
}

impl Part {
    fn add_site(&mut self, of: &Endpoint, endpoint: u32, site: &Site) {
        let groups = site
            .groups
            .iter()
            .filter(|group| group.endpoint == endpoint);
        let open = site.open.iter().filter(|open| open.endpoint == endpoint);
        let verdicts = groups
            .map(|group| group.verdict)
            .chain(open.clone().map(|open| open.verdict));
        self.verdict = verdicts.fold(self.verdict, Verdict::min);
        self.needed = self.needed.max(site.evidence.requests_needed);
        for cell in site.cells.iter().filter(|cell| cell.endpoint == endpoint) {
            add(self, cell);
            let mut statuses = self.statuses.iter_mut();
            if let Some(of) = statuses.find(|of| of.status == cell.status) {
                of.leaking = (of.leaking + cell.leaking_requests).min(of.requests);
            }
        }
        for open in open.filter(|open| open.verdict.leaks()) {
            self.add_open(open.requests, open.live);
        }
        let told: u64 = self.statuses.iter().map(|of| of.leaking).sum();
        self.leaking = match self.associated_bytes {
            0 => [told, told],
            // Which requests they are of is known as well as it is for the endpoint.
            _ => {
                let [low, high] = of.leaking_requests_range;
                [told.min(low), told.max(high).min(of.requests)]
            }
        };
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
