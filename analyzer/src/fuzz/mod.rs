//! What strangers can feed to the recorder and to the reader. Each function takes any bytes, and must not
//! panic, run for long, or take memory without bound.
//!
//! The crate `tests/fuzz` has a fuzzer's target for each; the tests here run them on mutations of real
//! inputs, the same ones each time, with every test run.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use leak_wire::{Bytes, Entry};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::access::join;
use crate::analysis::Analysis;
use crate::analyze::{self, analyze};
use crate::python::lines;
use crate::record::fuzz as record;
use crate::report;
use crate::sites::{Frame, Module, Sites};
use crate::symbols::{Files, SymbolOptions, Symbolizer};
use crate::trace::{self, Facts, packing};

/// A file in memory, and a path by which it can be opened.
fn file_of(bytes: &[u8]) -> Option<(std::fs::File, PathBuf)> {
    let fd = memfd_create(c"leak-fuzz", MFdFlags::MFD_CLOEXEC).ok()?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes).ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Some((file, path))
}

/// A lane's words, as the recorder reads them.
pub fn lane(bytes: &[u8]) {
    let words: Vec<u64> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    let mut rest = words.as_slice();
    while let Ok((entry, used)) = Entry::decode(rest) {
        if let Entry::Record(record) = entry {
            assert!(record.words() >= 1);
            assert!(format!("{record:?}").len() < 20 * Bytes::MAX);
        }
        assert!(used > 0);
        rest = rest.get(used..).unwrap_or(&[]);
    }
    let Some((file, path)) = file_of(&[]) else {
        return;
    };
    let Ok(own) = file.try_clone() else {
        return;
    };
    record::drain(&words, own);
    // What the recorder writes is a trace, whatever it was given.
    let trace = trace::open(&path).expect("the recorder's trace is read");
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    while let Some(step) = steps.next() {
        assert!(step.is_ok());
    }
}

/// A trace whose chunks are unpacked, so that a mutation is one of what they hold: read, analysed and
/// printed. See [`unpacked`].
pub fn trace(bytes: &[u8]) {
    whole_trace(&packing::pack(bytes));
}

/// A whole trace as it is.
pub fn whole_trace(bytes: &[u8]) {
    let Some((_file, path)) = file_of(bytes) else {
        return;
    };
    let Ok(trace) = trace::open(&path) else {
        return;
    };
    let mut sites = Sites::default();
    let options = analyze::Options {
        periods: true,
        ..analyze::Options::default()
    };
    let Ok(analysis) = analyze(&trace, &mut sites, &options, |_| {}) else {
        return;
    };
    let files = Files::default();
    let options = report::Options {
        trace_path: "trace.bin".to_owned(),
        requests: report::RequestFilter::All,
        most_sites: 100,
        types: Some(100),
        ..report::Options::default()
    };
    let prints = [
        report::text,
        report::json,
        report::brief,
        report::html,
        report::markdown,
        report::folded,
        report::speedscope,
        report::firefox,
        report::pprof,
    ];
    for print in prints {
        // Names in files are another target's matter: no module is known here.
        let mut symbolizer = Symbolizer::new(&files, &[], SymbolOptions::default());
        let mut out = Vec::new();
        let printed = print(
            trace.facts(),
            &analysis,
            &sites,
            &mut symbolizer,
            &options,
            &mut out,
        );
        assert!(printed.is_ok());
    }
    let mut symbolizer = Symbolizer::new(&files, &[], SymbolOptions::default());
    let name = "trace.bin".to_owned();
    let outline = report::Outline::new(name, trace.facts(), &analysis, &sites, &mut symbolizer);
    let diff = report::compare(&outline, &outline);
    let mut out = Vec::new();
    assert!(report::diff_text(&diff, &options, &mut out).is_ok());
    assert!(report::diff_json(&diff, &mut out).is_ok());
    assert!(report::diff_markdown(&diff, &mut out).is_ok());
}

/// A trace for [`trace`]: its chunks unpacked.
pub fn unpacked(trace: &[u8]) -> Vec<u8> {
    packing::unpack(trace)
}

/// A program or library whose functions and lines are looked up, and whose allocator is detoured.
pub fn module(bytes: &[u8]) {
    let Some((_file, path)) = file_of(bytes) else {
        return;
    };
    record::detours(&path);
    let files = Files::default();
    let module = Module {
        path: path.to_string_lossy().into_owned(),
        build_id: None,
    };
    let mut symbolizer = Symbolizer::new(&files, &[module], SymbolOptions::default());
    for file_address in (0..64).map(|step| step * 97) {
        let frame = Frame {
            module: 0,
            file_address: 0x1000 + file_address,
        };
        assert!(!symbolizer.symbols(frame).is_empty());
    }
}

/// A line table of Python's, with the version and the first line before it.
pub fn python_lines(bytes: &[u8]) {
    let Some(([version, first, rest @ ..], table)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let first = u32::from_le_bytes([*first, rest[0], rest[1], 0xff * (*version >> 7)]);
    let layout = lines::decode(0x308 + u32::from(version % 8), table, first);
    for offset in (0..200).chain([u32::MAX - 1, u32::MAX]) {
        let _ = layout.line(offset);
    }
}

/// A target's memory, from which the types of blocks are read.
pub fn types(bytes: &[u8]) {
    record::types(bytes);
}

/// The lines of an access log.
pub fn access_log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(Cow::from);
    let log = join(&Facts::default(), &Analysis::default(), lines);
    assert!(!log.counts.text().is_empty());
}
