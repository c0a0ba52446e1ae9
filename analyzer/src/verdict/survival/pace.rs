//! What is kept ever less often: among many requests a trend is sure that is small.

use super::*;

/// One process with so many requests, of which those keep a block for ever that `keeps`.
fn of_one(requests: u64, keeps: impl Fn(u64) -> bool) -> (Verdict, GroupEvidence) {
    let everywhere: Vec<RequestId> = (0..requests as RequestId).collect();
    let process = serving(0..requests, requests, keeps);
    judge(vec![process], &everywhere)
}

/// A process that has served these of all requests.
fn serving(
    served: impl Iterator<Item = u64>,
    all: u64,
    keeps: impl Fn(u64) -> bool,
) -> InProcess<'static> {
    let served: Vec<u64> = served.collect();
    let ended = served.len() as u64;
    let kept = (0..).zip(&served).filter(|(_, request)| keeps(**request));
    let mut kept: Vec<Kept> = kept
        .map(|(order, request)| Kept {
            request: *request as RequestId,
            order,
            age: [Some(ended - 1 - order); MEASURES],
            first: false,
            judged: Judged::InUse,
        })
        .collect();
    if let Some(first) = kept.first_mut() {
        first.first = true;
    }
    assert!(served.iter().all(|request| *request < all));
    InProcess {
        orders: (0..ended).collect(),
        ended,
        kept,
        ..InProcess::default()
    }
}

fn judge(processes: Vec<InProcess<'_>>, everywhere: &[RequestId]) -> (Verdict, GroupEvidence) {
    let survivors = processes.iter().map(|process| process.kept.len() as u64);
    let group = Group {
        survivors: survivors.sum(),
        processes,
        everywhere,
        newest: 1,
        ..Group::default()
    };
    group.judge()
}

#[test]
fn a_smaller_pace_is_no_end() {
    let half = |first: u64, then: u64| {
        let keeps = move |request| request % 50 < if request < 10_000 { first } else { then };
        of_one(20_000, keeps)
    };
    for (then, verdict, pace) in [
        (20, Verdict::Leak, 100),
        (18, Verdict::Leak, 90),
        (15, Verdict::TooFewRequests, 75),
        (10, Verdict::TooFewRequests, 50),
        (5, Verdict::Bounded, 25),
        (0, Verdict::Bounded, 0),
    ] {
        let (found, evidence) = half(20, then);
        assert_eq!((found, evidence.pace), (verdict, Some(pace)), "{then}");
        let sure = then == 20;
        assert_eq!(evidence.is_sure(), sure, "{then}");
    }
}

/// A load that ends slowly keeps nothing more in the end.
#[test]
fn a_few_last_requests_are_no_end() {
    let (found, _) = of_one(20_000, |request| request % 10 == 0 && request < 19_800);
    assert_eq!(found, Verdict::Leak);
    let (found, _) = of_one(100, |request| request < 40);
    assert_eq!(found, Verdict::Bounded);
}

/// One of four workers leaks; it served more of the first requests than of the last ones.
#[test]
fn when_a_worker_served_tells_nothing_of_its_leak() {
    let all = 3000;
    let everywhere: Vec<RequestId> = (0..all as RequestId).collect();
    let by_the_first = |request: u64| request.is_multiple_of(if request < all / 2 { 2 } else { 6 });
    let leaking = serving((0..all).filter(|one| by_the_first(*one)), all, |_| true);
    let others = (0..all).filter(|one| !by_the_first(*one));
    let other = serving(others, all, |_| false);
    let processes = vec![leaking.clone(), other.clone()];
    let (found, _) = judge(processes, &everywhere);
    assert_eq!(found, Verdict::Leak);
    // Where that has ended, what serves now shows none.
    let gone = InProcess {
        gone: true,
        ..leaking
    };
    let (found, _) = judge(vec![gone, other], &everywhere);
    assert_ne!(found, Verdict::Leak);
}
