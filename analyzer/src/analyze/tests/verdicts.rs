//! Verdicts of whole small servers.
//!
//! A long file: a list of small servers, each by itself.

use super::super::Options;
use super::super::script::Script;
use crate::analysis::Verdict;
use crate::trace::Dropped;

/// A server that answers `n` requests, each one as `each` tells: statements with blocks named anew
/// for every request by `#`.
fn serve(n: usize, each: impl Fn(usize) -> (String, String)) -> crate::analysis::Analysis {
    let mut script = Script::default();
    script.tell("t1 alloc start 50 @99; t1 waits; t1 accept c1");
    for i in 0..n {
        let (head, body) = each(i);
        let body = body.replace('#', &i.to_string());
        let body = body.replace('<', &i.saturating_sub(1).to_string());
        script.tell(&format!("t1 reads c1; t1 read c1 {head}; {body}"));
    }
    script.tell("t1 reads c1; t1 close c1; t1 free start; dies p1");
    script.analysis(&Options::default())
}

fn verdicts(analysis: &crate::analysis::Analysis) -> Vec<(&str, Verdict, u64, u64)> {
    let mut list: Vec<_> = analysis
        .endpoints
        .iter()
        .map(|endpoint| {
            (
                endpoint.label.as_str(),
                endpoint.verdict,
                endpoint.leaking_requests,
                endpoint.retained_bytes,
            )
        })
        .collect();
    list.sort_unstable();
    list
}

fn requests_agree_with_endpoints(analysis: &crate::analysis::Analysis) {
    for (endpoint, figures) in (0..).zip(&analysis.endpoints) {
        let mine = analysis.requests.iter().filter(|r| r.endpoint == endpoint);
        let leaking = mine.map(|request| u64::from(request.count).min(request.leaking_blocks));
        assert_eq!(leaking.sum::<u64>(), figures.leaking_requests);
    }
}

/// Loops whose every second request has a task keep something, so many requests afterwards; each ends with the last of
/// its requests.
fn work_comes_late(loops: &[(usize, usize)]) -> (Verdict, u64) {
    let mut script = Script::default();
    script.tell("t1 alloc start 50 @99");
    for (number, (n, late)) in (2..).zip(loops) {
        script.tell(&format!("fork p1 p{number}"));
        let thread = format!("p{number}.t1");
        script.tell(&format!("{thread} accept c{number}"));
        for i in 0..*n {
            let label = ["job", "plain"][i % 2];
            let task = |i: usize| format!("T{number}-{i}");
            script.tell(&format!(
                "{thread} poll; {thread} read c{number} GET /{label}"
            ));
            if i % 2 == 0 {
                script.tell(&format!("{thread} alloc {} 1 @1", task(i)));
            }
            script.tell(&format!("{thread} answer c{number} 200"));
            if let Some(i) = i.checked_sub(*late).filter(|i| i % 2 == 0) {
                let task = task(i);
                script.tell(&format!(
                    "{thread} poll; {thread} task {task}; {thread} alloc k{task} 1000 @2; {thread} loop
                     {thread} free {task}"
                ));
            }
        }
        script.tell(&format!(
            "{thread} poll; {thread} close c{number}; dies p{number}"
        ));
    }
    script.tell("dies p1");
    let analysis = script.analysis(&Options::default());
    let all = verdicts(&analysis);
    let (_, verdict, leaking, _) = all.iter().find(|row| row.0 == "GET /job").expect("asked");
    (*verdict, *leaking)
}

#[test]
fn work_that_had_not_come_when_serving_ended_bounds_nothing() {
    assert_eq!(work_comes_late(&[(200, 2)]), (Verdict::Leak, 99));
    assert_eq!(work_comes_late(&[(200, 60)]), (Verdict::Leak, 70));
    // Most was still to come: what becomes of it is not seen.
    assert_eq!(work_comes_late(&[(200, 160)]), (Verdict::TooFewRequests, 0));
    // Of a worker that had just begun little is seen, and of the one before enough.
    assert_eq!(work_comes_late(&[(200, 8), (10, 8)]), (Verdict::Leak, 97));
}

