//! Folded stacks, one line each: what flame graph tools read. The endpoint and the status are the outermost frames.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::samples::Sample;
use super::stacks::stacks;
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
    stacks(analysis, sites, symbolizer, options.what, |stack| {
        let names: Vec<String> = stack.calls.iter().map(|call| name(&call.short)).collect();
        let names = names.join(";");
        for (sample, bytes) in &stack.weights {
            let line = match options.without_endpoint {
                true => names.clone(),
                false => format!("{};{names}", roots(sample)),
            };
            *lines.entry(line).or_default() += bytes;
        }
    });
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
