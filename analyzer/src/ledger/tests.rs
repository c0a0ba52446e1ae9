use super::holding::OUTSIDE;
use super::*;

#[test]
fn reallocs_have_three_outcomes() {
    let mut ledger = Ledger::new(Sample::default());
    ledger.allocate(OUTSIDE, 16, 100, 1, 1);
    let old = ledger.reallocation_begins(16);
    ledger.reallocation_failed(16, old);
    let old = ledger.reallocation_begins(16);
    ledger.reallocation_ends((16, old), OUTSIDE, 32, 150, 2, 2);
    let old = ledger.reallocation_begins(32);
    assert_eq!(ledger.counts.live_blocks, 1);
    ledger.reallocation_freed(32, old);
    ledger.free(16, false);
    assert_eq!(
        ledger.counts,
        Counts {
            allocations: 1,
            frees: 1,
            reallocations: 1,
            allocated_bytes: 150,
            unknown_frees: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn a_block_passes_where_none_is_live() {
    let mut ledger = Ledger::new(Sample::default());
    ledger.allocate(OUTSIDE, 16, 100, 1, 1);
    assert!(ledger.pass_one(OUTSIDE, 32, 10, 1, 0));
    let passed = Counts {
        allocations: 2,
        frees: 1,
        allocated_bytes: 110,
        live_blocks: 1,
        live_bytes: 100,
        ..Counts::default()
    };
    assert_eq!(ledger.counts, passed);
    // What ended unseen, and what is never found again, has to be told.
    assert!(!ledger.pass_one(OUTSIDE, 16, 10, 1, 0) && !ledger.pass_one(OUTSIDE, 0, 10, 1, 0));
    let mut child = ledger.fork();
    assert!(!child.pass_one(OUTSIDE, 16, 10, 1, 0) && child.pass_one(OUTSIDE, 32, 10, 1, 0));
    let mut sampled = Ledger::new(Sample::every(4096));
    assert!(!sampled.pass_one(OUTSIDE, 32, 10, 1, 0));
    assert_eq!(ledger.counts, passed);
}

#[test]
fn a_missed_free_ends_the_old_block() {
    let mut ledger = Ledger::new(Sample::default());
    ledger.allocate(OUTSIDE, 16, 100, 1, 1);
    ledger.allocate(OUTSIDE, 16, 7, 1, 2);
    assert_eq!(
        (ledger.counts.missed_frees, ledger.counts.live_bytes),
        (1, 7)
    );
}
