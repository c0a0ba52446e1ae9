//! Which leaks are known, and what is said of what is known.

use super::*;
use crate::analysis::Verdict;
use crate::report::Outline;
use crate::report::{example_outline, leaking_part};

const TODAY: &str = "2026-11-29";

fn judged<'o>(outline: &'o Outline, file: &str) -> Outcome<'o> {
    let baseline = Baseline::from_text(file).expect("a baseline");
    let leaks = leaks(outline, &wanted());
    judge(
        outline,
        leaks,
        Some(&baseline),
        &Suppressions::default(),
        TODAY,
    )
}

fn wanted() -> Wanted {
    Wanted {
        verdicts: vec![Verdict::Leak, Verdict::GrowingBuffer],
        ..Wanted::default()
    }
}

/// One site, `keep`, in requests of these labels, 100 bytes each.
fn outline(labels: &[&str]) -> Outline {
    example_outline(
        "keep",
        labels
            .iter()
            .map(|label| leaking_part(label, 20, 100))
            .collect(),
    )
}

fn entry(outline: &Outline, label: &str, more: &str) -> String {
    let fingerprint = &outline.sites[0].functions.fingerprint;
    format!(
        "[[leak]]\nfingerprint = \"{fingerprint}\"\nlabel = \"{label}\"\nverdict = \"leak\"\n{more}\n"
    )
}

#[test]
fn what_is_known_is_not_found() {
    let outline = outline(&["GET /a", "GET /b"]);
    let both = judged(&outline, "");
    assert_eq!((both.found.len(), both.covered.len()), (2, 0));
    let one = judged(&outline, &entry(&outline, "GET /a", "each_max = 100"));
    assert_eq!((one.found.len(), one.covered.len()), (1, 1));
    assert_eq!(one.found[0].label, Some("GET /b"));
    let glob = judged(&outline, &entry(&outline, "GET /*", ""));
    assert_eq!(glob.found.len(), 0);
    assert_eq!(glob.notes.len(), 1, "{:?}", glob.notes);
}

#[test]
fn what_is_worse_or_over_is_found() {
    let outline = outline(&["GET /a"]);
    for (more, why) in [
        (
            "each_max = 99",
            "each leaves 100 B, and 99 B at most are known",
        ),
        ("until = \"2026-11-28\"", "it was known until 2026-11-28"),
    ] {
        let outcome = judged(&outline, &entry(&outline, "GET /a", more));
        assert_eq!(outcome.found[0].worse.as_deref(), Some(why));
    }
    let today = entry(&outline, "GET /a", "until = \"2026-11-29\"");
    assert_eq!(judged(&outline, &today).found.len(), 0);
    let buffer = entry(&outline, "GET /a", "").replace("\"leak\"", "\"growing_buffer\"");
    assert_eq!(judged(&outline, &buffer).found.len(), 1);
}

#[test]
fn what_covers_nothing_or_too_much_is_said() {
    let labels = ["GET /a", "GET /b", "GET /c", "GET /d"];
    let outline = outline(&labels);
    let broad = judged(&outline, &entry(&outline, "*", ""));
    assert!(
        broad.notes[1].ends_with("is too broad: it covers leaks of 4 endpoints"),
        "{:?}",
        broad.notes
    );
    let other =
        "[[leak]]\nfingerprint = \"0123456789abcdef\"\nlabel = \"GET /a\"\nverdict = \"leak\"\n";
    let unused = judged(&outline, other);
    assert!(
        unused.notes[0].ends_with("covers nothing, in 20 requests: fixed? then remove it"),
        "{:?}",
        unused.notes
    );
    let untried = judged(&outline, &other.replace("/a", "/nowhere"));
    assert!(
        untried.notes[0].contains("was not tried"),
        "{:?}",
        untried.notes
    );
}

#[test]
fn an_update_keeps_what_was_written_by_hand() {
    let outline = outline(&["GET /a", "GET /b"]);
    let gone =
        "[[leak]]\nfingerprint = \"0123456789abcdef\"\nlabel = \"GET /a\"\nverdict = \"leak\"\n";
    let untried = gone.replace("/a", "/nowhere");
    let text = entry(&outline, "GET /a", "why = \"ticket 7\"") + gone + &untried;
    let baseline = Baseline::from_text(&text).expect("a baseline");
    let updated = baseline.updated(&leaks(&outline, &wanted()), &outline, true);
    let rows: Vec<(&str, &str, Option<u64>)> = updated
        .entries()
        .iter()
        .map(|entry| (entry.label.as_str(), entry.why.as_str(), entry.each_max))
        .collect();
    let expected = [
        ("GET /a", "ticket 7", Some(100)),
        ("GET /b", "", Some(100)),
        ("GET /nowhere", "", None),
    ];
    assert_eq!(rows, expected);
    // Of an incomplete trace nothing is said to be gone.
    let kept = baseline.updated(&leaks(&outline, &wanted()), &outline, false);
    assert_eq!(kept.entries().len(), 4);
}

#[test]
fn a_mistake_is_said_with_its_line() {
    let error = |text: &str| Baseline::from_text(text).expect_err("a mistake");
    assert!(error("[[leak]]\nlabel = 1\n").starts_with("line 2: "));
    assert!(error("[[leak]]\nfingerprints = \"a\"\n").starts_with("line 2: "));
    let outline = outline(&["GET /a"]);
    let wrong = entry(&outline, "GET /a", "until = \"soon\"");
    assert!(error(&wrong).ends_with("until takes a day, such as 2027-01-31"));
}

#[test]
fn a_junit_file_has_a_case_for_each_endpoint() {
    let outline = outline(&["GET /<a>&\"b\"", "GET /b"]);
    let outcome = judged(&outline, &entry(&outline, "GET /b", ""));
    let text = junit(&outline, &outcome, Some("the trace is incomplete"));
    assert!(
        text.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"0\""),
        "{text}"
    );
    assert!(
        text.contains("name=\"GET /&lt;a&gt;&amp;&quot;b&quot;\"><failure type=\"leak\""),
        "{text}"
    );
    assert!(
        text.contains("name=\"GET /b\"><system-out>1 known</system-out>"),
        "{text}"
    );
}

#[test]
fn a_little_beside_much_is_overlooked() {
    let mut outline = outline(&["GET /a"]);
    outline.endpoints[0].leaked.bytes = 200_001;
    assert!(leaks(&outline, &wanted()).is_empty());
    let said =
        ["1 call site holds less than a hundredth each of what GET /a leaks: overlooked (2.0 KiB)"];
    assert_eq!(overlooked(&outline, &wanted()), said);
    outline.endpoints[0].leaked.bytes = 200_000;
    assert_eq!(leaks(&outline, &wanted()).len(), 1);
}

#[test]
fn an_allowance_is_exact_where_requests_are() {
    let mut outline = outline(&["GET /a"]);
    assert_eq!(leaks(&outline, &wanted())[0].allowance(), Some(100));
    // 20 requests, half of them with 50 bytes and half with 150: a deviation of 50.
    outline.sites[0].parts[0].statuses[0].leaked_squares = 10.0 * (2_500.0 + 22_500.0);
    assert_eq!(leaks(&outline, &wanted())[0].allowance(), Some(200));
}
