//! Fisher's exact test, one-sided: the probability of so many leaking ones with a fact, or more, if fact and leaking had
//! nothing to do with each other.

use std::ops::Range;
use std::sync::LazyLock;

/// How many requests leak, and how many don't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both {
    pub(super) leaking: u64,
    pub(super) others: u64,
}

impl Both {
    pub(super) fn all(self) -> u64 {
        self.leaking + self.others
    }

    /// One more.
    pub(super) fn add(&mut self, leaks: bool) {
        self.leaking += u64::from(leaks);
        self.others += u64::from(!leaks);
    }

    /// The logarithm of the probability that so many of these have the fact or, of as many in all, more that leak.
    pub(super) fn ln_chance(self, with: Both) -> f64 {
        let first = self.ln_one(with);
        // What is less than is to be expected is more likely than what is not: 1 less the rest.
        if with.leaking * self.all() <= self.leaking * with.all() {
            let mut below = 0.0;
            let mut at = with;
            while at.leaking > 0 && at.others < self.others {
                at = Both {
                    leaking: at.leaking - 1,
                    others: at.others + 1,
                };
                let one = self.ln_one(at).exp();
                below += one;
                if one < below * 1e-17 {
                    break;
                }
            }
            return (-below).ln_1p().min(0.0);
        }
        // Each next one is smaller by a factor that falls.
        let (mut sum, mut one) = (1.0, 1.0);
        let (mut leaking, mut others) = (with.leaking, with.others);
        while leaking < self.leaking && others > 0 {
            let up = (self.leaking - leaking) as f64 * others as f64;
            let down = (leaking + 1) as f64 * (self.others - others + 1) as f64;
            one *= up / down;
            sum += one;
            if one < sum * 1e-17 {
                break;
            }
            (leaking, others) = (leaking + 1, others - 1);
        }
        (first + f64::ln(sum)).min(0.0)
    }

    /// The logarithm of the probability of exactly this.
    fn ln_one(self, with: Both) -> f64 {
        ln_choose(self.leaking, with.leaking) + ln_choose(self.others, with.others)
            - ln_choose(self.all(), with.all())
    }

    /// Of how many requests a fact has to hold to be rarer by chance than `ln_most`, if those that leak do all they can
    /// for it.
    pub(super) fn testable(self, ln_most: f64) -> Range<u64> {
        let best = |with: u64| {
            let leaking = with.min(self.leaking);
            let others = with - leaking;
            self.ln_one(Both { leaking, others }) < ln_most
        };
        if !best(self.leaking) {
            return 0..0;
        }
        // The best is as many as leak; from there it gets worse both ways.
        let (mut low, mut high) = (0, self.leaking);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            *(if best(middle) { &mut high } else { &mut low }) = middle;
        }
        let least = high;
        let (mut low, mut high) = (self.leaking, self.all());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            *(if best(middle) { &mut low } else { &mut high }) = middle;
        }
        least..high
    }
}

fn ln_choose(all: u64, part: u64) -> f64 {
    if part > all {
        return f64::NEG_INFINITY;
    }
    ln_factorial(all) - ln_factorial(part) - ln_factorial(all - part)
}

/// Logarithms of factorials that are summed up.
static SUMMED: LazyLock<[f64; 256]> = LazyLock::new(|| {
    let mut sum = 0.0;
    std::array::from_fn(|number| {
        sum += f64::ln(number.max(1) as f64);
        sum
    })
});

/// Exact up to 255, from there by Stirling's series, whose next term is below 10⁻¹⁵ there.
fn ln_factorial(number: u64) -> f64 {
    if let Some(known) = SUMMED.get(number as usize) {
        return *known;
    }
    let x = number as f64;
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x)
        - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(leaking: u64, others: u64) -> Both {
        Both { leaking, others }
    }

    /// Tables from R 4.3: `fisher.test(matrix(c(3, 1, 1, 3), 2), alternative = "greater")` and so on.
    #[test]
    fn fishers_test_is_exact() {
        for (all, with, p) in [
            (both(4, 4), both(3, 1), 17.0 / 70.0),
            (both(4, 4), both(4, 0), 1.0 / 70.0),
            (both(10, 10), both(0, 0), 1.0),
            (both(5, 5), both(5, 5), 1.0),
            (both(4, 4), both(1, 3), 69.0 / 70.0),
        ] {
            let found = all.ln_chance(with).exp();
            assert!((found - p).abs() < 1e-12, "{found}, {p}: {with:?}");
        }
        // Both ways of a logarithm agree where they meet.
        let by_sum: f64 = (2..=256_u64).map(|factor| (factor as f64).ln()).sum();
        assert!((ln_factorial(256) - by_sum).abs() < 1e-9);
    }

    /// The same as the sum of all that is at least as far, one by one.
    #[test]
    fn a_tail_is_the_sum_of_its_parts() {
        for all in [both(7, 9), both(20, 300), both(300, 20), both(150, 150)] {
            for leaking in 0..=all.leaking {
                for others in (0..=all.others).step_by(7) {
                    let with = both(leaking, others);
                    let most = all.leaking.min(with.all());
                    let parts = (leaking..=most).map(|more| both(more, with.all() - more));
                    let sum: f64 = parts.map(|part| all.ln_one(part).exp()).sum();
                    let found = all.ln_chance(with).exp();
                    assert!((found / sum - 1.0).abs() < 1e-9, "{found}, {sum}: {with:?}");
                }
            }
        }
    }

    #[test]
    fn what_can_not_be_rare_is_not_tested() {
        let most = f64::ln(0.001);
        for all in [both(5, 5), both(10, 10), both(5, 4_000), both(40, 3)] {
            let range = all.testable(most);
            for number in 1..all.all() {
                let leaking = number.min(all.leaking);
                let best = all.ln_chance(both(leaking, number - leaking));
                assert_eq!(range.contains(&number), best < most, "{number} of {all:?}");
            }
        }
    }
}
