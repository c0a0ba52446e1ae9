//! What a block of a sample stands for.
//!
//! With `LEAK_SAMPLE` the target records a Poisson sample of the bytes that it allocates: a block of s bytes is
//! in it with probability p = 1 − exp(−s / mean), whatever else is. A block that is in it stands for 1 / p
//! blocks and s / p bytes: the Horvitz–Thompson estimator (D. G. Horvitz, D. J. Thompson, "A generalization of
//! sampling without replacement from a finite universe", JASA 47, 1952), whose expectation is the true figure for
//! any set of blocks; pprof scales tcmalloc's heap samples by the same. Its variance is the sum of s²(1 − p) / p
//! over all blocks, which is never more than the sum of s · mean: see [`Sample::error`].

use std::ops::{AddAssign, SubAssign};

/// So many blocks, and their bytes: one block, or what one of a sample stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub blocks: u64,
    /// Bytes, as the program asked.
    pub bytes: u64,
}

impl Amount {
    /// One block of so many bytes.
    #[inline]
    pub fn one(bytes: u64) -> Amount {
        Amount { blocks: 1, bytes }
    }
}

impl AddAssign for Amount {
    #[inline]
    fn add_assign(&mut self, more: Amount) {
        self.blocks += more.blocks;
        self.bytes += more.bytes;
    }
}

impl SubAssign for Amount {
    #[inline]
    fn sub_assign(&mut self, less: Amount) {
        self.blocks -= less.blocks;
        self.bytes -= less.bytes;
    }
}

/// None of what is this many times as large as the mean between two samples is drawn: by chance less than once in a
/// hundred times (e⁻⁵).
pub const UNDRAWN: f64 = 5.0;
/// A leak of so many bytes a request, on average, is to show: one small object each.
pub const SHOWN: u64 = 64;

/// How a trace's blocks are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Mean bytes between two samples; 0: every block is there.
    mean: u64,
}

impl Sample {
    /// Of a trace with so many bytes between two samples on average.
    pub fn every(mean: u64) -> Sample {
        Sample { mean }
    }

    /// Whether there may be blocks that were not recorded.
    #[inline]
    pub fn is_partial(self) -> bool {
        self.mean > 0
    }

    /// What a recorded block of `size` bytes stands for. Blocks are whole: the part of one is rounded up as
    /// often as it is large, by `lot`, which is to differ from block to block.
    #[inline]
    pub fn amount(self, size: u64, lot: u64) -> Amount {
        match self.is_partial() {
            true => self.estimate(size, lot),
            false => Amount::one(size),
        }
    }

    fn estimate(self, size: u64, lot: u64) -> Amount {
        let blocks = self.weight(size);
        let part = (mix(lot) >> 11) as f64 / (1_u64 << 53) as f64;
        Amount {
            blocks: (blocks + part) as u64,
            bytes: (size as f64 * blocks).round() as u64,
        }
    }

    /// What `bytes` of a recorded block of `size` bytes stand for.
    #[inline]
    pub fn part(self, size: u64, bytes: u64) -> u64 {
        match self.is_partial() {
            true => (bytes as f64 * self.weight(size)).round() as u64,
            false => bytes,
        }
    }

    /// The standard error of an estimate of `bytes`, at most: √(bytes · mean), 0 where nothing was sampled.
    pub fn error(self, bytes: u64) -> u64 {
        (bytes as f64 * self.mean as f64).sqrt() as u64
    }

    /// How many blocks of so many were recorded, about, that these are estimated from.
    pub fn drawn(self, estimate: Amount) -> u64 {
        match self.mean {
            0 => estimate.blocks,
            mean => estimate.blocks.min(estimate.bytes / mean),
        }
    }

    /// Blocks of so many bytes in all would show at least once but for one time in [`UNDRAWN`]'s exponential (148).
    pub fn undrawn(self) -> u64 {
        (UNDRAWN * self.mean as f64) as u64
    }

    /// How many blocks a recorded one of `size` bytes stands for.
    fn weight(self, size: u64) -> f64 {
        // The target takes a block of no bytes for one of a single byte.
        let probability = -(-(size.max(1) as f64) / self.mean as f64).exp_m1();
        probability.recip()
    }
}

/// SplitMix64's finalizer (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014).
fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
