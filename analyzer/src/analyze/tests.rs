//! The rules of requests and owners, each as an event table.
//!
//! A long file: a list of small stories, each by itself.

mod course;
mod exit;
mod open;
mod owners;
mod sampled;
mod sums;
mod traffic;
mod verdicts;

pub(super) use sums::assert_sums;

use super::script::{Script, story};
use super::{Boundary, Options};

fn auto(text: &str) -> Vec<String> {
    story(text, &Options::default())
}

fn cut_by(boundary: Boundary, text: &str) -> Vec<String> {
    let options = Options {
        boundary,
        ..Options::default()
    };
    story(text, &options)
}

#[test]
fn a_request_ends_when_its_thread_waits_after_the_answer() {
    let told = auto(
        "t1 waits; t1 accept c1; t1 reads c1; t1 read c1 GET /a; t1 alloc a 10; t1 alloc b 10
         t1 alloc c 10; t1 free a; t1 answer c1 200; t1 free b; t1 reads c1; t1 free c; t1 close c1",
    );
    assert_eq!(told, ["GET /a status 200 blocks 3 survive 1 retained 1"]);
}

#[test]
fn a_wait_before_the_answer_ends_nothing() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 10; t1 lock; t1 poll; t1 free a
         t1 answer c1 200; t1 poll; t1 alloc z 1; t1 poll",
    );
    assert_eq!(told, ["GET /a status 200 blocks 1", "outside 1"]);
}

#[test]
fn what_is_freed_after_the_last_end_was_retained() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 alloc b 1; t1 answer c1 200; t1 reads c1
         t1 free a; t1 read c1 GET /b; t1 answer c1 200; t1 reads c1; t1 free b; dies p1",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 2 retained 1",
            "GET /b status 200"
        ]
    );
}

#[test]
fn keep_alive_requests_follow_each_other() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 answer c1 200; t1 reads c1
         t1 read c1 GET /b; t1 alloc b 1; t1 answer c1 404; t1 reads c1; t1 close c1",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 404 blocks 1 survive 1 retained 1"
        ]
    );
}

#[test]
fn read_together_answered_together_is_one() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a x3; t1 alloc a 1; t1 answer c1 200, 200, 200; t1 poll",
    );
    assert_eq!(
        told,
        ["GET /a x 2 status 200 blocks 1 survive 1 retained 1"]
    );
    let told = auto("t1 accept c1; t1 read c1 SET x16; t1 alloc a 1; t1 answer c1 0 x16; t1 poll");
    assert_eq!(told, ["tcp:80 SET x 15 blocks 1 survive 1 retained 1"]);
}

#[test]
fn read_together_answered_apart_are_two() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a x2; t1 alloc a 1; t1 answer c1 200; t1 alloc b 1
         t1 alloc c 1; t1 answer c1 500; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /a status 500 blocks 2 survive 2 retained 2"
        ]
    );
}

#[test]
fn several_labels_answered_together_keep_their_numbers() {
    let told =
        auto("t1 accept c1; t1 read c1 SET x2, GET x3; t1 alloc a 1; t1 answer c1 0 x5; t1 poll");
    assert_eq!(
        told,
        [
            "tcp:80 SET x 1",
            "tcp:80 GET x 2",
            // It may be either's.
            "outside 1"
        ]
    );
}

#[test]
fn an_answer_stamped_after_the_next_read_answers_the_former() {
    // t1 writes; the client has the answer and sends more, which t2 reads before t1's write returns.
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 writes c1; t2 lock; t2 read c1 GET /b
         t2 alloc b 1; t1 answered c1 200; t1 sent c1; t1 alloc tidy 1; t1 free a; t1 poll
         t2 alloc c 1; t2 answer c1 404; t2 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 1 retained 1",
            "GET /b status 404 blocks 2 survive 2 retained 2"
        ]
    );
}

