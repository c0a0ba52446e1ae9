use super::holding::{Hints, OUTSIDE, Proof};
use super::*;
use crate::requests::record::Record;
use crate::types::TypeNames;

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

/// A block that CPython uses again is nobody's while it waits, and then whose it is who took it; no call is counted.
#[test]
fn what_is_used_again_is_who_took_its() {
    const LIST: SiteId = 9;
    let mut ledger = Ledger::new(Sample::default());
    ledger.begin(0, 1);
    ledger.begin(1, 1);
    let first = ledger.proved_account(0, Proof::Touch);
    let second = ledger.proved_account(1, Proof::Touch);
    ledger.allocate(first, 16, 64, 1, 2);
    let counts = ledger.counts;
    let owner = |ledger: &Ledger| ledger.kind_of_block(16);
    ledger.waits(16, LIST, 5, 3);
    assert_eq!(owner(&ledger), Some(Kind::Outside));
    ledger.taken(second, 16, LIST, 6, 4);
    assert_eq!(owner(&ledger), Some(Kind::Proved(1, Proof::Touch)));
    assert_eq!(ledger.counts, counts);
    // Given back from the list, and another block since: that one was not taken from there.
    ledger.waits(16, LIST, 5, 5);
    ledger.free(16, false);
    ledger.allocate(first, 16, 64, 1, 5);
    ledger.taken(second, 16, LIST, 6, 6);
    assert_eq!(owner(&ledger), Some(Kind::Proved(0, Proof::Touch)));
    // Nothing is there: nothing was taken.
    ledger.taken(second, 32, LIST, 6, 6);
    ledger.waits(32, LIST, 5, 6);
    assert_eq!(ledger.counts.live_blocks, 1);
}

/// What waits on a free list outside requests is bounded, and no growth where its memory was there before.
#[test]
fn what_waits_is_growth_where_its_memory_is_new() {
    const LIST: SiteId = 9;
    let waiting = TypeNames::default().id("tuple (free list)");
    let mut ledger = Ledger::new(Sample::default());
    ledger.allocate(OUTSIDE, 16, 64, 1, 1);
    ledger.begin(0, 2);
    ledger.allocate(OUTSIDE, 32, 80, 1, 3);
    ledger.waits(16, LIST, waiting, 4);
    ledger.waits(32, LIST, waiting, 4);
    ledger.serving.to = 20;
    let bounded = |ledger: &Ledger| {
        let sites = ledger.outside_by_site(&[]);
        let all = sites.values().map(|(.., series, _)| series.bounded.bytes);
        all.sum::<u64>()
    };
    assert_eq!(bounded(&ledger), 80);
    // Taken and dead once more, it is the same memory.
    ledger.taken(OUTSIDE, 16, LIST, 5, 5);
    ledger.waits(16, LIST, waiting, 6);
    assert_eq!(bounded(&ledger), 80);
    // Another block at the same address is not.
    ledger.free(16, false);
    ledger.allocate(OUTSIDE, 16, 64, 1, 7);
    ledger.waits(16, LIST, waiting, 8);
    assert_eq!(bounded(&ledger), 144);
}

/// A child takes what waited before the fork: that is its own then.
#[test]
fn what_a_child_takes_is_its_own() {
    let mut parent = Ledger::new(Sample::default());
    parent.allocate(OUTSIDE, 16, 64, 1, 1);
    parent.waits(16, 9, 5, 2);
    let mut child = parent.fork();
    child.taken(OUTSIDE, 16, 9, 6, 3);
    assert_eq!((child.counts.live_blocks, child.counts.live_bytes), (1, 64));
    assert_eq!((child.counts.allocations, child.counts.frees), (0, 0));
    assert_eq!(child.live_bytes(), 64);
}

/// What a worker made and that dies before the worker is done has a life all the same, once all that were in flight at
/// its birth have ended.
#[test]
fn what_dies_before_its_worker_is_done_has_lived() {
    let mut ledger = Ledger::new(Sample::default());
    let mut record = Record::begun();
    let worker = ledger.pending_account(1);
    ledger.begin(0, 1);
    ledger.allocate(worker, 16, 64, 1, 2);
    ledger.allocate(worker, 32, 64, 1, 3);
    ledger.end(0, &mut record, 4);
    for request in [1, 2] {
        let stamp = u64::from(request) * 10;
        ledger.begin(request, stamp);
        // The first was in flight when these were made, and so was the second when this was.
        ledger.allocate(worker, 48, 64, 1, stamp + 1);
        ledger.free(48, false);
        ledger.free(16 * u64::from(request), false);
        ledger.end(request, &mut record, stamp + 2);
    }
    let lives = &ledger.sites[0].lives;
    assert_eq!(lives.unowned[0].count(), 2);
    assert_eq!(lives.unowned[3].count(), 2);
    assert_eq!(lives.unowned[1].count(), 0);
}

