//! What is kept of when blocks came and went, compared with what a list of all blocks says.

use super::super::script::Script;
use super::super::{Boundary, Options};
use crate::analysis::course::{Course, OUTLIVED, PERIODS};

/// A block: call site, bytes, stamps of birth and death.
struct Block {
    site: u32,
    size: u64,
    born: u64,
    died: Option<u64>,
}

/// Allocations and frees in an order that looks random, then the exit, whose tear-down frees some.
fn run() -> (Script, Vec<Block>) {
    let mut script = Script::default();
    let mut blocks: Vec<Block> = Vec::new();
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for at in 0..2_000 {
        let live: Vec<usize> = (0..blocks.len())
            .filter(|at| blocks[*at].died.is_none())
            .collect();
        if random(3) == 0 && !live.is_empty() {
            let victim = live[random(live.len() as u64) as usize];
            script.tell(&format!("t1 free b{victim}"));
            blocks[victim].died = Some(script.steps.len() as u64);
        } else {
            let (site, size) = (random(3) as u32 + 1, random(100) + 1);
            script.tell(&format!("t1 alloc b{at} {size} @{site}"));
            let born = script.steps.len() as u64;
            while blocks.len() < at {
                blocks.push(Block {
                    site,
                    size: 0,
                    born,
                    died: Some(born),
                });
            }
            blocks.push(Block {
                site,
                size,
                born,
                died: None,
            });
        }
        while blocks.len() <= at {
            blocks.push(Block {
                site: 1,
                size: 0,
                born: 1,
                died: Some(1),
            });
        }
    }
    script.tell("t1 exits");
    for (at, _) in blocks
        .iter()
        .enumerate()
        .filter(|(_, b)| b.died.is_none())
        .step_by(2)
    {
        script.tell(&format!("t1 free b{at}"));
    }
    script.tell("dies p1");
    script.facts.duration_ns = script.steps.len() as u64;
    (script, blocks)
}

fn course(script: &Script, periods: bool) -> Option<Course> {
    let options = Options {
        boundary: Boundary::Http,
        periods,
        ..Options::default()
    };
    script.analysis(&options).course
}

#[test]
fn any_range_tells_what_was_made_in_it_and_alive_at_its_end() {
    let (script, blocks) = run();
    let course = course(&script, true).unwrap();
    let begin = |period: usize| script.facts.duration_ns * period as u64 / PERIODS as u64;
    for from in 0..PERIODS {
        for to in from + 1..=PERIODS {
            for site in 1..=3 {
                let rows = course.lived.iter().filter(|lived| lived.site == site);
                let told: u64 = rows
                    .filter(|l| (from..to).contains(&l.born.into()) && usize::from(l.died) >= to)
                    .map(|lived| lived.amount.bytes)
                    .sum();
                // A stamp at which a period begins lies in it.
                let end = if to == PERIODS { u64::MAX } else { begin(to) };
                let start = if from == 0 { 0 } else { begin(from) };
                let of_site = blocks.iter().filter(|block| block.site == site);
                let true_sum: u64 = of_site
                    .filter(|block| (start..end).contains(&block.born))
                    .filter(|block| block.died.is_none_or(|died| died >= end))
                    .map(|block| block.size)
                    .sum();
                assert_eq!(told, true_sum, "site {site}, {from} to {to}");
            }
        }
    }
    assert!(course.lived.iter().any(|lived| lived.died >= OUTLIVED));
}

#[test]
fn nothing_is_kept_where_nobody_asked() {
    assert!(course(&run().0, false).is_none());
}

#[test]
fn what_requests_left_behind_is_told_by_their_begin() {
    let mut script = Script::default();
    for at in 0..24 {
        script.tell(&format!(
            "t1 accept c1; t1 read c1 GET /a; t1 alloc k{at} 10 @7; t1 answer c1 {}; t1 reads c1; t1 close c1",
            if at % 2 == 0 { 200 } else { 500 }
        ));
    }
    script.tell("dies p1");
    script.facts.duration_ns = script.steps.len() as u64;
    let course = course(&script, true).unwrap();
    for (status, requests) in [(200, 12), (500, 12)] {
        let rows = course
            .kept
            .iter()
            .filter(|kept| kept.status == Some(status));
        let rows: Vec<_> = rows.filter(|kept| kept.site == 7).collect();
        let sum: u64 = rows.iter().map(|kept| kept.retained.bytes).sum();
        assert_eq!(sum, requests * 10, "{status}");
        // One begins in every fourth period.
        assert!(rows.len() >= 11 && rows.windows(2).all(|two| two[0].period < two[1].period));
    }
}
