//! Reads an access log for the requests of a trace.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::access::{AccessLog, join};
use crate::analysis::Analysis;
use crate::trace::Facts;

/// Joins the lines of the log at `path`, which may be packed by gzip, to the requests.
///
/// # Errors
/// One line: why it can't be read.
pub(super) fn read(path: &Path, facts: &Facts, analysis: &Analysis) -> Result<AccessLog, String> {
    let trouble = |error: std::io::Error| format!("--access-log {}: {error}", path.display());
    let mut file = BufReader::new(File::open(path).map_err(trouble)?);
    let packed = file.fill_buf().map_err(trouble)?.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read> = match packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = BufReader::new(reader);
    let mut failed = None;
    let mut line = Vec::new();
    let lines = std::iter::from_fn(|| {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).into_owned().into()),
            Err(error) => {
                failed = Some(error);
                None
            }
        }
    });
    let log = join(facts, analysis, lines);
    failed.map_or(Ok(log), |error| Err(trouble(error)))
}