/// A task may be over long after its request, when somebody looks after it: what it made has lived since its birth.
#[test]
fn a_life_begins_with_the_block_however_late_its_zone_is_over() {
    let mut ledger = Ledger::new(Sample::default());
    let mut record = Record::begun();
    let task = ledger.pending_account(1);
    ledger.begin(0, 1);
    ledger.allocate(task, 16, 64, 1, 2);
    for request in 0..9 {
        ledger.end(request, &mut record, 10 * u64::from(request) + 5);
        ledger.begin(request + 1, 10 * u64::from(request) + 6);
    }
    let hints = Hints {
        task: Some(0),
        ..Hints::default()
    };
    ledger.becomes_open(task, hints);
    ledger.free(16, false);
    ledger.end(9, &mut record, 99);
    let lives = &ledger.sites[0].lives.unowned[0];
    // One request was in flight at its birth; eight ended after that and before it died (a bin has 8 to 11).
    assert_eq!((lives.count(), lives.percentile(1.0)), (1, 11));
}

/// What a proof held together that turns out to prove nothing is told by what was in flight when each was made.
#[test]
fn what_was_thought_to_be_one_requests_is_told_by_its_births() {
    let of = |start, end| Record {
        start,
        end: Some(end),
        ..Record::begun()
    };
    let mut records = vec![of(1, 50), of(20, 60)];
    let mut ledger = Ledger::new(Sample::default());
    ledger.begin(0, 1);
    let own = ledger.proved_account(0, Proof::Waited);
    ledger.allocate(own, 16, 100, 1, 10);
    ledger.allocate(own, 32, 10, 1, 15);
    ledger.begin(1, 20);
    ledger.allocate(own, 48, 1, 1, 30);
    ledger.end(0, &mut records[0], 50);
    ledger.end(1, &mut records[1], 60);
    let finished = ledger.finish(&mut records, |proof| proof != Proof::Waited);
    let part = |loose: &Loose| {
        assert_eq!(
            (loose.live, loose.before_exit),
            (loose.served, loose.served)
        );
        (
            loose.born,
            loose.last,
            loose.served.blocks,
            loose.served.bytes,
        )
    };
    let parts: Vec<_> = finished.loose.iter().map(part).collect();
    assert_eq!(parts, [(10, 15, 2, 110), (30, 30, 1, 1)]);
}

/// A cache's entry keeps what it was made with, and what its request added; where others add to it, too, no block that
/// came later, but for an object from a free list, which may have been taken before it was seen to be.
#[test]
fn an_entry_keeps_what_it_was_made_with() {
    const LIST: SiteId = 9;
    let kept = |others: &[u64]| {
        let mut ledger = Ledger::new(Sample::default());
        ledger.begin(0, 1);
        let own = ledger.proved_account(0, Proof::Touch);
        for address in [64, 16, 32, 48] {
            ledger.allocate(own, address, 64, 1, address);
        }
        ledger.waits(64, LIST, 5, 65);
        ledger.taken(own, 64, LIST, 6, 70);
        ledger.begin(1, 1);
        let other = ledger.proved_account(1, Proof::Touch);
        for address in others {
            ledger.allocate(other, *address, 64, 1, *address);
        }
        let blocks = [16, 32, 32, 48, 64].iter().chain(others);
        let cache = crate::trace::Cache {
            most: 100,
            entries: vec![blocks.copied().collect()],
        };
        ledger.caches_read(100, &[cache]);
        [16, 32, 48, 64, 80].map(|address| {
            let block = ledger.heap.get(address);
            block.is_some_and(|block| crate::types::is_bounded(block.of_type))
        })
    };
    assert_eq!(kept(&[]), [true, true, true, true, false]);
    assert_eq!(kept(&[80]), [true, true, false, true, false]);
}