#[test]
fn what_one_label_or_another_made_is_not_over_where_both_are_asked_for_no_more() {
    let mut script = Script::default();
    script.tell("t1 accept c1; t2 accept c2; t3 waits");
    for i in 0..400 {
        // A thread of its own makes something while both are in flight.
        let (labels, makes) = match i {
            0..100 => (["a", "b"], format!("t3 alloc k{i} 1000 @2; t3 waits;")),
            _ => (["c", "d"], String::new()),
        };
        let (first, second) = (labels[i % 2], labels[1 - i % 2]);
        script.tell(&format!(
            "t1 reads c1; t1 read c1 GET /{first}; t2 reads c2; t2 read c2 GET /{second}; {makes}
             t2 answer c2 200; t1 answer c1 200; t1 reads c1; t1 read c1 GET /e; t1 answer c1 200"
        ));
    }
    script.tell("t1 close c1; t2 close c2; dies p1");
    let analysis = script.analysis(&Options::default());
    let kept = |site: &&crate::analysis::Site| site.live_blocks == 100;
    let site = analysis.sites.iter().find(kept).expect("it was made");
    assert_eq!(site.verdict, Verdict::TooFewRequests, "{:?}", site.evidence);
}

#[test]
fn endpoints_of_every_kind_get_their_verdict() {
    let analysis = serve(800, |i| {
        let answer = |status: u32| format!("t1 answer c1 {status}");
        match i % 8 {
            0 => (
                "GET /clean".into(),
                format!("t1 alloc a# 9 @1; t1 free a#; {}", answer(200)),
            ),
            1 => (
                "GET /leak".into(),
                format!("t1 alloc l# 10 @2; {}", answer(200)),
            ),
            2 if i % 5 == 0 => (
                "GET /error".into(),
                format!("t1 alloc e# 7 @3; {}", answer(500)),
            ),
            2 => ("GET /error".into(), answer(200)),
            3 => {
                let slot = (i / 8) % 16;
                let free = if i >= 128 {
                    format!("t1 free s{slot};")
                } else {
                    String::new()
                };
                (
                    "GET /cache".into(),
                    format!("{free} t1 alloc s{slot} 8 @4; {}", answer(200)),
                )
            }
            4 if i < 60 => (
                "GET /warm".into(),
                format!("t1 alloc w# 8 @5; {}", answer(200)),
            ),
            4 => ("GET /warm".into(), answer(200)),
            5 => {
                let free = if i > 8 {
                    format!("t1 free n{};", i - 8)
                } else {
                    String::new()
                };
                (
                    "GET /next".into(),
                    format!("{free} t1 alloc n# 8 @6; {}", answer(200)),
                )
            }
            6 => {
                let n = i / 8 + 1;
                let grow = match n {
                    1 => "t1 alloc g1 16 @7;".to_string(),
                    n if n.is_power_of_two() => {
                        format!("t1 realloc g{} g{n} {} @7;", n / 2, 16 * n)
                    }
                    _ => String::new(),
                };
                ("GET /buffer".into(), format!("{grow} {}", answer(200)))
            }
            _ => (
                "GET /after".into(),
                format!("t1 alloc f# 8 @8; {}; t1 free f#", answer(200)),
            ),
        }
    });
    assert_eq!(
        verdicts(&analysis),
        [
            ("GET /after", Verdict::Clean, 0, 0),
            ("GET /buffer", Verdict::GrowingBuffer, 1, 1024),
            ("GET /cache", Verdict::Bounded, 0, 128),
            ("GET /clean", Verdict::Clean, 0, 0),
            ("GET /error", Verdict::Leak, 20, 140),
            ("GET /leak", Verdict::Leak, 100, 1000),
            ("GET /next", Verdict::FreedLater, 0, 8),
            ("GET /warm", Verdict::WarmUp, 0, 56),
        ]
    );
    requests_agree_with_endpoints(&analysis);
    let error = analysis.endpoints.iter().find(|e| e.label == "GET /error");
    let statuses = &error.unwrap().statuses;
    assert_eq!(
        (
            statuses[0].status,
            statuses[0].leaking_requests,
            statuses[0].requests
        ),
        (Some(500), 20, 20)
    );
    assert_eq!(error.unwrap().retained_bytes_per_leaking_request, Some(7));
    let start = analysis.sites.iter().find(|site| site.id == 99).unwrap();
    assert_eq!(start.verdict, Verdict::WarmUp);
}

#[test]
fn freed_at_exit_only_is_a_leak() {
    let mut script = Script::default();
    script.tell("t1 accept c1");
    for i in 0..20 {
        script.tell(&format!(
            "t1 reads c1; t1 read c1 GET /list; t1 alloc l{i} 5; t1 answer c1 200"
        ));
    }
    script.tell("t1 poll");
    for i in 0..20 {
        script.tell(&format!("t1 free l{i}"));
    }
    script.tell("dies p1");
    let analysis = script.analysis(&Options::default());
    assert_eq!(verdicts(&analysis), [("GET /list", Verdict::Leak, 20, 100)]);
    assert_eq!(analysis.totals.live_blocks, 0);
}

