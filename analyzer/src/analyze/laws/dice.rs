//! Chance that is the same for the same seed.

/// A generator of pseudo-random numbers (SplitMix64: G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The `seed`-th of those that `name` has for itself.
    pub(super) fn new(name: &str, seed: u64) -> Self {
        let of_name = name.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(byte.into())
        });
        let mut dice = Dice(of_name ^ seed.wrapping_mul(0xd134_2543_de82_ef95));
        dice.part();
        dice
    }

    /// From 0 to 1.
    pub(super) fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// With this probability.
    pub(super) fn falls(&mut self, probability: f64) -> bool {
        self.part() < probability
    }

    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.part()
    }

    /// From `from` up to, not including, `to`.
    pub(super) fn count(&mut self, from: usize, to: usize) -> usize {
        self.between(from as f64, to.max(from + 1) as f64) as usize
    }

    /// As often of one order of magnitude as of another.
    pub(super) fn magnitude(&mut self, from: f64, to: f64) -> f64 {
        self.between(from.ln(), to.ln()).exp()
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.part()).ln()
    }

    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.part()).ln()).sqrt();
        median * (sigma * radius * (2.0 * std::f64::consts::PI * self.part()).cos()).exp()
    }

    /// A key, some of which are asked for much oftener than others.
    pub(super) fn zipf(&mut self, exponent: f64) -> usize {
        (1.0 - self.part()).powf(-1.0 / exponent).min(1e9) as usize
    }
}
