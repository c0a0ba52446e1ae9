//! Which requests of a leak may not leak: what they keep is as young as what others kept and freed.

use super::*;
use crate::ledger::{GroupLives, Log};

/// The verdict on 300 requests, of which those leak that `leaks`, and the others free what they keep after 20 requests;
/// and how many of those that keep something may not leak.
fn judge(leaks: impl Fn(u64) -> bool) -> (Verdict, usize) {
    const ALL: u64 = 300;
    const LIFE: u64 = 20;
    let mut births = Log::default();
    let mut freed: [Lives; MEASURES] = Default::default();
    let mut kept = Vec::new();
    for order in 0..ALL {
        births.add(order, 1);
        let age = ALL - 1 - order;
        match leaks(order) || age < LIFE {
            true => kept.push(Kept {
                request: order as RequestId,
                order,
                age: [Some(age), None, None, None],
                first: kept.is_empty(),
                judged: Judged::InUse,
            }),
            false => freed[0].add(LIFE),
        }
    }
    let lives = GroupLives {
        label: 0,
        status: Some(200),
        births,
        keepings: ALL,
        freed: freed.clone(),
    };
    let group = Group {
        processes: vec![InProcess {
            orders: (0..ALL).collect(),
            ended: ALL,
            kept,
            lives: Some(&lives),
            ..InProcess::default()
        }],
        freed,
        survivors: ALL,
        newest: 1,
        ..Group::default()
    };
    (group.judge().0, group.may_go().count())
}

#[test]
fn what_is_as_young_as_what_was_freed_may_go() {
    // Twice a typical life: 40 requests, of which the last 20 keep something in any case, and 2 of the others.
    assert_eq!(judge(|request| request % 10 == 0), (Verdict::Leak, 22));
    // Where nearly nothing is freed, the youngest will stay, too.
    assert_eq!(judge(|request| request % 20 != 7), (Verdict::Leak, 0));
}
