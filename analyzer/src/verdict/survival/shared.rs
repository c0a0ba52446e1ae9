//! A group whose call site has many frees of others, which hide how long its own live.

use super::*;
use crate::ledger::{GroupLives, Log};

/// Requests of the group, of which each keeps something; one comes in so many.
const EACH: u64 = 92;
const APART: u64 = 43;
/// A ring has room for so many.
const RING: u64 = 30;
/// What others keep dies after 8 requests: so many did.
const OTHERS: u64 = 3_700;

fn lives(each: impl IntoIterator<Item = (u64, u64)>) -> Lives {
    let mut lives = Lives::default();
    for (life, count) in each {
        (0..count).for_each(|_| lives.add(life));
    }
    lives
}

/// What the newest `kept` of the group's requests kept is left.
fn left(kept: u64, ended: u64, ages_in_keepings: bool) -> Vec<Kept> {
    (EACH - kept..EACH)
        .map(|place| {
            let order = place * APART;
            let age = Some(ended - 1 - order);
            let keepings = ages_in_keepings.then_some(EACH - 1 - place);
            Kept {
                request: order as RequestId,
                order,
                age: [age, None, keepings, None],
                first: place == EACH - kept,
                judged: Judged::InUse,
            }
        })
        .collect()
}

/// The verdict where `kept` are left, and so many died that were as old as a ring makes them: proved to be the group's, or
/// nobody's for sure.
fn judged(kept: u64, died: u64, proved: bool) -> Verdict {
    let ended = EACH * APART;
    let late = (RING * APART, died);
    let of_site = [
        lives([(8, OTHERS), late]),
        Lives::default(),
        lives([(2, OTHERS), (RING, died)]),
        Lives::default(),
    ];
    let mut births = Log::default();
    (0..EACH).for_each(|place| births.add(place * APART, 1));
    let own = GroupLives {
        label: 0,
        status: Some(500),
        births,
        keepings: EACH,
        freed: [
            lives([late]),
            Lives::default(),
            lives([(RING, died)]),
            Lives::default(),
        ],
    };
    let group = Group {
        processes: vec![InProcess {
            orders: (0..EACH).map(|place| place * APART).collect(),
            ended,
            kept: left(kept, ended, proved),
            lives: proved.then_some(&own),
            unowned: (!proved).then_some(&of_site),
            ..InProcess::default()
        }],
        freed: of_site.clone(),
        survivors: EACH,
        newest: 1,
        ..Group::default()
    };
    group.judge().0
}

#[test]
fn a_full_ring_is_no_leak() {
    for proved in [true, false] {
        let verdict = judged(RING, EACH - RING, proved);
        assert_ne!(verdict, Verdict::Leak, "proved: {proved}");
    }
}

#[test]
fn a_leak_beside_much_that_dies_is_one() {
    for proved in [true, false] {
        assert_eq!(judged(EACH, 0, proved), Verdict::Leak, "proved: {proved}");
    }
}
