//! Requests that never end, and processes without requests of their own.

use super::super::Options;
use super::super::script::Script;
use crate::analysis::{Analysis, Verdict};

fn analysis(text: &str) -> Analysis {
    let mut script = Script::default();
    script.tell(text);
    script.analysis(&Options::default())
}

/// The verdict on what open requests hold at the call site, how many they are, and how many blocks.
fn open(analysis: &Analysis, site: u32) -> Vec<(Verdict, u64, u64)> {
    let site = analysis.sites.iter().find(|row| row.id == site).unwrap();
    let row = |open: &crate::analysis::SiteOpen| (open.verdict, open.requests, open.live.blocks);
    site.open.iter().map(row).collect()
}

/// A connection of a protocol without answers: lines are read, of which every other one is kept.
#[test]
fn one_long_connection_without_answers_that_keeps_ever_more_leaks() {
    let lines: String = (0..300)
        .map(|i| match i % 2 {
            0 => format!(
                "t1 reads c1; t1 recv c1; t1 alloc l{i} 300 @1; t1 alloc x 9 @2; t1 free x; "
            ),
            _ => "t1 reads c1; t1 recv c1; ".to_owned(),
        })
        .collect();
    let analysis = analysis(&format!("t1 waits; t1 accept c1; {lines} dies p1"));
    assert_eq!(open(&analysis, 1), [(Verdict::Leak, 1, 150)]);
    let [endpoint] = analysis.endpoints.as_slice() else {
        panic!("{:?}", analysis.endpoints);
    };
    assert_eq!(endpoint.verdict, Verdict::Leak);
    assert_eq!((endpoint.requests, endpoint.open_requests), (1, 1));
    assert_eq!((endpoint.leaking_requests, endpoint.retained_bytes), (0, 0));
    assert_eq!(endpoint.open.bytes, 150 * 300);
    assert_eq!(endpoint.open_leaked.bytes, 150 * 300);
    let growth = &analysis.growth;
    assert_eq!(growth.to_bytes - growth.from_bytes, 150 * 300);
    assert_eq!(growth.undecided_bytes(), 0);
}

#[test]
fn a_stream_that_keeps_the_newest_alone_is_not_known_to_leak() {
    let lines: String = (0..300)
        .map(|i: usize| {
            let old = i.saturating_sub(40);
            let freed = if i < 40 {
                String::new()
            } else {
                format!("t1 free l{old};")
            };
            format!("t1 reads c1; t1 recv c1; t1 alloc l{i} 300 @1; {freed} ")
        })
        .collect();
    let analysis = analysis(&format!("t1 waits; t1 accept c1; {lines} dies p1"));
    assert_eq!(open(&analysis, 1), [(Verdict::TooFewRequests, 1, 40)]);
    assert_eq!(analysis.growth.undecided_bytes(), 40 * 300);
}

#[test]
fn what_streams_set_up_as_they_begin_is_no_leak() {
    let mut text = "t1 waits; ".to_owned();
    for stream in 1..=30 {
        text.push_str(&format!(
            "t1 accept c{stream}; t1 read c{stream} GET /events; t1 alloc s{stream} 500 @1; "
        ));
        for other in 1..=stream {
            text.push_str(&format!("t1 poll; t1 send c{other}; "));
        }
    }
    for _ in 0..20 {
        for other in 1..=30 {
            text.push_str(&format!("t1 poll; t1 send c{other}; "));
        }
    }
    let analysis = analysis(&format!("{text} dies p1"));
    let harmless = |verdict| {
        matches!(
            verdict,
            Verdict::Bounded | Verdict::WarmUp | Verdict::TooFewRequests
        )
    };
    let rows = analysis.sites.iter().flat_map(|site| &site.open);
    assert!(rows.clone().all(|open| harmless(open.verdict)), "{rows:?}");
    assert!(analysis.sites.iter().all(|site| !site.verdict.leaks()));
}

