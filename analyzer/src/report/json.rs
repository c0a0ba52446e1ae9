//! The report for programs: one object, as `schema` has it.

mod endpoints;
mod memory;
mod parts;
mod requests;
mod run;
mod sites;

use std::io::{self, Write};

use super::schema::{self, SCHEMA, Written};
use super::{Input, Options, warnings};
use crate::analysis::{Analysis, Untraced};
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;

use memory::{growth, memory};
use run::{totals, trace};

pub(super) use endpoints::endpoint;
pub(super) use parts::{label, types};
pub(super) use requests::{requests, sent, sent_cut};
pub(super) use run::{processes, timeline};
pub(super) use sites::{listed, site_row};

/// Writes the report as one JSON object and a line feed.
pub fn json(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let input = Input::new(facts, analysis, sites, options);
    // First: naming functions may bring warnings, and those stand at the head.
    let (listed, left_out) = listed(&input);
    let site_rows = listed
        .into_iter()
        .map(|site| site_row(&input, symbolizer, site))
        .collect();
    let report = schema::Report {
        schema: SCHEMA,
        trace: trace(&input, warnings(&input, symbolizer)),
        processes: processes(&input),
        totals: totals(&input),
        growth: growth(&analysis.growth),
        memory: memory(analysis),
        timeline: timeline(analysis),
        requests: Written(|| requests(&input)),
        endpoints: analysis
            .endpoints
            .iter()
            .map(|row| endpoint(&input, row))
            .collect(),
        sites: site_rows,
        sites_left_out: left_out,
        types: types(&analysis.types),
        modules: modules(sites),
        untraced: untraced(&analysis.untraced),
    };
    serde_json::to_writer(&mut *out, &report)?;
    out.write_all(b"\n")
}

fn untraced(libraries: &[Untraced]) -> Vec<schema::Untraced<'_>> {
    let libraries = libraries.iter();
    libraries
        .map(|library| schema::Untraced {
            path: &library.path,
            mappings: library.mappings,
            mapped_bytes: library.bytes,
        })
        .collect()
}

fn modules(sites: &Sites) -> Vec<schema::Module<'_>> {
    let modules = sites.modules().iter();
    modules
        .map(|module| schema::Module {
            path: &module.path,
            build_id: module.build_id.as_deref(),
        })
        .collect()
}
