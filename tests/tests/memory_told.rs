//! Memory that grows and of which mappings do not tell who keeps it: nobody is accused, and "No leak" is not said.

use leak_tests::compile::Source;
use leak_tests::report::{Report, leak_analyze, number, text};
use leak_tests::run::Place;

fn traced(program: &str, arguments: &[&str]) -> (Report, String) {
    let place = Place::new();
    let mut command = place.traced(Source::read(program).program());
    command.args(arguments);
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let shown = leak_analyze(&[place.trace()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let words: Vec<&str> = shown.split_whitespace().collect();
    (place.report(), words.join(" "))
}

fn verdict<'r>(report: &'r Report, label: &str) -> &'r str {
    text(&report.endpoint(label)["verdict"], "verdict")
}

/// The node that /clean gives back /keep keeps, so that /clean maps a new one each time.
#[test]
fn who_fills_a_pool_is_not_who_keeps() {
    let (report, shown) = traced("memory/pool.c", &["kcd", "200"]);
    assert_ne!(verdict(&report, "/clean"), "leak", "{shown}");
    assert_ne!(verdict(&report, "/spare"), "leak", "{shown}");
    assert!(!shown.contains("No leak"), "{shown}");
    let warnings = report.list("/trace/warnings").iter();
    let mut warnings = warnings.filter(|warning| warning["code"] == "carved_mappings");
    let warning = text(&warnings.next().expect("a warning")["text"], "text");
    assert!(warning.contains(": 3.9 MiB in "), "{warning}");
    assert!(
        shown.contains("Can't be told yet: 3.9 MiB of the 3.9 MiB"),
        "{shown}"
    );
}

/// After one of its own kind it gets nothing back.
#[test]
fn who_keeps_is_told_where_it_follows_itself() {
    let (report, shown) = traced("memory/pool.c", &["kkkc", "100"]);
    assert_eq!(verdict(&report, "/keep"), "leak", "{shown}");
    assert_ne!(verdict(&report, "/clean"), "leak", "{shown}");
}

/// Memory that grows `how`, and is in a row of that kind and name.
fn assert_told(how: &str, kind: &str, row: &str) {
    let (report, shown) = traced("memory/untold.c", &[how]);
    let touched = 100 * (256 << 10);
    assert!(!shown.contains("No leak"), "{how}: {shown}");
    let said = shown.contains("MiB that no verdict is about: 2");
    assert!(
        said && shown.contains(&format!("under “{row}”")),
        "{how}: {shown}"
    );
    let mut rows = report.list("/memory/rows").iter();
    let row = rows.find(|row| row["kind"] == kind).expect("a row");
    let end = number(&row["end_bytes"], "end_bytes");
    assert!(end.abs_diff(touched) <= touched / 50, "{how}: {end}");
}

#[test]
fn reserved_memory_that_is_touched_is_told() {
    assert_told("reserved", "mapped", "mapped by the program");
}

#[test]
fn memory_by_raw_system_calls_is_told() {
    assert_told("raw", "rest", "the rest");
}

#[test]
fn shared_memory_of_system_v_is_told() {
    assert_told("shared", "rest", "the rest");
}
