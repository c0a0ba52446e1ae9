//! A program that leaks until the kernel kills it at its memory limit: the report stands, and its first line says so.

use std::time::{Duration, Instant};

use leak_tests::artifacts;
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

/// Where no group limits it, its addresses do: the kernel gives no more, and it ends with a status.
#[test]
fn who_ends_for_want_of_addresses_is_told() {
    const SPACE: u64 = 300 << 20;
    let place = Place::new();
    let program = Source::read("mapped/until_killed.c").program();
    let mut command = place.plain("bash");
    let script = "ulimit -v $KIB && LD_PRELOAD=$LIBRARY exec $PROGRAM";
    command.args(["-c", script]).env("PROGRAM", &program);
    command.env("KIB", (SPACE >> 10).to_string());
    command.env("LIBRARY", artifacts::libleak());
    let ended = place.run(command);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.err);
    let report = place.report();
    assert_eq!(report.text("/memory/limited_by"), "address_space");
    assert_eq!(report.endpoint("/keeps")["verdict"], "leak");
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let told = "! likely ended by the limit of its address space (300.0 MiB, ulimit -v):";
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").starts_with(told), "{text}");
}

/// What is forecast when half of its time is over comes true.
#[test]
fn a_forecast_at_half_time_comes_true() {
    // A block of 256 KiB each 25 ms: some 38 s to the limit.
    const LIMIT: u64 = 384 << 20;
    let Some(group) = MemoryGroup::of(LIMIT) else {
        eprintln!("no groups of processes can be made here: not tested");
        return;
    };
    let place = Place::new();
    let program = Source::read("mapped/until_killed.c").program();
    let begun = Instant::now();
    let (said, at) = std::thread::scope(|scope| {
        let forecast = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(20));
            (
                place.report().number("/memory/seconds_to_limit"),
                begun.elapsed(),
            )
        });
        let ended = group.run_with(&place, &program, &["1000000", "25000"]);
        assert_eq!(ended.status.code(), None, "{}", ended.err);
        forecast.join().expect("a forecast")
    });
    let truth = (begun.elapsed() - at).as_secs();
    assert!(
        said.abs_diff(truth) * 5 <= truth,
        "{said} s, and it was {truth} s"
    );
}
