//! Whose a block is.

use super::super::script::{Script, story};
use super::super::{Options, Scope};
use super::auto;

#[test]
fn an_event_loop_serves_the_connection_it_touched_last() {
    let told = auto(
        "t1 accept c1; t1 accept c2; t1 poll; t1 read c1 GET /a; t1 alloc a1 1; t1 read c2 GET /b
         t1 alloc b1 1; t1 poll; t1 alloc a2 1; t1 answer c1 200; t1 alloc a3 1; t1 answer c2 200
         t1 alloc b2 1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 3 survive 3 retained 3",
            "GET /b status 200 blocks 2 survive 2 retained 2"
        ]
    );
}

#[test]
fn a_task_keeps_what_it_allocated_until_it_touches_a_connection() {
    let told = auto(
        "t1 accept c1; t1 accept c2; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b; t1 poll
         t1 task A; t1 alloc a1 1; t1 loop; t1 task B; t1 alloc b1 1; t1 alloc b2 1; t1 loop; t1 poll
         t1 task B; t1 alloc b3 1; t1 answer c2 200; t1 task A; t1 alloc a2 1; t1 answer c1 200
         t1 loop; t1 alloc x 1; t1 poll; t1 free a1",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 2 retained 2",
            "GET /b status 200 blocks 3 survive 3 retained 3",
            "outside 1"
        ]
    );
}

#[test]
fn a_task_ends_with_its_block_and_another_one_may_lie_there() {
    let told = auto(
        "t1 accept c1; t1 poll; t1 read c1 GET /a; t1 poll; t1 alloc T 1; t1 task T; t1 alloc a 1; t1 loop
         t1 poll; t1 task T; t1 answer c1 200; t1 loop; t1 free T; t1 poll; t1 read c1 GET /b; t1 poll
         t1 alloc T 1; t1 task T; t1 alloc b 1; t1 loop; t1 poll; t1 task T; t1 free a; t1 answer c1 200
         t1 loop; t1 free T; t1 poll; t1 free b",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 1",
            "GET /b status 200 blocks 2 survive 1 retained 1"
        ]
    );
}

#[test]
fn what_an_accepted_connection_needs_is_not_another_ones() {
    let told = auto(
        "t1 waits; t1 accept c1; t1 alloc s1 1 @5; t1 poll; t1 waits; t1 accept c2; t1 alloc s2 1 @5
         t1 read c1 GET /a; t1 alloc a 1; t1 answer c1 200; t1 poll; t1 waits; t1 accept c3
         t1 alloc s3 1 @5; t1 read c3 GET /b; t1 answer c3 200; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200 blocks 1 survive 1 retained 1",
            "outside 2"
        ]
    );
}

#[test]
fn a_worker_is_counted_from_its_last_idle_wait() {
    let told = auto(
        "t1 accept c1; t2 alloc early 1 @9; t2 lock; t1 read c1 GET /a; t2 alloc a 1 @2
         t2 free a; t2 alloc b 1 @3; t2 answer c1 200; t1 poll; t2 alloc c 1 @4; t2 lock
         t2 free c; t2 free b",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 3 survive 2 retained 2",
            "outside 1"
        ]
    );
}

#[test]
fn a_helper_thread_is_inferred_while_one_request_is_in_flight() {
    let told = auto(
        "t1 accept c1; t2 lock; t1 read c1 GET /a; t2 alloc a 1 @5; t2 lock; t1 answer c1 200
         t1 poll; t2 free a",
    );
    assert_eq!(
        told,
        ["GET /a status 200 blocks 1 inferred 1 survive 1 retained 1"]
    );
}

#[test]
fn a_site_that_allocates_idly_on_the_thread_is_never_inferred() {
    let told = auto(
        "t1 accept c1; t2 lock; t1 read c1 GET /a; t2 alloc a 1 @5; t2 lock; t1 answer c1 200
         t1 poll; t2 alloc b 1 @5; t2 lock",
    );
    assert_eq!(told, ["GET /a status 200", "outside 2"]);
}

#[test]
fn with_two_in_flight_nothing_is_inferred() {
    let told = auto(
        "t1 accept c1; t1 accept c2; t2 lock; t1 read c1 GET /a; t1 read c2 GET /b; t2 alloc a 1 @5
         t2 lock; t1 answer c1 200; t1 answer c2 200; t1 poll",
    );
    assert_eq!(
        told,
        ["GET /a status 200", "GET /b status 200", "outside 1"]
    );
}

#[test]
fn scopes_choose_the_blocks() {
    let text = "t1 accept c1; t1 accept c2; t2 lock; t1 read c1 GET /a; t2 alloc a 1 @5; t2 lock
                t1 read c2 GET /b; t1 alloc b 1; t1 answer c2 200; t1 answer c1 200; t1 poll";
    let scoped = |scope| {
        let options = Options {
            scope,
            ..Options::default()
        };
        story(text, &options)
    };
    assert_eq!(
        scoped(Scope::Thread),
        [
            "GET /a status 200",
            "GET /b status 200 blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
    assert_eq!(
        scoped(Scope::Process),
        [
            "GET /a status 200 blocks 2 survive 2 retained 2",
            "GET /b status 200"
        ]
    );
}

#[test]
fn a_request_counts_once_at_a_call_site_however_it_came_there() {
    let mut script = Script::default();
    // By its own thread, by a worker, and by another one; the second request by a worker alone.
    script.tell(
        "t1 accept c1; t1 reads c1; t1 read c1 GET /a; t1 alloc a 1 @7; t2 alloc b 1 @7; t2 lock
         t3 alloc c 1 @7; t3 lock; t2 alloc d 1 @7; t2 lock; t1 answer c1 200; t1 reads c1
         t1 read c1 GET /b x2; t2 alloc e 1 @7; t2 lock; t1 alloc f 1 @8; t1 answer c1 200 x2
         t1 reads c1; t1 read c1 GET /c; t1 alloc g 1 @7; t2 alloc h 1 @7; t2 lock; dies p1",
    );
    let analysis = script.analysis(&Options::default());
    let requests = |id| {
        let site = analysis.sites.iter().find(|site| site.id == id).unwrap();
        site.requests
    };
    assert_eq!((requests(7), requests(8)), (4, 2));
}