#[test]
fn what_is_in_flight_at_the_end_is_told_by_how_long_others_take() {
    let ended: String = (0..20)
        .map(|i| format!("t1 reads c1; t1 read c1 GET /a; t1 alloc x 5 @1; t1 poll; t1 poll; t1 poll; t1 poll; t1 poll
                          t1 free x; t1 answer c1 200; t1 alloc n{i} 1 @3; t1 free n{i}; "))
        .collect();
    let analysis = analysis(&format!(
        "t1 waits; t1 accept c1; {ended} t1 reads c1; t1 read c1 GET /a; t1 alloc last 5 @1; t1 poll; t1 recv c1; dies p1"
    ));
    assert_eq!(open(&analysis, 1), [(Verdict::Bounded, 1, 1)]);
    assert_eq!(analysis.growth.undecided_bytes(), 0);
    assert_eq!(analysis.endpoints[0].verdict, Verdict::Clean);
}

/// A parent that forks a child for each request; it does `each` beside. One process more is there from the start
/// (p2). Three come late: p3 grows as it starts and never waits, p4 keeps something of each job, p5 grows as it starts,
/// and has its first job then.
fn forking(each: impl Fn(usize) -> String) -> Analysis {
    let mut text = "t1 waits; fork p1 p2; ".to_owned();
    for i in 0..100 {
        let child = i + 10;
        text.push_str(&format!(
            "t1 waits; t1 accept c{i}; {each} fork p1 p{child}; t1 close c{i}
             p{child}.t1 read c{i} GET /; p{child}.t1 answer c{i} 200; p{child}.t1 close c{i}; dies p{child}; ",
            each = each(i)
        ));
        if i == 50 {
            text.push_str("fork p1 p3; fork p1 p4; fork p1 p5; ");
        }
        if i > 50 {
            text.push_str(&format!("p3.t1 alloc late{i} 70 @7; "));
            text.push_str(&format!("p4.t1 queue; p4.t1 alloc job{i} 70 @8; "));
        }
        match i {
            51..85 => text.push_str(&format!("p5.t1 alloc starts{i} 70 @9; ")),
            85.. => text.push_str("p5.t1 queue; p5.t1 alloc job 70 @9; p5.t1 free job; "),
            _ => {}
        }
    }
    analysis(&format!(
        "{text} dies p5; dies p4; dies p3; dies p2; t1 waits; dies p1"
    ))
}

#[test]
fn a_parent_without_requests_is_judged_by_the_time_of_its_children() {
    let leak = forking(|i| format!("t1 alloc kept{i} 500 @1;"));
    let site = leak.sites.iter().find(|site| site.id == 1).unwrap();
    assert_eq!(
        site.outside_verdict,
        Verdict::Leak,
        "{}",
        site.evidence.text
    );
    assert_eq!(site.outside_blocks, 100);
    // The one before the first child's request is from before.
    assert_eq!(site.outside_grown.blocks, 99);
    let of = |verdict| leak.growth.by_verdict.iter().find(|row| row.0 == verdict);
    assert_eq!(of(Verdict::Leak).unwrap().1.bytes, 99 * 500 + 48 * 70);
    assert_eq!(
        leak.growth.to_bytes - leak.growth.from_bytes,
        99 * 500 + (48 + 48 + 34) * 70
    );
}

#[test]
fn a_child_that_comes_meanwhile_is_judged_by_its_jobs() {
    let analysis = forking(|_| String::new());
    let outside = |id| {
        let site = analysis.sites.iter().find(|site| site.id == id).unwrap();
        (site.outside_verdict, site.outside_grown.blocks)
    };
    // It may be starting yet.
    assert_eq!(outside(7), (Verdict::TooFewRequests, 48));
    assert_eq!(outside(8), (Verdict::Leak, 48));
    assert_eq!(outside(9).1, 34);
    assert!(outside(9).0 > Verdict::GrowingBuffer);
    assert!(!analysis.growth.is_all_told());
}

#[test]
fn what_a_child_kept_that_came_and_went_meanwhile_went_with_it() {
    let mut text = "t1 waits; t1 accept c1; ".to_owned();
    for i in 0..200 {
        text.push_str("t1 reads c1; t1 read c1 GET /; t1 answer c1 200; ");
        let child = 2 + i / 50;
        if i % 50 == 10 {
            text.push_str(&format!("fork p1 p{child}; "));
        }
        if (10..45).contains(&(i % 50)) {
            text.push_str(&format!(
                "p{child}.t1 queue; p{child}.t1 alloc job{i} 9000 @8; "
            ));
        }
        if i % 50 == 45 {
            text.push_str(&format!("dies p{child}; "));
        }
    }
    let analysis = analysis(&format!("{text} t1 reads c1; t1 close c1; dies p1"));
    assert_eq!(analysis.growth.undecided_bytes(), 0);
    let site = analysis.sites.iter().find(|site| site.id == 8).unwrap();
    assert_eq!(site.outside_verdict, Verdict::TooFewRequests);
}

#[test]
fn a_parent_that_keeps_the_newest_alone_is_not_known_to_leak() {
    let ring = forking(|i| match i.checked_sub(20) {
        Some(old) => format!("t1 alloc kept{i} 500 @1; t1 free kept{old};"),
        None => format!("t1 alloc kept{i} 500 @1;"),
    });
    let site = ring.sites.iter().find(|site| site.id == 1).unwrap();
    assert_eq!(site.outside_verdict, Verdict::TooFewRequests);
}

#[test]
fn what_a_process_keeps_that_serves_one_request_goes_with_it() {
    let served = |ends: bool| {
        let mut text = "t1 waits; ".to_owned();
        for i in 0..20 {
            let child = i + 10;
            let dies = if ends {
                format!("dies p{child}")
            } else {
                String::new()
            };
            text.push_str(&format!(
                "t1 waits; t1 accept c{i}; fork p1 p{child}; t1 close c{i}; p{child}.t1 read c{i} GET /
                 p{child}.t1 alloc kept{i} 100 @1; p{child}.t1 answer c{i} 200; p{child}.t1 close c{i}; {dies}; "
            ));
        }
        for i in 0..20 {
            if !ends {
                text.push_str(&format!("dies p{}; ", i + 10));
            }
        }
        analysis(&format!("{text} t1 waits; dies p1"))
    };
    let gone = served(true);
    assert_eq!(gone.endpoints[0].verdict, Verdict::Bounded);
    // Workers that live on with what each made for its first request may leak, or not.
    let stay = served(false);
    assert_eq!(stay.endpoints[0].verdict, Verdict::TooFewRequests);
}
