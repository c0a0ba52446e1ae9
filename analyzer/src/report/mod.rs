//! The result of an analysis, printed. An analysis returns a value; only this room prints it, and it
//! decides nothing: what a request, an owner or a verdict is, was settled before.

mod brief;
mod calls;
mod check;
mod diff;
#[cfg(test)]
mod example;
mod facts;
mod fingerprint;
mod firefox;
mod folded;
mod frames;
mod functions;
mod html;
mod json;
#[cfg(test)]
mod json_tests;
mod leaking;
mod listing;
mod markdown;
mod md;
mod named;
mod outline;
mod output;
mod pprof;
mod samples;
mod schema;
mod speedscope;
mod stacks;
mod tables;
mod text;

use std::cell::OnceCell;

use crate::access::AccessLog;
use crate::analysis::{Analysis, Site, Source, Verdict};
use crate::figures;
use crate::sample::{Amount, Sample};
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::{Facts, Warning};

pub use brief::brief;
pub use check::{Criteria, Finding, check, doubt};
pub use diff::{
    Diff, State, compare, html as diff_html, json as diff_json, markdown as diff_markdown,
};
pub use fingerprint::fingerprint;
pub use firefox::firefox;
pub use folded::folded;
pub use html::html;
pub use json::json;
pub use listing::{LeftOut, Listing, curl, ndjson, urls};
pub use markdown::markdown;
pub use named::{Named, named};
pub use outline::{Outline, OutlineSite, Part};
#[cfg(test)]
pub(crate) use outline::{example_outline, leaking_part};
pub use output::{color, open_page, print_to, width};
pub use pprof::pprof;
pub use speedscope::speedscope;
pub use tables::tables;
pub use text::{diff as diff_text, text, views};

/// Which requests the JSON lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestFilter {
    /// Every one.
    #[default]
    All,
    /// Those that retained blocks at call sites that leak or grow.
    Leaking,
    /// None.
    None,
}

/// Which blocks profiles are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// Survivors that were live when serving ended.
    #[default]
    Retained,
    /// Live when their request ended.
    Survivors,
    /// Live when the exit began, or at the end where there was none.
    Live,
}

impl What {
    /// Its name on the command line.
    fn name(self) -> &'static str {
        match self {
            What::Retained => "retained",
            What::Survivors => "survivors",
            What::Live => "live",
        }
    }
}

/// What of a trace is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Which requests leave memory behind.
    #[default]
    Leaks,
    /// What was live when most was.
    Peak,
    /// What was freed at once.
    Temporary,
    /// How large blocks are.
    Sizes,
}

/// How to print.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of the trace, as the user gave it.
    pub trace_path: String,
    /// Which requests the JSON lists.
    pub requests: RequestFilter,
    /// Call sites in each part of the text, at most.
    pub most_sites: usize,
    /// Endpoints in each part of the text, at most; `None`: as many as the first screen has room for.
    pub most_endpoints: Option<usize>,
    /// Leaking requests listed of each endpoint, at most.
    pub examples: usize,
    /// What the server's access log tells of requests.
    pub access_log: Option<AccessLog>,
    /// Types in each table of the text, at most; `None`: a few, and only where it matters most.
    pub types: Option<usize>,
    /// Call sites that pin pages, at most; `None`: a few, where they matter.
    pub pins: Option<usize>,
    /// Whether the page has the source lines of the program's own frames.
    pub with_source: bool,
    /// Which blocks profiles are of.
    pub what: What,
    /// Whether folded stacks begin with the outermost frame rather than with the endpoint.
    pub without_endpoint: bool,
    /// Columns of the text.
    pub width: usize,
    /// Whether the text is coloured.
    pub color: bool,
}

/// Call sites in each part of the text, unless the user says how many.
const MOST_SITES: usize = 10;

impl Default for Options {
    fn default() -> Self {
        Options {
            trace_path: "trace.bin".into(),
            requests: RequestFilter::All,
            most_sites: MOST_SITES,
            most_endpoints: None,
            examples: 0,
            access_log: None,
            types: None,
            pins: None,
            with_source: false,
            what: What::Retained,
            without_endpoint: false,
            width: 80,
            color: false,
        }
    }
}

