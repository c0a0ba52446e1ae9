//! Memory that programs map by themselves, and stacks of threads: blocks of call sites and requests, in no sum of
//! malloc's blocks.

use leak_tests::compile::Source;
use leak_tests::report::{Report, leak_analyze, number, text};
use leak_tests::run::Place;
use serde_json::Value;

fn report(program: &str) -> Report {
    report_with(program, &[])
}

fn report_with(program: &str, environment: &[(&str, &str)]) -> Report {
    let place = Place::new();
    let mut command = place.traced(Source::read(program).program());
    command.envs(environment.iter().copied());
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    place.report()
}

/// The call sites of a kind whose blocks requests of the label retained.
fn sites<'r>(report: &'r Report, kind: &str, label: &str) -> Vec<&'r Value> {
    let mut of_kind: Vec<&Value> = report.list("/sites").iter().collect();
    of_kind.retain(|site| {
        let mut labels = site["labels"].as_array().expect("labels").iter();
        let retained = |part: &Value| {
            text(&part["label"], "label") == label
                && number(&part["retained_blocks"], "retained_blocks") > 0
        };
        text(&site["kind"], "kind") == kind && labels.any(retained)
    });
    of_kind
}

fn endpoint(report: &Report, label: &str) -> (String, u64, u64) {
    let row = report.endpoint(label);
    let verdict = text(&row["verdict"], "verdict").to_owned();
    (
        verdict,
        number(&row["retained_blocks"], "retained_blocks"),
        number(&row["retained_bytes"], "retained_bytes"),
    )
}

const KEPT: [(&str, &str, u64); 6] = [
    ("/kept", "leak", 1 << 20),
    ("/given", "clean", 0),
    ("/cut", "leak", 256 << 10),
    ("/moved", "leak", 256 << 10),
    ("/file", "leak", 8192),
    ("/clean", "clean", 0),
];

/// Without each of them a block of malloc, as `live_blocks` has them.
#[test]
fn what_requests_map_and_keep_is_a_leak() {
    for environment in [
        &[][..],
        &[("LEAK_KEEP", "lasting")],
        &[("LEAK_SAMPLE", "1000000")],
    ] {
        let report = report_with("mapped/requests.c", environment);
        for (label, verdict, each) in KEPT {
            let blocks = if each > 0 { 300 } else { 0 };
            // A sample of 300 requests can't tell that small blocks are not kept.
            let is_sample = environment
                .iter()
                .any(|(setting, _)| *setting == "LEAK_SAMPLE");
            let verdict = match verdict {
                "clean" if is_sample => "too_few_requests",
                _ => verdict,
            };
            let expected = (verdict.to_owned(), blocks, 300 * each);
            assert_eq!(
                endpoint(&report, label),
                expected,
                "{label} {environment:?}"
            );
            let found = sites(&report, "mapped", label);
            assert_eq!(found.len(), usize::from(each > 0), "{label}");
            for site in found {
                assert_eq!(number(&site["live_bytes"], "live_bytes"), 300 * each);
                let backing = if label == "/file" { "file" } else { "memory" };
                assert_eq!(text(&site["backing"], "backing"), backing);
            }
        }
        let memory = 300 * ((1 << 20) + (512 << 10));
        assert_eq!(report.number("/totals/mapped_live_bytes"), memory);
        assert_eq!(report.number("/totals/mapped_live_blocks"), 900);
        assert_eq!(report.number("/totals/mapped_file_bytes"), 300 * 8192);
        assert_eq!(report.number("/totals/live_blocks"), 0);
        assert_eq!(report.number("/processes/0/live_bytes"), 0);
        assert_eq!(report.number("/processes/0/mapped_live_bytes"), memory);
        assert_eq!(report.number("/totals/outside/mapped_live_blocks"), 0);
        let growth = report.number("/growth/to_bytes") - report.number("/growth/from_bytes");
        assert_eq!(growth, memory, "a file's contents are the kernel's");
    }
}

#[test]
fn threads_that_nobody_joins_are_told() {
    let report = report("mapped/threads.c");
    for (label, unjoined) in [("/unjoined", 60), ("/running", 0)] {
        assert_eq!(endpoint(&report, label).0, "leak", "{label}");
        let found = sites(&report, "stack", label);
        assert_eq!(found.len(), 1, "{label}");
        assert_eq!(number(&found[0]["live_blocks"], "live_blocks"), 60);
        assert_eq!(
            number(&found[0]["live_bytes"], "live_bytes"),
            60 * (256 << 10)
        );
        assert_eq!(
            number(&found[0]["unjoined_threads"], "unjoined_threads"),
            unjoined,
            "{label}"
        );
    }
    assert_eq!(report.number("/totals/stack_live_blocks"), 120);
    assert_eq!(report.number("/totals/mapped_live_bytes"), 0);
    let all = report.list("/sites").iter();
    let stacks = all.filter(|site| text(&site["kind"], "kind") == "stack");
    let leaking = stacks.filter(|site| text(&site["verdict"], "verdict") == "leak");
    assert_eq!(leaking.count(), 2, "not those that are joined or detached");
}

/// Their stacks are in no sum of bytes.
#[test]
fn threads_that_are_left_are_told_first() {
    let place = Place::new();
    let mut command = place.traced(Source::read("mapped/threads.c").program());
    command.arg("unjoined");
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let shown = leak_analyze(&[place.trace()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let words: Vec<&str> = shown.split_whitespace().take(40).collect();
    let words = words.join(" ");
    let told = "leaks: /unjoined. Of its 300 requests all left 300 threads (";
    assert!(words.contains(told), "{words}");
    assert!(
        words.contains(" ended, joined by nobody) behind."),
        "{words}"
    );
}

#[test]
fn odd_mappings_are_exact() {
    let report = report("mapped/odd.c");
    assert_eq!(report.number("/totals/mapped_live_blocks"), 5);
    assert_eq!(report.number("/totals/mapped_live_bytes"), 3_203_072);
    assert_eq!(report.number("/processes/1/mapped_live_blocks"), 0);
    assert_eq!(report.number("/processes/1/inherited_live_blocks"), 0);
    let given_up = report.list("/sites").iter();
    let given_up = given_up.map(|site| number(&site["discarded_bytes"], "discarded_bytes"));
    assert_eq!(given_up.sum::<u64>(), 512 << 10);
}
