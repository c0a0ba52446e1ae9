//! Figures for a collector of text files, in the OpenMetrics format.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::watch::view::{EndpointRow, View, Whose};

/// Writes them to `path`, which always is whole: under another name first, then renamed.
///
/// # Errors
/// One line: why they can't be written.
pub(super) fn write(path: &Path, view: &View) -> Result<(), String> {
    let written = replace(path, view);
    written.map_err(|error| {
        format!(
            "{}: {error}; name a file in a folder that can be written to",
            path.display()
        )
    })
}

fn replace(path: &Path, view: &View) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Collectors read `*.prom`: not this one.
    name.push(format!(".{}.tmp", std::process::id()));
    let draft: PathBuf = path.with_file_name(name);
    let written = fs::write(&draft, text(view)).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

fn text(view: &View) -> String {
    let mut out = String::new();
    let endpoints = view.endpoints.iter();
    let of_requests = endpoints.filter(|row| row.whose == Whose::Endpoint);
    let of_requests: Vec<&EndpointRow> = of_requests.collect();
    of_endpoints(&mut out, &of_requests);
    of_all(&mut out, view);
    out.push_str("# EOF\n");
    out
}

/// Families with a sample for each endpoint.
fn of_endpoints(out: &mut String, rows: &[&EndpointRow]) {
    family(
        out,
        "libleak_retained_bytes",
        "gauge",
        "Bytes that requests left and that are live, since the baseline",
    );
    for row in rows {
        for (proof, left) in [
            ("proved", row.left.since.bytes - row.likely.since.bytes),
            ("likely", row.likely.since.bytes),
        ] {
            let labels = labels(row, true);
            sample(
                out,
                "libleak_retained_bytes",
                &format!("{labels},proof=\"{proof}\""),
                left,
            );
        }
    }
    family(
        out,
        "libleak_retained_blocks",
        "gauge",
        "Blocks that requests left and that are live, since the baseline",
    );
    for row in rows {
        sample(
            out,
            "libleak_retained_blocks",
            &labels(row, true),
            row.left.since.blocks,
        );
    }
    family(
        out,
        "libleak_endpoint_requests",
        "gauge",
        "Requests that have ended since the baseline",
    );
    for row in rows {
        sample(
            out,
            "libleak_endpoint_requests",
            &labels(row, false),
            row.requests,
        );
    }
}

/// Families of the program as a whole.
fn of_all(out: &mut String, view: &View) {
    let plain = [
        (
            "libleak_live_bytes",
            "Bytes of live allocated blocks",
            Some(view.live_bytes),
        ),
        (
            "libleak_live_blocks",
            "Live allocated blocks",
            Some(view.live_blocks),
        ),
        (
            "libleak_mapped_bytes",
            "Bytes of memory that is mapped and no allocator's",
            Some(view.mapped_bytes),
        ),
        (
            "libleak_resident_bytes",
            "Bytes of resident memory",
            Some(view.resident),
        ),
        (
            "libleak_requests_in_flight",
            "Requests that go on",
            Some(view.flying),
        ),
        (
            "libleak_requests_ended",
            "Requests that have ended since the trace's start",
            Some(view.requests),
        ),
        (
            "libleak_dropped_events",
            "Events that were not recorded",
            Some(view.dropped),
        ),
        (
            "libleak_seconds_to_limit",
            "When memory will be at its limit, at this rate",
            view.seconds_to_limit,
        ),
    ];
    for (name, help, value) in plain {
        if let Some(value) = value {
            family(out, name, "gauge", help);
            sample(out, name, "", value);
        }
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

fn labels(row: &EndpointRow, judged: bool) -> String {
    let status = row
        .status
        .map(|status| status.to_string())
        .unwrap_or_default();
    let mut labels = format!("endpoint=\"{}\",status=\"{status}\"", quoted(&row.label));
    if judged {
        let verdict = row
            .judged
            .as_ref()
            .map_or("", |judged| judged.verdict.as_str());
        let _ = write!(labels, ",verdict=\"{}\"", quoted(verdict));
    }
    labels
}

/// A label's value as the format wants it.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
