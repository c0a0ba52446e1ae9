//! Whose a block is.
//!
//! A long file: a list of small stories, each by itself.

use super::super::script::{Script, story};
use super::super::{Options, Scope};
use super::auto;

/// What is proved, and nothing else.
fn proved(text: &str) -> Vec<String> {
    let options = Options {
        scope: Scope::Thread,
        ..Options::default()
    };
    story(text, &options)
}

#[test]
fn a_loop_proves_what_it_does_for_one_request_alone() {
    // b1 is made while a waits, too; a2 after a wait with both open; a3 while b is. x may be what a left to be done.
    let told = proved(
        "t1 accept c1; t1 accept c2; t1 poll; t1 read c1 GET /a; t1 alloc a1 1; t1 read c2 GET /b
         t1 alloc b1 1; t1 poll; t1 alloc a2 1; t1 answer c1 200; t1 alloc a3 1; t1 answer c2 200
         t1 alloc x 1; t1 poll; t1 read c1 GET /c; t1 alloc c1 1; t1 answer c1 200; t1 alloc c2 1; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200",
            "GET /c status 200 blocks 2 survive 2 retained 2",
            "outside 4"
        ]
    );
}

#[test]
fn answers_of_one_write_prove_nothing_of_heads_that_were_read_together() {
    let all = "t1 accept c1; t1 waits; t1 read c1 GET /a, GET /b, GET /c";
    let told = proved(&format!(
        "{all}; t1 alloc a 1; t1 alloc b 1; t1 alloc c 1; t1 answer c1 200, 200, 404; t1 alloc x 1; t1 reads c1"
    ));
    let of_none = ["GET /a status 200", "GET /b status 200"];
    assert_eq!(told[..2], of_none);
    // What comes after the last answer is the last one's tidying, or the others'.
    assert_eq!(told[2..], ["GET /c status 404", "outside 4"]);
    // One write for each answer: one after the other.
    let each = "t1 alloc a 1; t1 answer c1 200; t1 alloc b 1; t1 alloc b2 1; t1 answer c1 200; t1 alloc c 1; t1 answer c1 404";
    let told = proved(&format!("{all}; {each}; t1 reads c1"));
    let of_each = [
        "GET /a status 200 blocks 1 survive 1 retained 1",
        "GET /b status 200 blocks 2 survive 2 retained 2",
        "GET /c status 404 blocks 1 survive 1 retained 1",
    ];
    assert_eq!(told, of_each);
    // Where another connection's were answered together, nothing that waits is proved; the last one waits no more.
    let together = "t1 accept c2; t1 read c2 GET /x, GET /y; t1 answer c2 200, 200; t1 reads c2";
    let told = proved(&format!("{together}; {all}; {each}; t1 reads c1"));
    let known = [
        "GET /a status 200 blocks 1 survive 1",
        "GET /b status 200 blocks 2 survive 2",
    ];
    assert_eq!(told[2..], [known[0], known[1], of_each[2]]);
    // All done before the first write, and each written by itself.
    let told = proved(&format!(
        "{all}; t1 alloc a 1; t1 alloc b 1; t1 answer c1 200; t1 answer c1 200; t1 answer c1 404; t1 reads c1"
    ));
    assert_eq!(told[..2], of_none);
    // A loop may do some of each.
    let told = proved(&format!("t1 poll; {all}; {each}; t1 poll"));
    assert_eq!(told[..2], of_none);
    assert_eq!(told[2..], [of_each[2], "outside 3"]);
    // So may one that waits.
    let told = proved(&format!(
        "{all}; t1 alloc w 1; t1 lock; {each}; t1 reads c1"
    ));
    assert_eq!(told[0], "GET /a status 200");
}

#[test]
fn a_loop_that_goes_on_with_a_stream_after_an_answer_does_not_tidy_up() {
    let told = proved(
        "t1 accept c1; t1 accept c2; t1 accept c3; t1 poll; t1 read c1 GET /s; t1 send c1; t1 read c3 GET /s; t1 send c3
         t1 poll; t1 send c1; t1 poll; t1 read c2 GET /p; t1 answer c2 200; t1 alloc x 1; t1 answer c1 200
         t1 alloc y 1; t1 answer c3 200; t1 poll",
    );
    let of_stream = "GET /s status 200";
    assert_eq!(
        told,
        [of_stream, of_stream, "GET /p status 200", "outside 2"]
    );
}