#[test]
fn reading_the_next_head_takes_nothing_over_but_reading_a_body_does() {
    let told = auto(
        "t1 accept c1; t2 lock; t1 poll; t1 read c1 GET /a; t2 alloc a 1; t2 writes c1; t2 sent c1
         t2 alloc b 1; t1 poll; t1 alloc c 1; t1 read c1 GET /b; t1 alloc d 1; t2 alloc e 1
         t2 answer c1 200; t2 lock; t2 answer c1 404; t2 lock",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 3 survive 3 retained 3",
            "GET /b status 404 blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
    let told = auto(
        "t1 accept c1; t2 lock; t1 poll; t1 read c1 POST /a; t2 alloc a 1; t2 recv c1; t2 alloc b 1
         t2 answer c1 200; t2 lock",
    );
    // What the worker did before it read on is not proved: only an answer settles that.
    assert_eq!(
        told,
        [
            "POST /a status 200 blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
}

#[test]
fn a_head_in_parts_begins_with_its_first_byte() {
    let told = auto(
        "t1 accept c1; t1 poll; t1 begun c1; t1 alloc a 1; t1 poll; t1 read c1 GET /a; t1 alloc b 1
         t1 answer c1 200; t1 poll",
    );
    assert_eq!(told, ["GET /a status 200 blocks 2 survive 2 retained 2"]);
}

#[test]
fn informational_answers_answer_nothing() {
    let told = auto(
        "t1 accept c1; t1 read c1 POST /a; t1 answered c1 100; t1 poll; t1 alloc a 1; t1 recv c1
         t1 answer c1 201; t1 poll",
    );
    assert_eq!(told, ["POST /a status 201 blocks 1 survive 1 retained 1"]);
}

#[test]
fn after_an_upgrade_messages_are_turns() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /ws; t1 answer c1 101; t1 upgraded c1; t1 poll; t1 recv c1
         t1 alloc a 1; t1 send c1; t1 poll; t1 recv c1; t1 send c1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /ws status 101",
            "ws /ws blocks 1 survive 1 retained 1",
            "ws /ws"
        ]
    );
}

/// Pings and the like are none; one that nobody answers is over when the next is read.
#[test]
fn after_an_upgrade_to_websocket_messages_are_requests() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /ws; t1 answer c1 101; t1 upgraded c1; t1 poll; t1 frames c1
         t1 alloc a 1; t1 poll; t1 message c1 1; t1 alloc b 1; t1 poll; t1 recv c1; t1 poll
         t1 message c1 2; t1 alloc c 1; t1 answer c1 0 x2; t1 poll; t1 recv c1; t1 send c1; t1 poll
         t1 message c1 1; t1 poll; t1 close c1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /ws status 101",
            "ws /ws blocks 1 survive 1 retained 1",
            "ws /ws x 1 blocks 1 survive 1 retained 1",
            "ws /ws",
            "outside 1"
        ]
    );
}

#[test]
fn a_turn_is_from_the_first_read_to_the_wait_after_the_first_write() {
    let told = auto(
        "t1 accept c1; t1 recv c1; t1 alloc a 1; t1 reads c1; t1 recv c1; t1 alloc b 1; t1 send c1
         t1 send c1; t1 free a; t1 reads c1; t1 recv c1; t1 alloc c 1; t1 close c1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "tcp:80 blocks 2 survive 1 retained 1",
            "tcp:80 blocks 1 survive 1 retained 1"
        ]
    );
}

#[test]
fn a_close_ends_what_is_unanswered() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 close c1; t1 free a; t1 poll
         t1 accept c2; t1 begun c2; t1 close c2; t1 poll",
    );
    assert_eq!(told, ["GET /a blocks 1 survive 1", "{incomplete}"]);
}

#[test]
fn what_is_open_when_the_process_ends_stays_open() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 answer c1 200; t2 accept c2
         t2 read c2 GET /b; t2 alloc b 1; dies p1",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b blocks 1 open"
        ]
    );
}

#[test]
fn a_thread_that_ends_by_itself_ends_what_it_answered() {
    for end in ["t2 says-end", "t2 dies"] {
        let told = auto(&format!(
            "t1 accept c1; t2 read c1 GET /a; t2 alloc a 1; t2 answer c1 200; {end}; t1 alloc z 1
             t1 poll; dies p1"
        ));
        assert_eq!(
            told,
            [
                "GET /a status 200 blocks 1 survive 1 retained 1",
                "outside 1"
            ]
        );
    }
}

