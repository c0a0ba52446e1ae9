//! A profile for the Firefox Profiler: stacks of bytes under their endpoint and status, which are the categories, too;
//! and the leaking requests as markers.

mod format;

use std::collections::BTreeMap;
use std::io::{self, Write};

use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::calls::Call;
use super::leaking::leaking_requests;
use super::samples::Status;
use super::stacks::{Stack, stacks};
use super::{Input, Options, What};
use crate::analysis::Analysis;
use crate::analysis::course::{Kept, PERIODS};
use crate::figures::counted;
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;
use format::{Category, Markers, Meta, Profile, Samples, Shared, Thread, VERSION};

/// Markers, at most: the profiler draws each.
const MOST_MARKERS: usize = 10_000;
/// The category of what belongs to no request; the format wants one that is grey.
const NO_REQUEST: usize = 0;
/// Colours of the endpoints, the worst first.
const COLORS: [&str; 9] = [
    "red",
    "orange",
    "purple",
    "blue",
    "green",
    "magenta",
    "yellow",
    "brown",
    "lightblue",
];
const MARKER: &str = "LeakingRequest";

/// Writes the profile, as JSON.
///
/// # Errors
/// Of the writing.
pub fn firefox(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input::new(facts, analysis, sites, options);
    let mut builder = Builder::new(&input);
    stacks(analysis, sites, symbolizer, options.what, |stack| {
        builder.add(&stack);
    });
    let (markers, left_out) = builder.markers();
    let extra = about(&input, symbolizer, left_out);
    serde_json::to_writer(&mut *out, &builder.profile(markers, extra))?;
    out.write_all(b"\n")
}

struct Builder<'r> {
    input: &'r Input<'r>,
    shared: Shared,
    categories: Vec<Category>,
    /// The category of an endpoint, by its label.
    known: FxHashMap<&'r str, usize>,
    /// Nanoseconds, stack, bytes.
    samples: Vec<(u64, usize, u64)>,
}