#[test]
fn what_a_loop_goes_on_with_after_an_answer_is_not_the_answered_requests() {
    // Coroutines whose time has come go on at the end of a round; /ping is answered at once in half of the rounds.
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % limit
    };
    let mut text = String::from("t1 accept c1; t1 accept c2; t1 accept c3; t1 poll\n");
    let (mut quote, mut calc) = (None, None);
    for round in 0..900 {
        text.push_str(&"t9 alloc z 1 @9; t9 free z; ".repeat(10));
        let (had_quote, had_calc) = (quote, calc);
        if quote.is_none() && below(3) == 0 {
            text.push_str("t1 read c1 GET /quote; ");
            quote = Some(1 + below(3));
        }
        if calc.is_none() && below(3) == 0 {
            text.push_str("t1 read c3 GET /calc; ");
            calc = Some(below(4));
        }
        if below(2) == 0 {
            text.push_str("t1 read c2 GET /ping; t1 answer c2 200; ");
        }
        if let Some(left) = had_quote {
            match left {
                0 => text.push_str("t1 answer c1 200; "),
                1 => text.push_str(&format!("t1 alloc q{round} 8 @5; ")),
                _ => {}
            }
            quote = left.checked_sub(1);
        }
        if let Some(left) = had_calc {
            if left == 0 {
                text.push_str("t1 answer c3 200; ");
            }
            calc = left.checked_sub(1);
        }
        text.push_str("t1 poll\n");
    }
    let told = auto(&text);
    let kept = |label: &str| {
        let of_label = told
            .iter()
            .filter(|line| line.starts_with(label) && line.contains("retained"));
        of_label.count()
    };
    assert_eq!([kept("GET /ping"), kept("GET /calc")], [0; 2], "{told:#?}");
    assert!(kept("GET /quote") > 100, "{told:#?}");
}

#[test]
fn heads_of_one_label_that_are_answered_together_are_one() {
    let told = proved(
        "t1 accept c1; t1 waits; t1 read c1 GET /a, GET /a; t1 alloc a 1; t1 alloc b 1; t1 answer c1 200, 200
         t1 reads c1",
    );
    assert_eq!(
        told,
        ["GET /a x 1 status 200 blocks 2 survive 2 retained 2"]
    );
}

#[test]
fn what_was_read_and_answered_together_is_told_by_what_was_in_flight() {
    let mut text = String::from("t1 accept c1; t2 accept c2; t1 waits; t2 waits\n");
    // Each of two threads answers three of four labels at once; each request for /b leaves a block.
    let labels =
        |round: usize| (0..3).map(move |at| (round * 7 + round / 3 + at * (1 + round % 3)) % 4);
    for round in 0..200 {
        let (thread, connection) = (1 + round % 2, 1 + round % 2);
        let names = ["/a", "/b", "/c", "/d"];
        let heads: Vec<String> = labels(round)
            .map(|label| format!("GET {}", names[label]))
            .collect();
        text.push_str(&format!(
            "t{thread} read c{connection} {}\n",
            heads.join(", ")
        ));
        for at in labels(round).filter(|label| *label == 1) {
            text.push_str(&format!("t{thread} alloc b{round}.{at} 8\n"));
        }
        text.push_str(&format!(
            "t{thread} answer c{connection} 200, 200, 200; t{thread} reads c{connection}\n"
        ));
    }
    let told = auto(&text);
    let kept = |label: &str| {
        let of_label = told
            .iter()
            .filter(|line| line.starts_with(label) && line.contains("retained"));
        of_label.count()
    };
    assert_eq!(
        [kept("GET /a"), kept("GET /c"), kept("GET /d")],
        [0; 3],
        "{told:#?}"
    );
    assert!(kept("GET /b") > 0, "{told:#?}");
}

#[test]
fn a_worker_that_tells_that_its_job_is_done_may_be_at_the_next() {
    // What it makes after the byte may be the next one's, which may wait, wake others, and take locks, too.
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t2 read c1 GET /a; t2 answer c1 200; t2 alloc a1 1; t2 wake; t2 alloc x 1
         t2 read c2 GET /b; t2 answer c2 200; t2 alloc b1 1; t2 wake; t2 alloc y 1; t2 wake; t2 alloc z 1; t2 lock",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200 blocks 1 survive 1 retained 1",
            "outside 3"
        ]
    );
}

