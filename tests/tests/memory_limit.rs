//! A program that leaks until the kernel kills it at its memory limit: the report stands, and its first line says so.

use leak_tests::compile::Source;
use leak_tests::memory_group::MemoryGroup;
use leak_tests::report::{leak_analyze, number};
use leak_tests::run::Place;

const LIMIT: u64 = 128 << 20;

#[test]
fn who_is_killed_at_its_limit_is_said_first() {
    let Some(group) = MemoryGroup::of(LIMIT) else {
        eprintln!("no groups of processes can be made here: not tested");
        return;
    };
    let place = Place::new();
    let program = Source::read("mapped/until_killed.c").program();
    let ended = group.run(&place, &program);
    assert_eq!(ended.status.code(), None, "{}", ended.err);
    let report = place.report();
    assert_eq!(report.text("/memory/killed_by"), "memory_limit");
    assert_eq!(report.number("/memory/limit_bytes"), LIMIT);
    assert_eq!(report.text("/memory/limited_by"), "cgroup");
    let endpoint = report.endpoint("/keeps");
    assert_eq!(endpoint["verdict"], "leak");
    // What it kept comes near the limit; the recorder and the lanes have a part of that.
    let kept = number(&endpoint["retained_bytes"], "retained_bytes");
    assert!((LIMIT / 2..LIMIT).contains(&kept), "{kept}");
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let first: String = text
        .split_whitespace()
        .take(9)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(first, "! killed at its memory limit (128.0 MiB, cgroup):");
}

/// Killed by somebody else, or ended by itself: the limit is no matter.
#[test]
fn who_is_not_killed_there_is_not_said_to_be() {
    let Some(group) = MemoryGroup::of(LIMIT + 4096) else {
        eprintln!("no groups of processes can be made here: not tested");
        return;
    };
    let place = Place::new();
    let program = Source::read("exact/kill_self.c").program();
    let ended = group.run(&place, &program);
    assert_eq!(ended.status.code(), None);
    let report = place.report();
    assert!(report.at("/memory/killed_by").is_null());
    assert_eq!(report.number("/memory/limit_bytes"), LIMIT + 4096);
}
