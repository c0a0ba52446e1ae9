//! How many blocks there are at a moment says whose they are, too: of clients that send together and are answered
//! together, the moments are few and have nearly the same labels in flight, but more blocks where there are more
//! requests of the label that makes them.
//!
//! The ranks of the amounts are explained by a linear model of what the components have in flight. Under normal
//! errors the logarithm of its likelihood is `-n/2 ln(RSS/TSS)`: a burst has the highest rank, and no more. Amounts
//! and circumstances are compared with those around them, so that what drifts with the time explains nothing.

use super::site::Observed;

/// Fewer observations tell nothing.
const FEWEST: usize = 20;
/// Neighbours in time that are compared.
const AROUND: usize = 32;
/// The part of the variance that is never explained.
const NOISE: f64 = 0.02;

/// The amounts of a call site's observations, by rank and without what they have in common around.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Vec<f64>);

impl Counts {
    pub(super) fn of(observed: &Observed) -> Counts {
        let blocks: Vec<u64> = observed.all.iter().map(|one| one.blocks).collect();
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|at| blocks[*at]);
        let mut ranks = vec![0.0; blocks.len()];
        for same in order.chunk_by(|one, other| blocks[*one] == blocks[*other]) {
            let first = order.partition_point(|at| blocks[*at] < blocks[same[0]]);
            let mean = first as f64 + (same.len() - 1) as f64 / 2.0;
            same.iter().for_each(|at| ranks[*at] = mean);
        }
        Counts(centred(&ranks))
    }

    /// The logarithm of the likelihood when the amounts go with `circumstances`, each with a positive share; 0 where
    /// they are all alike, or too few.
    pub(super) fn explained_by<'c>(&self, circumstances: impl Iterator<Item = &'c [f64]>) -> f64 {
        let total = product(&self.0, &self.0);
        if self.0.len() < FEWEST || total <= f64::EPSILON {
            return 0.0;
        }
        let mut rest = self.0.clone();
        let mut known: Vec<Vec<f64>> = Vec::new();
        for circumstance in circumstances {
            let mut own = centred(circumstance);
            let before = product(&own, &own);
            for other in &known {
                take(&mut own, other);
            }
            let after = product(&own, &own);
            // What follows from the others adds nothing.
            if after <= 1e-6 * before || product(&rest, &own) <= 0.0 {
                continue;
            }
            take(&mut rest, &own);
            known.push(own);
        }
        let rest = product(&rest, &rest) / total;
        -0.5 * self.0.len() as f64 * (rest + NOISE).min(1.0).ln()
    }
}

/// Without the mean of what is around.
fn centred(all: &[f64]) -> Vec<f64> {
    let parts = all.len().div_ceil(AROUND).max(1);
    let mut centred = Vec::with_capacity(all.len());
    for part in 0..parts {
        let range = part * all.len() / parts..(part + 1) * all.len() / parts;
        let around = &all[range];
        let mean = around.iter().sum::<f64>() / around.len().max(1) as f64;
        centred.extend(around.iter().map(|one| one - mean));
    }
    centred
}

fn product(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Takes from `all` what goes with `direction`.
fn take(all: &mut [f64], direction: &[f64]) {
    let part = product(all, direction) / product(direction, direction);
    for (one, along) in all.iter_mut().zip(direction) {
        *one -= part * along;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::association::site::Observation;
    use crate::ledger::holding::Hints;

    fn counts(blocks: impl Iterator<Item = u64>) -> Counts {
        let one = |(born, blocks)| Observation {
            blocks,
            ..Observation::of(0, born, Hints::default())
        };
        Counts::of(&Observed {
            ticks: false,
            all: (0..).zip(blocks).map(one).collect(),
        })
    }

    /// Numbers from 0 to 9, in no order.
    fn strewn(seed: u64) -> Vec<f64> {
        let number = |at: u64| (((at * 7_919 + seed * 104_729) * (at + seed)) >> 3) % 10;
        (0..200).map(|at| number(at) as f64).collect()
    }

    #[test]
    fn more_of_the_cause_makes_more_blocks() {
        let (cause, other) = (strewn(1), strewn(2));
        let counts = counts(cause.iter().map(|in_flight| 3 * *in_flight as u64 + 1));
        let by_cause = counts.explained_by([cause.as_slice()].into_iter());
        assert!(by_cause > 200.0, "{by_cause}");
        let by_other = counts.explained_by([other.as_slice()].into_iter());
        assert!(by_other < 5.0, "{by_other}");
        // Fewer blocks where there are more requests explain nothing.
        let less: Vec<f64> = cause.iter().map(|in_flight| 10.0 - in_flight).collect();
        assert_eq!(
            counts.explained_by([less.as_slice()].into_iter()),
            by_nothing(&counts)
        );
    }

    fn by_nothing(counts: &Counts) -> f64 {
        counts.explained_by(std::iter::empty())
    }

    #[test]
    fn one_burst_and_a_drift_explain_nothing() {
        let cause = strewn(3);
        let most = cause.iter().position(|in_flight| *in_flight == 9.0);
        let burst = (0..200).map(|at| if Some(at) == most { 10_000 } else { 1 });
        let burst = counts(burst);
        let gain = burst.explained_by([cause.as_slice()].into_iter()) - by_nothing(&burst);
        assert!(gain < 5.0, "{gain}");
        // Both grow with the time, and have nothing else in common.
        let later = (0..200).zip(strewn(4));
        let later: Vec<f64> = later
            .map(|(at, noise)| f64::from(at) / 20.0 + noise)
            .collect();
        let grows = (0..200).zip(strewn(5));
        let grows = counts(grows.map(|(at, noise)| at / 20 + noise as u64));
        let gain = grows.explained_by([later.as_slice()].into_iter()) - by_nothing(&grows);
        assert!(gain < 5.0, "{gain}");
        // Too few tell nothing.
        let few = counts((0..19).map(|at| at % 2));
        assert_eq!(few.explained_by([&cause[..19]].into_iter()), 0.0);
    }
}
