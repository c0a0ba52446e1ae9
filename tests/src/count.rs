//! An independent count of what a program asks of its allocator: the preload `targets/count/count.c`,
//! loaded after libleak, and what libleak's report must have in common with it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts;
use crate::compile::Source;
use crate::report::{Report, number, text};

/// A slot of the file, in bytes, as `count.c` has it.
const SLOT: usize = 256;
const SLOTS: usize = 65536;
/// Where the program's path begins in a slot.
const PROGRAM: usize = 64;

/// The file in which the processes of one program count.
#[derive(Debug)]
pub struct Count {
    /// Libleak, and the library that counts.
    libraries: String,
    file: PathBuf,
}

/// What one program image asked for.
#[derive(Debug)]
struct Image {
    pid: u64,
    program: String,
    figures: [u64; 5],
    allocated_bytes: u64,
    /// Calls that may be the loader's for a thread's table of TLS blocks.
    dtvs: u64,
}

/// The fields of a report's process that must equal an image's figures.
const FIELDS: [&str; 5] = [
    "allocations",
    "frees",
    "reallocations",
    "live_blocks",
    "live_bytes",
];

/// How far report and count agree.
#[derive(Debug, Default)]
pub struct Agreement {
    /// Images that both know.
    pub images: usize,
    /// Images that the counting preload was not loaded into (an environment of their own).
    pub uncounted: usize,
    /// Allocations in the images that both know.
    pub allocations: u64,
    /// What differs, a line each.
    pub differences: Vec<String>,
}

impl Count {
    /// An empty count in `directory`, which any user may add to.
    pub fn new(directory: &Path) -> Count {
        let file = directory.join("count");
        let created = File::create(&file).expect("the test's directory can be written");
        let bytes = (SLOT * SLOTS) as u64;
        created.set_len(bytes).expect("a file with a hole");
        let open = fs::Permissions::from_mode(0o666);
        fs::set_permissions(&file, open).expect("the file is ours");
        // Where any user can read them.
        let copy = |from: PathBuf, name: &str| {
            let to = directory.join(name);
            fs::copy(from, &to).expect("the test's directory can be written");
            to.display().to_string()
        };
        copy(artifacts::leak_analyze(), "leak-analyze");
        let libleak = copy(artifacts::libleak(), "libleak.so");
        let counts = copy(Source::read("count/count.c").program(), "count.so");
        let libraries = format!("{libleak}:{counts}");
        Count { libraries, file }
    }

    /// Makes `command` run under libleak and the counting preload after it.
    pub fn watch(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.libraries)
            .env("COUNT_FILE", &self.file)
            // Python's small objects lie in arenas: no calls that could be counted here; nor can those of
            // an allocator in the executable (rustc's).
            .envs([("LEAK_PYTHON", "off"), ("LEAK_OWN_MALLOC", "off")]);
    }

    fn images(&self) -> Vec<Image> {
        let bytes = fs::read(&self.file).expect("the file is ours");
        let word = |slot: usize, at: usize| {
            let start = slot * SLOT + at * 8;
            let bytes = bytes[start..start + 8].try_into().expect("eight bytes");
            u64::from_ne_bytes(bytes)
        };
        let image = |slot: usize| {
            let program = &bytes[slot * SLOT + PROGRAM..(slot + 1) * SLOT];
            let program = program.split(|byte| *byte == 0).next().unwrap_or_default();
            Image {
                pid: word(slot, 0),
                program: String::from_utf8_lossy(program).into_owned(),
                figures: [1, 2, 3, 5, 6].map(|at| word(slot, at)),
                allocated_bytes: word(slot, 4),
                dtvs: word(slot, 7),
            }
        };
        let used = word(0, 0) as usize;
        assert!(used < SLOTS, "{used} images are too many to count");
        (1..=used).map(image).collect()
    }

    /// Compares every image with the report's.
    pub fn compare(&self, report: &Report) -> Agreement {
        let mut by_pid: HashMap<u64, Vec<Image>> = HashMap::new();
        for image in self.images() {
            by_pid.entry(image.pid).or_default().push(image);
        }
        let mut agreement = Agreement::default();
        let (mut bytes, mut table_bytes) = (0, 0);
        for row in report.list("/processes") {
            let pid = number(&row["pid"], "pid");
            let program = row["executable"].as_str().unwrap_or_default();
            let images = by_pid.entry(pid).or_default();
            let same = |image: &Image| image.program == program;
            let Some(at) = images.iter().position(same) else {
                agreement.uncounted += 1;
                continue;
            };
            // Whatever came before it in this process is one that libleak does not know.
            let missed = images.drain(..at).map(|image| image.unknown());
            agreement.differences.extend(missed);
            let image = images.remove(0);
            bytes += image.allocated_bytes;
            table_bytes += 16 * image.dtvs;
            agreement.images += 1;
            agreement.allocations += image.figures[0];
            agreement.differences.extend(image.differs(row));
        }
        let missed = by_pid.into_values().flatten().map(|image| image.unknown());
        agreement.differences.extend(missed);
        let ours = report.number("/totals/allocated_bytes");
        let exact = ours <= bytes && bytes - ours <= table_bytes;
        if agreement.uncounted == 0 && agreement.differences.is_empty() && !exact {
            let line = format!("allocated_bytes: {ours}, counted {bytes}");
            agreement.differences.push(line);
        }
        agreement
    }
}

impl Image {
    fn unknown(&self) -> String {
        format!("{} ({}): not in the report", self.program, self.pid)
    }

    /// A line if the report's `row` has other figures. The loader's table of a thread's TLS blocks is 16
    /// bytes larger for libleak's own TLS; libleak records what the program would have asked for.
    fn differs(&self, row: &serde_json::Value) -> Option<String> {
        let ours = FIELDS.map(|field| number(&row[field], field));
        let bytes = self.figures[4];
        let only_tables = ours[..4] == self.figures[..4]
            && ours[4] <= bytes
            && bytes - ours[4] <= 16 * self.dtvs
            && (bytes - ours[4]).is_multiple_of(16);
        (!only_tables).then(|| {
            format!(
                "{} ({}, {}): {FIELDS:?}: {ours:?}, counted {:?}",
                self.program,
                self.pid,
                text(&row["end"], "end"),
                self.figures
            )
        })
    }
}
