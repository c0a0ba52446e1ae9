//! What is called new, fixed, worse or better, and when it can't be told.

use super::compare;
use super::judge::judge;
use super::side::{Lost, Of};
use super::state::State;
use crate::analysis::Verdict;
use crate::analysis::early::{Early, step};
use crate::report::outline::{Part, StatusPart, example_outline, leaking_part};
use crate::sample::Amount;

/// So many of the requests leak so many bytes each, one after another in equal distances.
fn evenly(requests: u64, leaking: u64, each: u64) -> Early {
    let mut early = Early::default();
    for at in 0..leaking {
        early.add(step(at * requests / leaking), each, 1);
    }
    early
}

/// Requests by status: how many, how many leak, and how many bytes each.
fn part(statuses: &[(u32, u64, u64, u64)]) -> Part {
    let of = |(status, requests, leaking, each): &(u32, u64, u64, u64)| StatusPart {
        status: Some(*status),
        requests: *requests,
        leaking: *leaking,
        leaked_bytes: leaking * each,
        leaked_squares: *leaking as f64 * (*each as f64).powi(2),
        early: evenly(*requests, *leaking, *each),
        kept_early: Early::default(),
    };
    let statuses: Vec<StatusPart> = statuses.iter().map(of).collect();
    let leaking: u64 = statuses.iter().map(|of| of.leaking).sum();
    Part {
        label: "GET /".into(),
        verdict: if leaking > 0 {
            Verdict::Leak
        } else {
            Verdict::Clean
        },
        requests: statuses.iter().map(|of| of.requests).sum(),
        leaking: [leaking, leaking],
        hidden: None,
        most: 0,
        leaked: Amount {
            blocks: leaking,
            bytes: statuses.iter().map(|of| of.leaked_bytes).sum(),
        },
        associated_bytes: 0,
        needed: None,
        statuses,
    }
}

fn of(part: Part) -> Of {
    Of {
        part: Some(part),
        ..Of::default()
    }
}

fn judged(before: Part, after: Part) -> (State, String) {
    judge(&of(before), &of(after))
}

fn state(before: &[(u32, u64, u64, u64)], after: &[(u32, u64, u64, u64)]) -> State {
    judged(part(before), part(after)).0
}

#[test]
fn fixed_and_new_need_requests_that_would_have_leaked() {
    let leaks = [(200, 400, 20, 100)];
    assert_eq!(state(&leaks, &[(200, 100, 0, 0)]), State::Fixed);
    assert_eq!(state(&[(200, 100, 0, 0)], &leaks), State::New);
    // One of 20 leaked: of 99 less than five would have.
    let (state, reason) = judged(part(&leaks), part(&[(200, 99, 0, 0)]));
    assert_eq!(state, State::NotComparable);
    assert_eq!(reason, "99 requests only after, where 20 of 400 leak");
}

#[test]
fn a_status_that_leaks_must_have_been_seen() {
    let errors = [(200, 400, 0, 0), (500, 40, 40, 700)];
    let (told, reason) = judged(part(&errors), part(&[(200, 4_000, 0, 0)]));
    assert_eq!(told, State::NotComparable);
    assert_eq!(
        reason,
        "after, no answer was 500, and only such requests leak"
    );
    let (told, reason) = judged(part(&errors), part(&[(200, 4_000, 0, 0), (500, 4, 0, 0)]));
    assert_eq!(told, State::NotComparable);
    assert_eq!(
        reason,
        "4 requests with the status that leaks only after, where 40 of 440 leak"
    );
    assert_eq!(
        state(&errors, &[(200, 9, 0, 0), (500, 5, 0, 0)]),
        State::Fixed
    );
}

