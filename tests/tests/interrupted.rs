//! Signal handlers that allocate while their thread is anywhere in libleak, in another handler's call too, and
//! that jump out of it, as often as not. The allocator behind libleak allows all that (libraries/bump.c).

use std::fs;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::report::{Report, sum};
use leak_tests::run::Place;

/// Each of four threads keeps a thousand blocks when all is over.
const LAST: u64 = 4000;

/// Runs `harmless/jumps.c` both ways; its report, and what it counted itself: blocks that handlers have kept,
/// and jumps.
fn interrupted(argument: &str) -> (Report, u64, u64) {
    let program = Source::read("harmless/jumps.c").program();
    let allocator = Source::read("libraries/bump.c").shared();
    let allocator = allocator.display().to_string();
    let place = Place::new();
    let run = |preload: &str| {
        let mut command = place.plain(&program);
        command.arg(argument).env("LD_PRELOAD", preload);
        command.env("COUNTS", place.path("counts"));
        let ended = place.run(command);
        let out = String::from_utf8_lossy(&ended.out).into_owned();
        assert_eq!((out.as_str(), ended.status.code()), ("done\n", Some(4)));
        assert_eq!(ended.err, "");
    };
    run(&allocator);
    fs::remove_file(place.path("counts")).expect("the program made it");
    run(&format!("{}:{allocator}", artifacts::libleak().display()));
    let counts = fs::read_to_string(place.path("counts")).expect("the program made it");
    let mut counts = counts
        .split_whitespace()
        .map(|word| word.parse().expect("a number"));
    let report = place.report();
    report.assert_complete();
    (
        report,
        counts.next().expect("two"),
        counts.next().expect("two"),
    )
}

/// Blocks live at the end that were allocated in `function`.
fn live_of(report: &Report, function: &str) -> u64 {
    let of = |site: &&serde_json::Value| {
        let mut frames = site["frames"].as_array().expect("frames").iter();
        frames.any(|frame| frame["function"] == function)
    };
    let sites = report.list("/sites").iter().filter(of);
    sites.map(|site| sum(site, "live").blocks).sum()
}

#[test]
fn at_any_instruction() {
    let (report, kept, _) = interrupted("");
    assert!(kept > 10_000, "{kept}");
    assert_eq!(live_of(&report, "keep_at_the_end"), LAST);
    // The C library has a table of TLS blocks for each thread.
    let tables = 4;
    assert_eq!(report.number("/totals/live_blocks"), kept + LAST + tables);
}

#[test]
fn and_left_for_good() {
    let (report, kept, jumps) = interrupted("jump");
    assert!(kept > 10_000 && jumps > 5_000, "{kept} {jumps}");
    // Who was left goes on to record all.
    assert_eq!(live_of(&report, "keep_at_the_end"), LAST);
    let live = report.number("/totals/live_blocks");
    // A jump may leave some blocks of the calls that it ends.
    let most = kept + LAST + 8 * jumps;
    assert!(
        (kept + LAST..most).contains(&live),
        "{live}, {kept}, {jumps}"
    );
}
