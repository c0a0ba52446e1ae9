//! Servers whose workers are replaced: what the first of them keep is not what all keep.

use super::*;

/// What is made of workers of 25 requests each, one after another in fours, of whose requests those keep a block
/// for ever that `keeps`. A worker that keeps nothing has no part in the call site.
fn of_workers(keeps: impl Fn(u32) -> bool) -> Verdict {
    const WORKERS: u32 = 12;
    const EACH: u32 = 25;
    let everywhere: Vec<RequestId> = (0..WORKERS * EACH).collect();
    let request = |worker: u32, order: u32| (worker / 4 * EACH + order) * 4 + worker % 4;
    let process = |worker: u32| {
        let kept = (0..EACH).filter(|order| keeps(request(worker, *order)));
        let age = |order: u32| Some(u64::from(EACH - 1 - order));
        let mut kept: Vec<Kept> = kept
            .map(|order| Kept {
                request: request(worker, order),
                order: u64::from(order),
                age: [age(order); MEASURES],
                first: false,
                judged: Judged::InUse,
            })
            .collect();
        kept.first_mut()?.first = true;
        Some(InProcess {
            orders: (0..u64::from(EACH)).collect(),
            ended: u64::from(EACH),
            kept,
            ..InProcess::default()
        })
    };
    let processes: Vec<InProcess<'_>> = (0..WORKERS).filter_map(process).collect();
    let survivors = processes.iter().map(|process| process.kept.len() as u64);
    let group = Group {
        survivors: survivors.sum(),
        processes,
        everywhere: &everywhere,
        newest: 1,
        ..Group::default()
    };
    group.judge().0
}

#[test]
fn what_the_first_workers_keep_is_no_leak_of_those_that_replace_them() {
    assert_eq!(of_workers(|request| request < 12), Verdict::WarmUp);
    // Also where the first of them kept enough, and evenly, by itself.
    let by_the_first = |request| [0, 12, 24, 36].contains(&request);
    assert_eq!(of_workers(by_the_first), Verdict::WarmUp);
    assert_eq!(of_workers(|_| true), Verdict::Leak);
    assert_eq!(of_workers(|request| request % 7 == 3), Verdict::Leak);
    assert_eq!(of_workers(|request| request > 250), Verdict::Leak);
}