#[test]
fn a_background_thread_that_grows_leaks_outside() {
    let mut script = Script::default();
    script.tell("t1 accept c1; t2 lock");
    for i in 0..40 {
        script.tell(&format!(
            "t2 alloc b{i} 5 @2; t2 alloc x 6 @3; t2 free x; t2 lock; t1 reads c1; t1 read c1 GET /
             t2 alloc d{i} 5 @2; t2 lock; t1 answer c1 200"
        ));
    }
    script.tell("t1 poll; dies p1");
    let analysis = script.analysis(&Options::default());
    let site = analysis.sites.iter().find(|site| site.id == 2).unwrap();
    assert_eq!(site.verdict, Verdict::Leak, "{}", site.evidence.text);
    assert_eq!(site.outside_blocks, 80);
    assert_eq!(analysis.sites.len(), 1);
}

#[test]
fn two_failing_requests_that_kept_much_are_undecided() {
    let kept: String = (0..50)
        .map(|i| format!("t1 alloc e#-{i} 100 @1;"))
        .collect();
    let analysis = serve(100, |i| {
        let head = "GET /story".to_owned();
        match i {
            60 | 80 => (head, format!("{kept} t1 answer c1 500")),
            _ => (head, "t1 alloc x 4 @1; t1 free x; t1 answer c1 200".into()),
        }
    });
    assert_eq!(
        verdicts(&analysis),
        [("GET /story", Verdict::TooFewRequests, 0, 10_000)]
    );
    let site = &analysis.sites[0];
    assert_eq!((site.id, site.evidence.requests_needed), (1, Some(6)));
}

#[test]
fn one_leaking_label_does_not_blame_another_that_shares_the_call_site() {
    let analysis = serve(200, |i| match i % 2 {
        0 => (
            "GET /leak".into(),
            "t1 alloc l# 4 @1; t1 answer c1 200".into(),
        ),
        _ if i < 3 => (
            "GET /fine".into(),
            "t1 alloc w# 4 @1; t1 answer c1 200".into(),
        ),
        _ => (
            "GET /fine".into(),
            "t1 alloc x 4 @1; t1 free x; t1 answer c1 200".into(),
        ),
    });
    assert_eq!(
        verdicts(&analysis),
        [
            ("GET /fine", Verdict::WarmUp, 0, 4),
            ("GET /leak", Verdict::Leak, 100, 400)
        ]
    );
}

#[test]
fn labels_that_warm_up_one_after_the_other_are_no_leak() {
    let analysis = serve(400, |i| {
        let label = ["one", "two", "three", "four"][i / 100];
        let first = if i % 100 == 0 {
            "t1 alloc w# 4 @1;"
        } else {
            ""
        };
        (format!("GET /{label}"), format!("{first} t1 answer c1 200"))
    });
    let site = analysis.sites.iter().find(|site| site.id == 1).unwrap();
    assert_eq!(site.verdict, Verdict::WarmUp, "{}", site.evidence.text);
    assert!(
        analysis
            .endpoints
            .iter()
            .all(|e| e.verdict == Verdict::WarmUp)
    );
}

#[test]
fn a_leak_spread_over_labels_with_one_request_each_is_one() {
    let analysis = serve(40, |i| {
        (
            format!("GET /name-{i}"),
            "t1 alloc l# 4 @1; t1 answer c1 200".into(),
        )
    });
    assert!(
        analysis
            .endpoints
            .iter()
            .all(|e| e.verdict == Verdict::Leak)
    );
    assert_eq!(analysis.sites[0].verdict, Verdict::Leak);
}

#[test]
fn a_request_that_keeps_only_what_a_cache_holds_is_no_leaking_one() {
    let analysis = serve(200, |i| {
        let leak = if i % 2 == 0 { "t1 alloc l# 4 @1;" } else { "" };
        let free = if i < 20 {
            String::new()
        } else {
            format!("t1 free c{};", i - 20)
        };
        (
            "GET /".into(),
            format!("{free} {leak} t1 alloc c# 4 @2; t1 answer c1 200"),
        )
    });
    requests_agree_with_endpoints(&analysis);
    let count = |keep: fn(&crate::analysis::Request) -> bool| {
        analysis.requests.iter().filter(|r| keep(r)).count()
    };
    assert_eq!(count(|request| request.leaking_blocks > 0), 100);
    assert_eq!(count(|request| request.retained_blocks > 0), 110);
}