impl<'r> Builder<'r> {
    fn new(input: &'r Input<'r>) -> Builder<'r> {
        Builder {
            input,
            shared: Shared::default(),
            categories: vec![category("(no request)", "grey")],
            known: FxHashMap::default(),
            samples: Vec::new(),
        }
    }

    fn category(&mut self, endpoint: Option<&'r str>) -> usize {
        let Some(label) = endpoint else {
            return NO_REQUEST;
        };
        let categories = &mut self.categories;
        *self.known.entry(label).or_insert_with(|| {
            let color = COLORS[(categories.len() - 1) % COLORS.len()];
            categories.push(category(label, color));
            categories.len() - 1
        })
    }

    /// A sample for each endpoint, status and period.
    fn add(&mut self, stack: &Stack<'r>) {
        let mut sums: BTreeMap<(Option<&'r str>, Option<Status>), u64> = BTreeMap::new();
        for (sample, bytes) in &stack.weights {
            *sums.entry((sample.endpoint, sample.status)).or_default() += bytes;
        }
        for ((endpoint, status), bytes) in sums {
            let root = self.roots(endpoint, status);
            let whole = self.stack(root, &stack.calls);
            let when = self.when(stack, endpoint, status, bytes);
            self.samples
                .extend(when.into_iter().map(|(at, bytes)| (at, whole, bytes)));
        }
    }

    /// The stack of the endpoint and the status.
    fn roots(&mut self, endpoint: Option<&'r str>, status: Option<Status>) -> usize {
        let category = self.category(endpoint);
        let name = endpoint.unwrap_or("(no request)");
        let root = self.shared.frame(name, None, None, Some((category, 0)));
        let root = self.shared.stack(None, root);
        let Some(status) = status else {
            return root;
        };
        let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let parts = &mut self.categories[category].subcategories;
        let part = parts.iter().position(|part| *part == status);
        let part = part.unwrap_or_else(|| {
            parts.push(status.clone());
            parts.len() - 1
        });
        let frame = self
            .shared
            .frame(&status, None, None, Some((category, part)));
        self.shared.stack(Some(root), frame)
    }

    fn stack(&mut self, root: usize, calls: &[Call]) -> usize {
        calls.iter().fold(root, |callers, call| {
            let file = call.file.as_deref();
            let frame = self.shared.frame(&call.short, file, call.line, None);
            self.shared.stack(Some(callers), frame)
        })
    }

    /// When the requests began that retained so many bytes there; what is not known of stands at the end.
    fn when(
        &self,
        stack: &Stack<'_>,
        endpoint: Option<&str>,
        status: Option<Status>,
        bytes: u64,
    ) -> Vec<(u64, u64)> {
        let mut rest = bytes;
        let mut when = Vec::new();
        for kept in self.kept(stack) {
            let label = self.input.analysis.endpoints.get(kept.endpoint as usize);
            if label.map(|endpoint| endpoint.label.as_str()) == endpoint
                && Some(kept.status) == status
            {
                let part = kept.retained.bytes.min(rest);
                rest -= part;
                when.push((self.begin(kept.period), part));
            }
        }
        when.push((self.input.facts.duration_ns, rest));
        when.retain(|(_, bytes)| *bytes > 0);
        when
    }

    fn kept(&self, stack: &Stack<'_>) -> &'r [Kept] {
        let course = self.input.analysis.course.as_ref();
        let (Some(course), What::Retained) = (course, self.input.options.what) else {
            return &[];
        };
        let from = course
            .kept
            .partition_point(|kept| kept.site < stack.site.id);
        let kept = &course.kept[from..];
        &kept[..kept.partition_point(|kept| kept.site == stack.site.id)]
    }

    /// When the period begins: the profiler shows nothing that is over before the first sample.
    fn begin(&self, period: u8) -> u64 {
        (u128::from(self.input.facts.duration_ns) * u128::from(period) / PERIODS as u128) as u64
    }

    /// The leaking requests, and of how many there is no marker.
    fn markers(&mut self) -> (Markers, usize) {
        let analysis = self.input.analysis;
        let mut markers = Markers::default();
        for request in leaking_requests(analysis, MOST_MARKERS) {
            let endpoint = analysis.endpoints.get(request.endpoint as usize);
            let label = endpoint.map(|endpoint| endpoint.label.as_str());
            let category = self.category(label);
            let name = self.shared.text(label.unwrap_or("(no request)"));
            let data = json!({
                "type": MARKER,
                "status": request.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
                "retained": request.retained_bytes,
                "associated": request.associated.bytes,
                "process": request.process,
            });
            let end = request.end_ns.map(milliseconds);
            markers.push(name, category, milliseconds(request.start_ns), end, data);
        }
        let leaking = analysis.requests.iter().filter(|r| r.leaking_blocks > 0);
        let left_out = leaking.count() - markers.length;
        (markers, left_out)
    }

    fn profile(mut self, markers: Markers, extra: Value) -> Profile {
        let facts = self.input.facts;
        self.samples.sort_unstable();
        let first = facts.processes.first();
        let program = first.map_or("", |process| process.executable.as_str());
        let program = program.rsplit('/').next().unwrap_or(program);
        let thread = Thread {
            process_type: "default",
            process_startup_time: 0.0,
            process_shutdown_time: Some(milliseconds(facts.duration_ns)),
            register_time: 0.0,
            unregister_time: None,
            paused_ranges: [],
            show_markers_in_timeline: true,
            name: format!("{} bytes", self.input.options.what.name()),
            is_main_thread: true,
            process_name: program.to_owned(),
            pid: first.map_or(0, |process| process.pid).to_string(),
            tid: first.map_or(0, |process| process.pid),
            samples: Samples {
                time: self.samples.iter().map(|row| milliseconds(row.0)).collect(),
                stack: self.samples.iter().map(|row| row.1).collect(),
                weight: self.samples.iter().map(|row| row.2).collect(),
                weight_type: "bytes",
                length: self.samples.len(),
            },
            markers,
        };
        Profile {
            meta: Meta {
                preprocessed_profile_version: VERSION,
                version: 24,
                interval: (milliseconds(facts.duration_ns) / PERIODS as f64).max(1.0),
                start_time: milliseconds(facts.started_at_ns),
                product: program.to_owned(),
                imported_from: format!("libleak {}", env!("CARGO_PKG_VERSION")),
                process_type: 0,
                stackwalk: 1,
                symbolicated: true,
                categories: self.categories,
                marker_schema: schema(),
                extra,
                initial_visible_threads: [0],
                initial_selected_threads: [0],
            },
            libs: [],
            shared: self.shared,
            threads: [thread],
        }
    }
}

fn category(name: &str, color: &'static str) -> Category {
    Category {
        name: name.to_owned(),
        color,
        subcategories: vec!["Other".to_owned()],
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// How the profiler shows a request.
fn schema() -> Value {
    let field = |key: &str, label: &str, format: &str| json!({ "key": key, "label": label, "format": format });
    json!([{
        "name": MARKER,
        "tooltipLabel": "{marker.name}",
        "tableLabel": "{marker.name}, {marker.data.status}: {marker.data.retained} retained",
        "chartLabel": "{marker.data.status}, {marker.data.retained}",
        "description": "A request that retained blocks at a call site that leaks or grows",
        "display": ["marker-chart", "marker-table", "timeline-overview"],
        "fields": [
            field("status", "Status", "string"),
            field("retained", "Retained", "bytes"),
            field("associated", "Not proved to be its own", "bytes"),
            field("process", "Process of the trace", "integer"),
        ],
    }])
}

/// What has to be known of the profile.
fn about(input: &Input<'_>, symbolizer: &Symbolizer<'_>, left_out: usize) -> Value {
    let entry =
        |label: &str, value: &str| json!({ "label": label, "format": "string", "value": value });
    let mut entries = vec![
        entry("Trace", &input.options.trace_path),
        entry("Weights", &format!("bytes {}", input.options.what.name())),
    ];
    if left_out > 0 {
        let text = format!(
            "{} have no marker",
            counted(left_out as u64, "leaking request")
        );
        entries.push(entry("Left out", &text));
    }
    let warnings = super::warnings(input, symbolizer);
    entries.extend(
        warnings
            .iter()
            .map(|warning| entry("Warning", &warning.text)),
    );
    json!([{ "label": "libleak", "entries": entries }])
}

#[cfg(test)]
mod tests;
