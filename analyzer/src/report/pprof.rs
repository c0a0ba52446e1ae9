//! A profile for `go tool pprof` and all that read its format: profile.proto, gzipped.
//! (<https://github.com/google/pprof/blob/main/proto/profile.proto>)

mod proto;

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use rustc_hash::FxHashMap;

use super::Options;
use super::calls::{At, Call, Place, places};
use super::samples::{Sample, sampled, samples};
use crate::analysis::Analysis;
use crate::sites::{NO_MODULE, Sites};
use crate::symbols::Symbolizer;
use crate::trace::Facts;
use proto::{Function, Label, Line, Location, Mapping, Profile, ValueType};

/// The kinds of values of each sample, in order; the unit.
const TYPES: [(&str, &str); 6] = [
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
    ("survivor_objects", "count"),
    ("survivor_space", "bytes"),
    ("retained_objects", "count"),
    ("retained_space", "bytes"),
];

/// Writes the profile.
///
/// # Errors
/// Of the writing.
pub fn pprof(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut builder = Builder::new(facts, sites);
    for site in sampled(analysis, sites) {
        let samples = samples(analysis, site);
        if samples.is_empty() {
            continue;
        }
        let places = places(sites, symbolizer, site.id);
        let stack: Vec<u64> = places.iter().map(|place| builder.location(place)).collect();
        for sample in samples {
            builder.sample(&stack, &sample);
        }
    }
    builder.profile.default_sample_type = builder.text(match options.what {
        super::What::Retained => "retained_space",
        super::What::Survivors => "survivor_space",
        super::What::Live => "inuse_space",
    });
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&builder.profile.encode_to_vec())?;
    gzip.finish().map(|_| ())
}

struct Builder<'r> {
    facts: &'r Facts,
    profile: Profile,
    texts: FxHashMap<String, i64>,
    locations: FxHashMap<At, u64>,
    functions: FxHashMap<(String, Option<String>), u64>,
}

impl<'r> Builder<'r> {
    fn new(facts: &'r Facts, sites: &Sites) -> Builder<'r> {
        let mut builder = Builder {
            facts,
            profile: Profile::default(),
            texts: FxHashMap::default(),
            locations: FxHashMap::default(),
            functions: FxHashMap::default(),
        };
        // The first text is always the empty one.
        builder.text("");
        let types = TYPES.map(|(kind, unit)| ValueType {
            kind: builder.text(kind),
            unit: builder.text(unit),
        });
        builder.profile.sample_type = types.into();
        builder.profile.time_nanos = i64::try_from(facts.started_at_ns).unwrap_or(0);
        builder.profile.duration_nanos = i64::try_from(facts.duration_ns).unwrap_or(0);
        for (id, module) in (1..).zip(sites.modules()) {
            let mapping = Mapping {
                id,
                filename: builder.text(&module.path),
                build_id: builder.text(module.build_id.as_deref().unwrap_or_default()),
                has_functions: true,
                has_filenames: true,
                has_line_numbers: true,
                has_inline_frames: true,
                ..Mapping::default()
            };
            builder.profile.mapping.push(mapping);
        }
        builder
    }

    /// The index of a text.
    fn text(&mut self, text: &str) -> i64 {
        if let Some(index) = self.texts.get(text) {
            return *index;
        }
        let index = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), index);
        index
    }

    fn location(&mut self, place: &Place) -> u64 {
        if let Some(id) = self.locations.get(&place.at) {
            return *id;
        }
        let id = self.profile.location.len() as u64 + 1;
        let (mapping_id, address) = match place.at {
            At::Native(NO_MODULE, address) => (0, address),
            At::Native(module, address) => (u64::from(module) + 1, address),
            At::Python(..) => (0, 0),
        };
        if let Some(mapping) = mapping_id
            .checked_sub(1)
            .and_then(|at| self.profile.mapping.get_mut(at as usize))
        {
            // Addresses are those of the file, which is as if mapped at 0. A frame without a name may be looked up
            // by the reader: the return address less one lies in the call.
            mapping.memory_limit = mapping.memory_limit.max(address);
            mapping.has_functions &= place.calls.iter().all(|call| call.is_named);
        }
        let line = place
            .calls
            .iter()
            .filter(|call| call.is_named || mapping_id == 0);
        let line = line.map(|call| self.line(call)).collect();
        self.profile.location.push(Location {
            id,
            mapping_id,
            address: address.saturating_sub(u64::from(mapping_id > 0)),
            line,
            ..Location::default()
        });
        self.locations.insert(place.at, id);
        id
    }

    fn line(&mut self, call: &Call) -> Line {
        let key = (call.function.clone(), call.file.clone());
        let function_id = match self.functions.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.profile.function.len() as u64 + 1;
                let function = Function {
                    id,
                    name: self.text(&call.function),
                    system_name: self.text(&call.function),
                    filename: self.text(call.file.as_deref().unwrap_or_default()),
                    start_line: 0,
                };
                self.profile.function.push(function);
                self.functions.insert(key, id);
                id
            }
        };
        Line {
            function_id,
            line: i64::from(call.line.unwrap_or(0)),
            column: 0,
        }
    }

    fn sample(&mut self, stack: &[u64], sample: &Sample<'_>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let value = [sample.live, sample.survivors, sample.retained]
            .into_iter()
            .flat_map(|amount| [number(amount.blocks), number(amount.bytes)])
            .collect();
        let process = sample.process.and_then(|process| {
            let process = self.facts.processes.get(process as usize)?;
            let name = process.executable.rsplit('/').next().unwrap_or_default();
            Some(format!("{name} {}", process.pid))
        });
        let labels = [
            (
                "endpoint",
                Some(sample.endpoint.unwrap_or("(no request)").to_owned()),
            ),
            (
                "status",
                (sample.status == Some(None)).then(|| "none".to_owned()),
            ),
            (
                "verdict",
                sample.verdict.map(|verdict| verdict.name().to_owned()),
            ),
            ("type", sample.of_type.map(str::to_owned)),
            ("process", process),
        ];
        let labels = labels
            .into_iter()
            .filter_map(|(key, text)| Some((key, text?)));
        let mut label: Vec<Label> = labels
            .map(|(key, text)| Label {
                key: self.text(key),
                str: self.text(&text),
                ..Label::default()
            })
            .collect();
        // A number: `-tagfocus=status=500` looks for no text.
        if let Some(Some(status)) = sample.status {
            label.push(Label {
                key: self.text("status"),
                num: i64::from(status),
                ..Label::default()
            });
        }
        self.profile.sample.push(proto::Sample {
            location_id: stack.to_vec(),
            value,
            label,
        });
    }
}
