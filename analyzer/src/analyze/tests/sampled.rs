//! What is said of a sample, in which blocks are that were drawn, and others are not.

use super::super::Options;
use super::super::script::Script;
use crate::analysis::{Endpoint, Verdict};

/// The endpoint of a server that answers `n` requests, each as `each` says: status, and whether a block of it is in a
/// sample of one in so many bytes; 0: all are recorded.
fn endpoint(mean: u64, n: usize, each: impl Fn(usize) -> (u32, bool)) -> Endpoint {
    let mut script = Script::default();
    script.facts.sample_bytes = mean;
    script.tell("t1 alloc start 50 @99; t1 waits; t1 accept c1");
    for i in 0..n {
        let (status, keeps) = each(i);
        let kept = match keeps {
            true => format!("t1 alloc k{i} 20 @1;"),
            false => String::new(),
        };
        script.tell(&format!(
            "t1 reads c1; t1 read c1 GET /; {kept} t1 answer c1 {status}"
        ));
    }
    script.tell("t1 reads c1; t1 close c1; dies p1");
    let analysis = script.analysis(&Options::default());
    analysis.endpoints[0].clone()
}

/// What is thought of the endpoint, and how many of its requests leak.
fn told(of: &Endpoint) -> (Verdict, [u64; 2]) {
    (of.verdict, of.leaking_requests_range)
}

#[test]
fn it_is_clean_where_a_leak_would_have_shown() {
    // Of 320 bytes one would have been drawn.
    let few = endpoint(64, 4, |_| (200, false));
    assert_eq!(told(&few), (Verdict::TooFewRequests, [0, 4]));
    assert_eq!(few.is_hidden(), Some(80));
    // 5 requests may have left 64 bytes each.
    let many = endpoint(64, 10, |_| (200, false));
    assert_eq!(told(&many), (Verdict::Clean, [0, 5]));
    assert_eq!(
        (many.is_hidden(), many.hidden.unwrap().bytes_each),
        (None, 32)
    );
    let exact = endpoint(0, 4, |_| (200, false));
    assert_eq!(
        (told(&exact), exact.hidden),
        ((Verdict::Clean, [0, 0]), None)
    );
}

#[test]
fn requests_that_leak_are_at_least_those_in_it() {
    let leaks = endpoint(64, 40, |i| (200, i % 10 == 0));
    assert_eq!(told(&leaks), (Verdict::Leak, [4, 40]));
    assert_eq!(leaks.leaking_requests, 4);
    // Of the others some may: 320 bytes may be of 5.
    let errors = endpoint(64, 40, |i| match i % 2 {
        0 => (500, i % 8 == 0),
        _ => (200, false),
    });
    assert_eq!(told(&errors), (Verdict::Leak, [5, 25]));
    let exact = endpoint(0, 40, |i| (200, i % 10 == 0));
    assert_eq!(told(&exact), (Verdict::Leak, [4, 4]));
}

#[test]
fn few_that_are_early_may_be_so_by_chance() {
    let early = |mean, kept| endpoint(mean, 40, |i| (200, i < kept)).verdict;
    assert_eq!(early(0, 3), Verdict::WarmUp);
    assert_eq!(early(64, 4), Verdict::TooFewRequests);
    assert_eq!(early(64, 5), Verdict::WarmUp);
}
