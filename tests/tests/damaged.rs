//! Traces that are cut, damaged, foreign, empty or newer: one clear line and exit 2, or the readable part
//! under first lines that say what is missing. Never a panic.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;

use leak_tests::compile::Source;
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::Place;

/// A whole trace, of a program with 31 processes, and its JSON.
fn whole() -> &'static (Vec<u8>, Report) {
    static WHOLE: OnceLock<(Vec<u8>, Report)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let place = Place::new();
        let program = Source::read("exact/fork_many.c").program();
        assert!(place.run(place.traced(program)).status.success());
        let report = place.report();
        report.assert_complete();
        (fs::read(place.trace()).expect("a trace"), report)
    })
}

fn analyse(bytes: &[u8], options: &[&str]) -> Output {
    let place = Place::new();
    fs::write(place.path("some.bin"), bytes).expect("our directory");
    let path = place.path("some.bin");
    let mut arguments = vec![path.to_str().expect("a plain path")];
    arguments.extend(options);
    leak_analyze(&arguments)
}

/// Exit 2, nothing on stdout, one line on stderr that has `words`.
fn assert_refused(output: &Output, words: &[&str]) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert_eq!(output.stdout, b"");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(words.iter().any(|word| err.contains(word)), "{err}");
}

/// What became of a damaged trace.
#[derive(PartialEq)]
enum Fate {
    /// One line and exit 2.
    Refused,
    /// Read in part: the JSON and the text's first lines say so.
    Part,
    /// Nothing that counts was hurt: every event is there.
    Whole,
}

fn fate(bytes: &[u8], what: &str) -> Fate {
    let json = analyse(bytes, &["--format", "json"]);
    let text = analyse(bytes, &[]);
    assert_eq!(json.status.code(), text.status.code(), "{what}");
    match json.status.code() {
        Some(2) => {
            assert_refused(&json, &[""]);
            return Fate::Refused;
        }
        Some(0) => {}
        status => panic!(
            "{what}: {status:?}: {}",
            String::from_utf8_lossy(&json.stderr)
        ),
    }
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let intact = &whole().1.json;
    if json["trace"]["complete"] == true {
        for field in ["totals", "processes", "requests", "sites"] {
            assert_eq!(json[field], intact[field], "{what}");
        }
        return Fate::Whole;
    }
    let events = json["trace"]["events"].as_u64().expect("a number");
    assert!(events <= whole().1.number("/trace/events"), "{what}");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let first = text.lines().take(6).collect::<Vec<_>>().join("\n");
    let lower = first.to_lowercase();
    let said = ["cut", "truncated", "damaged", "incomplete", "missing"];
    assert!(
        said.iter().any(|word| lower.contains(word)),
        "{what}: {first}"
    );
    Fate::Part
}

/// Bytes of the footer, which only helps to seek.
const FOOTER: usize = 16;

#[test]
fn cut_anywhere() {
    let bytes = &whole().0;
    let mut read = 0;
    let near_the_ends = (0..24).chain(bytes.len() - 24..bytes.len());
    let between = (24..bytes.len() - 24).step_by(bytes.len() / 30);
    for length in near_the_ends.chain(between) {
        let fate = fate(&bytes[..length], &format!("cut to {length}"));
        read += u64::from(fate == Fate::Part);
        let footer = length >= bytes.len() - FOOTER;
        assert!(footer || fate != Fate::Whole, "cut to {length}");
        assert!(length >= 16 || fate == Fate::Refused, "cut to {length}");
    }
    assert!(read > 20, "only {read} were read in part");
}

#[test]
fn a_flipped_bit_anywhere() {
    let bytes = &whole().0;
    let mut read = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let fate = fate(&flipped, &format!("a bit of byte {at}"));
        read += u64::from(fate == Fate::Part);
        let footer = at >= bytes.len() - FOOTER;
        assert!(footer || fate != Fate::Whole, "a bit of byte {at}");
    }
    assert!(read > 20, "only {read} were read in part");
}

#[test]
fn foreign_files() {
    assert_refused(&analyse(b"", &[]), &["empty"]);
    assert_refused(
        &analyse(b"just a text\n", &[]),
        &["not a libleak trace", "not a trace"],
    );
    let library = fs::read(leak_tests::artifacts::libleak()).expect("it was built");
    assert_refused(
        &analyse(&library, &[]),
        &["not a libleak trace", "not a trace"],
    );
    let missing = leak_analyze(&["/nonexistent/trace.bin"]);
    assert_refused(&missing, &["No such file", "no such file"]);
    let directory = leak_analyze(&[Path::new("/")]);
    assert_refused(
        &directory,
        &["directory", "not a libleak trace", "not a trace"],
    );
}

#[test]
fn a_newer_version() {
    let mut newer = whole().0.clone();
    // FORMAT.md: 8 bytes of magic, the version, a checksum of both.
    assert_eq!(newer[8..12], [5, 0, 0, 0], "version 5");
    newer[8] = 200;
    let checksum = crc32(&newer[..12]);
    newer[12..16].copy_from_slice(&checksum.to_le_bytes());
    assert_refused(&analyse(&newer, &[]), &["version 200"]);
}

/// CRC-32 as IEEE has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