#[test]
fn a_worker_that_was_seen_to_take_a_job_unseen_proves_no_tidying() {
    let jobs = "t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b
         t2 answer c1 200; t2 alloc a1 1";
    let told = proved(&format!("{jobs}; t2 lock; t2 answer c2 200; t2 lock"));
    assert_eq!(told[0], "GET /a status 200 blocks 1 survive 1 retained 1");
    let told = proved(&format!(
        "{jobs}; t2 lock; t2 answer c2 200; t1 read c1 GET /a; t2 alloc x 1; t2 answer c1 200; t2 lock"
    ));
    assert!(!told[0].contains("retained"), "{told:?}");
}

#[test]
fn a_worker_has_what_it_did_since_it_took_the_job() {
    // The lock splits its last job's tail from the next job; without one, nothing does.
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b; t2 alloc a1 1
         t2 answer c1 200; t2 alloc a2 1; t2 queue; t2 alloc b1 1; t2 answer c2 200; t2 alloc b2 1; t2 lock",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 2 retained 2",
            "GET /b status 200 blocks 2 survive 2 retained 2"
        ]
    );
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b; t2 alloc a1 1
         t2 answer c1 200; t2 alloc x 1; t2 answer c2 200; t2 alloc y 1; t2 lock",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1",
            "GET /b status 200",
            "outside 2"
        ]
    );
}

#[test]
fn a_worker_that_takes_several_jobs_at_once_proves_none() {
    // All three are done before the first is answered.
    let told = proved(
        "t1 accept c1; t1 accept c2; t1 accept c3; t2 lock; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b
         t1 read c3 GET /c; t2 queue; t2 alloc a 1; t2 alloc b 1; t2 alloc c 1; t2 answer c1 200; t2 answer c2 200
         t2 answer c3 200; t2 lock; t1 poll",
    );
    assert!(
        told.iter().all(|line| !line.contains("retained")),
        "{told:?}"
    );
}

#[test]
fn a_worker_that_others_relieve_proves_nothing_before_it_takes_a_job() {
    // t2 goes on without a lock: by x it may be at a job that others answer, as by y; what comes after the lock is b's.
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c1 GET /a; t1 read c2 GET /b; t2 alloc a1 1
         t2 answer c1 200; t1 read c1 GET /a; t2 alloc x 1; t2 answer c2 200; t1 read c2 GET /b; t2 alloc y 1
         t2 queue; t2 alloc b1 1; t2 answer c2 200; t2 lock; t1 poll",
    );
    assert!(told.contains(&"outside 2".to_owned()), "{told:?}");
    assert_eq!(
        told.iter().filter(|line| line.contains("blocks 1")).count(),
        2
    );
}

#[test]
fn jobs_of_no_request_between_two_are_nobodys() {
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t2 queue; t2 alloc x 1; t2 queue; t1 poll; t1 read c1 GET /a
         t1 read c2 GET /b; t2 alloc a1 1; t2 answer c1 200; t2 queue; t2 alloc y 1; t2 queue; t2 alloc b1 1
         t2 answer c2 200; t2 queue; t2 alloc z 1; t2 lock",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200 blocks 1 survive 1 retained 1",
            "outside 3"
        ]
    );
}

#[test]
fn only_the_write_that_begins_an_answer_settles() {
    // c1 streams: t1 writes to it while it serves another.
    let told = proved(
        "t1 accept c1; t1 poll; t1 read c1 GET /stream; t1 writes c1; t1 sent c1; t3 poll; t3 accept c2
         t3 read c2 POST /publish; t3 alloc a 1; t3 answer c2 200; t3 alloc b 1; t3 writes c1; t3 sent c1
         t3 alloc c 1; t3 poll; dies p1",
    );
    assert_eq!(
        told,
        [
            "GET /stream open",
            "POST /publish status 200 blocks 3 survive 3 retained 3"
        ]
    );
}

