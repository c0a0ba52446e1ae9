//! `LEAK_SAMPLE`: estimates lie about what is true, as far as they say, and a sample costs little to keep.

use leak_tests::compile::Source;
use leak_tests::run::Place;

/// Of `targets/sampled/kept.c`.
const BLOCKS: f64 = 60_000.0;
const KEPT_BYTES: f64 = 124_310_400.0;
/// A sequence of chances that is off by more has one chance in a hundred million.
const MOST_ERRORS: f64 = 6.0;

fn assert_near(what: &str, estimate: u64, truth: f64, error: f64) {
    let off = (estimate as f64 - truth).abs();
    assert!(
        off <= MOST_ERRORS * error,
        "{what}: {estimate} for {truth}, off by more than {MOST_ERRORS} times {error}"
    );
}

fn check(mean: f64) {
    let place = Place::new();
    let mut command = place.traced(Source::read("sampled/kept.c").program());
    command.env("LEAK_SAMPLE", mean.to_string());
    let ended = place.run(command);
    assert!(
        ended.status.success() && ended.err.is_empty(),
        "{}",
        ended.err
    );
    let report = place.report();
    assert_eq!(report.number("/trace/sample_bytes"), mean as u64);
    assert_eq!(report.number("/trace/dropped_events"), 0);
    assert_eq!(report.number("/totals/unknown_frees"), 0);
    assert_eq!(report.list("/trace/warnings"), [] as [serde_json::Value; 0]);
    let parent = |field: &str| report.number(&format!("/processes/0/{field}"));
    let child = |field: &str| report.number(&format!("/processes/1/{field}"));

    let error = report.number("/totals/live_bytes_error") as f64;
    assert!(
        (error / (KEPT_BYTES * mean).sqrt() - 1.0).abs() < 0.1,
        "{error}"
    );
    assert_near("live bytes", parent("live_bytes"), KEPT_BYTES, error);
    // Each block stands for mean / size ones; sizes are 2 KiB on average, and a few have 24 bytes only.
    let blocks_error = (BLOCKS * (1.0 + mean / 300.0)).sqrt();
    assert_near("live blocks", parent("live_blocks"), BLOCKS, blocks_error);
    assert_near(
        "allocations",
        parent("allocations"),
        BLOCKS * 3.0,
        4.0 * blocks_error,
    );
    assert_near(
        "reallocations",
        parent("reallocations"),
        BLOCKS / 3.0,
        blocks_error,
    );
    let allocated = report.number("/totals/allocated_bytes");
    let truth = 3.0 * KEPT_BYTES;
    assert_near(
        "allocated bytes",
        allocated,
        truth,
        3.0 * (truth * mean).sqrt(),
    );

    // The child ends each of those that the parent keeps, but for what the runtime has for its threads.
    let inherited = child("inherited_live_blocks");
    assert!(inherited < 100, "{inherited}");
    assert_eq!(child("frees") + inherited, parent("live_blocks"));
}

#[test]
fn many_of_the_blocks() {
    check(1_000.0);
}

#[test]
fn few_of_the_blocks() {
    check(100_000.0);
}
