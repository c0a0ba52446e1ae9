//! Folded stacks, one line each: what flame graph tools read. The endpoint and the status are the outermost frames.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::calls::places;
use super::samples::{Sample, sampled, samples};
use super::{Options, What};
use crate::analysis::Analysis;
use crate::escape::escaped;
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// Writes `endpoint;status;outermost;…;innermost bytes` lines, sorted.
///
/// # Errors
/// Of the writing.
pub fn folded(
    _facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for site in sampled(analysis, sites) {
        let samples = samples(analysis, site);
        let samples = samples
            .iter()
            .filter(|sample| options.what.of(sample).bytes > 0);
        let mut stack = None;
        for sample in samples {
            let stack = stack.get_or_insert_with(|| {
                let places = places(sites, symbolizer, site.id);
                let calls = places.iter().flat_map(|place| &place.calls);
                let names: Vec<String> = calls.map(|call| name(&call.short)).collect();
                names.into_iter().rev().collect::<Vec<_>>().join(";")
            });
            let line = match options.without_endpoint {
                true => stack.clone(),
                false => format!("{};{stack}", roots(sample)),
            };
            *lines.entry(line).or_default() += options.what.of(sample).bytes;
        }
    }
    for (stack, bytes) in lines {
        writeln!(out, "{stack} {bytes}")?;
    }
    Ok(())
}

impl What {
    /// That of a sample.
    pub(super) fn of(self, sample: &Sample<'_>) -> crate::sample::Amount {
        match self {
            What::Retained => sample.retained,
            What::Survivors => sample.survivors,
            What::Live => sample.live,
        }
    }
}

fn roots(sample: &Sample<'_>) -> String {
    let status = match sample.status {
        None => return name(sample.endpoint.unwrap_or("(no request)")),
        Some(None) => "no status".into(),
        Some(Some(status)) => status.to_string(),
    };
    format!("{};{status}", name(sample.endpoint.unwrap_or_default()))
}

/// A frame's name: a semicolon would end it, a control character the line.
fn name(text: &str) -> String {
    escaped(text).replace(';', ":")
}