#[test]
fn another_mix_of_statuses_is_no_change() {
    let half = [(200, 200, 0, 0), (500, 200, 200, 700)];
    let few = [(200, 900, 0, 0), (500, 100, 100, 700)];
    assert_eq!(state(&half, &few), State::Same);
    assert_eq!(state(&few, &half), State::Same);
    let larger = [(200, 900, 0, 0), (500, 100, 100, 800)];
    assert_eq!(state(&half, &larger), State::Worse);
    assert_eq!(state(&larger, &half), State::Better);
    // Other statuses than before: nothing to compare with.
    let told = state(&[(500, 100, 100, 700)], &[(503, 100, 100, 700)]);
    assert_eq!(told, State::NotComparable);
}

#[test]
fn chance_is_no_change() {
    // 10 % of some leak; the spread of such a number is ± 3 of 10 for 100 requests.
    assert_eq!(
        state(&[(200, 100, 10, 64)], &[(200, 100, 17, 64)]),
        State::Same
    );
    assert_eq!(
        state(&[(200, 10_000, 1_000, 64)], &[(200, 10_000, 1_700, 64)]),
        State::Worse
    );
    // Less than a tenth is none, however sure.
    assert_eq!(
        state(&[(200, 9_000, 9_000, 100)], &[(200, 9_000, 9_000, 109)]),
        State::Same
    );
}

#[test]
fn what_was_not_decided_is_neither_new_nor_fixed() {
    let undecided = Part {
        verdict: Verdict::TooFewRequests,
        needed: Some(5),
        ..part(&[(200, 12, 2, 64)])
    };
    let clean = part(&[(200, 1_000, 0, 0)]);
    let leaks = part(&[(200, 1_000, 1_000, 64)]);
    for (before, after) in [
        (undecided.clone(), clean.clone()),
        (clean.clone(), undecided.clone()),
        (leaks.clone(), undecided.clone()),
        (undecided.clone(), leaks.clone()),
    ] {
        let (state, reason) = judged(before, after);
        assert_eq!(state, State::NotComparable);
        assert!(reason.starts_with("12 requests only"), "{reason}");
        assert!(reason.ends_with("(5 more requests would do)"), "{reason}");
    }
    let alone = judge(&Of::default(), &of(leaks));
    assert_eq!(alone.0, State::NotComparable);
    assert!(
        alone.1.starts_with("no requests before; 1,000 of 1,000"),
        "{}",
        alone.1
    );
}

#[test]
fn ranges_are_ranges() {
    let known = part(&[(200, 1_000, 500, 64)]);
    let range = |low, high, bytes| Part {
        leaking: [low, high],
        leaked: Amount { blocks: 500, bytes },
        ..part(&[(200, 1_000, 500, bytes / 500)])
    };
    // Twice as much, but of how many requests is not known: neither share nor size are apart for sure.
    let (state, reason) = judged(range(200, 900, 32_000), range(200, 1_000, 64_000));
    assert_eq!(state, State::NotComparable);
    assert!(
        reason.contains("200-900 of 1,000 requests leak"),
        "{reason}"
    );
    let (state, _) = judged(known.clone(), range(900, 1_000, 640_000));
    assert_eq!(state, State::Worse);
    // It may leak, whose it is was not told: then it is not known to be fixed.
    let perhaps = Part {
        leaking: [0, 30],
        ..part(&[(200, 1_000, 0, 0)])
    };
    assert_eq!(judged(known, perhaps).0, State::NotComparable);
}

#[test]
fn what_was_lost_is_not_fixed() {
    let after = Of {
        part: Some(part(&[(200, 1_000, 0, 0)])),
        lost: Lost {
            events: 3,
            sample_bytes: 0,
        },
        error: 0,
    };
    let leaks = of(part(&[(200, 1_000, 1_000, 64)]));
    let (state, reason) = judge(&leaks, &after);
    assert_eq!(
        (state, reason.as_str()),
        (State::NotComparable, "3 events missing after")
    );
    // A sample of 1 MiB on average sees one in 16,000 of such small leaks.
    let after = Of {
        lost: Lost {
            events: 0,
            sample_bytes: 1 << 20,
        },
        ..after
    };
    assert_eq!(judge(&leaks, &after).0, State::NotComparable);
}