#[test]
fn a_forked_child_serves_what_its_parent_accepted() {
    let told = auto(
        "t1 alloc old 8; t1 waits; t1 accept c1; fork p1 p2; t1 close c1; t1 waits
         p2.t1 free old; p2.t1 read c1 GET /a; p2.t1 alloc a 1; p2.t1 answer c1 200
         p2.t1 reads c1; p2.t1 read c1 GET /b; p2.t1 alloc b 1; p2.t1 close c1; dies p2",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
}

#[test]
fn inherited_blocks_are_counted_apart_and_never_survive() {
    let mut script = Script::default();
    script.tell(
        "t1 alloc old 8; t1 alloc old2 4; t1 waits; t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; fork p1 p2
         p2.t1 free old; p2.t1 realloc a b 5; p2.t1 alloc c 3; dies p2; t1 answer c1 200; t1 poll; dies p1",
    );
    let analysis = script.analysis(&Options::default());
    let child = &analysis.processes[1];
    assert_eq!((child.live_blocks, child.live_bytes), (2, 8), "of its own");
    assert_eq!(
        (child.inherited_live_blocks, child.inherited_live_bytes),
        (1, 4)
    );
    assert_eq!(
        (child.frees, child.reallocations, child.allocations),
        (1, 1, 1)
    );
    assert_eq!(analysis.requests[0].survivor_blocks, 1);
    assert_eq!(analysis.processes[0].live_blocks, 3);
}

#[test]
fn reallocs_make_new_blocks() {
    let mut script = Script::default();
    script.tell(
        "t1 alloc a 10; t1 accept c1; t1 read c1 GET /a; t1 realloc a b 30; t1 intent b; t1 failed
         t1 alloc c 5; t1 intent c; t1 freed; t1 answer c1 200; t1 poll; t1 intent b; t1 dies
         t2 poll; dies p1",
    );
    let analysis = script.analysis(&Options::default());
    let totals = &analysis.totals;
    assert_eq!(
        (totals.allocations, totals.reallocations, totals.frees),
        (2, 1, 1)
    );
    assert_eq!(totals.allocated_bytes, 10 + 20 + 5);
    assert_eq!((totals.live_blocks, totals.live_bytes), (1, 30));
    assert_eq!(analysis.requests[0].retained_bytes, 30);
}

#[test]
fn another_thread_may_get_the_address_of_a_block_in_limbo() {
    let mut script = Script::default();
    script.tell("t1 alloc a 10; t1 intent a; t2 alloc a 7; t1 outcome b 20; t2 free a; dies p1");
    let totals = script.analysis(&Options::default()).totals;
    assert_eq!((totals.live_blocks, totals.live_bytes), (1, 20));
    assert_eq!((totals.frees, totals.unknown_frees), (1, 0));
}

#[test]
fn marks_nest_and_the_innermost_owns() {
    let told = auto(
        "t1 accept c1; t1 read c1 GET /ignored; t1 begin outer; t1 alloc a 1; t1 begin inner
         t1 alloc b 1; t1 poll; t1 alloc c 1; t1 end; t1 alloc d 1; t1 end; t1 alloc e 1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "outer blocks 2 survive 2 retained 2",
            "inner blocks 2 survive 2 retained 2",
            "outside 1"
        ]
    );
}

#[test]
fn process_wide_marks_are_intervals() {
    let told = auto(
        "t1 alloc z 1; t1 mark one; t2 alloc a 1; t1 begin own; t1 alloc b 1; t1 end; t2 mark two
         t1 alloc c 1; t2 free a; dies p1",
    );
    assert_eq!(
        told,
        [
            "one blocks 1 survive 1 retained 1",
            "own blocks 1 survive 1 retained 1",
            "two blocks 1 open",
            "outside 1"
        ]
    );
}

