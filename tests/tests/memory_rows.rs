//! Where resident memory is: rows that add up to it, who pins pages, and what is said of that.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use leak_tests::compile::Source;
use leak_tests::report::{Report, leak_analyze, number, text};
use leak_tests::run::Place;
use serde_json::Value;

/// Held while a program runs.
static ALONE: Mutex<()> = Mutex::new(());

/// Figures that a program printed: `name number` pairs.
fn said(out: &str) -> BTreeMap<String, u64> {
    let words: Vec<&str> = out.split_whitespace().collect();
    let pairs = words.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].to_owned(), pair[1].parse().expect("a number")))
        .collect()
}

fn traced(
    program: &str,
    arguments: &[&str],
    preload_after: &str,
) -> (Place, BTreeMap<String, u64>) {
    let place = Place::new();
    let mut command = place.traced(Source::read(program).program());
    command.args(arguments);
    if !preload_after.is_empty() {
        let ours = command
            .get_envs()
            .find_map(|(name, value)| value.filter(|_| name == "LD_PRELOAD"))
            .expect("it is traced")
            .to_owned();
        let both = format!("{}:{preload_after}", ours.display());
        command.env("LD_PRELOAD", both);
    }
    // One at a time: where programs and their recorders share the cores, memory is read some 30 ms from the moments that
    // the table is of, as the table says.
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = place.run(command);
    drop(alone);
    assert!(ended.status.success(), "{}", ended.err);
    let said = said(&String::from_utf8_lossy(&ended.out));
    (place, said)
}

fn rows(report: &Report) -> BTreeMap<&str, [u64; 3]> {
    let of = |row: &Value, name: &str| number(&row[name], name);
    let rows = report.list("/memory/rows").iter();
    rows.map(|row| {
        let figures = ["start_bytes", "middle_bytes", "end_bytes"].map(|name| of(row, name));
        (text(&row["kind"], "kind"), figures)
    })
    .collect()
}

fn end(rows: &BTreeMap<&str, [u64; 3]>, kind: &str) -> u64 {
    rows.get(kind).map_or(0, |figures| figures[2])
}

fn assert_near(what: &str, found: u64, expected: u64, parts_of_100: u64) {
    let most = expected * parts_of_100 / 100;
    assert!(
        found.abs_diff(expected) <= most,
        "{what}: {found}, expected {expected}"
    );
}

/// The rows of each moment are what was resident then.
fn assert_adds_up(report: &Report, rows: &BTreeMap<&str, [u64; 3]>) {
    let moments = report.list("/memory/moments");
    assert_eq!(moments.len(), 3);
    for (at, moment) in moments.iter().enumerate() {
        let sum: u64 = rows.values().map(|figures| figures[at]).sum();
        assert_eq!(sum, number(&moment["resident_bytes"], "resident_bytes"));
        assert_eq!(number(&moment["processes"], "processes"), 1);
    }
}