/// Of so many requests, each leaves what `left` says of how many there were before.
fn course(requests: u64, left: impl Fn(u64) -> u64) -> Part {
    let mut of = StatusPart {
        status: Some(200),
        requests,
        ..StatusPart::default()
    };
    for before in 0..requests {
        let bytes = left(before);
        of.leaked_bytes += bytes;
        of.leaked_squares += (bytes as f64).powi(2);
        of.leaking += u64::from(bytes > 0);
        if bytes > 0 {
            of.early.add(step(before), bytes, 1);
        }
    }
    Part {
        leaking: [of.leaking; 2],
        leaked: Amount {
            blocks: of.leaking,
            bytes: of.leaked_bytes,
        },
        statuses: vec![of],
        ..part(&[(200, requests, 1, 1)])
    }
}

/// What the first instances of a CPython class take more than all others: dictionaries that share their keys get
/// room for 30 of them, and each instance one less until only those are left that are used.
fn learned(before: u64) -> u64 {
    96 + 8 * 24u64.saturating_sub(before)
}

#[test]
fn what_is_kept_once_is_no_change_of_what_each_request_leaves() {
    let laws: [fn(u64) -> u64; 4] = [
        learned,
        // A table that is full after 20 requests.
        |before| if before < 20 { 300 } else { 0 },
        // The same beside what each one leaves.
        |before| if before < 20 { 900 } else { 100 },
        // One that fills up ever more slowly.
        |before| if before.is_power_of_two() { 500 } else { 1 },
    ];
    for (law, left) in laws.into_iter().enumerate() {
        for (old, new) in [(40, 351), (351, 40), (40, 60), (100, 20_000)] {
            let (state, reason) = judged(course(old, left), course(new, left));
            assert_eq!(state, State::Same, "{law}: {old}, {new}: {reason}");
        }
    }
    let (_, reason) = judged(course(40, learned), course(351, learned));
    assert!(
        reason.starts_with("the first 40 requests left 6.1 KiB before, 6.1 KiB after; before: 40"),
        "{reason}"
    );
}

#[test]
fn what_each_request_leaves_changes_beside_what_is_kept_once() {
    let more = |before| learned(before) + 100;
    assert_eq!(
        judged(course(40, learned), course(351, more)).0,
        State::Worse
    );
    assert_eq!(
        judged(course(351, more), course(40, learned)).0,
        State::Better
    );
    assert_eq!(
        judged(course(40, more), course(351, learned)).0,
        State::Better
    );
    // The amount that is kept once has doubled, and so have the requests: per request nothing has changed.
    let once = |each: u64| move |before| if before < 200 { each } else { 0 };
    let (state, reason) = judged(course(400, once(300)), course(800, once(600)));
    assert_eq!(state, State::Worse);
    assert!(
        reason.starts_with("the first 384 requests left 58.6 KiB before, 117.2 KiB after; "),
        "{reason}"
    );
}

/// What fills up is a leak until it is full: it is no new one where it went on, and is not fixed where it was.
#[test]
fn what_fills_up_is_neither_new_nor_fixed() {
    let table = |before: u64| if before < 60 { 300 } else { 0 };
    let filling = || course(40, table);
    let full = || {
        let part = course(351, table);
        let statuses = part.statuses.into_iter().map(|of| StatusPart {
            status: of.status,
            requests: of.requests,
            kept_early: of.early,
            ..StatusPart::default()
        });
        Part {
            verdict: Verdict::Bounded,
            leaking: [0, 0],
            leaked: Amount::default(),
            statuses: statuses.collect(),
            ..part
        }
    };
    let (state, reason) = judged(filling(), full());
    assert_eq!(state, State::NotComparable);
    let words =
        "the first 40 requests left 11.7 KiB before, 11.7 KiB after, which is bounded after";
    assert_eq!(reason, words);
    let (state, reason) = judged(full(), filling());
    assert_eq!(state, State::NotComparable);
    assert!(reason.ends_with("which is bounded before"), "{reason}");
    // One that kept less there is another matter.
    let leaks = course(400, |_| 300);
    assert_eq!(judged(leaks.clone(), full()).0, State::Fixed);
    assert_eq!(judged(full(), leaks).0, State::New);
}

