//! The estimator against the truth: a made-up program is run whole, and again and again in samples drawn as a
//! target draws them. All sequences are fixed, so nothing here can flake.

use super::*;
use crate::ledger::holding::OUTSIDE;
use crate::ledger::{Counts, Ledger};

#[test]
fn without_a_sample_a_block_is_itself() {
    let all = Sample::every(0);
    assert_eq!(all.amount(100, 7), Amount::one(100));
    assert_eq!(all.part(100, 60), 60);
    assert_eq!(all.error(1 << 40), 0);
}

#[test]
fn a_small_block_stands_for_many_and_a_large_one_for_itself() {
    let sample = Sample::every(512 << 10);
    let small = sample.amount(64, 1);
    assert!((8192..=8194).contains(&small.blocks), "{small:?}");
    assert!((524_320..524_330).contains(&small.bytes), "{small:?}");
    assert_eq!(sample.amount(64 << 20, 1), Amount::one(64 << 20));
    assert!(sample.amount(0, 1).blocks > 500_000);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn happens(&mut self, chance: f64) -> bool {
        ((self.next() >> 11) as f64 / (1_u64 << 53) as f64) < chance
    }

    /// Many small ones, a few large.
    fn size(&mut self) -> u64 {
        let most = 1 << self.below(17);
        self.below(most)
    }
}

/// What a program does with its blocks, each named by its place.
enum Act {
    Allocate(usize, u64),
    Free(usize),
    Reallocate(usize, u64),
}

fn program(acts: usize, random: &mut Random) -> Vec<Act> {
    let mut live: Vec<usize> = Vec::new();
    let mut blocks = 0;
    (0..acts)
        .map(|_| {
            let (kind, any) = (random.below(8), random.next() as usize);
            match kind {
                0..=1 if !live.is_empty() => Act::Free(live.swap_remove(any % live.len())),
                2 | 3 if !live.is_empty() => Act::Reallocate(live[any % live.len()], random.size()),
                _ => {
                    live.push(blocks);
                    blocks += 1;
                    Act::Allocate(blocks - 1, random.size())
                }
            }
        })
        .collect()
}

/// The program as a target tells it that takes a sample; its heap begins at `base`, which no two runs share.
fn tell(acts: &[Act], mean: u64, base: u64, random: &mut Random) -> Ledger {
    let mut takes =
        |size: u64| mean == 0 || random.happens(-(-(size.max(1) as f64) / mean as f64).exp_m1());
    let mut ledger = Ledger::new(Sample::every(mean));
    let mut taken = vec![false; acts.len()];
    let at = |block: usize| base + block as u64 * 16;
    for (stamp, act) in (1..).zip(acts) {
        match *act {
            Act::Allocate(block, size) => {
                taken[block] = takes(size);
                if taken[block] {
                    ledger.allocate(OUTSIDE, at(block), size, 1, stamp / 100);
                }
            }
            Act::Free(block) => {
                if taken[block] {
                    ledger.free(at(block), false);
                }
            }
            Act::Reallocate(block, size) => {
                let before = if taken[block] { at(block) } else { 0 };
                let after = if takes(size) { at(block) } else { 0 };
                taken[block] = after != 0;
                if before != 0 || after != 0 {
                    let old = (before, ledger.reallocation_begins(before));
                    ledger.reallocation_ends(old, OUTSIDE, after, size, 2, stamp / 100);
                }
            }
        }
    }
    ledger
}

type Figure = (&'static str, fn(&Counts) -> u64);
const FIGURES: [Figure; 6] = [
    ("allocations", |counts| counts.allocations),
    ("frees", |counts| counts.frees),
    ("reallocations", |counts| counts.reallocations),
    ("allocated bytes", |counts| counts.allocated_bytes),
    ("live blocks", |counts| counts.live_blocks),
    ("live bytes", |counts| counts.live_bytes),
];

/// The variances of [`FIGURES`] in a sample, from the sizes alone.
fn variances(acts: &[Act], mean: u64) -> [f64; FIGURES.len()] {
    // Of the number of blocks that stand for one; a quarter for rounding.
    let of = |size: u64| (-(-(size.max(1) as f64) / mean as f64).exp_m1()).recip() - 0.75;
    let squared = |size: u64| (size * size) as f64 + 1.0;
    let mut sizes: Vec<Option<u64>> = vec![None; acts.len()];
    let [mut allocations, mut frees, mut reallocations, mut bytes] = [0.0; 4];
    for act in acts {
        match *act {
            Act::Allocate(block, size) => {
                sizes[block] = Some(size);
                allocations += of(size);
                bytes += of(size) * squared(size);
            }
            Act::Free(block) => frees += sizes[block].take().map_or(0.0, of),
            Act::Reallocate(block, size) => {
                sizes[block] = Some(size);
                reallocations += of(size);
                bytes += of(size) * squared(size);
            }
        }
    }
    let live = || sizes.iter().flatten();
    let blocks = live().map(|size| of(*size)).sum();
    let live = live().map(|size| of(*size) * squared(*size)).sum();
    [allocations, frees, reallocations, bytes, blocks, live]
}

#[test]
fn every_figure_is_right_on_average_and_as_near_as_is_said() {
    const RUNS: usize = 300;
    let mut random = Random(1);
    for mean in [1, 300, 5_000, 200_000] {
        let acts = program(2_000, &mut random);
        let truth = tell(&acts, 0, 16, &mut random).counts;
        let runs: Vec<Counts> = (1..=RUNS as u64)
            .map(|run| tell(&acts, mean, run << 32, &mut random).counts)
            .collect();
        for ((name, figure), variance) in FIGURES.iter().zip(variances(&acts, mean)) {
            let truth = figure(&truth) as f64;
            let off = runs.iter().map(|run| figure(run) as f64 - truth);
            let average = off.clone().sum::<f64>() / RUNS as f64;
            let square = off.map(|off| off * off).sum::<f64>() / RUNS as f64;
            let allowed = 5.0 * (variance / RUNS as f64).sqrt() + 1.0;
            assert!(
                average.abs() <= allowed,
                "{name} of {mean}: {truth}, off by {average} on average, allowed {allowed}"
            );
            if *name == "live bytes" {
                let said = Sample::every(mean).error(truth as u64) as f64;
                let seen = square.sqrt();
                assert!(seen <= said * 1.15 + 1.0, "{mean}: {seen}, not {said}");
            }
        }
        assert_eq!(runs[0].unknown_frees + runs[0].missed_frees, 0);
    }
}

#[test]
fn a_forked_child_has_what_its_parent_has() {
    let mut random = Random(7);
    let acts = program(2_000, &mut random);
    let mut parent = tell(&acts, 2_000, 16, &mut random);
    let counts = parent.counts;
    let mut child = parent.fork();
    let finished = child.fork().finish(&mut [], |_| true);
    assert_eq!(finished.inherited, (counts.live_blocks, counts.live_bytes));
    for block in 0..acts.len() as u64 {
        child.free(16 + block * 16, true);
    }
    assert_eq!(child.counts.frees, counts.live_blocks);
    assert_eq!(child.finish(&mut [], |_| true).inherited, (0, 0));
}
