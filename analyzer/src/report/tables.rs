//! The analysis as tables, one JSON object a line: `duckdb` and its like read them as they are.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::calls::{At, places};
use super::{Input, Options, json};
use crate::analysis::{Analysis, SiteCell};
use crate::sites::{NO_MODULE, Sites};
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// A frame of a site: `depth` 0 is the innermost; an inlined function has its caller's place.
#[derive(Serialize)]
struct FrameRow<'r> {
    site_id: u32,
    depth: usize,
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    module: Option<&'r str>,
    file_address: u64,
    language: &'static str,
}

/// What the requests of one label with one status in one process retained at a site.
#[derive(Serialize)]
struct RetainedRow<'r> {
    site_id: u32,
    label: &'r str,
    status: Option<u32>,
    process_id: u32,
    verdict: &'static str,
    requests: u64,
    retained_blocks: u64,
    retained_bytes: u64,
    associated_blocks: u64,
    associated_bytes: u64,
    leaked_blocks: u64,
    leaked_bytes: u64,
}

/// Writes `processes`, `requests`, `endpoints`, `sites`, `retained`, `frames`, `types` and `timeline`, each with the
/// ending `.ndjson`, into the folder, which is made where it is missing. What stands there under these names is
/// replaced.
///
/// # Errors
/// Of the files, with the name of the one.
pub fn tables(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    folder: &Path,
) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let input = Input::new(facts, analysis, sites, options);
    write(folder, "processes", json::processes(&input))?;
    write(folder, "requests", json::requests(&input))?;
    let endpoints = analysis.endpoints.iter();
    write(
        folder,
        "endpoints",
        endpoints.map(|row| json::endpoint(&input, row)),
    )?;
    let (listed, _) = json::listed(&input);
    let rows = listed
        .iter()
        .map(|site| json::site_row(&input, symbolizer, site));
    write(folder, "sites", rows)?;
    let cells = listed.iter().flat_map(|site| {
        let id = site.id;
        site.cells
            .iter()
            .map(move |cell| retained(analysis, id, cell))
    });
    write(folder, "retained", cells)?;
    let mut frames = Vec::new();
    for site in &listed {
        add_frames(sites, symbolizer, site.id, &mut frames);
    }
    write(folder, "frames", frames)?;
    write(folder, "types", json::types(&analysis.types))?;
    write(folder, "timeline", json::timeline(analysis))
}

fn write<R: Serialize>(
    folder: &Path,
    name: &str,
    rows: impl IntoIterator<Item = R>,
) -> Result<(), String> {
    let path = folder.join(format!("{name}.ndjson"));
    let written = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(&path)?);
        for row in rows {
            serde_json::to_writer(&mut out, &row)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    written().map_err(|error| format!("{}: {error}", path.display()))
}

fn retained<'r>(analysis: &'r Analysis, site_id: u32, cell: &SiteCell) -> RetainedRow<'r> {
    RetainedRow {
        site_id,
        label: json::label(analysis, cell.endpoint),
        status: cell.status,
        process_id: cell.process,
        verdict: cell.verdict.name(),
        requests: cell.requests,
        retained_blocks: cell.retained.blocks,
        retained_bytes: cell.retained.bytes,
        associated_blocks: cell.associated.blocks,
        associated_bytes: cell.associated.bytes,
        leaked_blocks: cell.leaked.blocks,
        leaked_bytes: cell.leaked.bytes,
    }
}

fn add_frames<'r>(
    sites: &'r Sites,
    symbolizer: &mut Symbolizer<'_>,
    site_id: u32,
    rows: &mut Vec<FrameRow<'r>>,
) {
    let mut depth = 0;
    for place in places(sites, symbolizer, site_id) {
        let (module, file_address, language) = match place.at {
            At::Python(..) => (None, 0, "python"),
            At::Native(NO_MODULE, address) => (None, address, "native"),
            At::Native(module, address) => {
                let module = sites.modules().get(module as usize);
                (module.map(|module| module.path.as_str()), address, "native")
            }
        };
        for call in place.calls {
            rows.push(FrameRow {
                site_id,
                depth,
                function: call.is_named.then_some(call.function),
                file: call.file,
                line: call.line,
                module,
                file_address,
                language,
            });
            depth += 1;
        }
    }
}