#[test]
fn where_tasks_go_from_thread_to_thread_nothing_is_proved() {
    // Both read heads, and t2 answers what t1 has read.
    let told = proved(
        "t1 accept c1; t2 accept c2; t1 poll; t2 poll; t1 read c1 GET /a; t1 alloc a 1; t2 read c2 GET /b
         t2 alloc b 1; t2 answer c2 200; t2 lock; t2 answer c1 200; t2 lock; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1",
            "GET /b status 200 blocks 1 survive 1"
        ]
    );
}

#[test]
fn a_thread_that_lives_for_one_request_does_all_for_that() {
    let told = proved(
        "t1 waits; t1 accept c1; t2 alloc a 1; t2 read c1 GET /a; t2 answer c1 200; t2 says-end; t1 waits
         t1 accept c2; t3 alloc b 1; t3 read c2 GET /b; t3 answer c2 200; t3 reads c2; t3 read c2 GET /c
         t3 answer c2 200; t3 says-end; t1 waits",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200",
            "GET /c status 200",
            "outside 1"
        ]
    );
}

#[test]
fn a_thread_that_a_request_makes_and_outlives_works_for_it() {
    // Waits and locks between are its own business.
    let told = proved(
        "t1 accept c1; t1 read c1 GET /a; t1 creates 7; t2 created 7; t2 alloc a 1; t2 lock; t2 alloc b 1; t2 queue
         t2 alloc c 1; t2 says-end; t1 lock; t1 answer c1 200; t1 poll",
    );
    assert_eq!(told, ["GET /a status 200 blocks 3 survive 3 retained 3"]);
    // Its end is told late: nothing was allocated since the request ended.
    let told = proved(
        "t1 accept c1; t1 read c1 GET /a; t1 creates 7; t2 created 7; t2 alloc a 1; t2 lock; t2 alloc b 1
         t1 answer c1 200; t1 poll; t2 free x; t2 says-end; t1 read c1 GET /b; t1 answer c1 200; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 2 survive 2 retained 2",
            "GET /b status 200"
        ]
    );
}

#[test]
fn a_thread_that_outlives_the_request_that_made_it_may_be_anyones() {
    let begin = "t1 accept c1; t1 read c1 GET /a; t1 creates 7; t2 created 7; t2 alloc a 1; t2 lock; t2 alloc b 1
                 t1 answer c1 200; t1 poll;";
    for goes_on in [
        "t2 alloc c 1; t2 says-end; t1 poll",
        "t2 lock; t2 alloc c 1; t2 says-end; t1 poll",
        "t2 alloc c 1; t1 poll; dies p1",
    ] {
        let told = proved(&format!("{begin} {goes_on}"));
        assert_eq!(told, ["GET /a status 200", "outside 3"], "{goes_on}");
    }
    // One that was made before is no thread of the request, nor one that another process has with that number.
    let told = proved(
        "t2 alloc x 1; t1 accept c1; t1 read c1 GET /a; fork p1 p2; t1 creates 7; p2.t1 created 7; p2.t1 alloc y 1
         p2.t1 says-end; t2 alloc z 1; t2 created 7; t2 alloc b 1; t2 lock; t2 says-end; t1 answer c1 200; t1 poll",
    );
    assert_eq!(told, ["GET /a status 200", "outside 4"]);
}

#[test]
fn nothing_is_proved_beside_a_connection_that_cannot_be_cut() {
    // A loop: x may be for c2.
    let told = proved(
        "t1 accept c1; t1 accept c2; t1 unseen c2; t1 poll; t1 read c1 GET /a; t1 alloc a 1; t1 recv c2; t1 alloc x 1
         t1 answer c1 200; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "outside 1"
        ]
    );
    // A worker has begun an answer whose end is not seen, and takes another job.
    let told = proved(
        "t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c1 GET /a; t1 poll; t2 queue; t2 alloc a 1
         t2 writes c1; t2 sent c1; t3 unseen c1; t1 poll; t1 read c2 GET /b; t1 poll; t2 queue; t2 alloc b 1
         t2 answer c2 200; t2 lock; t1 close c1; t1 close c2; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a blocks 1 survive 1 retained 1",
            "GET /b status 200 blocks 1 survive 1 retained 1"
        ]
    );
}