/// What came since caches were read last is theirs where all was that the same label's requests had left there, and not
/// where much was not.
#[test]
fn a_killed_process_has_caches_that_went_on() {
    let late = |others: u64| {
        let mut ledger = Ledger::new(Sample::default());
        ledger.begin(0, 1);
        let own = ledger.proved_account(0, Proof::Touch);
        let of_cache: Vec<u64> = (1..=8).map(|number| number * 16).collect();
        let later = 1000..1000 + others;
        for address in of_cache
            .iter()
            .copied()
            .chain(later.map(|place| place * 16))
        {
            ledger.allocate(own, address, 64, 1, 5);
        }
        let entries = of_cache.iter().map(|block| vec![*block; 3]).collect();
        let cache = crate::trace::Cache { most: 100, entries };
        ledger.caches_read(100, &[cache]);
        ledger.allocate(own, 8000, 64, 1, 101);
        let record = Record {
            label: Some(3),
            end: Some(50),
            ..Record::begun()
        };
        ledger.complete_caches(&[record]);
        let block = ledger.heap.get(8000).expect("it is live");
        crate::types::is_bounded(block.of_type)
    };
    assert_eq!([late(0), late(2), late(3)], [true, true, false]);
}

/// Of caches with room for so many entries: whether what comes after the last reading is theirs, and what a request had
/// made by then that went on.
#[test]
fn what_a_cache_has_no_room_for_is_not_its_own() {
    let late = |most: u64, held: bool| {
        let mut ledger = Ledger::new(Sample::default());
        ledger.begin(0, 1);
        let own = ledger.proved_account(0, Proof::Touch);
        let of_cache: Vec<u64> = (1..=8).map(|number| number * 16).collect();
        let later = (1000..1020).map(|place| place * 16);
        of_cache.iter().for_each(|address| {
            ledger.allocate(own, *address, 64, 1, 5);
        });
        let entries = of_cache.iter().map(|block| vec![*block; 3]).collect();
        let born = if held { 99 } else { 101 };
        later.clone().for_each(|address| {
            ledger.allocate(own, address, 64, 1, born);
        });
        ledger.caches_read(100, &[crate::trace::Cache { most, entries }]);
        let record = Record {
            label: Some(3),
            end: Some(110),
            ..Record::begun()
        };
        ledger.complete_caches(&[record]);
        let mut late = later.filter_map(|address| ledger.heap.get(address));
        late.all(|block| crate::types::is_bounded(block.of_type))
    };
    assert!(late(28, false) && late(28, true));
    assert!(!late(27, false) && !late(27, true));
}

/// A full cache drops an entry for each new one, whose block may lie where the old one's did: it takes that one's room.
#[test]
fn a_new_block_at_an_old_entrys_address_takes_no_room() {
    let late = |most: u64| {
        let mut ledger = Ledger::new(Sample::default());
        ledger.begin(0, 1);
        let own = ledger.proved_account(0, Proof::Touch);
        let of_cache: Vec<u64> = (1..=8).map(|number| number * 16).collect();
        of_cache.iter().for_each(|address| {
            ledger.allocate(own, *address, 64, 1, 5);
        });
        let entries = of_cache.iter().map(|block| vec![*block; 3]).collect();
        ledger.caches_read(100, &[crate::trace::Cache { most, entries }]);
        ledger.free(16, false);
        ledger.allocate(own, 16, 64, 1, 101);
        ledger.allocate(own, 8000, 64, 1, 101);
        let record = Record {
            label: Some(3),
            end: Some(110),
            ..Record::begun()
        };
        ledger.complete_caches(&[record]);
        let block = ledger.heap.get(8000).expect("live");
        crate::types::is_bounded(block.of_type)
    };
    assert!(late(9) && !late(8));
}

/// What a block is may be read when a cache is known to keep it, and tells nothing of that.
#[test]
fn a_type_that_is_read_late_takes_nothing_out_of_a_cache() {
    let mut ledger = Ledger::new(Sample::default());
    ledger.begin(0, 1);
    let own = ledger.proved_account(0, Proof::Touch);
    ledger.allocate(own, 16, 64, 1, 5);
    let entries = vec![vec![16; 3]];
    ledger.caches_read(100, &[crate::trace::Cache { most: 9, entries }]);
    ledger.set_type(16, 101, 7);
    let of_type = |ledger: &Ledger| ledger.heap.get(16).map(|block| block.of_type);
    assert_eq!(of_type(&ledger), Some(crate::types::cached(7)));
    // The next reading tells that it has left.
    ledger.caches_read(200, &[]);
    assert_eq!(of_type(&ledger), Some(7));
}
