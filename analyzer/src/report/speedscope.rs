//! A speedscope file: a profile for each endpoint that retained something, the worst first, in bytes.

use std::io::{self, Write};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Options;
use super::calls::Call;
use super::stacks::stacks;
use crate::analysis::Analysis;
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

#[derive(Serialize)]
struct File<'r> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: String,
    exporter: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared,
    profiles: Vec<Profile<'r>>,
}

#[derive(Default, Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Profile<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'r str,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start: u64,
    #[serde(rename = "endValue")]
    end: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// Writes the file.
///
/// # Errors
/// Of the writing.
pub fn speedscope(
    _facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut shared = Shared::default();
    let mut known: FxHashMap<Call, usize> = FxHashMap::default();
    let labels = analysis
        .endpoints
        .iter()
        .map(|endpoint| Some(endpoint.label.as_str()));
    let mut profiles: Vec<(Option<&str>, Profile<'_>)> = labels
        .chain([None])
        .map(|label| (label, profile(label)))
        .collect();
    let places_of: FxHashMap<&str, usize> = analysis
        .endpoints
        .iter()
        .zip(0..)
        .map(|(endpoint, at)| (endpoint.label.as_str(), at))
        .collect();
    stacks(analysis, sites, symbolizer, options.what, |stack| {
        let calls = stack.calls.into_iter();
        let frames: Vec<usize> = calls.map(|call| shared.frame(call, &mut known)).collect();
        for (sample, bytes) in stack.weights {
            let at = sample.endpoint.and_then(|label| places_of.get(label));
            let at = at.copied().unwrap_or(profiles.len() - 1);
            if let Some((_, profile)) = profiles.get_mut(at) {
                profile.add(frames.clone(), bytes);
            }
        }
    });
    profiles.retain(|(_, profile)| profile.end > 0);
    if profiles.is_empty() {
        // A file needs one.
        profiles.push((None, profile(None)));
    }
    let file = File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        name: format!("libleak: {} of {}", options.what.name(), options.trace_path),
        exporter: format!("leak-analyze {}", env!("CARGO_PKG_VERSION")),
        active: 0,
        shared,
        profiles: profiles.into_iter().map(|(_, profile)| profile).collect(),
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

impl Shared {
    fn frame(&mut self, call: Call, known: &mut FxHashMap<Call, usize>) -> usize {
        let frames = &mut self.frames;
        *known.entry(call).or_insert_with_key(|call| {
            frames.push(Frame {
                name: call.short.clone(),
                file: call.file.clone(),
                line: call.line,
            });
            frames.len() - 1
        })
    }
}

fn profile(label: Option<&str>) -> Profile<'_> {
    Profile {
        kind: "sampled",
        name: label.unwrap_or("(no request)"),
        unit: "bytes",
        start: 0,
        end: 0,
        samples: Vec::new(),
        weights: Vec::new(),
    }
}

impl Profile<'_> {
    fn add(&mut self, stack: Vec<usize>, bytes: u64) {
        self.samples.push(stack);
        self.weights.push(bytes);
        self.end += bytes;
    }
}