/// Everything that a report is made of.
struct Input<'r> {
    facts: &'r Facts,
    analysis: &'r Analysis,
    sites: &'r Sites,
    options: &'r Options,
    /// The endpoints' labels in few columns, once the text asked for them.
    short_labels: OnceCell<Vec<String>>,
}

impl<'r> Input<'r> {
    fn new(
        facts: &'r Facts,
        analysis: &'r Analysis,
        sites: &'r Sites,
        options: &'r Options,
    ) -> Input<'r> {
        Input {
            facts,
            analysis,
            sites,
            options,
            short_labels: OnceCell::new(),
        }
    }

    /// The standard error of `bytes`, at most; 0 where every block was recorded.
    fn error(&self, bytes: u64) -> u64 {
        Sample::every(self.facts.sample_bytes).error(bytes)
    }

    /// A sum of what was live when exits began, where any process ended by itself.
    fn before_exit(&self, sum: Amount) -> Option<Amount> {
        self.analysis.totals.before_exit.map(|_| sum)
    }

    /// `bytes` in words, with their error if they are an estimate.
    fn estimate(&self, bytes: u64) -> String {
        match self.error(bytes) {
            0 => figures::bytes(bytes),
            error => format!("{} ± {}", figures::bytes(bytes), figures::bytes(error)),
        }
    }
}

impl Verdict {
    /// Its name in the schema and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Leak => "leak",
            Verdict::GrowingBuffer => "growing_buffer",
            Verdict::Bounded => "bounded",
            Verdict::WarmUp => "warm_up",
            Verdict::FreedLater => "freed_later",
            Verdict::TooFewRequests => "too_few_requests",
            Verdict::Clean => "clean",
        }
    }

    /// In few words, for people.
    fn words(self) -> &'static str {
        match self {
            Verdict::Leak => "leak",
            Verdict::GrowingBuffer => "growing",
            Verdict::Bounded => "bounded",
            Verdict::WarmUp => "warm-up",
            Verdict::FreedLater => "freed later",
            Verdict::TooFewRequests => "too few requests",
            Verdict::Clean => "clean",
        }
    }

    /// Whether it is bad news.
    pub fn leaks(self) -> bool {
        matches!(self, Verdict::Leak | Verdict::GrowingBuffer)
    }
}

impl Source {
    /// Its name in the schema and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Source::Http => "http",
            Source::Turn => "turn",
            Source::Mark => "mark",
            Source::Connection => "connection",
        }
    }
}

/// Whether all that happened was recorded and can be read: an end that was reached, nothing dropped,
/// nothing damaged.
pub fn is_complete(facts: &Facts) -> bool {
    use crate::trace::Ended;
    let damaged = |warning: &Warning| warning.code.ends_with("damaged");
    matches!(facts.ended, Ended::Complete | Ended::Killed)
        && dropped_events(facts) == 0
        && !facts.warnings.iter().any(damaged)
}

/// Events that are missing in the trace.
fn dropped_events(facts: &Facts) -> u64 {
    facts.dropped.allocations + facts.dropped.frees + facts.dropped.other
}

/// What the reader, the analysis and the symbolizer want to have said.
fn warnings(input: &Input<'_>, symbolizer: &Symbolizer<'_>) -> Vec<Warning> {
    let mut all = input.facts.warnings.clone();
    all.extend(input.analysis.warnings.iter().cloned());
    all.extend(symbolizer.warnings());
    all
}

/// What a site holds: what its requests left behind, or, where none reach it, what is live.
fn site_bytes(site: &Site) -> u64 {
    let open = site.open.iter().filter(|open| open.verdict.leaks());
    let open: u64 = open.map(|open| open.live.bytes).sum();
    open + match site.labels.is_empty() {
        true => site.outside_bytes,
        false => site.retained_bytes,
    }
}