fn text_report(place: &Place) -> String {
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One kept block of 88 bytes beside each that is freed: nearly every page is kept by one.
#[test]
fn blocks_that_pin_pages_are_told() {
    let (place, said) = traced("memory/fragments.c", &["20000", "4000"], "");
    let report = place.report();
    let rows = rows(&report);
    assert_adds_up(&report, &rows);
    assert_near("pinned", end(&rows, "free_pinned"), said["pinned"], 2);
    let free = ["free_pinned", "free_between", "free_pages"];
    let free: u64 = free.iter().map(|kind| end(&rows, kind)).sum();
    // Of each block malloc has a header of 8 bytes.
    assert_near("free", free, said["free"] + 8 * said["kept"], 2);
    let resident = number(
        &report.list("/memory/moments")[2]["resident_bytes"],
        "resident",
    );
    let own = end(&rows, "libleak");
    assert_near("resident", resident, said["resident"], 5);
    assert!(own > 0, "its lanes");
    let pins = report.list("/memory/pins");
    let blocks = number(&pins[0]["live_blocks"], "live_blocks");
    assert_near("pinning blocks", blocks, said["kept"], 1);
    assert_near(
        "pins",
        number(&pins[0]["pinned_bytes"], "pinned_bytes"),
        said["pinned"],
        10,
    );
    let site = report.list("/sites").iter();
    let site = site.filter(|site| site["id"] == pins[0]["site_id"]);
    let names = site.flat_map(|site| site["frames"].as_array().expect("frames"));
    assert!(names.clone().any(|frame| frame["function"] == "keep"));
    let shown = text_report(&place);
    assert!(
        shown.contains("Fragmentation: resident memory grew by"),
        "{shown}"
    );
    assert!(shown.contains(" blocks of 88 B filled"), "{shown}");
}

/// What malloc gave back is not resident, and in no row.
#[test]
fn what_was_trimmed_is_no_part_of_it() {
    let (place, said) = traced("memory/fragments.c", &["1000", "40000", "trim"], "");
    let report = place.report();
    let rows = rows(&report);
    assert_adds_up(&report, &rows);
    assert_near("pinned", end(&rows, "free_pinned"), said["pinned"], 2);
    let whole = end(&rows, "free_pages");
    assert!(whole < 1 << 20, "{whole} of {}", said["free"]);
    let resident = number(
        &report.list("/memory/moments")[2]["resident_bytes"],
        "resident",
    );
    assert_near("resident", resident, said["resident"], 10);
}

/// The same under another allocator, whose pages nobody but it knows.
#[test]
fn with_jemalloc_it_is_jemallocs() {
    let library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
    if !std::path::Path::new(library).exists() {
        eprintln!("no {library}: not tested");
        return;
    }
    let (place, said) = traced("memory/fragments.c", &["20000", "4000"], library);
    let report = place.report();
    let rows = rows(&report);
    assert_adds_up(&report, &rows);
    // It keeps blocks of a size together.
    assert!(end(&rows, "free_pinned") < 1 << 20, "{said:?}");
    let live = [
        "leaking_requests",
        "undecided",
        "bounded",
        "start_up",
        "in_use",
    ];
    let live: u64 = live.iter().map(|kind| end(&rows, kind)).sum();
    assert_near("live", live, said["live"], 2);
    let rest = end(&rows, "rest");
    assert!(
        rest < said["resident"] / 4,
        "{rest} of {}",
        said["resident"]
    );
}

#[test]
fn mappings_stacks_and_files_are_told_apart() {
    let (place, said) = traced("memory/kinds.c", &[], "");
    let report = place.report();
    let rows = rows(&report);
    assert_adds_up(&report, &rows);
    assert_near("maps", end(&rows, "leaking_requests"), said["maps"], 2);
    // The first thread's stack is there, too.
    let stacks = end(&rows, "stacks");
    assert_near("stacks", stacks, said["stacks"] + (16 << 10), 2);
    assert_near("start", end(&rows, "start_up"), said["start"], 2);
    assert!(end(&rows, "code_and_files") >= said["file"]);
    // It grows while it serves; how much had come by the readings depends on the machine.
    let [start, middle, after] = rows["leaking_requests"];
    assert!(
        start <= middle && middle <= after,
        "{start} {middle} {after}"
    );
}

/// Pages can't be told in a sample.
#[test]
fn a_sample_has_no_rows() {
    let place = Place::new();
    let mut command = place.traced(Source::read("memory/fragments.c").program());
    command.args(["1000", "4000"]).env("LEAK_SAMPLE", "4096");
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(place.report().list("/memory/rows").len(), 0);
}

#[test]
fn views_show_all_blocks() {
    let (place, said) = traced("memory/fragments.c", &["1000", "4000"], "");
    let trace = place.trace().display().to_string();
    let view = |view: &str| {
        let shown = leak_analyze(&[trace.as_str(), "--view", view]);
        assert!(
            shown.status.success(),
            "{}",
            String::from_utf8_lossy(&shown.stderr)
        );
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let peak = view("peak");
    assert!(
        peak.starts_with("At most 3.9 MiB were live, in 2,002 blocks"),
        "{peak}"
    );
    assert!(peak.contains("1,000 blocks filled"), "{peak}");
    let sizes = view("sizes");
    assert!(sizes.contains("128 B 1,000 "), "{sizes}");
    assert!(sizes.contains("4.0 KiB 1,00"), "{sizes}");
    let temporary = view("temporary");
    assert!(temporary.contains("were temporary"), "{temporary}");
    assert_eq!(said["kept"], 1000);
    let refused = leak_analyze(&[trace.as_str(), "--view", "peak", "--format", "json"]);
    assert_eq!(refused.status.code(), Some(2));
}
