//! Chances: of counts, of a trend, and of several findings taken together.

/// By chance: one in a thousand.
pub(crate) const LEVEL: f64 = 1e-3;
/// What is less likely by chance than this can't be called harmless: one in twenty.
pub(crate) const SUSPICIOUS: f64 = 0.05;

/// Probabilities of independent findings, taken together (R. A. Fisher, "Statistical Methods for Research Workers",
/// 1925): minus the sum of their logarithms has a gamma distribution.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chances {
    sum: f64,
    findings: u64,
}

impl Chances {
    /// One more, by its logarithm.
    pub(super) fn add(&mut self, logarithm: f64) {
        self.sum -= logarithm;
        self.findings += 1;
    }

    /// The probability that chance alone finds all this.
    pub(super) fn by_chance(self) -> f64 {
        match self.findings {
            0 => 1.0,
            findings => at_most(findings - 1, self.sum),
        }
    }
}

/// Laplace's test of places from 0 to 1: below 0 where there are more early ones.
pub(super) fn trend(places: &[f64]) -> Option<f64> {
    let count = places.len() as f64;
    let mean = places.iter().sum::<f64>() / count.max(1.0);
    (count > 0.0).then(|| (12.0 * count).sqrt() * (mean - 0.5))
}

/// The logarithm of the gamma function (C. Lanczos, "A precision approximation of the gamma function", SIAM J.
/// Numer. Anal. 1, 1964, with g = 7).
pub(super) fn ln_gamma(x: f64) -> f64 {
    const G: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let series = (1..9).fold(G[0], |sum, at| sum + G[at] / (x + at as f64));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// The probability of at least `count` of `all`, each with probability `part`.
pub(crate) fn at_least(count: u64, all: u64, part: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if count > all {
        return 0.0;
    }
    let n = all as f64;
    // The largest terms come first: the sum is cut where they vanish.
    let mut sum = 0.0;
    for k in count..=all {
        let k = k as f64;
        let logarithm = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
            + k * part.ln()
            + (n - k) * (1.0 - part).ln();
        let term = logarithm.exp();
        sum += term;
        if k > n * part && term < sum * 1e-12 {
            break;
        }
    }
    sum.min(1.0)
}

/// The probability of at most `count` where `mean` are expected (Poisson).
pub(super) fn at_most(count: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let term = |k: u64| (k as f64 * mean.ln() - mean - ln_gamma(k as f64 + 1.0)).exp();
    (0..=count).map(term).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities() {
        assert!((at_least(1, 1, 0.05) - 0.05).abs() < 1e-9);
        assert!((at_least(2, 2, 0.05) - 0.0025).abs() < 1e-9);
        assert!((at_least(3, 10, 0.5) - 0.945_312_5).abs() < 1e-9);
        assert!((at_most(0, 2.0) - (-2.0_f64).exp()).abs() < 1e-9);
        assert!((at_most(2, 2.0) - 5.0 * (-2.0_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn findings_are_taken_together() {
        let chance = |findings: &[f64]| {
            let mut chances = Chances::default();
            findings.iter().for_each(|p| chances.add(p.ln()));
            chances.by_chance()
        };
        assert_eq!(chance(&[]), 1.0);
        assert!((chance(&[0.02]) - 0.02).abs() < 1e-9);
        // P(xy <= 0.01) = 0.01 (1 - ln 0.01).
        assert!((chance(&[0.1, 0.1]) - 0.01 * (1.0 - 0.01_f64.ln())).abs() < 1e-9);
        assert!(chance(&[0.5; 20]) > 0.5);
    }
}
