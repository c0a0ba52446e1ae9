//! The order of events of threads that hand blocks to each other, in one arena without thread caches,
//! so that a block goes from one to the other at once.
//!
//! `LEAK_ORDER_EVENTS` says about how many events there are, of each program; `.ci/full` asks for more.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::report::sum;
use leak_tests::run::Place;
use leak_tests::stated::Stated;

/// How many events had their place by what, as `leak-analyze dump` says at its start.
#[derive(Debug)]
struct Orders {
    alone: u64,
    turns: u64,
    stamped: u64,
    regions_shared: u64,
}

fn orders(trace: &std::path::Path) -> Orders {
    let mut dump = Command::new(artifacts::leak_analyze())
        .arg("dump")
        .arg(trace)
        .stdout(Stdio::piped())
        .spawn()
        .expect("leak-analyze starts");
    let lines = BufReader::new(dump.stdout.take().expect("piped")).lines();
    let mut lines = lines.map_while(Result::ok);
    let line = lines
        .find(|line| line.starts_with("# order"))
        .expect("a line about order");
    drop(lines);
    dump.wait().expect("it ends when nobody reads");
    let number = |name: &str| {
        let after = line
            .split(name)
            .nth(1)
            .and_then(|rest| rest.strip_prefix('='));
        let word = after.and_then(|rest| rest.split(' ').next());
        word.and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{name} in {line}"))
    };
    Orders {
        alone: number("alone"),
        turns: number("turns"),
        stamped: number("stamped"),
        regions_shared: number("regions_shared"),
    }
}

fn events() -> u64 {
    let asked = std::env::var("LEAK_ORDER_EVENTS").ok();
    asked.map_or(2_000_000, |asked| asked.parse().expect("a number"))
}

/// Processes of `threads` threads each, until there are enough events; what they leave is as stated, and
/// no free comes before its allocation.
fn check(threads: u64, tunables: &str) -> Orders {
    let source = Source::read("order/mailboxes.c");
    let stated = Stated::of(&source);
    let rounds = 2000;
    // Each round is two events, of each thread and of the first one before.
    let processes = events().div_ceil(rounds * (threads + 1) * 2).max(2);
    let place = Place::new();
    let mut command = place.traced(source.program());
    command.args([processes, threads, rounds].map(|number| number.to_string()));
    command.env("GLIBC_TUNABLES", tunables);
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let report = place.report();
    assert_eq!(report.text("/trace/ended"), "complete");
    assert_eq!(report.number("/totals/unknown_frees"), 0);
    assert_eq!(report.list("/processes").len() as u64, processes);
    for row in report.list("/processes") {
        assert_eq!(sum(row, "live"), stated.live, "{row:#}");
    }
    let orders = orders(&place.trace());
    eprintln!("{processes} processes of {threads} threads: {orders:?}");
    assert!(orders.alone + orders.turns + orders.stamped >= events());
    orders
}

#[test]
fn blocks_that_cross_threads_in_one_arena() {
    let one_arena = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0";
    for threads in [2, 4] {
        let orders = check(threads, one_arena);
        assert!(orders.alone > events() / 20, "exclusive: {orders:?}");
        assert!(orders.turns > events() / 20, "shared: {orders:?}");
        assert!(
            orders.regions_shared > events() / 20_000,
            "transitions: {orders:?}"
        );
    }
}

#[test]
fn blocks_that_cross_threads_with_arenas_and_caches() {
    let orders = check(3, "glibc.malloc.arena_max=8");
    assert!(orders.alone > 0 && orders.turns > 0, "{orders:?}");
}