/// What begins after the other trace has ended is not known to be new.
#[test]
fn what_leaks_late_was_not_to_be_seen_before() {
    let late = || course(351, |before| if before < 100 { 0 } else { 300 });
    assert_eq!(
        judged(part(&[(200, 40, 0, 0)]), late()).0,
        State::NotComparable
    );
    assert_eq!(judged(part(&[(200, 150, 0, 0)]), late()).0, State::New);
}

#[test]
fn later_requests_are_compared_with_later_ones_only() {
    // What began after 100 requests can't be told from 40.
    let later = |before| if before < 100 { 50 } else { 500 };
    let (state, reason) = judged(course(40, later), course(351, later));
    assert_eq!(state, State::NotComparable);
    assert!(reason.contains(", those that followed more; "), "{reason}");
    assert_eq!(
        judged(course(351, later), course(40, later)).0,
        State::NotComparable
    );
    // The first ones leave more, all of them less.
    let fewer = |before| if before < 40 { 300 } else { 1 };
    let (state, reason) = judged(course(40, |_| 100), course(4_000, fewer));
    assert_eq!(state, State::NotComparable);
    assert!(reason.contains("the other way round"), "{reason}");
}

/// A buffer that has grown to its size is as large however many requests follow.
#[test]
fn buffers_are_compared_by_their_size_too() {
    let buffer = |requests, bytes| Part {
        verdict: Verdict::GrowingBuffer,
        leaked: Amount { blocks: 1, bytes },
        ..part(&[(200, requests, 1, bytes)])
    };
    assert_eq!(
        judged(buffer(40, 65_536), buffer(351, 65_536)).0,
        State::Same
    );
    assert_eq!(
        judged(buffer(40, 65_536), buffer(351, 262_144)).0,
        State::Same
    );
    assert_eq!(
        judged(buffer(351, 65_536), buffer(40, 65_536)).0,
        State::Same
    );
    assert_eq!(
        judged(buffer(400, 65_536), buffer(380, 524_288)).0,
        State::Worse
    );
    assert_eq!(
        judged(buffer(380, 524_288), buffer(400, 65_536)).0,
        State::Better
    );
}

/// A call site that waits for a collector, of which nothing is any label's yet: what leaks there after is not new, nor
/// is its endpoint's leak, where nothing else is.
#[test]
fn what_can_not_be_told_of_a_site_is_not_new() {
    let after = example_outline("keep", vec![leaking_part("GET /", 100, 64)]);
    let mut before = after.clone();
    before.sites[0].verdict = Verdict::TooFewRequests;
    before.sites[0].parts.clear();
    let endpoint = &mut before.endpoints[0];
    (endpoint.verdict, endpoint.leaking, endpoint.leaked) =
        (Verdict::Clean, [0, 0], Amount::default());
    endpoint.statuses[0] = StatusPart {
        status: Some(200),
        requests: 100,
        ..StatusPart::default()
    };
    for (before, after) in [(&before, &after), (&after, &before)] {
        let diff = compare(before, after);
        assert_eq!(diff.sites[0].state, State::NotComparable);
        assert!(
            diff.sites[0].reason.starts_with("100 requests only"),
            "{}",
            diff.sites[0].reason
        );
        assert_eq!(diff.endpoints[0].state, State::NotComparable);
    }
    // Where the site was seen to leave nothing, it is.
    before.sites[0].verdict = Verdict::Clean;
    let diff = compare(&before, &after);
    assert_eq!(
        (diff.sites[0].state, diff.endpoints[0].state),
        (State::New, State::New)
    );
}