#[test]
fn what_may_have_been_freed_by_a_dropped_event_is_no_leak() {
    let told = |dropped: Dropped| {
        let mut script = Script::default();
        script.facts.dropped = dropped;
        script.tell("t1 accept c1; t2 lock");
        for i in 0..40 {
            script.tell(&format!(
                "t2 alloc b{i} 5 @2; t2 lock; t1 reads c1; t1 read c1 GET /; t1 alloc l{i} 5 @1
                 t1 answer c1 200"
            ));
        }
        script.tell("t1 poll; dies p1");
        let analysis = script.analysis(&Options::default());
        requests_agree_with_endpoints(&analysis);
        analysis
    };
    let frees = |frees| Dropped {
        frees,
        ..Dropped::default()
    };
    for (dropped, text) in [
        (frees(1), "1 free was dropped: can't tell"),
        (frees(1200), "1,200 frees were dropped: can't tell"),
        (
            Dropped {
                allocations: 4,
                frees: 0,
                other: 2,
            },
            "2 events of unknown kind were dropped: can't tell",
        ),
    ] {
        let analysis = told(dropped);
        assert_eq!(
            verdicts(&analysis),
            [("GET /", Verdict::TooFewRequests, 0, 200)]
        );
        for site in &analysis.sites {
            assert_eq!(site.verdict, Verdict::TooFewRequests);
            assert!(site.evidence.text.starts_with(text));
            assert_eq!(site.evidence.requests_needed, None);
        }
    }
    let only_allocations = told(Dropped {
        allocations: 4,
        ..Dropped::default()
    });
    assert_eq!(
        verdicts(&only_allocations),
        [("GET /", Verdict::Leak, 40, 200)]
    );
}

/// A worker that touches no connection keeps the ten newest of what it makes for every other request. Meanwhile a
/// client waits for its answer all the time: what is freed has outlived its own request all the same.
#[test]
fn one_that_stays_open_hides_no_deaths() {
    let mut script = Script::default();
    script.tell("t1 poll; t1 accept c1; t1 accept c2; t2 lock; t1 poll; t1 read c2 GET /poll");
    for i in 0..300 {
        let (label, work) = match i % 2 {
            0 => ("GET /cached", format!("t2 alloc b{i} 100 @7; {}", freed(i))),
            _ => ("GET /ok", String::new()),
        };
        script.tell(&format!(
            "t1 poll; t1 read c1 {label}; {work} t2 lock; t1 answer c1 200"
        ));
    }
    script.tell("t1 poll; dies p1");
    let analysis = script.analysis(&Options::default());
    let site = analysis.sites.iter().find(|site| site.id == 7).unwrap();
    assert_ne!(site.verdict, Verdict::Leak, "{}", site.evidence.text);
    let cached = analysis
        .endpoints
        .iter()
        .find(|row| row.label == "GET /cached");
    assert_eq!(cached.unwrap().leaking_requests, 0);
}

/// What goes when the i-th comes into a cache of ten.
fn freed(i: i32) -> String {
    match i - 20 {
        old if old >= 0 => format!("t2 free b{old};"),
        _ => String::new(),
    }
}

/// A thread that serves nobody keeps something beside every third request, whichever that is, or long after it.
#[test]
fn what_may_be_any_labels_or_nobodys_leaves_none_of_them_clean() {
    let endpoints = |is_idle: bool| {
        let analysis = serve(120, |i| {
            let label = if i * 7 % 5 < 2 { "GET /a" } else { "GET /b" };
            let job = if i % 3 == 0 {
                "t2 alloc job# 90 @5; "
            } else {
                ""
            };
            let idle = "t2 alloc idle 9 @6; t2 free idle; ".repeat(9);
            let body = match is_idle {
                true => format!("t1 answer c1 200; t1 reads c1; {idle} {job}"),
                false => format!("{job} t1 answer c1 200"),
            };
            (label.into(), body)
        });
        let site = analysis.sites.iter().find(|site| site.id == 5).unwrap();
        assert_eq!(site.outside_verdict, Verdict::Leak);
        let endpoints = analysis.endpoints.iter();
        endpoints
            .map(|endpoint| (endpoint.verdict, endpoint.leaking_requests_range))
            .collect::<Vec<_>>()
    };
    for (verdict, [low, high]) in endpoints(false) {
        assert_eq!((verdict, low), (Verdict::TooFewRequests, 0));
        assert!(high >= 40, "{high}");
    }
    for found in endpoints(true) {
        assert_eq!(found, (Verdict::Clean, [0, 0]));
    }
}