#[test]
fn a_task_has_the_request_of_the_task_that_made_it() {
    // T is made while A serves a; S by T. What T makes after a's end is a hint, and no more.
    let told = proved(
        "t1 accept c1; t1 poll; t1 read c1 GET /a; t1 alloc A 1; t1 loop; t1 task A; t1 alloc T 1; t1 task T
         t1 alloc x 1; t1 alloc S 1; t1 task S; t1 alloc y 1; t1 task A; t1 answer c1 200; t1 loop; t1 poll
         t1 task T; t1 alloc late 1; t1 loop; t1 poll; dies p1",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 5 survive 5 retained 5",
            "outside 1"
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
fn what_an_accepted_connection_needs_is_not_proved_to_be_its_requests() {
    let told = proved(
        "t1 waits; t1 accept c1; t1 alloc s1 1 @5; t1 poll; t1 waits; t1 accept c2; t1 alloc s2 1 @5
         t1 read c1 GET /a; t1 alloc a 1; t1 answer c1 200; t1 poll; t1 waits; t1 accept c3
         t1 alloc s3 1 @5; t1 read c3 GET /b; t1 answer c3 200; t1 poll",
    );
    assert_eq!(
        told,
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200",
            "outside 3"
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

/// Rounds in which a helper thread makes a block each while /a is in flight, and none for one to three /b.
fn rounds(count: usize) -> String {
    let a = "t1 read c1 GET /a; t2 alloc a{} 1 @5; t2 lock; t1 answer c1 200; t1 poll; ";
    let b = "t1 read c1 GET /b; t1 answer c1 200; t1 poll; ";
    let round = |number: usize| {
        let mixed = (number as u32).wrapping_mul(0x9e37_79b9) >> 24;
        a.replace("{}", &number.to_string()) + &b.repeat(1 + mixed as usize % 3)
    };
    let rounds = (0..count).map(round);
    format!(
        "t1 accept c1; t2 lock; t1 poll; {}",
        rounds.collect::<String>()
    )
}

#[test]
fn a_helper_threads_blocks_are_associated_once_there_are_enough() {
    let told = auto(&rounds(40));
    let of_a = "GET /a status 200 associated 1 survive 1 retained 1";
    assert_eq!(
        told.iter().filter(|line| *line == of_a).count(),
        40,
        "{told:?}"
    );
    assert!(
        !told
            .iter()
            .any(|line| line.contains("/b") && line.contains("associated"))
    );
    // Few say nothing.
    let told = auto(&rounds(3));
    assert!(
        told.iter().all(|line| !line.contains("associated")),
        "{told:?}"
    );
}

#[test]
fn what_the_accepting_thread_makes_is_associated_with_the_connections_first_request() {
    let mut text = String::from("t1 waits; ");
    let mut leaking = 0;
    for (number, place) in (1..=60).zip((1_u32..).map(|at| at.wrapping_mul(0x9e37_79b9) >> 13)) {
        // What is made for the connection of /a stays; that of /b goes with it. Each thread serves one.
        let (label, goes) = match place.is_multiple_of(3) {
            true => ("a", String::new()),
            false => ("b", format!("t1 free x{number}; ")),
        };
        leaking += usize::from(label == "a");
        let thread = number + 1;
        let served = format!(
            "t{thread} read c{number} GET /{label}; t{thread} answer c{number} 200; t{thread} close c{number}"
        );
        // The connection may be gone before the accepting thread waits.
        let (before, after) = match number % 2 {
            0 => ("t1 poll".to_owned(), served),
            _ => (served, "t1 poll".to_owned()),
        };
        text.push_str(&format!(
            "t1 accept c{number}; t1 alloc x{number} 1 @5; {before}; {after}; {goes}"
        ));
    }
    let told = auto(&text);
    let of_a = "GET /a status 200 associated 1 survive 1 retained 1";
    let found = told.iter().filter(|line| *line == of_a).count();
    assert_eq!(found, leaking, "{told:?}");
    assert!(
        told.iter()
            .all(|line| !(line.contains("/b") && line.contains("associated")))
    );
}

#[test]
fn what_comes_as_often_beside_others_is_nobodys() {
    let mut text = rounds(0);
    for round in 0..40 {
        let label = ["a", "b", "c"][round % 3];
        text.push_str(&format!(
            "t1 read c1 GET /{label}; t2 alloc x{round} 1 @5; t2 lock; t1 answer c1 200; t1 poll; "
        ));
    }
    let told = auto(&text);
    assert!(
        told.iter().all(|line| !line.contains("associated")),
        "{told:?}"
    );
}

#[test]
fn scopes_choose_the_blocks() {
    let text = "t1 accept c1; t1 accept c2; t2 lock; t1 read c1 GET /a; t2 alloc a 1 @5; t2 lock
                t1 alloc b 1 @6; t1 answer c1 200; t1 poll; t1 read c2 GET /b; t1 answer c2 200; t1 poll";
    assert_eq!(
        proved(text),
        [
            "GET /a status 200 blocks 1 survive 1 retained 1",
            "GET /b status 200",
            "outside 1"
        ]
    );
    let options = Options {
        scope: Scope::Process,
        ..Options::default()
    };
    assert_eq!(
        story(text, &options),
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
    // What the others made for them is not proved.
    assert_eq!((requests(7), requests(8)), (2, 2));
}

/// A connection whose worker makes a block before each read: a request of /a keeps its own, one of /b frees it.
fn made_ahead(order: &[&str]) -> String {
    let mut script = "t1 accept c1; t1 alloc r0 8 @7; t1 reads c1\n".to_owned();
    for (at, label) in order.iter().enumerate() {
        let ends = match *label {
            "/a" => String::new(),
            _ => format!("; t1 free r{at}"),
        };
        let next = at + 1;
        script += &format!(
            "t1 read c1 GET {label}; t1 answer c1 200{ends}; t1 alloc r{next} 8 @7; t1 reads c1\n"
        );
    }
    script
}

#[test]
fn what_is_made_ahead_is_the_next_requests() {
    // The blocks were made after answers; those that go are freed by the next request, in any order of labels.
    for order in [
        ["/a", "/b", "/a", "/b", "/a", "/b", "/a", "/b"],
        ["/b", "/b", "/b", "/a", "/a", "/a", "/a", "/b"],
    ] {
        let told = auto(&made_ahead(&order));
        for (line, label) in told.iter().zip(order) {
            assert!(
                line.starts_with(&format!("GET {label} status 200")),
                "{told:?}"
            );
            assert_eq!(line.contains("retained 1"), label == "/a", "{told:?}");
        }
        assert_eq!(
            told.last().map(String::as_str),
            Some("outside 1"),
            "{told:?}"
        );
    }
}

#[test]
fn what_is_left_after_an_answer_and_freed_by_anybody_is_tidying() {
    // The next request frees one of two only: what stays is no next one's.
    let told = auto(
        "t1 accept c1; t1 reads c1
         t1 read c1 GET /a; t1 answer c1 200; t1 alloc x1 8 @7; t1 reads c1
         t1 read c1 GET /b; t1 answer c1 200; t1 free x1; t1 reads c1
         t1 read c1 GET /a; t1 answer c1 200; t1 alloc x2 8 @7; t1 reads c1
         t1 read c1 GET /b; t1 answer c1 200; t1 reads c1; t1 read c1 GET /b; t1 free x2; t1 answer c1 200; t1 reads c1
         t1 read c1 GET /a; t1 answer c1 200; t1 alloc x3 8 @7; t1 reads c1
         t1 read c1 GET /b; t1 answer c1 200; t1 reads c1",
    );
    let of_b = told.iter().filter(|line| line.starts_with("GET /b"));
    assert!(of_b.clone().count() == 4, "{told:?}");
    assert!(
        of_b.clone().all(|line| line == "GET /b status 200"),
        "{told:?}"
    );
}

/// A loop that answers, and then has another thread do something: what that keeps for /a is left.
fn given_away(notify: &str, requests: usize) -> (String, usize) {
    let mut script = "t1 accept c1; t2 lock w1; t1 poll\n".to_owned();
    let mut kept = 0;
    for at in 0..requests {
        // In an order without a pattern.
        let is_a = at * 7919 % 101 % 2 == 0;
        kept += usize::from(is_a);
        let (label, ends) = match is_a {
            true => ("/a", String::new()),
            false => ("/b", format!("; t2 free x{at}")),
        };
        script += &format!(
            "t1 read c1 GET {label}; t1 answer c1 200; t1 {notify} w1; t1 poll; t2 alloc x{at} 8 @7{ends}; t2 lock w1\n"
        );
    }
    (script, kept)
}

#[test]
fn what_a_thread_is_woken_for_is_whose_it_is() {
    for notify in ["notify", "notify-all"] {
        let (script, kept) = given_away(notify, 60);
        let told = auto(&script);
        let of_a = told.iter().filter(|line| line.starts_with("GET /a"));
        let left = of_a.filter(|line| line.contains("associated 1") && line.contains("retained 1"));
        assert_eq!(left.count(), kept, "{told:?}");
        let of_b = told.iter().filter(|line| line.starts_with("GET /b"));
        assert!(
            of_b.clone().all(|line| !line.contains("retained")),
            "{told:?}"
        );
        // Nothing of that is proved.
        let told = proved(&script);
        assert!(
            told.iter().all(|line| !line.contains("retained")),
            "{told:?}"
        );
    }
}

/// Requests on two connections at once, whose jobs another thread does. Each job is a block that is freed when it is
/// done, or, where the thread `keeps` its last one, when it has the next. Of two only the first is told. /a leaves a
/// block.
fn two_by_two(rounds: usize, keeps: bool) -> (String, usize) {
    let mut script = "t1 accept c1; t1 accept c2; t2 lock w1; t1 poll\n".to_owned();
    let (mut kept, mut last) = (0, String::new());
    for round in 0..rounds {
        let (mut asked, mut done) = (String::new(), String::new());
        for one in [1, 2] {
            let at = 2 * round + one;
            let is_a = at * 7919 % 101 % 2 == 0;
            kept += usize::from(is_a);
            let label = if is_a { "/a" } else { "/b" };
            let tells = ["notify w1; t1", ""][one - 1];
            asked +=
                &format!("t1 read c{one} GET {label}; t1 alloc j{at} 16 @5; t1 {tells} poll\n");
            if keeps {
                done += &std::mem::replace(&mut last, format!("t2 free j{at}; "));
            }
            done += &format!("t2 alloc x{at} 8 @7; ");
            if !keeps {
                done += &format!("t2 free j{at}; ");
            }
            if !is_a {
                done += &format!("t2 free x{at}; ");
            }
        }
        script += &format!(
            "{asked}{done}t2 lock w1; t1 answer c1 200; t1 poll; t1 answer c2 200; t1 poll\n"
        );
    }
    (script, kept)
}

/// How many of a label's requests have left the block of a job.
fn left_by(told: &[String], label: &str) -> usize {
    let of_it = told.iter().filter(|line| line.starts_with(label));
    let left = of_it.filter(|line| line.contains("associated 1") && line.contains("retained 1"));
    left.count()
}

#[test]
fn whose_a_job_was_shows_when_it_is_freed() {
    let (script, kept) = two_by_two(60, false);
    let told = auto(&script);
    // The first ones teach what it means.
    let (right, wrong) = (left_by(&told, "GET /a"), left_by(&told, "GET /b"));
    assert!(
        right + 8 >= kept && right <= kept,
        "{right} of {kept}: {told:#?}"
    );
    assert!(wrong <= 4, "{wrong}: {told:#?}");
}

#[test]
fn the_last_job_is_not_the_one_that_is_done() {
    let (script, kept) = two_by_two(60, true);
    let told = auto(&script);
    let (right, wrong) = (left_by(&told, "GET /a"), left_by(&told, "GET /b"));
    assert!(
        2 * right >= kept && wrong == 0,
        "{right} of {kept}, {wrong}: {told:#?}"
    );
}

#[test]
fn a_realloc_is_its_threads_also_where_another_task_runs_meanwhile() {
    // A task's first call of the allocator begins before it is seen to run.
    let told = proved(
        "t1 accept c1; t1 poll; t1 read c1 GET /a; t1 alloc k 1; t1 task k; t1 alloc x 8; t1 loop; t1 intent x
         t1 task k; t1 freed; t1 answer c1 200; t1 free k; t1 loop; t1 poll",
    );
    assert_eq!(told, ["GET /a status 200 blocks 2"]);
}
