//! `LEAK_FULL=drop`: a target never waits, every drop is counted, and no block is called a leak whose free
//! may have been dropped.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use leak_tests::compile::Source;
use leak_tests::process::Group;
use leak_tests::report::{Report, leak_analyze};
use leak_tests::run::{LIMIT, Place};

/// Enough for lanes to be full many times over.
const REQUESTS: &str = "100000";

fn word(place: &Place, at: usize) -> u64 {
    let bytes = fs::read(place.path("counts")).unwrap_or_default();
    let word = bytes.get(at * 8..at * 8 + 8);
    word.map_or(0, |word| {
        u64::from_ne_bytes(word.try_into().expect("eight bytes"))
    })
}

fn start(place: &Place) -> Group {
    let mut command = place.traced(Source::read("lost/marked.c").program());
    command
        .arg(REQUESTS)
        .env("COUNTS", place.path("counts"))
        .envs([("LEAK_FULL", "drop"), ("LEAK_MEMORY", "4M")]);
    let mut group = place.start(command);
    while word(place, 0) != 1 {
        assert!(group.runs(), "{}", group.err());
        std::thread::yield_now();
    }
    group
}

fn go_on(place: &Place) {
    let counts = OpenOptions::new().write(true).open(place.path("counts"));
    let written = counts.and_then(|file| file.write_at(&2_u64.to_ne_bytes(), 0));
    assert_eq!(written.expect("the program made it"), 8);
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: kill takes numbers only; the process is one of the test's own.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

/// Allocations, frees and others that the report's text calls not recorded.
fn dropped(place: &Place) -> [u64; 3] {
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let before = |unit: &str| {
        let at = words
            .iter()
            .take(60)
            .position(|word| word.starts_with(unit));
        let number = words[at.unwrap_or_else(|| panic!("no {unit}: {text}")) - 1];
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    ["allocation", "free", "other"].map(before)
}

fn verdicts(report: &Report) -> Vec<String> {
    let rows = ["/endpoints", "/sites"].map(|rows| report.list(rows));
    let verdicts = rows
        .into_iter()
        .flatten()
        .map(|row| row["verdict"].to_string());
    verdicts.collect()
}

#[test]
fn every_drop_is_counted_and_none_makes_a_leak() {
    let place = Place::new();
    let mut group = start(&place);
    let recorder = group.member("leak-recorder").expect("a recorder");
    signal(recorder, libc::SIGSTOP);
    go_on(&place);
    let began = Instant::now();
    let ended = group.wait(LIMIT);
    // It would have waited for 30 s.
    assert!(began.elapsed() < Duration::from_secs(25));
    signal(recorder, libc::SIGCONT);
    group.assert_nothing_left(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(ended.err, "");

    let report = place.report();
    let [allocations, frees, other] = dropped(&place);
    let recorded = |what: &str| report.number(&format!("/totals/{what}"));
    // What the program counted itself; the C library asks for nothing here.
    assert_eq!(recorded("allocations") + allocations, word(&place, 1));
    // A free whose allocation was dropped is one of an unknown block.
    let known = recorded("frees") + recorded("unknown_frees");
    assert_eq!(known + frees, word(&place, 2));
    assert!(allocations > 10_000, "{allocations}");
    assert_eq!(
        report.number("/trace/dropped_events"),
        allocations + frees + other
    );
    assert_eq!(report.at("/trace/complete"), false);
    for verdict in verdicts(&report) {
        assert!(!verdict.contains("leak"), "{verdict}");
        assert!(!verdict.contains("growing"), "{verdict}");
    }
}

/// With a recorder that keeps up nothing is dropped.
#[test]
fn nothing_is_dropped_without_need() {
    let place = Place::new();
    let mut group = start(&place);
    go_on(&place);
    group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
    let report = place.report();
    let counted = word(&place, 1);
    let lost = report.number("/trace/dropped_events");
    assert_eq!(report.number("/totals/allocations") == counted, lost == 0);
}
