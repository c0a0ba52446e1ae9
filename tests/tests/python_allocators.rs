//! Packages that bring an allocator inside a library, which is opened late: the report's first lines name the library
//! and what it holds.

use leak_tests::real;
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::Place;
use serde_json::Value;

/// Bytes that each program keeps.
const KEPT: u64 = 48_000_000;

/// What a program's report says of such libraries, as a text and in the JSON.
fn told(program: &str) -> (Report, String) {
    let place = Place::new();
    let mut command = place.traced(real::python());
    command.args(["-c", program]);
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let out = String::from_utf8_lossy(&ended.out);
    assert_eq!(out.trim(), KEPT.to_string(), "{}", ended.err);
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    (place.report(), text)
}

/// The one that lies at a path with `name` in it: what it holds is at least what the program keeps of it, and "all
/// recorded" is claimed no more.
fn assert_named(program: &str, name: &str, allocators: &str) {
    let (report, text) = told(program);
    let of_library = |row: &&Value| {
        let path = row["path"].as_str();
        path.is_some_and(|path| path.starts_with('/') && path.contains(name))
    };
    let libraries = report.list("/untraced");
    let found = libraries.iter().find(of_library);
    let found = found.unwrap_or_else(|| panic!("no {name} in {libraries:?}\n{text}"));
    assert!(found["mapped_bytes"].as_u64() >= Some(KEPT), "{found:#}");
    let head: Vec<&str> = text.split_whitespace().take(80).collect();
    let head = head.join(" ");
    assert!(head.starts_with("! /"), "{head}");
    let path = found["path"].as_str().expect("a path");
    let line = format!("{path} gets memory by itself, past malloc ({allocators} in it):");
    assert!(head.contains(&line), "{head}");
    assert!(!text.contains("all recorded"), "{text}");
}

#[test]
fn pyarrow() {
    let program = "import pyarrow as pa
keep = [pa.array([0], type=pa.int64())] + [pa.py_buffer(b'')]
keep = [pa.allocate_buffer(8_000_000) for _ in range(6)]
print(sum(buffer.size for buffer in keep))";
    assert_named(program, "/pyarrow/libarrow.so", "jemalloc and mimalloc");
}

#[test]
fn polars() {
    let program = "import polars as pl
keep = [pl.Series([0], dtype=pl.Int64).new_from_index(0, 1_000_000) for _ in range(6)]
print(sum(series.estimated_size() for series in keep))";
    assert_named(program, "/_polars_runtime", "jemalloc");
}

/// numpy's arrays come from malloc, and pymalloc's arenas are Python's: nothing is said of them.
#[test]
fn what_is_traced_is_not_named() {
    let program = "import numpy
keep = [numpy.zeros(1_000_000) for _ in range(6)]
objects = [object() for _ in range(1_000_000)]
print(sum(array.nbytes for array in keep))";
    let (report, text) = told(program);
    let libraries = report.list("/untraced").iter();
    for library in libraries {
        let path = library["path"].as_str().expect("a path");
        // Its own buffers, which it maps.
        assert!(path.contains("openblas"), "{path}\n{text}");
    }
    let arrays = serde_json::json!([{ "name": "numpy array data", "blocks": 6, "bytes": KEPT }]);
    let mut sites = report.list("/sites").iter();
    assert!(sites.any(|site| site["types"] == arrays), "{text}");
}
