//! Objects in blocks that were others' before.

use leak_tests::python;
use leak_tests::report::{Report, number};
use leak_tests::run::Place;

/// Slices that the endpoint's requests left.
fn slices(report: &Report, label: &str) -> u64 {
    let types = report.endpoint(label)["types"].as_array().expect("a list");
    let slices = types.iter().filter(|row| row["name"] == "slice");
    slices.map(|row| number(&row["blocks"], "blocks")).sum()
}

/// All but one of the slices that are kept lie in blocks that the other endpoint's requests asked for.
#[test]
fn the_only_slice_that_waits_is_who_takes_its() {
    for interpreter in python::interpreters() {
        let name = interpreter.display().to_string();
        // Nothing names the free lists of these.
        if name.contains("python3.8") || name.contains("python3.9") {
            continue;
        }
        let place = Place::new();
        let mut command = place.traced(&interpreter);
        command.arg(python::script("slices.py"));
        let ended = place.run(command);
        assert!(ended.status.success(), "{name}: {}", ended.err);
        let report = place.report();
        let (keep, drop) = (report.endpoint("keep"), report.endpoint("drop"));
        assert_eq!(keep["verdict"], "leak", "{name}: {keep:#}");
        assert_eq!(keep["leaking_requests"], 60, "{name}: {keep:#}");
        assert_eq!(slices(&report, "keep"), 60, "{name}: {keep:#}");
        assert_eq!(drop["leaking_requests"], 0, "{name}: {drop:#}");
        assert_ne!(drop["verdict"], "leak", "{name}: {drop:#}");
    }
}
