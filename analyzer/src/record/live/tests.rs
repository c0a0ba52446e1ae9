//! What lives, whatever the order in which lanes are drained.

use leak_wire::Wait;

use super::*;
use crate::trace::At;

impl LiveBlocks {
    /// All that a look finds.
    fn due(&mut self, all: bool) -> Vec<u64> {
        let extent = if all { Extent::All } else { Extent::Due };
        self.found(extent)
    }

    fn found(&mut self, extent: Extent) -> Vec<u64> {
        let (mut look, mut found) = (self.look(extent), Vec::new());
        while self.find(&mut look, &mut found) {}
        found
    }
}

fn allocation(address: u64) -> Event<'static> {
    Event::Allocation {
        address,
        size: 48,
        site: 0,
    }
}

const WAITS: Event<'static> = Event::Enter {
    wait: Wait::Read,
    connection: 0,
};

#[test]
fn a_block_is_due_once_its_own_thread_has_waited() {
    let mut live = LiveBlocks::new();
    let (mut one, mut other) = (Follower::new(1), Follower::new(2));
    live.see(&allocation(16), 1, &mut one);
    live.see(&allocation(32), 2, &mut other);
    live.see(&WAITS, 3, &mut one);
    live.see(&allocation(48), 4, &mut one);
    assert!(live.has_news(false));
    assert_eq!(live.due(false), [16]);
    assert!(!live.has_news(false));
    assert!(live.take(16, false).is_some() && live.take(16, false).is_none());
    live.thread_ends(&other);
    assert_eq!(live.due(false), [32]);
    live.see(&Event::Free { address: 32 }, 5, &mut one);
    assert!(live.take(32, true).is_none());
    assert_eq!(live.due(true), [48]);
}

#[test]
fn what_was_there_before_the_first_request_has_time() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(1);
    let order = 5;
    live.see(&allocation(16), 1, &mut thread);
    live.see(&allocation(32), 2, &mut thread);
    live.see(&Event::RequestBegun { connection: 1 }, 3, &mut thread);
    live.see(&allocation(48), 4, &mut thread);
    live.see(&WAITS, order, &mut thread);
    assert!(live.has_news(false));
    assert_eq!(live.found(Extent::Served), [48]);
    assert!(!live.has_news(false) && live.has_news(true));
    // One that is gone, and one that another came to.
    live.see(&Event::Free { address: 16 }, 6, &mut thread);
    live.see(&Event::Free { address: 32 }, 7, &mut thread);
    live.see(&allocation(32), 8, &mut thread);
    assert_eq!(live.due(false), [48]);
    assert!(!live.has_news(true));
    let mut all = live.due(true);
    all.sort_unstable();
    assert_eq!(all, [32, 48]);
    assert_eq!(live.unread(), 2);
}

#[test]
fn what_a_thread_leaves_is_due_when_it_says_that_it_ends() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(1);
    live.see(&allocation(16), 1, &mut thread);
    live.see(&Event::ThreadEnd, 2, &mut thread);
    assert!(live.has_news(false));
    assert_eq!(live.due(false), [16]);
}

#[test]
fn many_at_once_are_those_one_by_one() {
    let free = |address| Event::Free { address };
    let mut events = Vec::new();
    // More than are looked at ahead; of three in a row one is gone at once, and one with the next.
    for address in (1..=100).map(|number| number * 48) {
        events.extend([
            allocation(address),
            allocation(address + 16),
            free(address + 16),
            allocation(address + 32),
            free(address),
        ]);
    }
    // A block whose free was seen before it.
    events.extend([free(16_384), allocation(16_384), free(16_384)]);
    let mut words = Vec::new();
    let (mut one, mut many) = (LiveBlocks::new(), LiveBlocks::new());
    let mut thread = Follower::new(1);
    for event in events {
        one.see(&event, 5, &mut thread);
        let record = leak_wire::Record { stamp: 0, event };
        record.encode(|word| words.push(word));
    }
    many.see_common(Commons::new(At::Epoch, &words), 5, &mut thread);
    let due = |live: &mut LiveBlocks| {
        let mut due = live.due(true);
        due.sort_unstable();
        due
    };
    let left: Vec<u64> = (1..=100).map(|number| number * 48 + 32).collect();
    assert_eq!((due(&mut one), due(&mut many)), (left.clone(), left));
}

#[test]
fn a_thread_that_uses_an_address_again_ends_the_old_block_alone() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(1);
    live.see(&allocation(16), 1, &mut thread);
    live.see(&WAITS, 2, &mut thread);
    assert_eq!(live.due(false), [16]);
    // Not the block that was queued: one that may still be made.
    live.see(&Event::Free { address: 16 }, 2, &mut thread);
    live.see(&allocation(16), 2, &mut thread);
    assert!(live.take(16, false).is_none());
    assert!(live.take(16, true).is_some());
    // What was read is not known any more when it is freed.
    live.see(&Event::Free { address: 16 }, 2, &mut thread);
    live.see(&allocation(16), 2, &mut thread);
    assert_eq!(live.due(true), [16]);
}

