//! Thousands of threads that live at once: all are recorded, or what is lost is said rightly.

use leak_tests::compile::Source;
use leak_tests::report::{Report, sum, text};
use leak_tests::run::Place;
use leak_tests::stated::Sum;

/// `targets/lost/crowd.c` with so many threads and rounds, under these settings.
fn crowd(threads: u64, rounds: u64, settings: &[(&str, &str)]) -> Report {
    let place = Place::new();
    let mut command = place.traced(Source::read("lost/crowd.c").program());
    command.args([threads, rounds].map(|count| count.to_string()));
    command.envs(settings.iter().copied());
    let ended = place.run(command);
    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.err);
    place.report()
}

fn allocations(report: &Report) -> u64 {
    report.number("/totals/allocations")
}

/// Those of blocks whose allocation was not recorded included.
fn frees(report: &Report) -> u64 {
    report.number("/totals/frees") + report.number("/totals/unknown_frees")
}

/// What the report says was not recorded: allocations, frees and others.
fn lost(report: &Report) -> [u64; 3] {
    let mut warnings = report.list("/trace/warnings").iter();
    let warning = warnings.find(|warning| warning["code"] == "dropped_events");
    let said = text(&warning.expect("something was lost")["text"], "text");
    let (_, counts) = said.split_once('(').expect("three counts");
    let mut counts = counts.split(", ").map(|count| {
        let digits = count.chars().take_while(|c| !c.is_alphabetic());
        let digits: String = digits.filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    });
    [(); 3].map(|()| counts.next().expect("three counts"))
}

#[test]
fn five_thousand_at_once() {
    let (threads, rounds) = (5000, 10);
    let report = crowd(threads, rounds, &[]);
    report.assert_complete();
    assert_eq!(report.number("/trace/dropped_events"), 0);
    let mut sites = report.list("/sites").iter();
    let keep = sites.find(|site| site["frames"][0]["function"] == "keep");
    let keep = keep.expect("the site of what is kept");
    let kept = Sum {
        blocks: threads,
        bytes: threads * 32,
    };
    assert_eq!(sum(keep, "live"), kept);
    let own = allocations(&report) - threads * (1 + rounds);
    assert_eq!(own, allocations(&crowd(threads, 0, &[])) - threads);
}

#[test]
fn more_than_there_are_lanes() {
    let (threads, rounds) = (600, 100);
    let all = crowd(threads, rounds, &[]);
    all.assert_complete();
    let some = crowd(threads, rounds, &[("LEAK_MEMORY", "4M")]);
    assert_eq!(some.at("/trace/complete"), false);
    let [allocations_lost, frees_lost, _] = lost(&some);
    // The first 150 have lanes, no more.
    assert!(allocations_lost > 400 * (1 + rounds), "{allocations_lost}");
    assert_eq!(allocations(&some) + allocations_lost, allocations(&all));
    assert_eq!(frees(&some) + frees_lost, frees(&all));
}