/// A thread that serves nobody keeps something beside requests of two labels; a third one leaks so many bytes each time.
/// What is thought of the two.
fn beside_a_leak(each: u64) -> Vec<(Verdict, [u64; 2])> {
    let analysis = serve(120, |i| {
        let job = if i % 3 == 0 {
            "t2 alloc job# 90 @5; "
        } else {
            ""
        };
        let (label, own) = match i * 7 % 5 {
            0 | 1 => ("GET /a", String::new()),
            2 | 3 => ("GET /b", String::new()),
            _ => ("GET /leaks", format!("t1 alloc own# {each} @7; ")),
        };
        (label.into(), format!("{job} {own} t1 answer c1 200"))
    });
    let outside = analysis.sites.iter().find(|site| site.id == 5).unwrap();
    assert_eq!(outside.outside_verdict, Verdict::Leak);
    let leaks = |label: &str| label == "GET /leaks";
    let (leaking, others): (Vec<_>, Vec<_>) = analysis
        .endpoints
        .iter()
        .partition(|endpoint| leaks(&endpoint.label));
    assert_eq!(leaking[0].verdict, Verdict::Leak);
    let told = others.iter();
    told.map(|endpoint| (endpoint.verdict, endpoint.leaking_requests_range))
        .collect()
}

#[test]
fn what_leaks_for_nobody_is_undecided_where_no_leak_of_so_much_is_told() {
    // 40 blocks of 90 bytes are nobody's.
    for (verdict, [low, high]) in beside_a_leak(80) {
        assert_eq!((verdict, low), (Verdict::TooFewRequests, 0));
        assert!(high > 0);
    }
    assert_eq!(beside_a_leak(900), [(Verdict::Clean, [0, 0]); 2]);
}

/// A thread keeps the newest twenty for requests of a label, which is asked for no more while others come: what was
/// there then has grown older than all that was freed, and stays.
#[test]
fn what_nothing_replaces_any_more_is_as_old_as_its_last_request() {
    let mut script = Script::default();
    script.tell("t1 alloc start 50 @99; t1 accept c1; t2 lock; t1 poll");
    for i in 0..80 {
        let freed = freed(i);
        script.tell(&format!(
            "t1 read c1 GET /ring; t2 alloc b{i} 90 @5; {freed} t2 lock; t1 answer c1 200; t1 poll
             t1 read c1 GET /other; t1 answer c1 200; t1 poll"
        ));
    }
    for _ in 0..320 {
        script.tell("t1 read c1 GET /other; t1 answer c1 200; t1 poll");
    }
    script.tell("t1 close c1; t1 free start; dies p1");
    let analysis = script.analysis(&Options::default());
    let ring = analysis.endpoints.iter();
    let ring = ring.filter(|endpoint| endpoint.label == "GET /ring");
    let ring: Vec<_> = ring.map(|of| (of.associated.blocks, of.verdict)).collect();
    assert_eq!(ring, [(20, Verdict::Bounded)]);
}

/// Connections come one after another. A pool has one object more whenever more requests are in flight than before; a
/// leak leaves something at one such moment less.
#[test]
fn what_comes_with_a_crowd_is_a_pool_or_a_leak() {
    let endpoint = |keeps: &dyn Fn(usize, usize) -> bool| {
        let mut script = Script::default();
        let mut text = "t1 alloc start 50 @99; ".to_owned();
        for round in 0..20 {
            // So many at once.
            let crowd = 1 + round / 4;
            for c in 1..=crowd {
                let kept = match keeps(round, c) {
                    true => format!("t{c} alloc o{round}.{c} 80 @2;"),
                    false => String::new(),
                };
                let accept = if round == 0 || round % 4 == 0 && c == crowd {
                    format!("t{c} accept c{c}; ")
                } else {
                    String::new()
                };
                text.push_str(&format!(
                    "{accept} t{c} reads c{c}; t{c} read c{c} GET /pool; {kept} "
                ));
            }
            for c in 1..=crowd {
                text.push_str(&format!("t{c} answer c{c} 200; t{c} reads c{c}; "));
            }
        }
        script.tell(&format!("{text} dies p1"));
        let analysis = script.analysis(&Options::default());
        let endpoint = &analysis.endpoints[0];
        (endpoint.verdict, endpoint.leaking_requests)
    };
    let is_high = |round: usize, c: usize| round.is_multiple_of(4) && c == 1 + round / 4;
    let pool = endpoint(&is_high);
    assert_eq!(pool, (Verdict::TooFewRequests, 0));
    let leak = endpoint(&|round, c| is_high(round, c) || (round, c) == (18, 1));
    assert_eq!(leak, (Verdict::Leak, 6));
}