#[test]
fn every_block_is_kept_until_it_is_freed() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(0);
    for number in 1..=100_000 {
        live.see(&allocation(number * 16), number, &mut thread);
    }
    for number in (1..=100_000).filter(|number| number % 2 == 0) {
        let address = number * 16;
        live.see(&Event::Free { address }, 100_000 + number, &mut thread);
    }
    assert_eq!(live.unread(), 50_000);
    let mut due = live.due(true);
    due.sort_unstable();
    let odd = (0..50_000_u64).map(|number| (2 * number + 1) * 16);
    assert!(due.into_iter().eq(odd));
}

#[test]
fn a_realloc_moves_a_block_and_a_failed_one_leaves_it() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(0);
    let begins = Event::ReallocationBegin { address: 16 };
    live.see(&allocation(16), 1, &mut thread);
    live.see(&begins, 2, &mut thread);
    assert_eq!(live.unread(), 0);
    live.see(&Event::ReallocationFailed, 3, &mut thread);
    assert_eq!(live.due(true), [16]);
    live.see(&begins, 4, &mut thread);
    let moved = Event::ReallocationEnd {
        address: 64,
        size: 5 << 32,
        site: 0,
    };
    live.see(&moved, 5, &mut thread);
    assert_eq!(live.due(true), [64]);
    assert_eq!(live.take(64, true).unwrap().size, u32::MAX);
}

/// Two allocations at one address and the free between them, by three threads whose lanes are
/// drained in any order, before or after the first one went to the table.
#[test]
fn what_is_live_does_not_depend_on_the_order_of_draining() {
    let events = [
        (allocation(16), 1),
        (Event::Free { address: 16 }, 2),
        (allocation(16), 3),
        (Event::Free { address: 16 }, 4),
    ];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for (settles, order) in [false, true]
        .into_iter()
        .flat_map(|settles| orders.map(|order| (settles, order)))
    {
        let mut live = LiveBlocks::new();
        let mut threads = [1, 2, 3].map(Follower::new);
        for at in order {
            let (event, stamp) = &events[at];
            live.see(event, *stamp, &mut threads[at]);
            if settles {
                live.due(false);
            }
        }
        assert_eq!(live.due(true), [16], "{order:?}");
        let (event, stamp) = &events[3];
        live.see(event, *stamp, &mut threads[0]);
        assert_eq!(live.due(true), [0; 0], "{order:?}");
        // What was freed early is forgotten in time.
        live.pass_ends();
        live.pass_ends();
        live.see(&allocation(16), 0, &mut threads[0]);
        assert_eq!(live.unread(), 1);
    }
}

#[test]
fn what_shows_no_type_is_due_once_more_and_at_the_end() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(1);
    live.see(&allocation(16), 1, &mut thread);
    live.see(&WAITS, 2, &mut thread);
    assert_eq!(live.due(false), [16]);
    let block = live.take(16, false).unwrap();
    live.again(16, block, true);
    assert_eq!((live.unread(), live.due(false)), (0, vec![]));
    live.see(&WAITS, 3, &mut thread);
    assert_eq!(live.due(false), [16]);
    let block = live.take(16, false).unwrap();
    live.again(16, block, true);
    live.see(&WAITS, 4, &mut thread);
    assert_eq!((live.unread(), live.due(false)), (0, vec![]));
    assert_eq!(live.due(true), [16]);
    live.see(&Event::Free { address: 16 }, 5, &mut thread);
    assert_eq!(live.due(true), [0; 0]);
}

#[test]
fn what_may_change_is_due_at_each_rest_and_at_the_end() {
    let mut live = LiveBlocks::new();
    let mut thread = Follower::new(1);
    live.see(&allocation(16), 1, &mut thread);
    live.see(&WAITS, 2, &mut thread);
    for _ in 0..3 {
        assert_eq!(live.found(Extent::Due), [16]);
        let block = live.take(16, false).unwrap();
        live.may_change(16, block);
        assert_eq!(live.found(Extent::Served), [0; 0]);
    }
    assert_eq!((live.unread(), live.due(true)), (0, vec![16]));
    // Another block that comes to lie there is one of its own.
    live.see(&Event::Free { address: 16 }, 3, &mut thread);
    live.see(&allocation(16), 4, &mut thread);
    assert_eq!(live.found(Extent::Due), [0; 0]);
    assert_eq!(live.take(16, false), None);
}
