//! An entry: the way from a place to a frame of the chain, and the words of the stack that led it.

use super::super::chain::Check;
use super::place::{Place, mixed};

/// Entries with more words are not kept.
pub(super) const MAX_CHECKS: usize = 12;

/// What is known of one way from a place to a frame of the chain. All-zero is none.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Entry {
    /// Of the way that led here.
    pub(super) key: u64,
    pub(super) place: Place,
    pub(super) bp: u64,
    pub(super) join_sp: u64,
    pub(super) join_bp: u64,
    pub(super) node: u32,
    pub(super) join_node: u32,
    /// The chain's frame, counted from the outermost.
    pub(super) join: u16,
    /// Frames inside of that.
    pub(super) frames: u16,
    pub(super) used: u8,
    pub(super) bp_matters: bool,
    pub(super) join_bp_matters: bool,
    /// The words that led through these frames, outermost first, and what they held. Those that are not
    /// used repeat the first.
    pub(super) words: [u16; MAX_CHECKS],
    pub(super) values: [u64; MAX_CHECKS],
}

const _: () = assert!(size_of::<Entry>() == 192);

impl Entry {
    /// Makes these its checks. False: they don't fit.
    pub(super) fn set_checks(&mut self, checks: &[Check]) -> bool {
        let Some(first) = checks.first() else {
            return false;
        };
        let padded = checks.iter().chain(core::iter::repeat(first));
        let places = self.words.iter_mut().zip(self.values.iter_mut());
        let mut fits = checks.len() <= MAX_CHECKS;
        for (check, (word, value)) in padded.zip(places) {
            let distance = check.slot.wrapping_sub(self.place.sp);
            let offset = u16::try_from(distance / 8);
            fits &= distance % 8 == 0 && offset.is_ok();
            (*word, *value) = (offset.unwrap_or(0), check.value);
        }
        self.used = checks.len() as u8;
        fits
    }

    pub(super) fn words(&self) -> &[u16] {
        self.words.get(..usize::from(self.used)).unwrap_or(&[])
    }

    /// The same for all entries with the same words.
    pub(super) fn layout(&self) -> u32 {
        let mix = |hash, word: &u16| mixed(hash, u64::from(*word));
        (self.words().iter().fold(0, mix) >> 32) as u32
    }

    /// Whether all hold.
    #[inline(always)]
    pub(super) fn holds(&self) -> bool {
        let mut checks = usize::from(self.used);
        let words = self.words.as_chunks::<4>().0;
        let values = self.values.as_chunks::<4>().0;
        for ([a, b, c, d], values) in words.iter().zip(values) {
            let wrong = (self.place.word(*a) ^ values[0])
                | (self.place.word(*b) ^ values[1])
                | (self.place.word(*c) ^ values[2])
                | (self.place.word(*d) ^ values[3]);
            if wrong != 0 {
                return false;
            }
            checks = checks.saturating_sub(4);
            if checks == 0 {
                break;
            }
        }
        true
    }

    /// The innermost word that is another now, and what it was.
    pub(super) fn differs(&self) -> Option<(u16, u64)> {
        let checks = self.words.iter().zip(&self.values);
        let mut checks = checks.take(usize::from(self.used)).rev();
        checks
            .find(|(word, value)| self.place.word(**word) != **value)
            .map(|(word, value)| (*word, *value))
    }
}