#[test]
fn boundaries_can_be_chosen() {
    let text =
        "t1 accept c1; t1 read c1 GET /a; t1 answer c1 200; t1 poll; t1 accept c2; t1 read c2 SET
                t1 answer c2 0; t1 poll; t1 accept c3; t1 recv c3; t1 send c3; t1 poll; t1 close c1
                t1 close c2; t1 close c3; t1 poll";
    assert_eq!(
        cut_by(Boundary::Auto, text),
        ["GET /a status 200", "tcp:80 SET", "tcp:80"]
    );
    assert_eq!(cut_by(Boundary::Http, text), ["GET /a status 200"]);
    assert_eq!(
        cut_by(Boundary::Turn, text),
        ["tcp:80", "tcp:80 SET", "tcp:80"]
    );
    assert_eq!(
        cut_by(Boundary::Connection, text),
        ["tcp:80", "tcp:80", "tcp:80"]
    );
    assert!(cut_by(Boundary::Mark, text).is_empty());
}

#[test]
fn a_connection_is_a_request_from_accept_to_close() {
    let told = cut_by(
        Boundary::Connection,
        "t1 waits; t1 accept c1; t1 alloc a 1; t1 recv c1; t1 alloc b 1; t1 free a; t1 poll; t1 close c1
         t1 alloc z 1; t1 poll",
    );
    assert_eq!(told, ["tcp:80 blocks 2 survive 1 retained 1", "outside 1"]);
}

#[test]
fn ciphertext_is_never_cut_into_turns() {
    let mut script = Script::default();
    script.tell(
        "t1 accept c1; t1 recv c1; t1 alloc a 1; t1 unseen c1; t1 send c1; t1 recv c1; t1 send c1
         t1 poll; t1 close c1",
    );
    let analysis = script.analysis(&Options::default());
    assert!(analysis.requests.is_empty());
    assert_eq!(analysis.totals.outside.allocations, 1);
    assert_eq!(analysis.unseen.len(), 1);
    assert_eq!(analysis.unseen[0].connections, 1);
}

#[test]
fn ciphertext_whose_plain_text_is_seen_elsewhere_is_not_unseen() {
    let text = "t1 accept c1; t1 recv c1; t1 unseen c1; t1 alloc z 1; t1 send c1; t1 recv c1
         t1 read c1 GET /a; t1 alloc a 1; t1 send c1; t1 answer c1 200; t1 reads c1
         t1 recv c1; t1 read c1 GET /b; t1 alloc b 1; t1 send c1; t1 answer c1 404; t1 reads c1; t1 close c1";
    assert_eq!(
        auto(text),
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 404 blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
    for boundary in [Boundary::Auto, Boundary::Http, Boundary::Turn] {
        let mut script = Script::default();
        // Cut, closed or still open: and one that is nothing but ciphertext.
        script.tell(text);
        script.tell("t1 accept c2; t1 recv c2; t1 unseen c2; t1 begun c2; t1 read c2 GET /a");
        script.tell("t1 accept c3; t1 recv c3; t1 unseen c3; t1 send c3");
        let analysis = script.analysis(&Options {
            boundary,
            ..Options::default()
        });
        let unseen: Vec<u64> = analysis.unseen.iter().map(|of| of.connections).collect();
        assert_eq!(unseen, [1], "{boundary:?}");
    }
}

#[test]
fn bytes_that_nobody_answers_are_no_request_where_others_have_heads() {
    let stray = "t1 waits; t1 accept c9; t1 recv c9; t1 alloc x 1; t1 close c9; ";
    let real =
        "t1 waits; t1 accept c1; t1 read c1 GET /a; t1 answer c1 200; t1 close c1; t1 waits; ";
    let expected = ["GET /a status 200", "outside 1"];
    assert_eq!(auto(&format!("{stray}{real}")), expected);
    assert_eq!(auto(&format!("{real}{stray}")), expected);
    // Of a protocol that is not known nobody can say that.
    assert_eq!(auto(stray), ["tcp:80 blocks 1 survive 1 retained 1"]);
}
